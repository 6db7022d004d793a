use std::os::unix::fs::symlink;

use super::*;
use crate::fs::fault;
use crate::remote::backend::{list_sorted, read, write};
use crate::remote::conformance;

fn key(text: &str) -> Key {
    Key::parse(text).expect("a key")
}

fn files_below(root: &Path) -> Vec<String> {
    let mut pending = vec![root.to_path_buf()];
    let mut files = Vec::new();
    while let Some(folder) = pending.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            match path.is_dir() {
                true => pending.push(path),
                false => files.push(path.strip_prefix(root).expect("below").display().to_string()),
            }
        }
    }
    files.sort();
    files
}

#[test]
fn folder_conforms() {
    let root = tempfile::tempdir().expect("a folder");
    conformance::check(&FolderBackend::new(root.path()));
    let hidden: Vec<_> = files_below(root.path()).into_iter().filter(|name| name.starts_with('.')).collect();
    assert_eq!(hidden, Vec::<String>::new(), "nothing is left in the staging folder");
}

#[test]
fn reading_makes_nothing_and_a_missing_folder_is_no_empty_remote() {
    let root = tempfile::tempdir().expect("a folder");
    let path = root.path().join("a/b");
    let backend = FolderBackend::new(&path);
    assert!(read(&backend, &key("mlv-remote"), 10).expect_err("absent").is_not_found());
    assert!(list_sorted(&backend, "pk/").is_err(), "R9: perhaps the share is not mounted");
    assert!(backend.head(&key("mlv-remote")).is_err());
    assert!(!root.path().join("a").exists());
    write(&backend, &key("pk/00/a"), b"x").expect("makes the folder");
    assert_eq!(list_sorted(&backend, "pk/").expect("lists").len(), 1);
}

#[test]
fn foreign_files_are_left_out_and_symlinks_refused() {
    let root = tempfile::tempdir().expect("a folder");
    let backend = FolderBackend::new(root.path());
    write(&backend, &key("pk/00/a"), b"x").expect("writes");
    std::fs::write(root.path().join("pk/README.txt"), "not a key: upper case").expect("writes");
    std::fs::write(root.path().join("pk/.hidden"), "").expect("writes");
    std::fs::create_dir(root.path().join("pk/UPPER")).expect("makes");
    let names: Vec<_> =
        list_sorted(&backend, "").expect("lists").into_iter().map(|l| l.key.to_string()).collect();
    assert_eq!(names, ["pk/00/a"]);

    let elsewhere = tempfile::tempdir().expect("a folder");
    std::fs::write(elsewhere.path().join("secret"), "s").expect("writes");
    symlink(elsewhere.path(), root.path().join("pk/01")).expect("links");
    symlink(elsewhere.path().join("secret"), root.path().join("pk/00/b")).expect("links");
    let refused = |result: Result<(), BackendError>| {
        assert_eq!(result.expect_err("refused").situation, Situation::Invalid)
    };
    refused(read(&backend, &key("pk/01/secret"), 10).map(drop));
    refused(read(&backend, &key("pk/00/b"), 10).map(drop));
    refused(write(&backend, &key("pk/01/x"), b"x"));
    refused(backend.head(&key("pk/00/b")).map(drop));
    refused(list_sorted(&backend, "pk/").map(drop));
    assert_eq!(std::fs::read_dir(elsewhere.path()).expect("a folder").count(), 1);
}

/// R1, R8: whatever step fails, an object is whole under its name or not there at all.
#[test]
fn a_failing_step_leaves_whole_objects_only() {
    let body = vec![b'x'; 100_000];
    let mut failures = 0;
    for at in 1.. {
        let root = tempfile::tempdir().expect("a folder");
        let plan = fault::Plan::Fail(at, 28, false);
        let (outcome, steps) = fault::with_plan(plan, || {
            let backend = FolderBackend::new(root.path());
            write(&backend, &key("pk/00/a"), &body)
        });
        let backend = FolderBackend::new(root.path());
        let listed = list_sorted(&backend, "pk/").expect("lists");
        assert!(listed.iter().all(|line| line.size == 100_000), "step {at}");
        match outcome {
            Ok(()) => assert_eq!(listed.len(), 1, "R8, step {at}"),
            Err(error) => {
                failures += 1;
                assert_eq!(error.situation, Situation::NoSpace, "step {at}");
            }
        }
        write(&backend, &key("pk/00/a"), &body).expect("the same again succeeds");
        assert!(read(&backend, &key("pk/00/a"), 100_000).expect("reads") == body);
        if at > steps {
            break;
        }
    }
    assert!(failures >= 6, "mkdir, create, write, sync, rename, sync of the folder: {failures}");
}
