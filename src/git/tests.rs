//! Against real repositories (G1): every state that git may be in.

use std::path::Path;

use super::repo::{CommitId, GitRepo};
use super::revision::Scope;
use super::testing::{TestRepo, git_in};
use super::{Error, NoCommit};
use crate::error::{Advice, ErrorKind};
use crate::model::path::RepoPath;

fn path(text: &str) -> RepoPath {
    if text.is_empty() { RepoPath::root() } else { RepoPath::parse(text).unwrap() }
}

fn open(folder: &Path) -> GitRepo {
    GitRepo::discover_plain(folder).unwrap().unwrap()
}

#[test]
fn no_repository_is_no_error() {
    let outside = TestRepo::bare_folder();
    assert!(GitRepo::discover_plain(&outside.root).unwrap().is_none());
}

#[test]
fn a_subfolder_sees_its_own_part() {
    let repo = TestRepo::new();
    repo.write("sub/deep/a.mlv", "a").write("b.mlv", "b").write("sub/.gitignore", "/out\n");
    repo.commit("one");
    let git = open(&repo.root.join("sub"));
    assert_eq!(git.prefix().as_str(), "sub");
    assert_eq!(git.work_dir().unwrap(), repo.root);
    assert!(!git.is_bare() && !git.is_linked());
    assert!(git.is_tracked(&path("deep/a.mlv")).unwrap());
    assert!(git.is_tracked(&path("deep")).unwrap());
    assert!(!git.is_tracked(&path("b.mlv")).unwrap());
    assert!(git.is_ignored(&path("out"), true).unwrap());
    let head = git.head().unwrap().unwrap();
    let files = files_at(&git, head, &|path| path.ends_with(".mlv"), 100).unwrap();
    assert_eq!(files, [(path("deep/a.mlv"), b"a".to_vec())]);
    assert_eq!(git.read_at(head, &path("deep/a.mlv"), 100).unwrap().unwrap(), b"a");
    assert_eq!(git.tracked_below(&path(""), 9).unwrap(), [path(".gitignore"), path("deep/a.mlv")]);
}

/// The files of a commit that are picked by their path, with their bytes.
fn files_at(
    git: &GitRepo,
    commit: CommitId,
    wanted: &dyn Fn(&str) -> bool,
    limit: u64,
) -> Result<Vec<(RepoPath, Vec<u8>)>, Error> {
    let mut snapshots = git.snapshots(|_| true, |_| false);
    let files = snapshots.files(commit)?.into_iter().filter(|file| wanted(file.path.as_str()));
    files.map(|file| Ok((file.path.clone(), snapshots.read(&file, limit)?))).collect()
}

#[test]
fn unborn_branch_detached_head_and_missing_names() {
    let repo = TestRepo::new();
    let git = open(&repo.root);
    assert_eq!(git.head().unwrap(), None);
    assert!(git.commits(Scope { all_commits: true, ..Scope::default() }).unwrap().is_empty());
    assert_eq!(git.resolve("HEAD").unwrap_err().kind(), ErrorKind::NoSuchRevision);
    assert!(!git.is_tracked(&path("a")).unwrap());
    let one = repo.write("a", "1").commit("one");
    let two = repo.write("a", "2").commit("two");
    repo.git(&["checkout", "-q", "--detach", &one]);
    let git = open(&repo.root);
    assert_eq!(git.head().unwrap().unwrap().to_string(), one);
    for (name, commit) in [("HEAD", &one), ("main", &two), ("main~1", &one), (&two[..8], &two), (&two, &two)]
    {
        assert_eq!(git.resolve(name).unwrap().to_string(), *commit, "{name}");
    }
    for bad in ["nope", "HEAD~9", "main:a", "0000000"] {
        let error = git.resolve(bad).unwrap_err();
        assert!(matches!(error, Error::NoSuchRevision { .. }), "{bad}: {error}");
    }
    let no_ancestor = NoCommit::NoAncestor { of: "main".to_owned(), is_shallow: false };
    for (bad, expected) in
        [("nope", NoCommit::Unknown), ("main~2", no_ancestor.clone()), ("main^2", no_ancestor)]
    {
        let Err(Error::NoSuchRevision { why, .. }) = git.resolve(bad) else { panic!("{bad}") };
        assert_eq!(why, expected, "{bad}");
    }
    for bad in ["", "--upload-pack=x", "-q", "a\nb"] {
        assert!(matches!(git.resolve(bad), Err(Error::NotARevision { .. })), "{bad}");
    }
}

