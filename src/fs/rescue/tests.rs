use super::*;
use crate::error::{Advice, ErrorKind};
use std::fs;

fn path(text: &str) -> RepoPath {
    text.parse().unwrap()
}

fn project() -> (tempfile::TempDir, Dir, Arc<Dir>) {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join(".mlv")).unwrap();
    let work = Dir::open(root.path()).unwrap();
    let mlv = Arc::new(Dir::open(&root.path().join(".mlv")).unwrap());
    (root, work, mlv)
}

#[test]
fn displaced_files_are_listed_and_come_back() {
    let (root, work, mlv) = project();
    fs::create_dir(root.path().join("data")).unwrap();
    fs::write(root.path().join("data/x"), "one").unwrap();
    let rescue = Rescue::new(mlv.clone(), "mlv checkout");
    let hash = Digest::of(b"one");
    rescue.displace(&work, &path("data/x"), Some(hash)).unwrap().unwrap();
    fs::write(root.path().join("data/x"), "two").unwrap();
    rescue.displace(&work, &path("data/x"), None).unwrap().unwrap();
    assert_eq!(rescue.displace(&work, &path("data/x"), None).unwrap(), None);
    assert_eq!(rescue.displace(&work, &path("none/x"), None).unwrap(), None);
    let kept = rescue.finish();
    let stored: Vec<_> = kept.iter().map(|kept| kept.stored.as_str()).collect();
    assert_eq!(stored, ["data.~1/x", "data/x"]);

    let [operation] = &list(&mlv).unwrap()[..] else { panic!("one operation") };
    assert_eq!(operation.command.as_deref(), Some("mlv checkout"));
    assert!(operation.files.iter().all(|file| file.path == "data/x" && file.size == 3));
    assert_eq!(operation.files[1].hash, Some(hash.to_string()));

    restore(&mlv, &work, &operation.name, &path("data/x"), &path("data/x")).unwrap();
    assert_eq!(fs::read(root.path().join("data/x")).unwrap(), b"one");
    let again = restore(&mlv, &work, &operation.name, &path("data.~1/x"), &path("data/x")).unwrap_err();
    assert_eq!(again.kind(), ErrorKind::WouldOverwrite);
    restore(&mlv, &work, &operation.name, &path("data.~1/x"), &path("new/place")).unwrap();
    assert_eq!(fs::read(root.path().join("new/place")).unwrap(), b"two");
    let gone = restore(&mlv, &work, &operation.name, &path("data/x"), &path("y")).unwrap_err();
    assert_eq!(gone.kind(), ErrorKind::NoSuchTarget);
    assert!(list(&mlv).unwrap().is_empty());
}

#[test]
fn what_a_crash_left_without_files_goes_after_a_day_and_nothing_else() {
    let (root, work, mlv) = project();
    let folder = root.path().join(".mlv/rescue");
    let today = format!("{}-0badcafe", compact_time(SystemTime::now()));
    let [left, held, named] = ["0", "1", "2"].map(|at| format!("20200101T000000.00000{at}Z-0badcafe"));
    for name in [&left, &held, &named, &today] {
        fs::create_dir_all(folder.join(name).join("d/sub")).unwrap();
        fs::write(folder.join(format!("{name}.jsonl")), "").unwrap();
    }
    fs::write(folder.join(&held).join("d/sub/f"), "the only copy").unwrap();
    let line = "{\"path\":\"d\",\"stored\":\"d\",\"time\":\"then\",\"command\":\"mlv rm\"}\n";
    fs::write(folder.join(format!("{named}.jsonl")), line).unwrap();
    fs::write(root.path().join("x"), "one").unwrap();
    Rescue::new(mlv.clone(), "mlv checkout").displace(&work, &path("x"), None).unwrap().unwrap();
    let is_there = |name: &String| folder.join(name).join("d/sub").exists();
    assert_eq!([&left, &held, &named, &today].map(is_there), [false, true, true, true]);
    assert!(!folder.join(format!("{left}.jsonl")).exists());
    assert_eq!(list(&mlv).unwrap().len(), 3);
}

