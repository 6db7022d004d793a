//! What can be wrong with an output or the data in it.

use crate::error::{Advice, ErrorKind, Hint};
use crate::model::digest::TreeId;
use crate::model::path::RepoPath;
use crate::model::tree::{BuildError, TreeError};
use crate::ops::held::InTheWay;
use crate::store;

/// A failure that is about one output.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OutputError {
    /// A FIFO, socket or device.
    #[error("`{path}` is a {found}, which cannot be tracked")]
    NotTrackable {
        /// Where it stands.
        path: RepoPath,
        /// What it is.
        found: &'static str,
    },
    /// A path that does not exist.
    #[error("`{path}` does not exist")]
    Vanished {
        /// The path.
        path: RepoPath,
        /// What is there under nearly that name, nearest first.
        near: Vec<RepoPath>,
    },
    /// A path inside a tracked directory that is neither here nor recorded.
    #[error("nothing is at `{path}`, and nothing of it was here before")]
    NothingAt {
        /// The path.
        path: RepoPath,
    },
    /// A path inside a tracked directory that is neither recorded nor here.
    #[error("nothing is recorded at `{path}`")]
    NotRecorded {
        /// The path.
        path: RepoPath,
        /// What is recorded under nearly that name, nearest first.
        near: Vec<RepoPath>,
    },
    /// A symlink as an output of its own.
    #[error("`{path}` is a symbolic link")]
    SymlinkOutput {
        /// The link.
        path: RepoPath,
    },
    /// A symlink whose target may not be recorded.
    #[error("the symbolic link `{path}` {why}: `{target}`")]
    SymlinkTarget {
        /// The link.
        path: RepoPath,
        /// Its target text.
        target: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A path below an output that is a file.
    #[error("`{path}` is tracked as a file, not as a directory")]
    NotADirectory {
        /// The output.
        path: RepoPath,
    },
    /// The root of the repository as an output.
    #[error("the whole repository cannot be one output")]
    WholeRepository,
    /// One of mlv's or git's own files, or a name that not every platform can hold.
    #[error("`{path}` cannot be an output: {reason}")]
    BadOutput {
        /// The path.
        path: RepoPath,
        /// Why.
        reason: crate::model::path::PathError,
    },
    /// A path that git tracks.
    #[error("`{path}` is tracked by git")]
    TrackedByGit {
        /// The path, or one below it.
        path: RepoPath,
        /// What was to be tracked.
        output: RepoPath,
    },
    /// A path outside the repository, which is tracked only as a copy inside.
    #[error("`{path}` lies outside the repository")]
    External {
        /// As given.
        path: String,
    },
    /// A stage that cannot be taken out of its file without changing what the file says else.
    #[error("the stage `{stage}` cannot be taken out of `{path}` line by line")]
    EntangledStage {
        /// The pipeline file.
        path: RepoPath,
        /// The stage.
        stage: Box<str>,
    },
    /// A pipeline file, where one of its stages may be meant.
    #[error("`{path}` is a pipeline with {} stages, not something to stop tracking", stages.len())]
    PipelineFile {
        /// The pipeline file.
        path: RepoPath,
        /// The names of its stages.
        stages: Vec<Box<str>>,
    },
    /// An output of a stage, which goes with the stage alone.
    #[error("`{path}` is an output of the stage `{stage}`")]
    MadeByStage {
        /// The output.
        path: RepoPath,
        /// The stage.
        stage: Box<str>,
    },
    /// An output of a stage, which only the stage or `commit` records.
    #[error("`{path}` is an output of the stage `{stage}`")]
    StageOutput {
        /// The output.
        path: RepoPath,
        /// The stage.
        stage: Box<str>,
    },
    /// A folder that holds outputs that are tracked by themselves.
    #[error("`{path}` holds `{inner}`, which is tracked already")]
    HoldsOutput {
        /// The folder.
        path: RepoPath,
        /// The output in it.
        inner: RepoPath,
        /// What removes the inner output.
        pointer: Option<RepoPath>,
    },
    /// A name that equals another output's where case or accents do not count.
    #[error("`{path}` and `{other}` are one name where case or accents do not count")]
    Twin {
        /// The new output.
        path: RepoPath,
        /// The tracked one.
        other: RepoPath,
    },
    /// A pointer that git would not see.
    #[error("git ignores `{pointer}`")]
    IgnoredPointer {
        /// The pointer's path.
        pointer: RepoPath,
    },
    /// A file where a folder is recorded, or the reverse, of which nothing was ever here.
    #[error("`{path}` stands at the place of {entries} recorded and never downloaded")]
    InTheWay {
        /// What stands there.
        path: RepoPath,
        /// What is recorded there, in words.
        entries: String,
    },
    /// A directory's tree that was never downloaded.
    #[error("the list of files of `{path}` is not in the cache")]
    TreeNotDownloaded {
        /// The output.
        path: RepoPath,
        /// The tree.
        tree: TreeId,
    },
    /// A directory's tree that cannot be read.
    #[error("the list of files of `{path}` cannot be read")]
    BadTree {
        /// The output.
        path: RepoPath,
        /// Why.
        source: Box<TreeError<store::Error>>,
    },
    /// A name that no tree can hold: a line end or another control character is in it.
    #[error("the name of `{path}` cannot be recorded")]
    BadEntryName {
        /// The path.
        path: RepoPath,
    },
    /// Entries that make no tree.
    #[error("`{path}` cannot be recorded")]
    BadEntries {
        /// The output.
        path: RepoPath,
        /// Why.
        source: Box<BuildError<store::Error>>,
    },
    /// Data that is not saved stands in the way.
    #[error("{} not saved: `{}`{}", not_saved(paths), paths[0], and_more(paths))]
    WouldOverwrite {
        /// The paths, sorted; at least one.
        paths: Vec<RepoPath>,
        /// A command that records them, as the user would type it.
        keep: String,
        /// A command that goes on nevertheless.
        force: String,
    },
    /// Data that the remote does not have.
    #[error("the data of `{path}` is not on the remote `{remote}`")]
    MissingThere {
        /// The path.
        path: RepoPath,
        /// The remote.
        remote: String,
    },
    /// Data that the remote has only damaged.
    #[error("the data of `{path}` is damaged on the remote `{remote}`")]
    DamagedThere {
        /// The path.
        path: RepoPath,
        /// The remote.
        remote: String,
    },
    /// Data of an output that is damaged in the cache.
    #[error("data of `{path}` is damaged in the cache")]
    DamagedHere {
        /// The output.
        path: RepoPath,
    },
    /// A file of the work tree whose bytes changed without its stamp.
    #[error("`{path}` has other bytes than its unchanged time and size promise")]
    DamagedInWorkTree {
        /// The file.
        path: RepoPath,
    },
    /// A pack in the cache without its table, or a file of the cache that cannot be read.
    #[error("cannot read `{file}` in the cache as what it is")]
    BrokenInCache {
        /// The file, from the cache's root.
        file: String,
    },
    /// Damaged records that no output of the work tree needs.
    #[error("{count} damaged records in the cache, which no output here needs")]
    DamagedRecords {
        /// How many.
        count: usize,
    },
    /// What other commits or clones need and a remote cannot give.
    #[error("`{remote}` cannot give {count} of what other commits or clones need")]
    LostThere {
        /// How much.
        count: usize,
        /// The remote.
        remote: String,
    },
    /// A tree that is not the one that its entries give, or sums that are not theirs.
    #[error("the list of files of `{path}` is not what its name or its pointer say")]
    OtherTree {
        /// The output.
        path: RepoPath,
    },
    /// A pointer or lock whose size is not that of the contents it names.
    #[error("`{path}` is recorded with {said} bytes, but the contents of its hash have {size}")]
    OtherSize {
        /// The output.
        path: RepoPath,
        /// What is recorded, in bytes.
        said: u64,
        /// What it is, in bytes.
        size: u64,
    },
    /// Objects that are neither in the cache nor on the remote that they are pushed to.
    #[error(
        "{} neither in the cache nor on the remote `{remote}`: `{}`{}",
        data_of(paths),
        first(paths),
        and_more(paths)
    )]
    NowhereToPush {
        /// The paths, sorted.
        paths: Vec<RepoPath>,
        /// The remote.
        remote: String,
        /// Whether the work tree has them, so that the cache can get them from there.
        in_work_tree: bool,
    },
    /// An object that is not in the cache.
    #[error("the data of `{path}` is not in the cache")]
    NotDownloaded {
        /// The path.
        path: RepoPath,
    },
}

