//! The data part of `status`: pointers against HEAD, the work tree against pointers, and what
//! the cache lacks. Its JSON form is that of DVC's `data status`.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::object::{ContentId, ContentInfo};
use crate::model::path::RepoPath;
use crate::ops::compare::{self, ChangeCounts, ChangeKind, EntryChange, Rename};
use crate::ops::state::{DirectoryState, Verdict};
use crate::ops::tracked::Source;
use crate::ops::{OpError, trees};
use crate::repo::Repo;

/// Paths by how they differ, each list sorted. Folders end with a slash.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Differences {
    /// Only the newer state has them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub added: Vec<String>,
    /// Both have them, with other contents.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub modified: Vec<String>,
    /// Only the older state has them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub deleted: Vec<String>,
    /// The same contents under another path.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub renamed: Vec<Renamed>,
    /// What cannot be told, because the recorded tree was never downloaded.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unknown: Vec<String>,
    /// How many entries differ in each modified directory.
    #[serde(skip)]
    pub counts: BTreeMap<String, ChangeCounts>,
    /// Those of the deleted paths that are whole outputs: nothing is there that could be recorded.
    #[serde(skip)]
    pub gone: Vec<String>,
    /// Whether users, or stages, make the other outputs that differ.
    #[serde(skip)]
    pub makers: Makers,
}

/// Who makes outputs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Makers {
    /// Users: pointers record them.
    pub users: bool,
    /// Stages: locks record them.
    pub stages: bool,
}

/// A path and where it went.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Renamed {
    /// Before.
    pub old: String,
    /// After.
    pub new: String,
}

impl Differences {
    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        let lists = [&self.added, &self.modified, &self.deleted, &self.unknown];
        lists.iter().all(|list| list.is_empty()) && self.renamed.is_empty()
    }

    fn list(&mut self, kind: ChangeKind) -> &mut Vec<String> {
        match kind {
            ChangeKind::Added => &mut self.added,
            ChangeKind::Modified => &mut self.modified,
            ChangeKind::Deleted => &mut self.deleted,
        }
    }

    /// Adds a directory's changes: each of them, or the directory with their counts.
    fn add_changes(
        &mut self,
        output: &RepoPath,
        changes: &[EntryChange],
        renames: &[Rename],
        granular: bool,
    ) {
        if !granular {
            let path = format!("{output}/");
            self.counts.insert(path.clone(), ChangeCounts::of(changes, renames));
            return self.modified.push(path);
        }
        let full = |path: &str| format!("{output}/{path}");
        for change in changes {
            self.list(change.kind()).push(full(&change.path));
        }
        let renamed = renames.iter().map(|rename| Renamed { old: full(&rename.from), new: full(&rename.to) });
        self.renamed.extend(renamed);
    }

    /// Adds what the work tree says of an output.
    pub fn add_verdict(&mut self, output: &RepoPath, info: &ContentInfo, verdict: &Verdict, granular: bool) {
        let path = shown(output, info.id);
        match verdict {
            Verdict::Same | Verdict::NotHere => {}
            Verdict::Deleted => {
                self.gone.push(path.clone());
                self.deleted.push(path);
            }
            Verdict::Modified => self.modified.push(path),
            Verdict::Unknown => self.unknown.push(path),
            Verdict::Directory(DirectoryState { changes, renames, .. }) => {
                if verdict.is_difference() {
                    self.add_changes(output, changes, renames, granular);
                }
            }
        }
    }

    /// Adds a difference that was made here, to what `source` records.
    pub fn add_edit(
        &mut self,
        output: &RepoPath,
        (info, source): (&ContentInfo, &Source),
        verdict: &Verdict,
        granular: bool,
    ) {
        self.add_verdict(output, info, verdict, granular);
        if verdict.is_difference() && *verdict != Verdict::Deleted {
            match source {
                Source::Pointer { .. } => self.makers.users = true,
                Source::Stage { .. } => self.makers.stages = true,
            }
        }
    }

    /// Adds what two recordings of one output say, either of which may be missing.
    ///
    /// Where a tree was never downloaded the directory is named as a whole.
    pub fn add_recorded(
        &mut self,
        repo: &Repo,
        output: &RepoPath,
        (old, new): (Option<&ContentInfo>, Option<&ContentInfo>),
        granular: bool,
    ) -> Result<(), OpError> {
        match (old, new) {
            (None, None) => {}
            (None, Some(new)) => self.added.push(shown(output, new.id)),
            (Some(old), None) => self.deleted.push(shown(output, old.id)),
            (Some(old), Some(new)) if old == new => {}
            (
                Some(ContentInfo { id: ContentId::Tree(a), .. }),
                Some(ContentInfo { id: ContentId::Tree(b), .. }),
            ) => match trees::diff(repo, output, *a, *b) {
                Ok(mut changes) => {
                    let renames = compare::take_renames(&mut changes);
                    self.add_changes(output, &changes, &renames, granular);
                }
                Err(error) if error.is_not_downloaded() => self.modified.push(format!("{output}/")),
                Err(error) => return Err(error),
            },
            (Some(_), Some(new)) => self.modified.push(shown(output, new.id)),
        }
        Ok(())
    }

    /// Pairs whole outputs of equal contents that went and came into renames, and sorts all lists.
    pub fn finish(&mut self) {
        for list in [&mut self.added, &mut self.modified, &mut self.deleted, &mut self.unknown] {
            list.sort_unstable();
        }
        self.renamed.sort_unstable();
    }
}

/// An output's path, with a slash at the end of a directory's.
pub(super) fn shown(output: &RepoPath, id: ContentId) -> String {
    if id.is_tree() { format!("{output}/") } else { output.to_string() }
}

/// The data part of `status`.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct DataStatus {
    /// HEAD against the pointers and locks of the work tree.
    #[serde(skip_serializing_if = "Differences::is_empty")]
    pub committed: Differences,
    /// The pointers and locks against the data in the work tree.
    #[serde(skip_serializing_if = "Differences::is_empty")]
    pub uncommitted: Differences,
    /// Of these, what was changed here: without what stands as another commit has it.
    #[serde(skip)]
    pub edited: Differences,
    /// Outputs that a stage which runs now is making: what stands there is neither here nor there.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub being_made: Vec<String>,
    /// Data that is here and that the cache lacks, so that nothing could bring it back.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_in_cache: Vec<String>,
    /// Outputs of which files are still those of another commit: nobody changed them, git brought another
    /// pointer. The uncommitted differences hold these files, too.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_checked_out: Vec<String>,
    /// Those of them that the cache lacks, so that only a remote has them.
    #[serde(skip)]
    pub to_pull: BTreeSet<String>,
    /// What git tracks of data that mlv keeps: two would keep it, and each `git add` puts it into git's
    /// history. The output, where git tracks more than one file of it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub in_git: Vec<String>,
    /// Data here that git does not ignore, so that `git add .` would take it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_ignored: Vec<String>,
    /// Data that nothing tracks and that git ignores by a line which mlv wrote: neither sees it. No difference.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub only_ignored: Vec<String>,
    /// Outputs of stages that are left to git (`cache: false`) and that git does not track.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_in_git: Vec<String>,
    /// Those that a line of mlv's still makes git ignore, from when mlv kept them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub still_ignored: Vec<String>,
    /// Recorded data that others cannot get, because the remote lacks it; only where asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_in_remote: Vec<String>,
    /// Outputs without any difference; only where asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unchanged: Vec<String>,
}

impl DataStatus {
    /// Whether there is nothing to say.
    pub fn is_empty(&self) -> bool {
        *self == DataStatus::default()
    }
}