#[test]
fn folders_go_as_a_whole_and_only_drop_deletes() {
    let (root, work, mlv) = project();
    fs::create_dir_all(root.path().join("d/sub")).unwrap();
    fs::write(root.path().join("d/sub/f"), "x").unwrap();
    let rescue = Rescue::new(mlv.clone(), "mlv rm");
    rescue.displace(&work, &path("d"), None).unwrap().unwrap();
    drop(rescue);
    let operation = list(&mlv).unwrap().remove(0);
    assert_eq!(operation.files[0].path, "d/sub/f");
    for wrong in ["nothing", "../x", "a/b"] {
        assert!(drop_operation(&mlv, wrong).is_err());
    }
    drop_operation(&mlv, &operation.name).unwrap();
    assert_eq!(fs::read_dir(root.path().join(".mlv/rescue")).unwrap().count(), 0);
}

/// R10: without its log nothing of rescue is lost but hashes and times.
#[test]
fn files_are_found_without_the_log() {
    let (root, work, mlv) = project();
    fs::write(root.path().join("f"), "x").unwrap();
    let rescue = Rescue::new(mlv.clone(), "mlv checkout");
    rescue.displace(&work, &path("f"), None).unwrap();
    let name = rescue.finish()[0].operation.clone();
    let log = root.path().join(format!(".mlv/rescue/{name}.jsonl"));
    assert!(fs::read_to_string(&log).unwrap().contains("mlv checkout"));
    fs::write(&log, "{\"path\":\"f\",\"sto").unwrap();
    assert_eq!(list(&mlv).unwrap()[0].files[0].path, "f");
}

#[test]
fn an_operation_that_kept_nothing_leaves_nothing() {
    let (root, _work, mlv) = project();
    let rescue = Rescue::new(mlv, "mlv checkout");
    rescue.folder().unwrap().create_dir_all(&path("a/b")).unwrap();
    assert!(rescue.finish().is_empty());
    assert_eq!(fs::read_dir(root.path().join(".mlv/rescue")).unwrap().count(), 0);
}

/// Across file systems: copied with mode and links, compared, then removed.
#[test]
fn displacing_across_file_systems_keeps_everything() {
    use std::os::unix::fs::PermissionsExt;
    if !Path::new("/dev/shm").is_dir() {
        return;
    }
    let (root, _work, mlv) = project();
    let other = tempfile::tempdir_in("/dev/shm").unwrap();
    if fs::metadata(other.path()).unwrap().dev() == fs::metadata(root.path()).unwrap().dev() {
        return;
    }
    fs::create_dir_all(other.path().join("d/e/f")).unwrap();
    fs::write(other.path().join("d/run"), vec![7; 3 << 20]).unwrap();
    fs::set_permissions(other.path().join("d/run"), fs::Permissions::from_mode(0o755)).unwrap();
    std::os::unix::fs::symlink("run", other.path().join("d/e/link")).unwrap();
    let work = Dir::open(other.path()).unwrap();
    let rescue = Rescue::new(mlv.clone(), "mlv checkout");
    rescue.displace(&work, &path("d"), None).unwrap().unwrap();
    assert!(!other.path().join("d").exists());
    let operation = list(&mlv).unwrap().remove(0);
    restore(&mlv, &work, &operation.name, &path("d"), &path("back")).unwrap();
    let run = other.path().join("back/run");
    assert_eq!(fs::read(&run).unwrap(), vec![7; 3 << 20]);
    assert_eq!(fs::metadata(&run).unwrap().permissions().mode() & 0o777, 0o755);
    assert_eq!(fs::read_link(other.path().join("back/e/link")).unwrap(), Path::new("run"));
    assert!(other.path().join("back/e/f").is_dir());
}

#[test]
fn times_are_calendar_times() {
    let at = |seconds| time(UNIX_EPOCH + std::time::Duration::from_secs(seconds));
    assert_eq!(at(0), "1970-01-01T00:00:00Z");
    assert_eq!(at(951_782_399), "2000-02-28T23:59:59Z");
    assert_eq!(at(951_782_400), "2000-02-29T00:00:00Z");
    assert_eq!(at(1_795_255_201), "2026-11-21T10:00:01Z");
}

use std::os::unix::fs::MetadataExt;
use std::path::Path;
