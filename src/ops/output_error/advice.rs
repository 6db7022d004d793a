//! What follows from a failure about one output: its kind, the remedy, the paths that it is about.

use super::OutputError;
use crate::error::{Advice, ErrorKind, Hint, hint_path};
use crate::model::path::RepoPath;
use crate::model::shell;
use crate::model::tree::{BuildError, TreeError};

impl OutputError {
    fn path(&self) -> Option<&RepoPath> {
        match self {
            OutputError::WholeRepository
            | OutputError::BadPlace { .. }
            | OutputError::PlaceTaken { .. }
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
            | OutputError::BrokenLink { path }
            | OutputError::SymlinkTarget { path, .. }
            | OutputError::NotADirectory { path }
            | OutputError::BadOutput { path, .. }
            | OutputError::TrackedByGit { path, .. }
            | OutputError::StageOutput { path, .. }
            | OutputError::StageRuns { path, .. }
            | OutputError::MadeMeanwhile { path }
            | OutputError::HoldsOutput { path, .. }
            | OutputError::Twin { path, .. }
            | OutputError::InTheWay { path, .. }
            | OutputError::WouldTakeBack { path, .. }
            | OutputError::InnerRepository { path, .. }
            | OutputError::IgnoredFolder { path, .. }
            | OutputError::NoRoom { path, .. }
            | OutputError::TreeNotDownloaded { path, .. }
            | OutputError::LostTree { path, .. }
            | OutputError::UnknownBefore { path, .. }
            | OutputError::BadTree { path, .. }
            | OutputError::BadEntries { path, .. }
            | OutputError::MissingThere { path, .. }
            | OutputError::NotShared { path }
            | OutputError::OtherRemote { path, .. }
            | OutputError::GoneThere { path, .. }
            | OutputError::DamagedThere { path, .. }
            | OutputError::DamagedHere { path }
            | OutputError::DamagedInWorkTree { path }
            | OutputError::OtherTree { path }
            | OutputError::OtherSize { path, .. }
            | OutputError::NeverMade { path }
            | OutputError::KeptByGit { path }
            | OutputError::IsFolder { path }
            | OutputError::BehindTheEnd { path, .. }
            | OutputError::NotDownloaded { path } => Some(path),
        }
    }

    /// What to name instead of the target.
    fn remedy_of_target(&self) -> Option<String> {
        Some(match self {
            OutputError::External { path } => format!("mlv add -o NAME {}", shell::path(path)),
            OutputError::InnerRepository { repository, .. } => {
                let repository = hint_path(repository);
                format!("track it from there: `cd {repository}`, and `mlv init` if that is no project yet")
            }
            OutputError::IgnoredFolder { folder, .. } => {
                format!("take the line that matches `{}` out of `.mlvignore`", hint_path(folder))
            }
            OutputError::Vanished { path, .. } if path.as_str().contains(['*', '?', '[']) => {
                format!("for a pattern: mlv add --glob {}", hint_path(path))
            }
            OutputError::Vanished { near, .. } | OutputError::NotRecorded { near, .. }
                if !near.is_empty() =>
            {
                let near: Vec<String> = near.iter().map(hint_path).collect();
                format!("did you mean `{}`?", near.join("` or `"))
            }
            OutputError::KeptByGit { path } => {
                let path = hint_path(path);
                format!("`git checkout -- {path}` brings it back, `git show HEAD:./{path}` prints it")
            }
            OutputError::BadPlace { .. } | OutputError::PlaceTaken { .. } => {
                "name another place with `-o`".to_owned()
            }
            OutputError::IsFolder { path } => format!("mlv ls {}", hint_path(path)),
            OutputError::WholeRepository => {
                "name the files and folders to track, as in `mlv add data`".to_owned()
            }
            _ => return None,
        })
    }

