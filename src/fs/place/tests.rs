use super::*;
use crate::fs::fault::{Plan, with_plan};
use std::fs;
use std::io::Write;
use std::sync::Arc;

struct Project {
    root: tempfile::TempDir,
    work: Dir,
    mlv: Arc<Dir>,
    staging: Staging,
}

fn project() -> Project {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir_all(root.path().join(".mlv/tmp")).unwrap();
    let mlv = Arc::new(Dir::open(&root.path().join(".mlv")).unwrap());
    let work = Dir::open(root.path()).unwrap().with_temp_home(mlv.clone());
    let staging = Staging::create(Dir::open(&root.path().join(".mlv/tmp")).unwrap()).unwrap();
    Project { root, work, mlv, staging }
}

impl Project {
    fn rescue(&self) -> Rescue {
        Rescue::new(self.mlv.clone(), "mlv checkout")
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.root.path().join(path)).unwrap_or_default()
    }

    fn rescued(&self) -> Vec<String> {
        let mut texts = Vec::new();
        for operation in crate::fs::rescue::list(&self.mlv).unwrap() {
            for file in operation.files {
                texts.push(self.read(&format!(".mlv/rescue/{}/{}", operation.name, file.stored)));
            }
        }
        texts
    }

    fn examine(&self, name: &str, is_saved: bool) -> Examined {
        Examined { stamp: self.work.stat(&path(name)).unwrap().unwrap(), is_saved, hash: None }
    }
}

fn path(text: &str) -> RepoPath {
    text.parse().unwrap()
}

fn draft(placer: &mut Placer<'_>, text: &str) -> Draft {
    let mut draft = placer.draft(Spot::Alone, false).unwrap();
    draft.file().unwrap().write_all(text.as_bytes()).unwrap();
    draft
}

#[test]
fn new_files_get_their_name_and_stamp_but_replace_nothing() {
    let project = project();
    let rescue = project.rescue();
    let mut placer = Placer::new(&project.work, &project.staging, &rescue);
    let new = draft(&mut placer, "new");
    let stamp = placer.put_new(new, &path("a/b/c")).unwrap();
    assert_eq!(Some(stamp), project.work.stat(&path("a/b/c")).unwrap(), "ctime of after the rename");
    let second = draft(&mut placer, "second");
    assert!(matches!(placer.put_new(second, &path("a/b/c")), Err(Error::Exists { .. })));
    assert_eq!(project.read("a/b/c"), "new");
    let executable = placer.draft(Spot::Alone, true).unwrap();
    assert!(placer.put_new(executable, &path("run")).unwrap().mode_x);
    let link = placer.draft_symlink(Spot::Alone, "a/b/c").unwrap();
    assert_eq!(placer.put_new(link, &path("link")).unwrap().kind, FileKind::Symlink);
    assert_eq!(fs::read_dir(project.staging.dir().path()).unwrap().count(), 1, "its lock alone");
}

#[test]
fn replaced_files_go_if_saved_and_to_rescue_if_not() {
    let project = project();
    for (is_saved, rescued) in [(true, 0), (false, 1)] {
        fs::write(project.root.path().join("f"), "old").unwrap();
        let rescue = project.rescue();
        let mut placer = Placer::new(&project.work, &project.staging, &rescue);
        let new = draft(&mut placer, "new");
        let (stamp, kept) = placer.put_over(new, &path("f"), &project.examine("f", is_saved)).unwrap();
        assert_eq!(Some(stamp), project.work.stat(&path("f")).unwrap());
        assert_eq!((kept.is_some(), project.read("f")), (!is_saved, "new".to_owned()));
        assert_eq!(rescue.finish().len(), rescued);
    }
    assert_eq!(project.rescued(), ["old"]);
}

/// R2: what stands there when the swap happens is looked at, not what stood there before.
#[test]
fn an_edit_that_races_with_a_replacement_is_kept() {
    let project = project();
    let race = |edit: &dyn Fn()| {
        fs::write(project.root.path().join("f"), "old").unwrap();
        let examined = project.examine("f", true);
        edit();
        let rescue = project.rescue();
        let mut placer = Placer::new(&project.work, &project.staging, &rescue);
        let new = draft(&mut placer, "new");
        placer.put_over(new, &path("f"), &examined).unwrap();
        assert_eq!(project.read("f"), "new");
        rescue.finish().len()
    };
    let file = project.root.path().join("f");
    assert_eq!(race(&|| fs::write(&file, "edited in place").unwrap()), 1);
    assert_eq!(
        race(&|| {
            fs::write(project.root.path().join("g"), "other").unwrap();
            fs::rename(project.root.path().join("g"), &file).unwrap();
        }),
        1
    );
    assert_eq!(race(&|| fs::remove_file(&file).unwrap()), 0);
    let mut rescued = project.rescued();
    rescued.sort();
    assert_eq!(rescued, ["edited in place", "other"]);
}

