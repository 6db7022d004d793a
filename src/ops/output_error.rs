//! What can be wrong with an output or the data in it.

mod advice;
mod of;
mod words;

use crate::model::digest::TreeId;
use crate::model::path::{RepoPath, written};
use crate::model::tree::{BuildError, TreeError};
use crate::ops::OpError;
use crate::store;

use words::{and_more, data_of, first, not_saved};

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
    /// A symlink of mlv's own, as `cache.type = symlink` makes them, to an object that is not there.
    #[error("`{path}` is a link into a cache, and leads nowhere")]
    BrokenLink {
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
    /// An output of a stage, which only the stage or `commit` records.
    #[error("`{path}` is an output of the stage `{stage}`")]
    StageOutput {
        /// The output.
        path: RepoPath,
        /// The stage.
        stage: Box<str>,
    },
    /// An output of a stage that runs, or that one reads which runs: what stands there is the command's.
    #[error("`{path}` is being made or read: stage `{stage}` is in use by {holder}")]
    StageRuns {
        /// The output.
        path: RepoPath,
        /// The stage.
        stage: Box<str>,
        /// Who holds it: `pid 4242 (mlv repro)`.
        holder: Box<str>,
    },
    /// An output that is recorded anew since it was looked at.
    #[error("`{path}` was recorded anew meanwhile")]
    MadeMeanwhile {
        /// The output.
        path: RepoPath,
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
    #[error("`{path}` and `{other}` are one name where case or accents do not count{}", written(path.as_str(), other.as_str()))]
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
    /// A target in a repository of its own.
    #[error("`{path}` is in the repository `{repository}`")]
    InnerRepository {
        /// The target.
        path: RepoPath,
        /// The folder of the inner repository.
        repository: RepoPath,
    },
    /// A target in a folder in which mlv looks for nothing.
    #[error("a line of `.mlvignore` leaves out `{folder}`, where the pointer of `{path}` would be")]
    IgnoredFolder {
        /// The target.
        path: RepoPath,
        /// The folder that is left out.
        folder: RepoPath,
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
    /// A directory's tree that nobody has any more, or that is on a remote of which nobody told.
    #[error("the list of files of `{path}` is not in the cache, and no remote gives it")]
    LostTree {
        /// The output.
        path: RepoPath,
        /// What became of asking for it.
        source: Box<OpError>,
    },
    /// A list of files that nobody gives, and that decides what may be recorded.
    #[error("the list of {list} is lost: recording `{path}` could {loss}")]
    UnknownBefore {
        /// The output.
        path: RepoPath,
        /// What it lists.
        list: &'static str,
        /// What could be lost without it.
        loss: &'static str,
        /// Why it cannot be had.
        source: Box<OpError>,
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
    /// Files from before a change that came with git would be recorded over it.
    #[error("`{path}` was changed in git and not checked out: recording it would take {} back (`{first}`{})",
        if *count == 1 { "a change".to_owned() } else { format!("{count} changes") },
        if *count == 1 { "" } else { ", …" })]
    WouldTakeBack {
        /// The output.
        path: RepoPath,
        /// The first file of them.
        first: RepoPath,
        /// How many.
        count: u64,
        /// The command that records what was edited here, if anything was.
        keep: Option<String>,
        /// The command that brings the changes in.
        checkout: String,
        /// The command that takes them back.
        force: String,
    },
    /// An output that stays with who made it.
    #[error("`{path}` is not shared: it has `push: false`")]
    NotShared {
        /// The path.
        path: RepoPath,
    },
    /// An output that was named, together with a remote that it does not belong to.
    #[error("`{path}` belongs to the remote `{own}`, and not to `{named}`")]
    OtherRemote {
        /// The path.
        path: RepoPath,
        /// The remote that it names.
        own: String,
        /// The one that was asked for.
        named: String,
    },
    /// Data that the remote does not have.
    #[error("the data of `{path}` is not on the remote `{remote}`")]
    MissingThere {
        /// The path.
        path: RepoPath,
        /// The remote.
        remote: String,
    },
    /// Data that the remote had, and has not any more.
    #[error("the remote `{remote}` no longer holds the data of `{path}`")]
    GoneThere {
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
        "{} {} on the remote `{remote}`: `{}`{}",
        data_of(paths),
        if *is_damaged { "damaged in the cache and not" } else { "neither in the cache nor" },
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
        /// Whether the cache had them, and damaged.
        is_damaged: bool,
    },
    /// An output that its stage has not made yet.
    #[error("nothing is recorded of `{path}`: its stage has not run")]
    NeverMade {
        /// The output.
        path: RepoPath,
    },
    /// An output whose bytes mlv does not keep.
    #[error("mlv does not keep the data of `{path}`")]
    KeptByGit {
        /// The output.
        path: RepoPath,
    },
    /// Something stands where a copy was to go.
    #[error("`{path}` exists already")]
    PlaceTaken {
        /// The place.
        path: String,
    },
    /// A place that no copy can have: one of git's or mlv's own, or without a name.
    #[error("`{path}` is no place for a copy")]
    BadPlace {
        /// The place.
        path: String,
    },
    /// A folder where one file is asked for.
    #[error("`{path}` is a folder")]
    IsFolder {
        /// The path.
        path: RepoPath,
    },
    /// A part of a file that starts behind its end.
    #[error("`{path}` has {size} bytes, fewer than the offset {offset}")]
    BehindTheEnd {
        /// The path.
        path: RepoPath,
        /// Its length in bytes.
        size: u64,
        /// Where the part starts.
        offset: u64,
    },
    /// No room for the data of an output.
    #[error("there is no room in the cache for `{path}`")]
    NoRoom {
        /// The output, or a path in it.
        path: RepoPath,
        /// What failed.
        source: Box<OpError>,
    },
    /// An object that is not in the cache.
    #[error("the data of `{path}` is not in the cache")]
    NotDownloaded {
        /// The path.
        path: RepoPath,
    },
}
