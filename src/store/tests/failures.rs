//! Steps that fail, full disks, caches that cannot be written.

use super::*;

/// R8, I2: bytes before names, packs before the segment that names them, each synced.
#[test]
fn what_is_stored_is_synced_in_order() {
    use crate::fs::fault::{trace, with_mutation};
    let steps = |count: u64| {
        let place = Place::new();
        let cache = place.cache();
        let store = || {
            let writer = cache.writer().unwrap();
            for seed in 0..count {
                writer.put_record(key_of(&bytes(seed, 100)), &bytes(seed, 100)).unwrap();
            }
            writer.finish().unwrap();
        };
        trace(store).1
    };
    let right = ["create", "write", "chmod", "fdatasync", "mkdir", "chmod", "mkdir", "chmod", "rename"];
    let right = [&right[..], &["fsync"; 3]].concat();
    let has_right = |steps: &[&str]| steps.windows(right.len()).any(|window| window == right);
    assert!(has_right(&steps(1)), "{:?}", steps(1));
    // The mutation that this test is there to notice.
    assert!(!has_right(&with_mutation("data-fsync", || steps(1))));

    let packed = steps(70);
    let order: Vec<_> =
        packed.iter().filter(|step| ["fdatasync", "rename", "fsync"].contains(step)).collect();
    let synced: Vec<_> =
        order.iter().enumerate().filter(|(_, step)| ***step == "fdatasync").map(|(at, _)| at).collect();
    let [pack, segment] = synced[..] else { panic!("{packed:?}") };
    assert_eq!(*order[pack + 1], "rename");
    assert!(order[pack..segment].iter().filter(|step| ***step == "fsync").count() >= 3, "{packed:?}");
    assert_eq!(*order[segment + 1], "rename");
    assert_eq!(**order.last().unwrap(), "fsync");
}

/// R23: a cache that cannot be written serves for reading, and says so to who writes.
#[test]
fn a_read_only_cache_is_read() {
    use crate::error::{Advice, ErrorKind};
    let mount = tempfile::tempdir().unwrap();
    let run = |args: &[&str]| std::process::Command::new(args[0]).args(&args[1..]).arg(mount.path()).status();
    if !run(&["mount", "-t", "tmpfs", "tmpfs"]).is_ok_and(|status| status.success()) {
        return;
    }
    let outcome = std::panic::catch_unwind(|| {
        let root = mount.path().join("cache");
        let cache = Cache::open(&root, CacheOptions::default()).unwrap();
        let writer = cache.writer().unwrap();
        writer.put_record(key_of(b"one"), b"one").unwrap();
        writer.finish().unwrap();
        assert!(run(&["mount", "-o", "remount,ro"]).unwrap().success());
        let cache = Cache::open(&root, CacheOptions::default()).unwrap();
        assert_eq!(cache.read_record(key_of(b"one")).unwrap(), b"one");
        assert!(cache.check(1, &*meter()).unwrap().is_clean());
        let writer = cache.writer().unwrap();
        assert!(!writer.put_record(key_of(b"one"), b"one").unwrap(), "it is there");
        writer.put_record(key_of(b"two"), b"two").unwrap();
        assert_eq!(writer.finish().unwrap_err().kind(), ErrorKind::PermissionDenied);
    });
    assert!(run(&["umount"]).is_ok_and(|status| status.success()));
    if let Err(panic) = outcome {
        std::panic::resume_unwind(panic);
    }
}

fn ingest_some(cache: &Cache, place: &Place, options_many: bool) -> Result<WriteStats, Error> {
    let writer = cache.writer()?;
    let count = if options_many { 70 } else { 20 };
    let names: Vec<String> = (0..count).map(|number| format!("f{number}")).collect();
    let files: Vec<_> = names.iter().map(|name| (name.as_str(), FileKind::File)).collect();
    let results = writer.ingest_all(&place.work, &RepoPath::root(), &files, 1, &*meter())?;
    for result in results {
        result?;
    }
    writer.finish()
}

/// K1, S1: whatever step fails, what is visible is whole, and the next attempt completes.
#[test]
fn failing_at_any_step_leaves_a_cache_that_is_clean_and_complete_next_time() {
    for (many, least) in [(true, 20), (false, 60)] {
        for at in 1.. {
            let place = Place::new();
            let count = if many { 70 } else { 20 };
            for number in 0..count {
                place.file(&format!("f{number}"), &bytes(number, 2000));
            }
            let options = CacheOptions { pack_below: 128 << 10, ..CacheOptions::default() };
            let attempt = || ingest_some(&place.cache_with(options.clone()), &place, many);
            let (outcome, steps) = with_plan(Plan::Fail(at, 5, false), attempt);
            let cache = place.cache();
            check(&cache, &place);
            if outcome.is_ok() {
                let presence = cache.snapshot();
                assert!((0..count).all(|number| presence.has(key_of(&bytes(number, 2000)))), "step {at}");
            }
            ingest_some(&cache, &place, many).unwrap();
            let presence = place.cache().snapshot();
            assert!((0..count).all(|number| presence.has(key_of(&bytes(number, 2000)))), "step {at}");
            check(&place.cache(), &place);
            if at > steps {
                assert!(place.files("stage").is_empty(), "{:?}", place.files("stage"));
                assert!(outcome.is_ok() && steps >= least, "{steps}");
                break;
            }
        }
    }
}

/// S1: a full disk is called that, leaves nothing half done, and reading goes on.
#[test]
fn a_full_disk_is_reported_and_leaves_the_cache_whole() {
    use crate::error::{Advice, ErrorKind};
    let mount = tempfile::tempdir().unwrap();
    let tmpfs = ["-t", "tmpfs", "-o", "size=3m", "tmpfs"];
    let mounted = std::process::Command::new("mount").args(tmpfs).arg(mount.path()).output();
    if !mounted.is_ok_and(|output| output.status.success()) {
        return;
    }
    let outcome = std::panic::catch_unwind(|| {
        let place = Place::new();
        for number in 0..100 {
            place.file(&format!("f{number}"), &bytes(number, 60_000));
        }
        for many in [true, false] {
            let root = mount.path().join(if many { "many" } else { "few" });
            let options = CacheOptions { pack_from: if many { 64 } else { 1000 }, ..CacheOptions::default() };
            let cache = Cache::open(&root, options.clone()).unwrap();
            let first = cache.writer().unwrap();
            first.put_record(key_of(b"kept"), b"kept").unwrap();
            first.finish().unwrap();
            let error = ingest_some_of(&cache, &place, 100).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NoSpace, "{error}");
            let again = Cache::open(&root, options).unwrap();
            assert_eq!(again.read_record(key_of(b"kept")).unwrap(), b"kept");
            assert_eq!(fs::read_dir(root.join("stage")).unwrap().count(), 0);
        }
    });
    let unmounted = std::process::Command::new("umount").arg(mount.path()).status();
    assert!(unmounted.is_ok_and(|status| status.success()));
    if let Err(panic) = outcome {
        std::panic::resume_unwind(panic);
    }
}

fn ingest_some_of(cache: &Cache, place: &Place, count: usize) -> Result<WriteStats, Error> {
    let writer = cache.writer()?;
    for number in 0..count {
        ingest(&writer, &place.work, &format!("f{number}").parse().unwrap())?;
    }
    writer.finish()
}
