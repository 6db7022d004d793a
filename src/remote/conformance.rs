//! What every backend must do: one suite over all of them, and the doubles that lie to it.
//!
//! Compiled for tests alone: the unit tests run it on folder and memory, the tests from outside
//! on real servers.

use std::ops::ControlFlow;
use std::time::Duration;

use bytes::Bytes;

use crate::remote::backend::{Backend, Created, Key, Situation, list_sorted, read, read_range, write};
#[cfg(test)]
use crate::remote::memory::MemoryBackend;

#[cfg(test)]
pub(crate) mod faulty;

fn key(text: &str) -> Key {
    Key::parse(text).expect("a key")
}

fn keys(backend: &dyn Backend, prefix: &str) -> Vec<String> {
    list_sorted(backend, prefix).expect("lists").into_iter().map(|listed| listed.key.to_string()).collect()
}

/// Runs the suite on an empty place. Panics where a promise of [`Backend`] is not kept.
pub fn check(backend: &dyn Backend) {
    an_empty_place_is_empty(backend);
    objects_come_back_whole_and_in_parts(backend);
    writes_tell_no_more_than_they_send(backend);
    a_name_is_used_once(backend);
    listings_are_complete(backend);
    many_threads_write_at_once(backend);
}

/// Runs the half of the suite that reads: `writer` fills the empty place behind `reader`, and
/// `publish` does what must follow each change. Panics as [`check`] does.
pub fn check_reading(writer: &dyn Backend, reader: &dyn Backend, publish: &dyn Fn()) {
    let name = key("pk/00/big");
    let bytes: Vec<u8> = (0..300_000u32).map(|number| (number * 7) as u8).collect();
    write(writer, &name, &bytes).expect("writes");
    writer.put(&key("pk/00/empty"), &[]).expect("writes");
    write(writer, &key("gc/1"), b"x").expect("writes");
    publish();
    assert_eq!(keys(reader, ""), ["gc/1", "pk/00/big", "pk/00/empty"]);
    assert_eq!(keys(reader, "pk/00/b"), ["pk/00/big"]);
    assert!(reader.list("../", &mut |_| ControlFlow::Continue(())).is_err());
    assert!(read(reader, &name, 300_000).expect("reads") == bytes);
    assert_eq!(read(reader, &key("pk/00/empty"), 0).expect("reads"), b"");
    check_ranges(reader, &name, &bytes);
    let stat = reader.head(&name).expect("no error").expect("it is there");
    assert_eq!(stat.size, 300_000);
    assert!(reader.now().expect("a clock") + Duration::from_secs(2) >= stat.modified);
    assert_eq!(reader.head(&key("pk/00/none")).expect("no error"), None);
    assert!(read(reader, &key("pk/00/none"), 10).expect_err("absent").is_not_found());
}

fn check_ranges(backend: &dyn Backend, name: &Key, bytes: &[u8]) {
    let len = bytes.len() as u64;
    for range in [0..1u64, 5..20, len - 1..len, 0..len, 7..7] {
        let part = read_range(backend, name, range.clone()).expect("a range");
        assert!(part == bytes[range.start as usize..range.end as usize], "{range:?}");
    }
    for range in [len - 1..len + 1, len + 1_000_000..len + 1_000_001] {
        let error = read_range(backend, name, range).expect_err("past the end");
        assert_eq!(error.situation, Situation::Invalid);
    }
}

fn writes_tell_no_more_than_they_send(backend: &dyn Backend) {
    let name = key("pk/00/told");
    let bytes: Vec<u8> = (0..3_000_000u32).map(|number| (number * 5) as u8).collect();
    let mut told = Vec::new();
    let parts = [bytes[..1_000_000].to_vec().into(), bytes[1_000_000..].to_vec().into()];
    backend.put_telling(&name, &parts, &mut |sent| told.push(sent)).expect("writes");
    assert!(told.is_sorted() && told.last().is_none_or(|last| *last <= 3_000_000), "{told:?}");
    assert!(read(backend, &name, 3_000_000).expect("reads") == bytes);
    backend.delete(&name).expect("removes");
}

fn an_empty_place_is_empty(backend: &dyn Backend) {
    assert_eq!(keys(backend, ""), Vec::<String>::new());
    assert_eq!(keys(backend, "pk/"), Vec::<String>::new());
    assert_eq!(backend.head(&key("pk/00/a")).expect("no error"), None);
    let error = read(backend, &key("pk/00/a"), 10).expect_err("absent");
    assert!(error.is_not_found(), "{error}");
    backend.delete(&key("pk/00/a")).expect("absent is no error");
    assert!(!backend.describe().is_empty());
}

