//! R8, R1: what a name promises is on the disk before the name is there. Seen in the order of
//! the system calls: bytes are synced before the rename that publishes them, folders after it,
//! and the cache before the pointer.

use std::collections::BTreeSet;

use super::scenario::scenario;
use super::trace::{Call, has_strace, trace};
use crate::support::TestEnv;

const CALLS: &str = "open,openat,openat2,write,pwrite64,writev,copy_file_range,sendfile,ftruncate,ioctl,rename,renameat,renameat2,\
                     link,linkat,fsync,fdatasync,syncfs";

/// What a power failure could take back.
#[derive(Default)]
struct Volatile {
    /// Files whose bytes are not on the disk.
    files: BTreeSet<String>,
    /// Folders with names that are not on the disk.
    folders: BTreeSet<String>,
    problems: Vec<String>,
}

/// Whether a file there has to be durable before anything relies on it.
fn is_promise(path: &str) -> bool {
    is_metadata(path) || is_stored(path)
}

fn is_metadata(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    name.ends_with(".mlv") || [".gitignore", "mlv.lock", "config.toml", "config.local.toml"].contains(&name)
}

/// In the cache or on the remote.
fn is_stored(path: &str) -> bool {
    let kinds = ["objects", "pages", "pk", "ix", "rt"];
    kinds
        .iter()
        .any(|kind| path.contains(&format!("/cache/{kind}/")) || path.contains(&format!("/remote/{kind}/")))
}

fn folder_of(path: &str) -> String {
    path.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned()
}

impl Volatile {
    fn see(&mut self, call: &Call) {
        if call.result < 0 {
            return;
        }
        match call.name.as_str() {
            "fsync" | "fdatasync" => {
                let path = call.descriptor(0).expect("it has a descriptor");
                self.files.remove(&path);
                self.folders.remove(&path);
            }
            "syncfs" => {
                self.files.clear();
                self.folders.clear();
            }
            "rename" | "renameat" | "renameat2" | "link" | "linkat" => self.publish(call),
            "open" | "openat" | "openat2" if call.args.contains("O_CREAT") => {
                self.files.extend(call.place(0))
            }
            "open" | "openat" | "openat2" => {}
            "ioctl" if !call.args.contains("FICLONE") => {}
            "copy_file_range" => self.files.extend(call.descriptor(1)),
            _ => self.files.extend(call.descriptor(0)),
        }
    }

    fn publish(&mut self, call: &Call) {
        let (Some(from), Some(to)) = (call.place(0), call.place(1)) else {
            panic!("a rename without places: {call:?}");
        };
        let was_volatile = self.files.remove(&from);
        if is_promise(&to) {
            if was_volatile {
                self.problems.push(format!("{to} got its name before its bytes were on the disk"));
            }
            if is_metadata(&to) {
                let cache: Vec<String> =
                    self.folders.iter().filter(|path| path.contains("/cache/")).cloned().collect();
                let problem =
                    |folder| format!("{to} got its name before the names in {folder} were on the disk");
                self.problems.extend(cache.into_iter().map(problem));
            }
            self.folders.insert(folder_of(&to));
        } else if was_volatile {
            self.files.insert(to);
        }
    }
}

/// What of the command's work could be lost after it said that all is done.
fn problems(name: &str, variables: &[(&str, &str)]) -> Vec<String> {
    let scenario = scenario(name);
    let env: TestEnv = (scenario.prepare)();
    let (output, calls) = trace(scenario, &env, CALLS, variables);
    output.success();
    let mut volatile = Volatile::default();
    calls.iter().for_each(|call| volatile.see(call));
    assert!(
        calls.iter().any(|call| call.name.starts_with("rename") || call.name.starts_with("link")),
        "{calls:?}"
    );
    let open = volatile.folders.iter().map(|folder| format!("the names in {folder} are not on the disk"));
    volatile.problems.extend(open.collect::<Vec<_>>());
    volatile.problems
}

// R8, R1, I1, I2
#[test]
fn what_a_command_reports_is_on_the_disk() {
    if !has_strace() {
        return;
    }
    for name in ["init", "add", "add of many", "commit", "push", "pull", "repro"] {
        assert_eq!(problems(name, &[]), Vec::<String>::new(), "{name}");
    }
}

// The mutations of R8 and R1: with one sync left out the test above reports.
#[test]
fn each_sync_that_is_left_out_is_noticed() {
    if !has_strace() {
        return;
    }
    for (mutation, name, places) in [
        ("atomic-fsync", "add", &["/new.mlv "][..]),
        ("atomic-dir-fsync", "add", &["the names in"]),
        ("data-fsync", "add", &["/cache/objects/"]),
        ("data-fsync", "add of many", &["/cache/pk/", "/cache/ix/"]),
        ("data-fsync", "push", &["/remote/pk/", "/remote/ix/", "/remote/rt/"]),
        ("data-fsync", "pull", &["/cache/objects/"]),
    ] {
        let found = problems(name, &[("MLV_MUTATE", mutation)]);
        for place in places {
            assert!(
                found.iter().any(|problem| problem.contains(place)),
                "{mutation} in {name}: {place}: {found:?}"
            );
        }
    }
}