fn not_saved(paths: &[RepoPath]) -> String {
    if paths.len() == 1 { "this change is".to_owned() } else { format!("these {} changes are", paths.len()) }
}

fn data_of(paths: &[RepoPath]) -> String {
    if paths.len() == 1 {
        "the data of this path is".to_owned()
    } else {
        format!("the data of {} paths is", paths.len())
    }
}

fn first(paths: &[RepoPath]) -> &str {
    paths.first().map_or("", RepoPath::as_str)
}

fn and_more(paths: &[RepoPath]) -> String {
    if paths.len() <= 1 { String::new() } else { format!(" and {} more", paths.len() - 1) }
}

impl OutputError {
    /// Tells why the tree of `output` could not be read.
    pub fn of_tree(output: &RepoPath, tree: TreeId, error: TreeError<store::Error>) -> OutputError {
        match error {
            TreeError::Load(source) if source.kind() == ErrorKind::NotDownloaded => {
                OutputError::TreeNotDownloaded { path: output.clone(), tree }
            }
            error => OutputError::BadTree { path: output.clone(), source: Box::new(error) },
        }
    }

    /// Tells what stands in `output` at the place of what never was here.
    pub fn in_the_way(output: &RepoPath, way: InTheWay) -> OutputError {
        let entries = match way.entries {
            1 => "1 file".to_owned(),
            count => format!("{count} files"),
        };
        OutputError::InTheWay { path: output.join_entry(&way.path), entries }
    }

