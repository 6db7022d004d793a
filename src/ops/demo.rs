//! A small real project in a new folder: its files, the commands of the walk through it, and
//! the check at its end.
//!
//! The walk is data here; `cli/cmd/demo.rs` shows each command and runs it. The dataset and
//! the pipeline are part of the program (fixtures/demo), so that `mlv demo` needs no checkout
//! and no network.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use crate::error::{Advice, ErrorKind, Hint};
use crate::fs::dir::Dir;
use crate::fs::stamp::FileKind;
use crate::fs::walk::walk;
use crate::fs::{self, atomic};
use crate::model::digest::{Digest, Hasher};
use crate::model::path::RepoPath;
use crate::model::shell;
use crate::remote::folder::FolderBackend;
use crate::remote::{self, census};

pub use crate::remote::census::Census;

/// A piece of the walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A heading.
    Part(&'static str),
    /// A command as a user types it, and what it is for in half a line. `cd` and `export` of
    /// `PATH` are obeyed too.
    Run(&'static str, &'static [&'static str]),
}

impl Step {
    /// The command of the step, if it is one.
    pub fn command(&self) -> Option<&'static [&'static str]> {
        match self {
            Step::Part(_) => None,
            Step::Run(_, command) => Some(command),
        }
    }
}

/// The folder of the first clone.
pub const PROJECT: &str = "project";
/// The folder of the second clone.
pub const COLLEAGUE: &str = "colleague";
/// The folder that serves as the remote.
pub const REMOTE: &str = "storage";
/// The folder with the programs that the colleague has: see [`unpack`].
pub const PROGRAMS: &str = "without-python";

/// What `export` sets; a shell expands `$PWD`, and does not split what it assigns.
const NO_PYTHON: &str = "PATH=$PWD/../without-python";

const UNPACK: &str = "../download/unpack.py";
const ARCHIVE: &str = "../download/digits.csv.gz";
const SET_EPOCHS: &str = "s/epochs: 2/epochs: 4/";
/// BSD's sed takes the suffix of a backup as a separate argument.
#[cfg(target_os = "macos")]
const EDIT: &[&str] = &["sed", "-i", "", SET_EPOCHS, "params.yaml"];
#[cfg(not(target_os = "macos"))]
const EDIT: &[&str] = &["sed", "-i", SET_EPOCHS, "params.yaml"];

/// The walk, in order; it starts in the folder that [`unpack`] filled.
pub const STEPS: &[Step] = &[
    Step::Part("Code goes to git, data to mlv"),
    Step::Run("four small programs and their pipeline", &["cd", PROJECT]),
    Step::Run("an ordinary git repository", &["git", "init", "--quiet", "--initial-branch=main"]),
    Step::Run("with mlv in it", &["mlv", "init"]),
    Step::Run("1,700 scans of digits, a file each", &["python3", UNPACK, ARCHIVE, "data", "0", "1700"]),
    Step::Run("store the data, and put a pointer in its place", &["mlv", "add", "data"]),
    Step::Run("git sees the pointer only", &["git", "add", "."]),
    Step::Run("", &["git", "commit", "--quiet", "-m", "Add scans of digits"]),
    Step::Part("A remote; here a folder, so nothing leaves this machine"),
    Step::Run("where data is shared", &["mlv", "remote", "add", "-d", "storage", "../storage"]),
    Step::Run("1,702 files become one pack", &["mlv", "push"]),
    Step::Part("A pipeline: prepare, train three models, evaluate (see mlv.yaml)"),
    Step::Run(
        "run what is not up to date, up to three stages at once: all of it",
        &["mlv", "repro", "-j", "3"],
    ),
    Step::Run("results belong to the commit, too", &["git", "add", "."]),
    Step::Run("", &["git", "commit", "--quiet", "-m", "Train a first model"]),
    Step::Run("send what the stages made", &["mlv", "push"]),
    Step::Part("Other data, another parameter"),
    Step::Run("97 more scans arrive", &["python3", UNPACK, ARCHIVE, "data", "1700", "1797"]),
    Step::Run("and one was no good", &["rm", "data/train/1/0001.pgm"]),
    Step::Run("train for longer", EDIT),
    Step::Run("what changed, and what is out of date by it", &["mlv", "status"]),
    Step::Run("keep the new version; the old one stays", &["mlv", "add", "data"]),
    Step::Run("no test image changed: prepare-test is skipped", &["mlv", "repro", "-j", "3"]),
    Step::Run("better than in the last commit?", &["mlv", "metrics", "diff"]),
    Step::Run("and which data is different?", &["mlv", "diff", "--summary"]),
    Step::Run("", &["git", "commit", "--quiet", "--all", "-m", "More digits, more epochs"]),
    Step::Run("only what is new travels", &["mlv", "push"]),
    Step::Part("A colleague, whose machine has no Python"),
    Step::Run("", &["cd", ".."]),
    Step::Run("code and pointers come from git", &["git", "clone", "--quiet", PROJECT, COLLEAGUE]),
    Step::Run("", &["cd", COLLEAGUE]),
    Step::Run("not even knowing what ran last", &["rm", "mlv.lock"]),
    Step::Run("git and mlv, and nothing else", &["export", NO_PYTHON]),
    Step::Run("these inputs were run before: nothing runs, the results come", &["mlv", "repro", "--pull"]),
    Step::Run("the data itself, to look at", &["mlv", "pull", "--quiet"]),
    Step::Run("git finds the same lock and the same metrics", &["git", "status"]),
];

macro_rules! files {
    ($($path:literal)*) => {
        /// What the program carries: paths below the demo's folder, and bytes.
        const FILES: &[(&str, &[u8])] = &[
            $(($path, include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/demo/", $path)))),*
        ];
    };
}

files! {
    "download/LICENSE.txt"
    "download/digits.csv.gz"
    "download/unpack.py"
    "project/.gitignore"
    "project/evaluate.py"
    "project/mlv.yaml"
    "project/params.py"
    "project/params.yaml"
    "project/prepare.py"
    "project/train.py"
}

/// Why the demo could not be made, or did not end well.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The folder to work in holds something.
    #[error("the folder `{}` is not empty", path.display())]
    NotEmpty {
        /// Which folder.
        path: PathBuf,
    },
    /// The path to work in has no name, or one that mlv does not store.
    #[error("`{}` is no name for a new folder", path.display())]
    NoName {
        /// The path as given.
        path: PathBuf,
    },
    /// The two clones are not the same.
    #[error("the clones differ: `{first}` is not the same in both")]
    Differs {
        /// The first path that is missing in one, or is different.
        first: String,
    },
    /// A file operation failed.
    #[error(transparent)]
    Fs(#[from] fs::Error),
    /// The remote cannot be read.
    #[error(transparent)]
    Remote(#[from] remote::Error),
}

impl Advice for Error {
    fn kind(&self) -> ErrorKind {
        match self {
            Error::NotEmpty { .. } => ErrorKind::WouldOverwrite,
            Error::NoName { .. } => ErrorKind::Usage,
            Error::Differs { .. } => ErrorKind::Damaged,
            Error::Fs(error) => error.kind(),
            Error::Remote(error) => error.kind(),
        }
    }

    fn hints(&self) -> Vec<Hint> {
        match self {
            Error::NotEmpty { .. } => vec![Hint::new("name a folder that does not exist: mlv demo FOLDER")],
            Error::Fs(error) => error.hints(),
            Error::Remote(error) => error.hints(),
            _ => Vec::new(),
        }
    }
}

/// Makes the folder at `path`, if it is not there, and writes the dataset and the project into it,
/// and what the colleague has for programs: `mlv`, which is the file named so, and `git`, which is
/// found on `search`, the path of now.
///
/// Fails with [`Error::NotEmpty`] if there is something in it already.
pub fn unpack(path: &Path, mlv: &OsStr, search: &OsStr) -> Result<(), Error> {
    let no_name = || Error::NoName { path: path.to_path_buf() };
    let absolute = std::path::absolute(path).map_err(|_| no_name())?;
    let name = absolute.file_name().and_then(|name| name.to_str()).ok_or_else(no_name)?;
    let name = RepoPath::parse(name).map_err(|_| no_name())?;
    let parent = Dir::open(absolute.parent().ok_or_else(no_name)?)?;
    parent.create_dir_all(&name)?;
    let dir = parent.open_dir(&name)?;
    if !dir.read_dir(&RepoPath::root())?.is_empty() {
        return Err(Error::NotEmpty { path: path.to_path_buf() });
    }
    for (path, bytes) in FILES {
        let path = RepoPath::parse(path).expect("the table holds plain relative paths");
        if let Some(folder) = path.parent() {
            dir.create_dir_all(&folder)?;
        }
        atomic::write(&dir, &path, bytes, Some(0o644))?;
    }
    let mlv = format!("#!/bin/sh\nexec {} \"$@\"\n", shell::word(&mlv.to_string_lossy()));
    let git = format!("#!/bin/sh\nPATH={}\nexec git \"$@\"\n", shell::word(&search.to_string_lossy()));
    let programs = RepoPath::parse(PROGRAMS).expect("a plain name");
    dir.create_dir_all(&programs)?;
    for (name, script) in [("mlv", mlv), ("git", git)] {
        atomic::write(&dir, &programs.join_entry(name), script.as_bytes(), Some(0o755))?;
    }
    Ok(())
}

/// Counts what the remote of the demo below `path` holds.
pub fn stored(path: &Path) -> Result<Census, Error> {
    Ok(census::take(&FolderBackend::new(&path.join(REMOTE)))?)
}

/// What two equal work trees hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Contents {
    /// Files, symlinks and empty folders.
    pub entries: u64,
    /// The sum of their sizes, in bytes.
    pub bytes: u64,
}

/// Compares every file, mode, symlink and empty folder of the two clones below `path`.
pub fn compare_clones(path: &Path) -> Result<Contents, Error> {
    let ours = listing(&path.join(PROJECT))?;
    let theirs = listing(&path.join(COLLEAGUE))?;
    let mut pairs = ours.iter().zip(&theirs);
    if let Some((ours, theirs)) = pairs.find(|(ours, theirs)| ours != theirs) {
        return Err(Error::Differs { first: ours.path.clone().min(theirs.path.clone()) });
    }
    let shorter = ours.len().min(theirs.len());
    if let Some(extra) = ours.get(shorter).or(theirs.get(shorter)) {
        return Err(Error::Differs { first: extra.path.clone() });
    }
    let bytes = ours.iter().map(|entry| entry.size).sum();
    Ok(Contents { entries: ours.len() as u64, bytes })
}

#[derive(PartialEq, Eq)]
struct Entry {
    path: String,
    kind: FileKind,
    executable: bool,
    size: u64,
    /// Of the bytes, or of a symlink's target.
    hash: Digest,
}

/// Everything in a clone but what git, mlv and Python keep for themselves, sorted by path.
fn listing(path: &Path) -> Result<Vec<Entry>, Error> {
    let dir = Dir::open(path)?;
    let walk = walk(&dir, &RepoPath::root(), &|path, _| path.ends_with("__pycache__"), 1)?;
    if let Some((_, error)) = walk.unreadable.into_iter().next() {
        return Err(error.into());
    }
    walk.entries.iter().map(|found| entry(&dir, &found.path, &found.stamp)).collect()
}

fn entry(dir: &Dir, path: &str, stamp: &fs::stamp::FileStamp) -> Result<Entry, Error> {
    let entry = |size, hash| Entry {
        path: path.to_owned(),
        kind: stamp.kind,
        executable: stamp.kind == FileKind::File && stamp.mode_x,
        size,
        hash,
    };
    if stamp.kind == FileKind::Dir {
        return Ok(entry(0, Digest::of(b"")));
    }
    let path = RepoPath::parse(path).map_err(|_| Error::Differs { first: path.to_owned() })?;
    if stamp.kind == FileKind::Symlink {
        let target = dir.read_link(&path)?;
        return Ok(entry(target.len() as u64, Digest::of(target.as_bytes())));
    }
    let mut sum = HashSink { hasher: Hasher::new(), size: 0 };
    let mut file = dir.open_file(&path)?;
    io::copy(&mut file, &mut sum).map_err(fs::at(&dir.full(&path), "read"))?;
    Ok(entry(sum.size, sum.hasher.finish()))
}

struct HashSink {
    hasher: Hasher,
    size: u64,
}

impl io::Write for HashSink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.hasher.update(bytes);
        self.size += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::graph::Graph;
    use crate::pipeline::parse::parse;
    use crate::pipeline::template::NoValues;

    #[test]
    fn walk_names_only_files_that_the_program_carries() {
        for command in STEPS.iter().filter_map(Step::command) {
            for word in command.iter().filter_map(|word| word.strip_prefix("../download/")) {
                assert!(FILES.iter().any(|(path, _)| path.strip_prefix("download/") == Some(word)), "{word}");
            }
        }
    }

    #[test]
    fn pipeline_orders_prepare_train_evaluate() {
        let file = RepoPath::parse("mlv.yaml").expect("a plain path");
        let (_, bytes) = FILES.iter().find(|(path, _)| *path == "project/mlv.yaml").expect("it is carried");
        let graph = Graph::build(vec![parse(&file, bytes, &NoValues).expect("a pipeline")])
            .expect("no contradictions");
        let names: Vec<&str> = graph.order().map(|index| &*graph.address(index).name).collect();
        let at = |stage| names.iter().position(|name| *name == stage).expect("the stage is there");
        for train in ["train@slow", "train@medium", "train@fast"] {
            assert!(at("prepare-train") < at(train) && at(train) < at("evaluate"), "{names:?}");
        }
        assert!(at("prepare-test") < at("evaluate"), "{names:?}");
    }

    #[test]
    fn unpack_fills_a_new_folder_and_refuses_a_full_one() {
        let temp = tempfile::tempdir().expect("a temporary folder");
        let path = temp.path().join("new");
        let unpack = |path: &Path| unpack(path, OsStr::new("/opt/mlv's/mlv"), OsStr::new("/usr/bin:/bin"));
        unpack(&path).expect("a new folder");
        assert!(path.join("project/mlv.yaml").is_file());
        let script = std::fs::read_to_string(path.join(PROGRAMS).join("mlv")).expect("a script");
        assert_eq!(script, "#!/bin/sh\nexec '/opt/mlv'\\''s/mlv' \"$@\"\n");
        assert!(matches!(unpack(&path), Err(Error::NotEmpty { .. })));
        assert!(matches!(unpack(Path::new("/")), Err(Error::NoName { .. })));
    }

    #[test]
    fn clones_are_equal_only_with_equal_bytes_modes_links_and_folders() {
        let temp = tempfile::tempdir().expect("a temporary folder");
        let make = |clone: &str| {
            let root = temp.path().join(clone);
            std::fs::create_dir_all(root.join("empty")).expect("a folder");
            std::fs::write(root.join("a"), "12345").expect("a file");
            std::os::unix::fs::symlink("a", root.join("link")).expect("a link");
            root
        };
        make(PROJECT);
        let theirs = make(COLLEAGUE);
        let equal = compare_clones(temp.path()).expect("equal clones");
        assert_eq!(equal, Contents { entries: 3, bytes: 6 });

        let first = |what: &str| match compare_clones(temp.path()) {
            Err(Error::Differs { first }) => assert_eq!(first, what),
            other => panic!("{other:?}"),
        };
        std::fs::write(theirs.join("z"), "").expect("a file");
        first("z");
        std::fs::remove_dir(theirs.join("empty")).expect("the folder is empty");
        first("empty/");
        std::fs::write(theirs.join("a"), "12346").expect("a file");
        first("a");
    }
}