    /// What to do about names, pointers and stages.
    fn remedy(&self) -> Option<String> {
        Some(match self {
            OutputError::TrackedByGit { output, .. } => {
                format!("git rm -r --cached {} && git commit -m 'leave data to mlv'", hint_path(output))
            }
            OutputError::StageRuns { .. } => "the same again when that has ended".to_owned(),
            OutputError::MadeMeanwhile { .. } => "the same again".to_owned(),
            OutputError::StageOutput { stage, .. } => {
                format!("run `mlv repro {stage}`, or `mlv commit {stage}` to record it as it is")
            }
            OutputError::HoldsOutput { path, pointer: Some(pointer), .. } => {
                format!("mlv remove {} && mlv add {}", hint_path(pointer), hint_path(path))
            }
            OutputError::IgnoredPointer { pointer } => {
                format!(
                    "take the line that matches out of `.gitignore` (`git check-ignore -v {}` shows it)",
                    hint_path(pointer)
                )
            }
            OutputError::DamagedInWorkTree { path } => {
                format!("`mlv checkout --force {}` brings back what is recorded", hint_path(path))
            }
            OutputError::NeverMade { path } => format!("mlv repro {}", hint_path(path)),
            OutputError::BadEntryName { .. } => "rename it, or list it in `.mlvignore`".to_owned(),
            OutputError::SymlinkOutput { .. } => {
                "add what it leads to, or the folder that it is in".to_owned()
            }
            OutputError::SymlinkTarget { .. } => {
                "replace it by a copy of what it leads to, or list it in `.mlvignore`".to_owned()
            }
            OutputError::NotTrackable { .. } => "remove it, or list it in `.mlvignore`".to_owned(),
            _ => return None,
        })
    }

    /// What to do about contents: in the work tree, the cache, on a remote.
    fn remedy_of_contents(&self) -> Option<String> {
        Some(match self {
            OutputError::TreeNotDownloaded { path, .. } | OutputError::NotDownloaded { path } => {
                format!("mlv fetch {}", hint_path(path))
            }
            OutputError::BrokenLink { path } => format!("mlv checkout {}", hint_path(path)),
            OutputError::NowhereToPush { in_work_tree: true, .. } => {
                "`mlv commit` stores what is here".to_owned()
            }
            OutputError::InTheWay { path, .. } => {
                let path = hint_path(path);
                format!(
                    "move it away and run `mlv pull {path}` to see them, or `mlv remove {path}` to drop them"
                )
            }
            OutputError::NowhereToPush { .. } => "mlv fetch".to_owned(),
            OutputError::NotShared { .. } => {
                "only the clone that made it has it: copy it from there, or make it again".to_owned()
            }
            OutputError::OtherRemote { own, .. } => format!("leave `-r` away, or say `-r {own}`"),
            OutputError::MissingThere { .. } => {
                "it was never pushed there, or `mlv gc --cloud` deleted it: run `mlv push` in a clone that still \
                 has it"
                    .to_owned()
            }
            OutputError::DamagedHere { path } => {
                let path = hint_path(path);
                format!("`mlv commit` stores it again if the file is here, `mlv fetch {path}` gets it from the remote")
            }
            OutputError::DamagedThere { .. } => {
                "run `mlv push` in a clone that has the data".to_owned()
            }
            OutputError::GoneThere { .. } => {
                "the packs that held it are not there any more, deleted by `mlv gc --cloud` or by hand: run \
                 `mlv push` where the data still is, or fetch it from another remote"
                    .to_owned()
            }
            OutputError::WouldTakeBack { keep, checkout, force, .. } => {
                let first = keep.as_ref().map(|keep| format!("`{keep}`, then ")).unwrap_or_default();
                format!("run {first}`{checkout}`; or `{force}` to record it as it stands")
            }
            OutputError::WouldOverwrite { paths, keep, force } => {
                let them = if paths.len() == 1 { "it" } else { "them" };
                format!("run `{keep}` to keep {them}, or `{force}` to put {them} into `.mlv/rescue`")
            }
            _ => return None,
        })
    }
}

