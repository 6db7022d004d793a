use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

fn nothing(_: &str, _: bool) -> bool {
    false
}

fn paths(walk: &Walk) -> Vec<&str> {
    walk.entries.iter().map(|entry| &*entry.path).collect()
}

fn make(root: &Path, files: &[&str]) {
    for file in files {
        let path = root.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        if file.ends_with('/') { fs::create_dir_all(path).unwrap() } else { fs::write(path, file).unwrap() }
    }
}

#[test]
fn order_is_that_of_full_paths_and_left_out_names_do_not_fill_a_folder() {
    let root = tempfile::tempdir().unwrap();
    make(
        root.path(),
        &["d/a.b", "d/a/x", "d/a-/y", "d/a0", "d/empty/", "d/vcs/.git/config", "d/ig/skip", "d/.mlv/x"],
    );
    std::os::unix::fs::symlink("a0", root.path().join("d/link")).unwrap();
    let dir = Dir::open(root.path()).unwrap();
    let base = "d".parse().unwrap();
    let skip = |path: &str, _: bool| path == "d/ig/skip";
    for jobs in [1, 2, 4] {
        let walk = walk(&dir, &base, &skip, jobs).unwrap();
        assert_eq!(paths(&walk), ["a-/y", "a.b", "a/x", "a0", "empty/", "ig/", "link", "vcs/"]);
        assert_eq!(walk.left_out, [".mlv".into(), "vcs/.git".into()]);
        assert_eq!((walk.ignored, walk.unreadable.len()), (1, 0));
        assert_eq!(walk.entries[6].stamp.kind, FileKind::Symlink);
        assert_eq!(walk.entries[4].stamp.kind, FileKind::Dir);
        assert_eq!(walk.entries[1].stamp.size, 5);
    }
}

#[test]
fn the_empty_folder_has_no_entries_and_what_is_none_is_an_error() {
    let root = tempfile::tempdir().unwrap();
    make(root.path(), &["empty/", "file"]);
    let dir = Dir::open(root.path()).unwrap();
    assert!(walk(&dir, &"empty".parse().unwrap(), &nothing, 1).unwrap().entries.is_empty());
    assert!(walk(&dir, &"none".parse().unwrap(), &nothing, 1).unwrap_err().is_not_found());
    let error = walk(&dir, &"file".parse().unwrap(), &nothing, 1).unwrap_err();
    assert!(matches!(error, Error::NotAFolder { .. }), "{error}");
    assert_eq!(paths(&walk(&dir, &RepoPath::root(), &nothing, 1).unwrap()), ["empty/", "file"]);
}

#[test]
fn what_is_no_data_is_refused_by_name_and_the_rest_is_there() {
    use std::os::unix::ffi::OsStrExt;
    let root = tempfile::tempdir().unwrap();
    make(root.path(), &["ok", "sub/ok"]);
    let status = std::process::Command::new("mkfifo").arg(root.path().join("sub/fifo")).status();
    assert!(status.unwrap().success());
    fs::write(root.path().join(std::ffi::OsStr::from_bytes(b"bad\xff")), "x").unwrap();
    let dir = Dir::open(root.path()).unwrap();
    let walk = walk(&dir, &RepoPath::root(), &nothing, 1).unwrap();
    assert_eq!(paths(&walk), ["ok", "sub/ok"]);
    let errors: Vec<_> = walk.unreadable.iter().map(|(_, error)| error).collect();
    assert!(
        matches!(errors[..], [Error::NotUtf8 { .. }, Error::NotAFile { found: "FIFO", .. }]),
        "{errors:?}"
    );
}

#[test]
fn depth_costs_no_stack() {
    let root = tempfile::tempdir().unwrap();
    let dir = Dir::open(root.path()).unwrap();
    let mut deep = String::from("d");
    while deep.len() < 3_900 {
        deep.push_str("/d");
    }
    // Deeper than a path of mlv's may be, so made piece by piece.
    let mut fd = dir.ensure_dir("d", None).unwrap();
    for _ in 0..deep.len() / 2 {
        sys::mkdir(&fd, "d", 0o777).unwrap();
        fd = sys::open_dir(&fd, "d").unwrap();
    }
    let walk = walk(&dir, &RepoPath::root(), &nothing, 1).unwrap();
    assert_eq!(walk.entries.len() + walk.unreadable.len(), 1);
    dir.remove_all(&"d".parse().unwrap()).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// The one order: a walk equals a sort of full paths, whatever the names and threads.
    #[test]
    fn a_walk_is_a_sort_of_full_paths(
        files in prop::collection::btree_set("[-.0aA~]{1,3}(/[-.0aA~]{1,3}){0,3}", 0..24),
        jobs in 1usize..4,
    ) {
        let root = tempfile::tempdir().unwrap();
        let mut made = BTreeSet::new();
        for file in files {
            if file.split('/').any(|part| part == "." || part == "..") {
                continue;
            }
            let path = root.path().join(&file);
            if fs::create_dir_all(path.parent().unwrap()).is_ok() && fs::File::create_new(&path).is_ok() {
                made.insert(file);
            }
        }
        let dir = Dir::open(root.path()).unwrap();
        let walk = walk(&dir, &RepoPath::root(), &nothing, jobs).unwrap();
        let files: Vec<_> = paths(&walk).into_iter().filter(|path| !path.ends_with('/')).collect();
        prop_assert_eq!(&files, &made.iter().map(String::as_str).collect::<Vec<_>>());
        let all = paths(&walk);
        prop_assert!(all.windows(2).all(|pair| pair[0] < pair[1]));
    }
}