#[test]
fn scopes_name_each_commit_once() {
    let repo = TestRepo::new();
    let one = repo.write("a", "1").commit("one");
    repo.git(&["tag", "light"]);
    let two = repo.write("a", "2").commit("two");
    repo.git(&["tag", "-a", "heavy", "-m", "x"]);
    repo.git(&["branch", "twin"]);
    repo.git(&["checkout", "-q", "-b", "side", &one]);
    let side = repo.write("b", "3").commit("side");
    // A tag on a blob leads to no commit, a remote HEAD without its branch to nothing.
    repo.git(&["tag", "blob", "HEAD:b"]);
    repo.git(&["symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/gone"]);
    repo.git(&["pack-refs", "--all"]);
    repo.git(&["checkout", "-q", "--detach"]);
    let loose = repo.write("c", "4").commit("detached");
    let git = open(&repo.root);
    let names =
        |scope| -> Vec<String> { git.commits(scope).unwrap().iter().map(ToString::to_string).collect() };
    let sorted = |mut ids: Vec<&String>| {
        ids.sort();
        ids.into_iter().cloned().collect::<Vec<_>>()
    };
    assert_eq!(names(Scope { branches: true, ..Scope::default() }), sorted(vec![&two, &side]));
    assert_eq!(names(Scope { tags: true, ..Scope::default() }), sorted(vec![&one, &two]));
    assert_eq!(
        names(Scope { all_commits: true, ..Scope::default() }),
        sorted(vec![&one, &two, &side, &loose])
    );
    let base = git.merge_base(git.resolve("main").unwrap(), git.resolve("side").unwrap()).unwrap();
    assert_eq!(base.unwrap().to_string(), one);
}

#[test]
fn linked_work_tree_knows_the_main_one() {
    let repo = TestRepo::new();
    repo.write("a", "1").commit("one");
    let other = TestRepo::bare_folder();
    let tree = other.root.join("tree");
    repo.git(&["worktree", "add", "-q", tree.to_str().unwrap()]);
    let git = open(&tree);
    assert!(git.is_linked());
    assert_eq!(git.work_dir().unwrap(), tree);
    assert_eq!(git.common_dir(), repo.root.join(".git"));
    assert_eq!(git.main_work_dir().unwrap().unwrap(), repo.root);
    assert!(git.head().unwrap().is_some());
}

#[test]
fn bare_repositories_and_work_trees_of_them() {
    let bare = TestRepo::with(&["init", "-q", "--bare", "-b", "main"]);
    let git = open(&bare.root);
    assert!(git.is_bare());
    assert_eq!(git.head().unwrap(), None);
    assert!(!git.is_ignored(&path("a"), false).unwrap());
    let clone = TestRepo::new();
    let commit = clone.write("a", "1").commit("one");
    clone.git(&["push", "-q", bare.root.to_str().unwrap(), "main"]);
    let tree = clone.root.join("tree");
    bare.git(&["worktree", "add", "-q", tree.to_str().unwrap(), "main"]);
    let git = open(&tree);
    assert_eq!(git.head().unwrap().unwrap().to_string(), commit);
    assert!(git.is_linked());
    assert_eq!(git.main_work_dir().unwrap(), None);
}

#[test]
fn submodules_are_their_own_repositories() {
    let inner = TestRepo::new();
    inner.write("x.mlv", "x").commit("inner");
    let repo = TestRepo::new();
    repo.git(&["submodule", "--quiet", "add", inner.root.to_str().unwrap(), "sub"]);
    repo.write("y.mlv", "y").commit("outer");
    let git = open(&repo.root.join("sub"));
    assert_eq!(git.work_dir().unwrap(), repo.root.join("sub"));
    assert!(!git.is_linked());
    assert_eq!(git.main_work_dir().unwrap().unwrap(), repo.root.join("sub"));
    let git = open(&repo.root);
    assert!(git.is_tracked(&path("sub")).unwrap());
    let files = files_at(&git, git.head().unwrap().unwrap(), &|path| path.ends_with(".mlv"), 10).unwrap();
    assert_eq!(files, [(path("y.mlv"), b"y".to_vec())]);
}