    fn path(&self) -> Option<&RepoPath> {
        match self {
            OutputError::WholeRepository
            | OutputError::DamagedRecords { .. }
            | OutputError::LostThere { .. }
            | OutputError::BrokenInCache { .. }
            | OutputError::External { .. } => None,
            OutputError::WouldOverwrite { paths, .. } | OutputError::NowhereToPush { paths, .. } => {
                paths.first()
            }
            OutputError::IgnoredPointer { pointer } => Some(pointer),
            OutputError::NotTrackable { path, .. }
            | OutputError::Vanished { path, .. }
            | OutputError::NothingAt { path }
            | OutputError::NotRecorded { path, .. }
            | OutputError::BadEntryName { path }
            | OutputError::SymlinkOutput { path }
            | OutputError::SymlinkTarget { path, .. }
            | OutputError::NotADirectory { path }
            | OutputError::BadOutput { path, .. }
            | OutputError::TrackedByGit { path, .. }
            | OutputError::StageOutput { path, .. }
            | OutputError::MadeByStage { path, .. }
            | OutputError::EntangledStage { path, .. }
            | OutputError::PipelineFile { path, .. }
            | OutputError::HoldsOutput { path, .. }
            | OutputError::Twin { path, .. }
            | OutputError::InTheWay { path, .. }
            | OutputError::TreeNotDownloaded { path, .. }
            | OutputError::BadTree { path, .. }
            | OutputError::BadEntries { path, .. }
            | OutputError::MissingThere { path, .. }
            | OutputError::DamagedThere { path, .. }
            | OutputError::DamagedHere { path }
            | OutputError::DamagedInWorkTree { path }
            | OutputError::OtherTree { path }
            | OutputError::OtherSize { path, .. }
            | OutputError::NotDownloaded { path } => Some(path),
        }
    }
}

impl Advice for OutputError {
    fn kind(&self) -> ErrorKind {
        match self {
            OutputError::Vanished { .. }
            | OutputError::NothingAt { .. }
            | OutputError::NotRecorded { .. } => ErrorKind::NoSuchTarget,
            OutputError::TrackedByGit { .. }
            | OutputError::StageOutput { .. }
            | OutputError::HoldsOutput { .. }
            | OutputError::Twin { .. } => ErrorKind::AlreadyTracked,
            OutputError::IgnoredPointer { .. }
            | OutputError::WholeRepository
            | OutputError::EntangledStage { .. }
            | OutputError::MadeByStage { .. }
            | OutputError::PipelineFile { .. } => ErrorKind::Usage,
            OutputError::TreeNotDownloaded { .. }
            | OutputError::NotDownloaded { .. }
            | OutputError::NowhereToPush { .. } => ErrorKind::NotDownloaded,
            OutputError::MissingThere { .. } => ErrorKind::NotFound,
            OutputError::InTheWay { .. } => ErrorKind::WouldOverwrite,
            OutputError::DamagedThere { .. }
            | OutputError::DamagedHere { .. }
            | OutputError::DamagedInWorkTree { .. }
            | OutputError::DamagedRecords { .. }
            | OutputError::LostThere { .. }
            | OutputError::BrokenInCache { .. }
            | OutputError::OtherTree { .. }
            | OutputError::OtherSize { .. } => ErrorKind::Damaged,
            OutputError::BadTree { source, .. } => match &**source {
                TreeError::Load(source) => source.kind(),
                _ => ErrorKind::Damaged,
            },
            OutputError::BadEntries { source, .. } => match &**source {
                BuildError::Sink(source) => source.kind(),
                _ => ErrorKind::UnsafePath,
            },
            OutputError::WouldOverwrite { .. } => ErrorKind::WouldOverwrite,
            OutputError::External { .. }
            | OutputError::BadEntryName { .. }
            | OutputError::NotTrackable { .. }
            | OutputError::SymlinkOutput { .. }
            | OutputError::SymlinkTarget { .. }
            | OutputError::NotADirectory { .. }
            | OutputError::BadOutput { .. } => ErrorKind::UnsafePath,
        }
    }

