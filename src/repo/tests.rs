//! Discovery, places and identity, in real git repositories.

use std::fs;
use std::os::unix::fs::symlink;

use super::*;
use crate::error::{Advice, ErrorKind};
use crate::git::testing::TestRepo;

fn init(root: &Path) -> Created {
    create(root, &Creation::default(), Sources::default()).unwrap()
}

fn open(folder: &Path) -> Repo {
    Repo::open_with(folder, Sources::default()).unwrap()
}

fn refused(folder: &Path) -> Error {
    Repo::open_with(folder, Sources::default()).err().unwrap()
}

fn project() -> TestRepo {
    let test = TestRepo::new();
    init(&test.root);
    test
}

#[test]
fn a_new_project_has_an_id_and_hides_its_own_files() {
    let test = TestRepo::new();
    let created = init(&test.root);
    assert_eq!(created.files, [".gitattributes", ".mlv/.gitignore", ".mlv/config.toml", ".mlvignore"]);
    assert!(created.has_git && !created.existed);
    test.write(".mlv/cache/x", "").write(".mlv/config.local.toml", "");
    assert_eq!(
        test.git(&["ls-files", "-o", "--exclude-standard"]).lines().collect::<Vec<_>>(),
        created.files
    );
    let repo = open(&test.root);
    let id = repo.project_id().unwrap();
    assert_eq!(ProjectId::parse(&id.to_string()), Some(id));
    assert!(repo.config().warnings().is_empty());
    assert!(repo.ignore().is_ignored("a/__pycache__", true));
    assert!(repo.git().is_some());
}

#[test]
fn making_a_project_again_is_refused_or_adds_what_is_missing() {
    let test = project();
    let id = open(&test.root).project_id().unwrap();
    let error = create(&test.root, &Creation::default(), Sources::default()).unwrap_err();
    assert!(matches!(error, Error::AlreadyInitialized { .. }));
    test.write(".mlv/cache/precious", "x").write(".mlvignore", "mine\n");
    fs::remove_file(test.root.join(".mlv/.gitignore")).unwrap();
    let force = Creation { force: true, ..Creation::default() };
    assert_eq!(create(&test.root, &force, Sources::default()).unwrap().files, [".mlv/.gitignore"]);
    assert_eq!(open(&test.root).project_id().unwrap(), id);
    assert!(test.root.join(".mlv/cache/precious").exists(), "a cache is never wiped");
    assert_eq!(fs::read_to_string(test.root.join(".mlvignore")).unwrap(), "mine\n");
    // R1: what a crash left is completed by the same call.
    fs::remove_file(test.root.join(".mlv/config.toml")).unwrap();
    assert_eq!(refused_id(&test.root), ErrorKind::Config);
    assert_eq!(init(&test.root).files, [".mlv/config.toml"]);
}

fn refused_id(root: &Path) -> ErrorKind {
    open(root).project_id().unwrap_err().kind()
}

#[test]
fn places_where_no_project_can_be_made() {
    let plain = TestRepo::bare_folder();
    let error = create(&plain.root, &Creation::default(), Sources::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NeedsGit);
    assert!(!plain.root.join(".mlv").exists(), "nothing is written before all is checked");
    let bare = TestRepo::with(&["init", "-q", "--bare"]);
    let error = create(&bare.root, &Creation::default(), Sources::default()).unwrap_err();
    assert!(matches!(error, Error::Bare { .. }));
    let no_scm = Creation { no_scm: true, ..Creation::default() };
    assert!(!create(&plain.root, &no_scm, Sources::default()).unwrap().has_git);
    let repo = open(&plain.root);
    assert!(repo.git().is_none());
    assert_eq!(repo.require_git().unwrap_err().kind(), ErrorKind::NeedsGit);
}

/// Statement 97 of DVC's behaviours, fixed: a subfolder of a git repository just works.
#[test]
fn subfolders_of_git_are_projects_of_their_own() {
    let test = TestRepo::new();
    test.write("sub/deep/x", "");
    let sub = test.root.join("sub");
    init(&sub);
    let repo = open(&sub.join("deep"));
    assert_eq!((repo.root(), repo.prefix().as_str()), (sub.as_path(), "deep"));
    assert_eq!(repo.git().unwrap().prefix().as_str(), "sub");
    assert_eq!(repo.shown(&RepoPath::parse("a/b").unwrap()), "../a/b");
    assert_eq!(refused(&test.root).kind(), ErrorKind::NotARepository);
    let inner = sub.join("deep");
    let error = create(&inner, &Creation::default(), Sources::default()).unwrap_err();
    assert!(matches!(error, Error::InsideAnother { .. }));
    let subdir = Creation { subdir: true, ..Creation::default() };
    create(&inner, &subdir, Sources::default()).unwrap();
    assert_eq!(open(&inner).root(), inner);
}

#[test]
fn outside_of_projects_the_searched_folder_is_named() {
    let test = TestRepo::new();
    let error = refused(&test.root);
    assert!(error.to_string().contains(test.root.to_str().unwrap()));
    assert_eq!(error.hints()[0].text, "mlv init");
    test.write(".dvc/config", "").write("sub/x", "");
    let error = refused(&test.root.join("sub"));
    assert_eq!(error.kind(), ErrorKind::DvcProject);
    assert!(error.to_string().starts_with("this is a DVC project"));
    init(&test.root);
    open(&test.root.join("sub"));
}