#[test]
fn shallow_clone_ends_where_history_ends() {
    let origin = TestRepo::new();
    let one = origin.write("a", "1").commit("one");
    let two = origin.write("a", "2").commit("two");
    let place = TestRepo::bare_folder();
    let url = format!("file://{}", origin.root.display());
    place.git(&["clone", "-q", "--depth", "1", &url, "clone"]);
    let git = open(&place.root.join("clone"));
    let all = git.commits(Scope { all_commits: true, ..Scope::default() }).unwrap();
    assert_eq!(all.iter().map(ToString::to_string).collect::<Vec<_>>(), [two]);
    assert!(git.resolve(&one).is_err());
}

#[test]
fn mid_rebase_locked_index_and_packed_references() {
    let repo = TestRepo::new();
    repo.write("a", "1").commit("one");
    repo.git(&["branch", "side"]);
    repo.write("a", "2").commit("two");
    repo.git(&["checkout", "-q", "side"]);
    repo.write("a", "3").commit("three");
    repo.git(&["pack-refs", "--all"]);
    let stopped = std::panic::catch_unwind(|| repo.git(&["rebase", "-q", "main"]));
    assert!(stopped.is_err(), "the rebase stops at the conflict");
    repo.write(".git/index.lock", "");
    let before = std::fs::read(repo.root.join(".git/index")).unwrap();
    let git = open(&repo.root);
    assert_eq!(git.head().unwrap().unwrap(), git.resolve("main").unwrap());
    assert!(git.is_tracked(&path("a")).unwrap(), "also with three stages and no merged one");
    assert_eq!(std::fs::read(repo.root.join(".git/index")).unwrap(), before);
}

#[test]
fn sha256_repositories_work_the_same() {
    let repo = TestRepo::with(&["init", "-q", "-b", "main", "--object-format=sha256"]);
    let commit = repo.write("d/a.mlv", "1").write(".gitignore", "*.log\n").commit("one");
    assert_eq!(commit.len(), 64);
    let git = open(&repo.root);
    let head = git.head().unwrap().unwrap();
    assert_eq!(head.to_string(), commit);
    assert_eq!(git.resolve(&commit[..9]).unwrap(), head);
    assert_eq!(git.resolve(&format!("{}^0", &commit[..45])).unwrap(), head);
    assert!(git.is_tracked(&path("d")).unwrap());
    assert!(git.is_ignored(&path("x.log"), false).unwrap());
    assert_eq!(files_at(&git, head, &|path| path.ends_with(".mlv"), 10).unwrap().len(), 1);
}

/// gix reads only references that are files: what needs none of them works, the rest says why.
#[test]
fn reference_tables_are_refused_with_the_way_out() {
    let repo = TestRepo::with(&["init", "-q", "-b", "main", "--ref-format=reftable"]);
    let commit = repo.write("a.mlv", "1").write(".gitignore", "/x\n").commit("one");
    let git = open(&repo.root);
    assert!(git.is_tracked(&path("a.mlv")).unwrap() && git.is_ignored(&path("x"), false).unwrap());
    let error = git.head().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnsupportedVersion);
    assert!(error.hints()[0].text.contains("git refs migrate"));
    assert!(git.commits(Scope { tags: true, ..Scope::default() }).is_err(), "R9");
    assert_eq!(git.resolve("main").unwrap_err().kind(), ErrorKind::UnsupportedVersion);
    assert_eq!(git.resolve(&commit).unwrap().to_string(), commit);
}

/// R9: what cannot be read is never taken for nothing.
#[test]
fn broken_references_are_errors() {
    let repo = TestRepo::new();
    let commit = repo.write("a", "1").commit("one");
    let all = Scope { all_commits: true, ..Scope::default() };
    for (file, text) in [
        ("refs/heads/broken", "garbage\n"),
        ("refs/heads/missing", "1111111111111111111111111111111111111111\n"),
        ("refs/remotes/origin/HEAD", "ref: ../escape\n"),
        ("packed-refs", "garbage garbage\n"),
    ] {
        repo.write(&format!(".git/{file}"), text);
        assert!(open(&repo.root).commits(all).is_err(), "{file}");
        std::fs::remove_file(repo.root.join(".git").join(file)).unwrap();
    }
    let object = format!(".git/objects/{}/{}", &commit[..2], &commit[2..]);
    std::fs::remove_file(repo.root.join(object)).unwrap();
    assert!(open(&repo.root).commits(all).is_err());
}