/// The mutation that the test above is there to notice.
#[test]
fn without_the_look_after_the_swap_a_racing_edit_would_be_lost() {
    let project = project();
    fs::write(project.root.path().join("f"), "old").unwrap();
    let examined = project.examine("f", true);
    fs::write(project.root.path().join("f"), "edited").unwrap();
    let rescue = project.rescue();
    let mut placer = Placer::new(&project.work, &project.staging, &rescue);
    let new = draft(&mut placer, "new");
    let put = || placer.put_over(new, &path("f"), &examined).unwrap();
    assert_eq!(crate::fs::fault::with_mutation("displaced-check", put).1, None);
    drop(rescue);
    assert!(project.rescued().is_empty());
}

#[test]
fn removed_files_go_if_saved_and_unchanged() {
    let project = project();
    let rescue = project.rescue();
    let mut placer = Placer::new(&project.work, &project.staging, &rescue);
    fs::create_dir(project.root.path().join("d")).unwrap();
    for name in ["saved", "unsaved", "edited"] {
        fs::write(project.root.path().join("d").join(name), name).unwrap();
        let examined = project.examine(&format!("d/{name}"), name != "unsaved");
        if name == "edited" {
            fs::write(project.root.path().join("d/edited"), "edited since").unwrap();
        }
        placer.remove(&path(&format!("d/{name}")), &examined).unwrap();
        placer.remove(&path(&format!("d/{name}")), &examined).unwrap();
    }
    assert!(placer.remove_folder(&path("d")).unwrap());
    drop(rescue);
    let mut rescued = project.rescued();
    rescued.sort();
    assert_eq!(rescued, ["edited since", "unsaved"]);
}

#[test]
fn folders_go_only_while_they_are_empty() {
    let project = project();
    let rescue = project.rescue();
    let mut placer = Placer::new(&project.work, &project.staging, &rescue);
    let make = || fs::create_dir(project.root.path().join("d")).unwrap();
    make();
    let examined = project.examine("d", false);
    assert_eq!(placer.remove(&path("d"), &examined).unwrap(), None);
    assert_eq!(placer.remove(&path("d"), &examined).unwrap(), None, "gone already");
    make();
    fs::write(project.root.path().join("d/new"), "user's").unwrap();
    assert!(matches!(placer.remove(&path("d"), &examined), Err(Error::ChangedMeanwhile { .. })));
    assert!(matches!(placer.remove(&path("d/new"), &examined), Err(Error::ChangedMeanwhile { .. })));
    assert_eq!(project.read("d/new"), "user's");
}

#[test]
fn a_slot_that_is_taken_or_has_a_file_above_it_gets_another_name() {
    let project = project();
    let rescue = project.rescue();
    let mut placer = Placer::new(&project.work, &project.staging, &rescue);
    fs::write(project.root.path().join("a"), "file").unwrap();
    placer.remove(&path("a"), &project.examine("a", false)).unwrap();
    fs::create_dir(project.root.path().join("a")).unwrap();
    fs::write(project.root.path().join("a/b"), "below").unwrap();
    placer.remove(&path("a/b"), &project.examine("a/b", false)).unwrap();
    fs::write(project.root.path().join("a/b"), "again").unwrap();
    placer.remove(&path("a/b"), &project.examine("a/b", false)).unwrap();
    drop(rescue);
    let mut rescued = project.rescued();
    rescued.sort();
    assert_eq!(rescued, ["again", "below", "file"]);
}

/// R1, R2: with a failure at any step the old bytes are in place or in rescue, or are saved;
/// the name holds the old file or the new one.
#[test]
fn a_failure_at_any_step_loses_nothing() {
    for is_saved in [false, true] {
        for at in 1.. {
            let project = project();
            fs::write(project.root.path().join("f"), "old").unwrap();
            let examined = project.examine("f", is_saved);
            let rescue = project.rescue();
            let mut placer = Placer::new(&project.work, &project.staging, &rescue);
            let (outcome, steps) = with_plan(Plan::Fail(at, 5, false), || -> Result<(), Error> {
                let mut draft = placer.draft(Spot::Alone, false)?;
                let file = draft.file().unwrap();
                file.write_all(b"new").map_err(crate::fs::at(Path::new("f"), "write"))?;
                placer.put_over(draft, &path("f"), &examined).map(drop)
            });
            drop(rescue);
            let now = project.read("f");
            assert!(now == "old" || now == "new", "step {at}: `{now}`");
            assert!(is_saved || now == "old" || project.rescued().contains(&"old".to_owned()), "step {at}");
            if at > steps {
                assert!(outcome.is_ok());
                assert!(steps >= if is_saved { 6 } else { 8 }, "{steps}");
                break;
            }
        }
    }
}