#[test]
fn folders_of_git_and_mlv_are_no_places_to_work_in() {
    let test = project();
    for folder in [".git", ".mlv"] {
        assert_eq!(refused(&test.root.join(folder)).kind(), ErrorKind::UnsafePath);
    }
    symlink(test.root.join("elsewhere"), test.root.join("dangling")).unwrap();
    assert!(Repo::open_with(&test.root.join("dangling"), Sources::default()).is_err());
}

/// R3: neither `.mlv` nor a default cache is followed out of the repository.
#[test]
fn links_in_place_of_own_folders_are_refused() {
    let test = project();
    let outside = TestRepo::bare_folder();
    symlink(&outside.root, test.root.join(".mlv/cache")).unwrap();
    assert!(matches!(open(&test.root).cache_dir(), Err(Error::CacheBehindLink { .. })));
    test.write(".mlv/config.local.toml", "[cache]\ndir = '.mlv/cache'\n");
    assert_eq!(open(&test.root).cache_dir().unwrap(), test.root.join(".mlv/cache"), "the user may");
    test.write(".mlv/config.local.toml", "").write(".mlv/config.toml", "[cache]\ndir = 'link/c'\n");
    symlink(&outside.root, test.root.join("link")).unwrap();
    assert!(matches!(open(&test.root).cache_dir(), Err(Error::CacheBehindLink { .. })));
    let other = TestRepo::new();
    symlink(test.root.join(".mlv"), other.root.join(".mlv")).unwrap();
    assert_eq!(refused(&other.root).kind(), ErrorKind::UnsafePath);
}

#[test]
fn linked_work_trees_share_the_cache_of_the_main_one() {
    let test = TestRepo::new();
    test.write("sub/x", "");
    init(&test.root.join("sub"));
    test.commit("init");
    let other = TestRepo::bare_folder();
    let tree = other.root.join("tree");
    test.git(&["worktree", "add", "-q", tree.to_str().unwrap()]);
    let repo = open(&tree.join("sub"));
    assert_eq!(repo.root(), tree.join("sub"));
    assert_eq!(repo.cache_dir().unwrap(), test.root.join("sub/.mlv/cache"));
    assert_eq!(open(&test.root.join("sub")).cache_dir().unwrap(), test.root.join("sub/.mlv/cache"));

    let bare = TestRepo::bare_folder();
    bare.git(&["clone", "-q", "--bare", test.root.to_str().unwrap(), "b.git"]);
    let tree = bare.root.join("tree");
    crate::git::testing::git_in(
        &bare.root.join("b.git"),
        &["worktree", "add", "-q", tree.to_str().unwrap(), "main"],
    );
    let repo = open(&tree.join("sub"));
    let error = repo.cache_dir().unwrap_err();
    assert!(matches!(error, Error::CacheDirNeeded { .. }), "{error}");
    assert!(error.hints()[0].text.contains("mlv cache dir"));
    fs::write(tree.join("sub/.mlv/config.local.toml"), "[cache]\ndir = '/c'\n").unwrap();
    assert_eq!(open(&tree.join("sub")).cache_dir().unwrap(), Path::new("/c"));
}

#[test]
fn a_copied_work_tree_is_another_client() {
    let test = project();
    let repo = open(&test.root);
    let held = repo.lock(&Patience::NONE).unwrap();
    assert_eq!(repo.client_id_if_any().unwrap(), None);
    let id = repo.client_id(&held).unwrap();
    assert_eq!(open(&test.root).client_id(&held).unwrap(), id);
    let copy = TestRepo::bare_folder();
    for folder in [".git", ".mlv"] {
        let status =
            std::process::Command::new("cp").arg("-r").arg(test.root.join(folder)).arg(&copy.root).status();
        assert!(status.unwrap().success());
    }
    let copied = open(&copy.root);
    assert_eq!(copied.project_id().unwrap(), repo.project_id().unwrap());
    assert_ne!(copied.client_id(&copied.lock(&Patience::NONE).unwrap()).unwrap(), id);
    test.write(".mlv/client", "garbage");
    assert_ne!(repo.client_id(&held).unwrap(), id, "R10: only the hint is lost");
}

#[test]
fn opening_writes_nothing() {
    let test = project();
    let before = snapshot(&test.root);
    let repo = open(&test.root);
    repo.cache_dir().unwrap();
    repo.project_id().unwrap();
    assert_eq!(snapshot(&test.root), before);
}

fn snapshot(root: &Path) -> Vec<String> {
    let output =
        std::process::Command::new("find").arg(root).args(["-printf", "%p %T@ %C@\n"]).output().unwrap();
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

/// R1, R15: after a failure at any step the same call finishes, and nothing is half there.
#[test]
fn making_a_project_can_fail_at_any_step() {
    use crate::fs::fault::{Plan, with_plan};
    for at in 1.. {
        let test = TestRepo::new();
        let (first, steps) = with_plan(Plan::Fail(at, 5, false), || {
            create(&test.root, &Creation::default(), Sources::default())
        });
        if at > steps {
            assert!(first.is_ok());
            assert!(steps >= 12, "three files and a folder: {steps}");
            break;
        }
        if !test.root.join(".mlv/config.toml").exists() {
            assert!(first.is_err());
            init(&test.root);
        }
        open(&test.root).project_id().unwrap();
        let found = test.git(&["ls-files", "-o", "--exclude-standard"]);
        assert_eq!(
            found.lines().collect::<Vec<_>>(),
            [".gitattributes", ".mlv/.gitignore", ".mlv/config.toml", ".mlvignore"]
        );
    }
}

#[test]
fn repositories_are_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Repo>();
    shared::<GitRepo>();
}