fn objects_come_back_whole_and_in_parts(backend: &dyn Backend) {
    let name = key("pk/00/big");
    let bytes: Vec<u8> = (0..3_000_000u32).map(|number| (number * 7) as u8).collect();
    let before = backend.now().expect("a clock");
    backend
        .put(&name, &[bytes[..10].to_vec().into(), Bytes::new(), bytes[10..].to_vec().into()])
        .expect("writes");
    let after = backend.now().expect("a clock");
    assert!(read(backend, &name, 3_000_000).expect("reads") == bytes);
    assert_eq!(
        read(backend, &name, 2_999_999).expect_err("limit").situation,
        Situation::TooLarge { limit: 2_999_999 }
    );
    check_ranges(backend, &name, &bytes);
    let stat = backend.head(&name).expect("no error").expect("it is there");
    assert_eq!(stat.size, 3_000_000);
    let slack = Duration::from_secs(2);
    assert!(before - slack <= stat.modified && stat.modified <= after + slack);
    let mut pieces = 0;
    let stopped = backend.get(&name, None, &mut |_| {
        pieces += 1;
        ControlFlow::Break(())
    });
    assert!(stopped.is_ok() && pieces == 1, "who has enough stops the read");
    backend.put(&key("pk/00/empty"), &[]).expect("writes");
    assert_eq!(read(backend, &key("pk/00/empty"), 0).expect("reads"), b"");
}

fn a_name_is_used_once(backend: &dyn Backend) {
    let name = key("mlv-remote");
    assert_eq!(backend.create(&name, b"first").expect("creates"), Created::New);
    assert_eq!(backend.create(&name, b"second one").expect("no error"), Created::Existed);
    assert_eq!(read(backend, &name, 10).expect("reads"), b"first");
    let torn = key("ix/torn");
    write(backend, &torn, b"half").expect("writes");
    backend
        .put(&torn, &[Bytes::from("half"), Bytes::from(" and half")])
        .expect("a repeated write heals a torn one");
    assert_eq!(read(backend, &torn, 20).expect("reads"), b"half and half");
    write(backend, &torn, b"half and half").expect("a repeated write is no error");
    backend.delete(&torn).expect("deletes");
    assert_eq!(backend.head(&torn).expect("no error"), None);
}

fn listings_are_complete(backend: &dyn Backend) {
    for number in 0..25 {
        write(backend, &key(&format!("gc/{number:02}")), b"x").expect("writes");
        write(backend, &key(&format!("rt/{number:02}/deep")), b"xy").expect("writes");
    }
    assert_eq!(keys(backend, "gc/").len(), 25);
    assert_eq!(keys(backend, "gc/1").len(), 10);
    assert_eq!(keys(backend, "rt/07"), ["rt/07/deep"]);
    assert_eq!(keys(backend, "g").len(), 25);
    assert_eq!(keys(backend, "none/"), Vec::<String>::new());
    assert_eq!(keys(backend, "").len(), 53);
    let listed = list_sorted(backend, "rt/").expect("lists");
    assert!(listed.iter().all(|line| line.size == 2));
    backend.delete(&key("gc/03")).expect("deletes");
    assert_eq!(keys(backend, "gc/").len(), 24);
    assert!(backend.list("../", &mut |_| ControlFlow::Continue(())).is_err());
    let mut lines = 0;
    let stopped = backend.list("gc/", &mut |_| {
        lines += 1;
        ControlFlow::Break(())
    });
    assert!(stopped.is_ok() && lines == 1, "who has enough stops the listing");
}

fn many_threads_write_at_once(backend: &dyn Backend) {
    let body = vec![7u8; 100_000];
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let body = &body;
            scope.spawn(move || {
                for number in 0..10 {
                    // Two threads write each name, as a repeated write does.
                    let name = key(&format!("pk/{:02}/{number}", thread / 2));
                    write(backend, &name, body).expect("writes");
                }
            });
        }
    });
    for thread in 0..2 {
        for number in 0..10 {
            assert!(
                read(backend, &key(&format!("pk/{thread:02}/{number}")), 100_000).expect("reads") == body
            );
        }
    }
}

#[test]
fn memory_conforms() {
    check(&MemoryBackend::new());
}
