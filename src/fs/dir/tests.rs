use super::*;
use crate::error::{Advice, ErrorKind};
use crate::fs::beneath::open_stepwise;
use std::fs;
use std::os::unix::fs::symlink;

fn path(text: &str) -> RepoPath {
    text.parse().unwrap()
}

fn sandbox() -> (tempfile::TempDir, Dir) {
    let outer = tempfile::tempdir().unwrap();
    let root = outer.path().join("root");
    fs::create_dir_all(root.join("a/b")).unwrap();
    fs::write(root.join("a/b/file"), "inside").unwrap();
    fs::write(outer.path().join("secret"), "outside").unwrap();
    symlink(outer.path(), root.join("out")).unwrap();
    symlink("a", root.join("alias")).unwrap();
    symlink("b/file", root.join("a/link")).unwrap();
    let dir = Dir::open(&root).unwrap();
    (outer, dir)
}

/// R3: no access follows a symlink, not even one that stays inside.
#[test]
fn symlinks_are_never_followed() {
    let (_outer, dir) = sandbox();
    for behind in ["out/secret", "alias/b/file", "a/link"] {
        let error = dir.read_file(&path(behind), 100).unwrap_err();
        assert!(matches!(error, Error::SymlinkInPath { .. }), "{behind}: {error}");
        assert_eq!(error.kind(), ErrorKind::UnsafePath);
    }
    assert!(dir.create_dir_all(&path("out/new")).is_err());
    assert!(dir.create_file(&path("alias/new"), 0o666).is_err());
    assert!(dir.remove_file(&path("alias/b/file")).is_err());
    assert!(dir.rename(&path("a/b/file"), &path("out/stolen")).is_err());
    assert!(dir.stat(&path("out/secret")).is_err());
    assert_eq!(dir.stat(&path("a/link")).unwrap().unwrap().kind, FileKind::Symlink);
    assert_eq!(dir.read_link(&path("a/link")).unwrap(), "b/file");
    assert_eq!(dir.read_file(&path("a/b/file"), 100).unwrap(), b"inside");
}

/// The walk that stands in for `openat2` decides the same.
#[test]
fn both_resolutions_agree() {
    let (_outer, dir) = sandbox();
    let kind = |result: io::Result<OwnedFd>| result.map(drop).map_err(|error| error.raw_os_error());
    for name in [
        "",
        "a",
        "a/b",
        "a/b/file",
        "a/none",
        "a/none/x",
        "a/b/file/x",
        "out/secret",
        "alias/b",
        "a/link",
        "alias",
    ] {
        for flags in [READ_FLAGS, FOLDER] {
            let kernel = kind(open_beneath(dir.as_fd(), name, flags));
            let walked = kind(open_stepwise(dir.as_fd(), name, flags));
            assert_eq!(kernel, walked, "{name} {flags:?}");
        }
    }
    assert!(open_stepwise(dir.as_fd(), "a/../a/b", FOLDER).is_err());
}

#[test]
fn absent_is_none_and_other_kinds_are_named() {
    let (outer, dir) = sandbox();
    assert_eq!(dir.stat(&path("none/x")).unwrap(), None);
    assert_eq!(dir.stat(&path("a/b/file/x")).unwrap(), None);
    assert_eq!(dir.stat(&RepoPath::root()).unwrap().unwrap().kind, FileKind::Dir);
    let fifo = outer.path().join("root/fifo");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let error = dir.read_file(&path("fifo"), 10).unwrap_err();
    assert!(matches!(error, Error::NotAFile { found: "FIFO", .. }), "{error}");
    assert!(matches!(dir.read_file(&path("a/b"), 10).unwrap_err(), Error::NotAFile { found: "folder", .. }));
    assert!(matches!(dir.read_file(&path("a/b/file"), 5).unwrap_err(), Error::TooLarge { limit: 5, .. }));
}

#[test]
fn folders_are_made_and_trees_removed_without_following() {
    let (outer, dir) = sandbox();
    dir.create_dir_all(&path("x/y/z")).unwrap();
    dir.create_dir_all(&path("x/y/z")).unwrap();
    assert!(matches!(dir.create_dir_all(&path("a/b/file/c")).unwrap_err(), Error::NotAFolder { .. }));
    symlink(outer.path().join("secret"), outer.path().join("root/x/y/link")).unwrap();
    symlink(outer.path(), outer.path().join("root/x/y/z/up")).unwrap();
    assert!(!dir.remove_dir(&path("x")).unwrap());
    dir.remove_all(&path("x")).unwrap();
    dir.remove_all(&path("x")).unwrap();
    assert_eq!(dir.stat(&path("x")).unwrap(), None);
    assert_eq!(fs::read(outer.path().join("secret")).unwrap(), b"outside");
}

#[test]
fn listings_are_sorted_and_typed() {
    let (_outer, dir) = sandbox();
    let names: Vec<_> =
        dir.read_dir(&RepoPath::root()).unwrap().into_iter().map(|entry| (entry.name, entry.kind)).collect();
    let expected = [("a", FileKind::Dir), ("alias", FileKind::Symlink), ("out", FileKind::Symlink)];
    assert_eq!(names, expected.map(|(name, kind)| (name.to_owned(), kind)));
}

#[test]
fn renames_do_not_replace_unless_asked() {
    let (_outer, dir) = sandbox();
    drop(dir.create_file(&path("one"), 0o666).unwrap());
    assert!(matches!(dir.rename_new(&path("one"), &path("a/b/file")).unwrap_err(), Error::Exists { .. }));
    assert!(matches!(dir.create_file(&path("one"), 0o666).unwrap_err(), Error::Exists { .. }));
    dir.rename(&path("one"), &path("a/b/file")).unwrap();
    assert_eq!(dir.read_file(&path("a/b/file"), 10).unwrap(), b"");
}

#[test]
fn a_wide_and_deep_tree_is_removed() {
    let home = tempfile::tempdir().unwrap();
    let dir = Dir::open(home.path()).unwrap();
    for at in 0..300 {
        fs::create_dir_all(home.path().join(format!("wide/{at}/below"))).unwrap();
        fs::write(home.path().join(format!("wide/{at}/file")), "x").unwrap();
    }
    fs::create_dir_all(home.path().join("wide").join("deep/".repeat(300))).unwrap();
    dir.remove_all(&path("wide")).unwrap();
    assert!(!home.path().join("wide").exists());
}

/// A path may be longer than what one system call takes.
#[test]
fn folders_are_found_however_deep_they_lie() {
    let (_outer, dir) = sandbox();
    let name = "z".repeat(200);
    let mut fd = dir.open_at("", FOLDER).unwrap();
    for _ in 0..30 {
        sys::mkdir(&fd, &name, 0o777).unwrap();
        fd = sys::open_dir(&fd, &name).unwrap();
    }
    let deep = vec![name.as_str(); 30].join("/");
    let (opened, made) = (dir.open_at(&deep, FOLDER).unwrap(), stamp_of(fd).unwrap());
    assert_eq!(stamp_of(opened).unwrap().inode, made.inode);
}
