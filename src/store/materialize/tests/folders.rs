//! New folders that are put into place as a whole.

use super::*;
use crate::fs::dir::stamp_of;
use crate::fs::fault::trace;
use crate::fs::stamp::FileKind;

fn text(folder: &str, number: usize) -> Vec<u8> {
    format!("{folder}, file {number}").into_bytes()
}

fn files(folder: &str, count: usize) -> Vec<Item> {
    let file = |number| item(&format!("{folder}/{number}"), EntryKind::File, &text(folder, number));
    (0..count).map(file).collect()
}

/// A project whose cache holds what `files` makes of these folders.
fn project(folders: &[(&str, usize)]) -> (Project, Vec<Item>) {
    project_with(packing(), folders)
}

fn project_with(options: CacheOptions, folders: &[(&str, usize)]) -> (Project, Vec<Item>) {
    let project = Project::new(options);
    let all = folders.iter().flat_map(|(folder, count)| (0..*count).map(|number| text(folder, number)));
    let all: Vec<Vec<u8>> = all.collect();
    project.store(&all.iter().map(Vec::as_slice).collect::<Vec<_>>());
    (project, folders.iter().flat_map(|(folder, count)| files(folder, *count)).collect())
}

/// What is called done is there, with that stamp, of a symlink with the object's; what stands there is whole.
fn check(project: &Project, items: &[Item], outcome: &Outcome) {
    for (index, stamp) in &outcome.done {
        let path = &items[*index].path;
        let mut found = project.work.stat(path).unwrap().expect("what is done is there");
        if found.kind == FileKind::Symlink && items[*index].kind.is_file() {
            found = stamp_of(os::File::open(project.path(path.as_str())).unwrap()).unwrap();
        }
        assert_eq!(found, *stamp, "{path}");
    }
    for item in items {
        if let Ok(bytes) = os::read(project.path(item.path.as_str())) {
            assert_eq!(Digest::of(&bytes), item.hash, "{}", item.path);
        }
    }
}

#[test]
fn a_new_folder_takes_one_rename() {
    let (project, mut items) = project(&[("d/deep", 20), ("there", 20), ("f", 20), ("f/g", 20), ("few", 15)]);
    os::create_dir(project.path("there")).unwrap();
    items.push(item("h/folder", EntryKind::EmptyDir, b""));
    items.extend(
        files("d/deep", 20)
            .into_iter()
            .map(|item| Item { path: format!("h/{}", item.path.file_name()).parse().unwrap(), ..item }),
    );
    let (outcome, steps) = trace(|| project.put(&items, 1));
    assert!(outcome.failed.is_empty() && outcome.done.len() == items.len(), "{:?}", outcome.failed);
    check(&project, &items, &outcome);
    let renames = steps.iter().filter(|step| **step == "rename").count();
    // Of `there`, which exists, of `f` and `h`, which have folders, and of the few each file.
    assert_eq!(renames, 1 + 20 + 20 + 1 + 15 + 20);
    assert_eq!(project.staged(), 0);
    for jobs in [2, 5] {
        os::remove_dir_all(project.path("d")).unwrap();
        let outcome = project.put(&items[..20], jobs);
        assert_eq!(outcome.done.len(), 20);
        check(&project, &items, &outcome);
    }
}

#[test]
fn loose_objects_go_to_a_new_folder_however_they_are_linked() {
    for link in [LinkMode::Copy, LinkMode::Hardlink, LinkMode::Symlink] {
        let options = CacheOptions { links: vec![link], ..CacheOptions::default() };
        let (project, mut items) = project_with(options, &[("d/deep", 20)]);
        items[7].kind = EntryKind::Executable;
        let (outcome, steps) = trace(|| project.put(&items, 1));
        assert!(outcome.failed.is_empty() && outcome.done.len() == 20, "{link:?}: {:?}", outcome.failed);
        check(&project, &items, &outcome);
        assert_eq!(steps.iter().filter(|step| **step == "rename").count(), 1, "{link:?}: {steps:?}");
    }
}

/// K1, S1: what cannot be put into place as a whole is put there file by file, and what is not there is
/// not called done.
#[test]
fn a_failure_at_any_step_of_a_new_folder_leaves_whole_files() {
    for errno in [5, 28] {
        for at in 1.. {
            let (project, items) = project(&[("d/deep", 17)]);
            let (outcome, steps) = with_plan(Plan::Fail(at, errno, false), || project.put(&items, 1));
            check(&project, &items, &outcome);
            let is_there = |item: &Item| project.path(item.path.as_str()).exists();
            assert_eq!(outcome.done.len(), items.iter().filter(|item| is_there(item)).count(), "step {at}");
            let is_told = !outcome.failed.is_empty() || outcome.stopped.is_some();
            assert!(is_told || outcome.done.len() == items.len(), "step {at}");
            let rest: Vec<Item> = items.iter().filter(|item| !is_there(item)).cloned().collect();
            assert_eq!(project.put(&rest, 1).done.len(), rest.len(), "step {at}");
            if at > steps {
                assert!(outcome.done.len() == items.len() && steps > 34, "{steps}");
                break;
            }
        }
    }
}

/// Somebody makes the folder, and a file in it, while it is filled.
struct Race(std::path::PathBuf);

impl Meter for Race {
    fn inc(&self, _amount: u64) {
        os::create_dir_all(&self.0).unwrap();
        os::write(self.0.join("3"), "the user's").unwrap();
    }
    fn set_total(&self, _total: u64) {}
    fn finish(&self) {}
}

/// R2: nothing that stands there by then is replaced.
#[test]
fn a_folder_that_comes_into_being_meanwhile_keeps_what_it_has() {
    let (project, items) = project(&[("d/deep", 17)]);
    let rescue = project.rescue();
    let materializer = Materializer::new(&project.cache, &project.work, &project.staging, &rescue, 1);
    let outcome = materializer.put(&items, &Race(project.path("d/deep")));
    let failed: Vec<(usize, ErrorKind)> =
        outcome.failed.iter().map(|(index, error)| (*index, error.kind())).collect();
    assert_eq!(failed, [(3, ErrorKind::WouldOverwrite)]);
    assert_eq!(outcome.done.len(), 16);
    assert_eq!(os::read(project.path("d/deep/3")).unwrap(), b"the user's");
    os::remove_file(project.path("d/deep/3")).unwrap();
    check(&project, &items, &outcome);
}

/// A folder that hands its group on does so to what is made in it.
#[test]
fn what_a_folder_hands_on_is_not_lost() {
    let (project, items) = project(&[("team/deep/er", 17)]);
    os::create_dir(project.path("team")).unwrap();
    os::set_permissions(project.path("team"), os::Permissions::from_mode(0o2775)).unwrap();
    assert_eq!(project.put(&items, 1).done.len(), 17);
    let mode = os::metadata(project.path("team/deep/er")).unwrap().permissions().mode();
    assert_eq!(mode & 0o2000, 0o2000, "{mode:o}");
}