impl Advice for OutputError {
    fn kind(&self) -> ErrorKind {
        match self {
            OutputError::Vanished { .. }
            | OutputError::NothingAt { .. }
            | OutputError::NotRecorded { .. } => ErrorKind::NoSuchTarget,
            OutputError::StageRuns { .. } | OutputError::MadeMeanwhile { .. } => ErrorKind::Busy,
            OutputError::TrackedByGit { .. }
            | OutputError::StageOutput { .. }
            | OutputError::HoldsOutput { .. }
            | OutputError::Twin { .. } => ErrorKind::AlreadyTracked,
            OutputError::IgnoredPointer { .. }
            | OutputError::InnerRepository { .. }
            | OutputError::IgnoredFolder { .. }
            | OutputError::WholeRepository
            | OutputError::KeptByGit { .. }
            | OutputError::IsFolder { .. }
            | OutputError::BehindTheEnd { .. } => ErrorKind::Usage,
            OutputError::BrokenLink { .. }
            | OutputError::TreeNotDownloaded { .. }
            | OutputError::LostTree { .. }
            | OutputError::NeverMade { .. }
            | OutputError::NotDownloaded { .. }
            | OutputError::NowhereToPush { is_damaged: false, .. } => ErrorKind::NotDownloaded,
            OutputError::MissingThere { .. }
            | OutputError::GoneThere { .. }
            | OutputError::NotShared { .. } => ErrorKind::NotFound,
            OutputError::OtherRemote { .. } => ErrorKind::Usage,
            OutputError::InTheWay { .. }
            | OutputError::PlaceTaken { .. }
            | OutputError::WouldTakeBack { .. } => ErrorKind::WouldOverwrite,
            OutputError::NowhereToPush { is_damaged: true, .. }
            | OutputError::DamagedThere { .. }
            | OutputError::DamagedHere { .. }
            | OutputError::DamagedInWorkTree { .. }
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
            OutputError::UnknownBefore { source, .. } => source.kind(),
            OutputError::NoRoom { .. } => ErrorKind::NoSpace,
            OutputError::WouldOverwrite { .. } => ErrorKind::WouldOverwrite,
            OutputError::External { .. }
            | OutputError::BadEntryName { .. }
            | OutputError::NotTrackable { .. }
            | OutputError::SymlinkOutput { .. }
            | OutputError::SymlinkTarget { .. }
            | OutputError::BadPlace { .. }
            | OutputError::NotADirectory { .. }
            | OutputError::BadOutput { .. } => ErrorKind::UnsafePath,
        }
    }

    fn hints(&self) -> Vec<Hint> {
        match self {
            OutputError::NoRoom { source, .. } => return source.hints(),
            OutputError::LostTree { path, source } => {
                let path = hint_path(path);
                let begin = format!(
                    "if no clone and no remote has it: `mlv remove {path} && mlv add {path}` begins anew with \
                     what is here; what is not here is lost"
                );
                return source.hints().into_iter().chain([Hint::new(begin)]).collect();
            }
            OutputError::UnknownBefore { path, source, .. } => {
                let force = format!("`mlv add --force {}` records it as it stands", hint_path(path));
                // What begins anew would lose more.
                return source.hints().into_iter().take(1).chain([Hint::new(force)]).collect();
            }
            OutputError::BadTree { path, source } => {
                return match &**source {
                    TreeError::Load(source) => source.hints(),
                    _ => vec![Hint::new(format!("mlv fsck {}", hint_path(path)))],
                };
            }
            _ => {}
        }
        let remedy = self.remedy_of_target().or_else(|| self.remedy()).or_else(|| self.remedy_of_contents());
        remedy.map(Hint::new).into_iter().collect()
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
            OutputError::NowhereToPush { paths, remote, is_damaged: true, .. } => {
                (paths, format!("damaged in the cache and not on the remote `{remote}`"))
            }
            OutputError::NowhereToPush { paths, remote, .. } => {
                (paths, format!("neither in the cache nor on the remote `{remote}`"))
            }
            _ => return Vec::new(),
        };
        paths.iter().map(|path| (path.to_string(), what.clone())).collect()
    }
}