    fn hints(&self) -> Vec<Hint> {
        let hint = match self {
            OutputError::TrackedByGit { output, .. } => {
                format!("git rm -r --cached {output} && git commit -m 'leave data to mlv'")
            }
            OutputError::External { path } => format!("mlv add -o NAME {path}"),
            OutputError::EntangledStage { path, .. } => {
                format!("take it out of `{path}` in an editor: braces or an anchor tie it to the rest")
            }
            OutputError::PipelineFile { path, stages } => match stages.first() {
                Some(first) => {
                    format!("name a stage, as in `mlv remove {path}:{first}`, or use `git rm {path}`")
                }
                None => format!("git rm {path}"),
            },
            OutputError::MadeByStage { stage, .. } => {
                format!("`mlv remove {stage}` removes the stage, with `--outs` what it made too")
            }
            OutputError::StageOutput { stage, .. } => {
                format!("run `mlv repro {stage}`, or `mlv commit {stage}` to record it as it is")
            }
            OutputError::HoldsOutput { path, pointer: Some(pointer), .. } => {
                format!("mlv remove {pointer} && mlv add {path}")
            }
            OutputError::IgnoredPointer { pointer } => {
                format!(
                    "take the line that matches out of `.gitignore` (`git check-ignore -v {pointer}` shows it)"
                )
            }
            OutputError::TreeNotDownloaded { path, .. } | OutputError::NotDownloaded { path } => {
                format!("mlv fetch {path}")
            }
            OutputError::NowhereToPush { in_work_tree: true, .. } => {
                "`mlv commit` stores what is here".to_owned()
            }
            OutputError::InTheWay { path, .. } => {
                format!(
                    "move it away and run `mlv pull {path}` to see them, or `mlv remove {path}` to drop them"
                )
            }
            OutputError::NowhereToPush { .. } => "mlv fetch".to_owned(),
            OutputError::Vanished { path, .. } if path.as_str().contains(['*', '?', '[']) => {
                format!("for a pattern: mlv add --glob {path}")
            }
            OutputError::Vanished { near, .. } | OutputError::NotRecorded { near, .. }
                if !near.is_empty() =>
            {
                let near: Vec<&str> = near.iter().map(RepoPath::as_str).collect();
                format!("did you mean `{}`?", near.join("` or `"))
            }
            OutputError::DamagedInWorkTree { path } => {
                format!("`mlv checkout --force {path}` brings back what is recorded")
            }
            OutputError::BadEntryName { .. } => "rename it, or list it in `.mlvignore`".to_owned(),
            OutputError::MissingThere { .. } | OutputError::DamagedThere { .. } => {
                "run `mlv push` in a clone that has the data".to_owned()
            }
            OutputError::LostThere { .. } => {
                "run `mlv fsck --remote --repair` in a clone that has the data".to_owned()
            }
            OutputError::WouldOverwrite { keep, force, .. } => {
                format!("run `{keep}` to keep them, or `{force}` to put them into `.mlv/rescue`")
            }
            OutputError::SymlinkOutput { .. } => {
                "add what it leads to, or the folder that it is in".to_owned()
            }
            OutputError::SymlinkTarget { .. } => {
                "replace it by a copy of what it leads to, or list it in `.mlvignore`".to_owned()
            }
            OutputError::WholeRepository => {
                "name the files and folders to track, as in `mlv add data`".to_owned()
            }
            OutputError::NotTrackable { .. } => "remove it, or list it in `.mlvignore`".to_owned(),
            _ => return Vec::new(),
        };
        vec![Hint::new(hint)]
    }

    fn subject(&self) -> Option<String> {
        self.path().map(ToString::to_string)
    }

    fn quoted(&self) -> Vec<String> {
        let more: Vec<&RepoPath> = match self {
            OutputError::WouldOverwrite { paths, .. } | OutputError::NowhereToPush { paths, .. } => {
                paths.iter().collect()
            }
            OutputError::TrackedByGit { output, .. } => vec![output],
            OutputError::HoldsOutput { inner, pointer, .. } => {
                std::iter::once(inner).chain(pointer).collect()
            }
            OutputError::Twin { other, .. } => vec![other],
            OutputError::Vanished { near, .. } | OutputError::NotRecorded { near, .. } => {
                near.iter().collect()
            }
            _ => Vec::new(),
        };
        let mut quoted: Vec<String> = self.path().into_iter().chain(more).map(ToString::to_string).collect();
        quoted.sort_unstable();
        quoted.dedup();
        quoted
    }

    fn affected(&self) -> Vec<(String, String)> {
        let (paths, what) = match self {
            OutputError::WouldOverwrite { paths, .. } => (paths, "not saved".to_owned()),
            OutputError::NowhereToPush { paths, remote, .. } => {
                (paths, format!("neither in the cache nor on the remote `{remote}`"))
            }
            _ => return Vec::new(),
        };
        paths.iter().map(|path| (path.to_string(), what.clone())).collect()
    }
}