/// A work tree of which a part is another file system, as with a mounted `data` folder.
#[test]
fn placing_across_file_systems_copies() {
    use std::os::unix::fs::MetadataExt;
    let mine = project();
    let Ok(other) = tempfile::tempdir_in("/dev/shm") else { return };
    if fs::metadata(other.path()).unwrap().dev() == fs::metadata(mine.root.path()).unwrap().dev() {
        return;
    }
    let work = Dir::open(other.path()).unwrap();
    let rescue = mine.rescue();
    let mut placer = Placer::new(&work, &mine.staging, &rescue);
    let new = draft(&mut placer, "new");
    let stamp = placer.put_new(new, &path("d/f")).unwrap();
    assert_eq!(work.stat(&path("d/f")).unwrap(), Some(stamp));
    for (is_saved, kept) in [(true, false), (false, true)] {
        let examined = Examined { stamp: work.stat(&path("d/f")).unwrap().unwrap(), is_saved, hash: None };
        let newer = draft(&mut placer, "newer");
        let (_, rescued) = placer.put_over(newer, &path("d/f"), &examined).unwrap();
        assert_eq!(rescued.is_some(), kept);
        assert_eq!(fs::read_to_string(other.path().join("d/f")).unwrap(), "newer");
    }
    let examined = Examined { stamp: work.stat(&path("d/f")).unwrap().unwrap(), is_saved: true, hash: None };
    placer.remove(&path("d/f"), &examined).unwrap();
    assert_eq!(fs::read_dir(other.path().join("d")).unwrap().count(), 0);
}

/// A default access list (linux/posix_acl_xattr.h): u::rwx, u:1000:rwx, g::r-x, m::rwx, o::--x.
fn default_list() -> Vec<u8> {
    let entries =
        [(1u16, 7u16, u32::MAX), (2, 7, 1000), (4, 5, u32::MAX), (16, 7, u32::MAX), (32, 1, u32::MAX)];
    let mut bytes = 2u32.to_le_bytes().to_vec();
    for (tag, permissions, id) in entries {
        bytes.extend([tag.to_le_bytes(), permissions.to_le_bytes()].concat());
        bytes.extend(id.to_le_bytes());
    }
    bytes
}

/// What is made elsewhere and renamed is as what is made in the folder.
#[test]
fn files_get_the_group_and_the_access_list_that_their_folder_hands_on() {
    use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, chown, symlink};
    let project = project();
    let full = |name: &str| project.root.path().join(name);
    let of = |name: &str| {
        let (mut list, stat) = ([0; 256], fs::symlink_metadata(full(name)).unwrap());
        let len = rustix::fs::lgetxattr(full(name), "system.posix_acl_access", &mut list[..]);
        (stat.gid(), stat.mode(), list[..len.unwrap_or(0)].to_vec())
    };
    let mut tried = 0;
    for has_list in [false, true] {
        let team = if has_list { "listed" } else { "team" };
        fs::create_dir(full(team)).unwrap();
        // Only root may give a folder to a group that it is not of; not every file system has lists.
        let given = chown(full(team), None, Some(1000));
        fs::set_permissions(full(team), fs::Permissions::from_mode(0o2775)).unwrap();
        if has_list {
            let flags = rustix::fs::XattrFlags::empty();
            let set = rustix::fs::setxattr(full(team), "system.posix_acl_default", &default_list(), flags);
            tried += usize::from(set.is_ok());
        }
        tried += usize::from(given.is_ok());
        let name = |name: &str| path(&format!("{team}/{name}"));
        fs::write(full(team).join("over"), "old").unwrap();
        fs::write(full(team).join("shared"), "of the cache").unwrap();
        let shared = of(&format!("{team}/shared"));
        let rescue = project.rescue();
        let mut placer = Placer::new(&project.work, &project.staging, &rescue);
        let new = draft(&mut placer, "new");
        placer.put_new(new, &name("new")).unwrap();
        let new = draft(&mut placer, "new");
        placer.put_new(new, &name("deep/er/new")).unwrap();
        let new = draft(&mut placer, "new");
        placer.put_over(new, &name("over"), &project.examine(&format!("{team}/over"), true)).unwrap();
        let run = placer.draft(Spot::Alone, true).unwrap();
        placer.put_new(run, &name("run")).unwrap();
        let link = placer.draft_symlink(Spot::Alone, "new").unwrap();
        placer.put_new(link, &name("link")).unwrap();
        let shared_name = placer.draft_hardlink(Spot::Alone, &project.work, &name("shared")).unwrap();
        placer.put_new(shared_name, &path(&format!("own/{team}"))).unwrap();
        crate::fs::atomic::write(&project.work, &name("pointer"), b"x", None).unwrap();
        fs::OpenOptions::new()
            .create_new(true)
            .write(true)
            .mode(0o777)
            .open(full(team).join("run2"))
            .unwrap();
        fs::write(full(team).join("by hand"), "").unwrap();
        symlink("new", full(team).join("link2")).unwrap();
        for (made, by_hand) in [
            ("new", "by hand"),
            ("deep/er/new", "by hand"),
            ("over", "by hand"),
            ("run", "run2"),
            ("link", "link2"),
            ("pointer", "by hand"),
        ] {
            assert_eq!(of(&format!("{team}/{made}")), of(&format!("{team}/{by_hand}")), "{team}/{made}");
        }
        assert_eq!(of(&format!("{team}/shared")), shared, "of somebody else's file nothing changes");
    }
    eprintln!("{tried} of 3 could be set");
}