#[test]
fn another_users_repository_is_refused_as_git_does() {
    let repo = TestRepo::new();
    repo.write("a", "1").commit("one");
    let chown = std::process::Command::new("chown").args(["-R", "12345"]).arg(&repo.root).status();
    if !chown.is_ok_and(|status| status.success()) {
        return; // only root can make this case
    }
    let error = GitRepo::discover_plain(&repo.root).unwrap_err();
    assert!(matches!(error, Error::OwnedByOther { .. }), "{error}");
    assert!(error.hints()[0].text.contains("safe.directory"));
}

#[test]
fn sparse_index_counts_folders_as_tracked() {
    let repo = TestRepo::new();
    repo.write("in/a", "1").write("out/deep/b", "2").commit("one");
    repo.git(&["sparse-checkout", "init", "--cone", "--sparse-index"]);
    repo.git(&["sparse-checkout", "set", "in"]);
    let git = open(&repo.root);
    for tracked in ["in/a", "in", "out", "out/deep", "out/deep/b"] {
        assert!(git.is_tracked(&path(tracked)).unwrap(), "{tracked}");
    }
    assert!(!git.is_tracked(&path("other")).unwrap());
}

#[test]
fn ignore_answers_equal_those_of_git() {
    let repo = TestRepo::new();
    repo.write(".gitignore", "models/\n*.log\n!keep.log\n/top\n").write("sub/.gitignore", "!x.log\n/inner\n");
    repo.write(".git/info/exclude", "private\n").write("models/m", "").write("sub/x.log", "");
    let git = open(&repo.root);
    let asked: [(&str, bool); 12] = [
        ("models", true),
        ("models", false),
        ("models/m", false),
        ("models/deep/er", true),
        ("a.log", false),
        ("keep.log", false),
        ("sub/x.log", false),
        ("sub/y.log", false),
        ("sub/top", false),
        ("top", true),
        ("sub/inner", true),
        ("sub/private", false),
    ];
    for (name, is_dir) in asked {
        let text = if is_dir { format!("{name}/") } else { name.to_owned() };
        if name == "models" && !is_dir {
            continue; // git looks at the disk, where it is a folder
        }
        let says = std::process::Command::new("git")
            .current_dir(&repo.root)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .args(["check-ignore", "-q", "--no-index", &text])
            .status()
            .unwrap();
        assert_eq!(git.is_ignored(&path(name), is_dir).unwrap(), says.success(), "{text}");
    }
    assert!(!git.is_ignored(&path("models"), false).unwrap());
    repo.write(".gitignore", "");
    assert!(git.is_ignored(&path("top"), true).unwrap(), "rules are read once");
    git.forget_ignore_rules();
    assert!(!git.is_ignored(&path("top"), true).unwrap());
}

#[test]
fn snapshots_read_only_what_differs() {
    let repo = TestRepo::new();
    repo.write("a/x.mlv", "1").write("b/y.mlv", "1").write("n/.mlv/config.toml", "").write("n/z.mlv", "no");
    std::os::unix::fs::symlink("x.mlv", repo.root.join("a/link.mlv")).unwrap();
    let one = repo.commit("one");
    let two = repo.write("b/y.mlv", "2").commit("two");
    let git = open(&repo.root);
    let mut snapshots = git.snapshots(|name| name.ends_with(".mlv"), |name| name == ".mlv");
    let first = snapshots.files(git.resolve(&one).unwrap()).unwrap();
    let second = snapshots.files(git.resolve(&two).unwrap()).unwrap();
    let names: Vec<&str> = first.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(names, ["a/x.mlv", "b/y.mlv"], "no symlink, no project inside");
    assert_eq!(first[0], second[0]);
    assert_ne!(first[1].blob, second[1].blob);
    assert_eq!(snapshots.read(&second[1], 10).unwrap(), b"2");
    assert!(matches!(snapshots.read(&second[1], 0), Err(Error::TooLarge { size: 1, .. })));
    assert_eq!(git_in(&repo.root, &["status", "--porcelain"]), "", "nothing was changed");
}
