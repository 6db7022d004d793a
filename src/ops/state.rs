//! The state of one output: what stands in the work tree beside what is recorded.

use std::collections::HashSet;

use crate::model::object::{ContentId, ContentInfo};
use crate::model::path::RepoPath;
use crate::model::tree::TreeEntry;
use crate::ops::compare::{self, ChangeKind, EntryChange, Rename};
use crate::ops::scan::{Present, Scanner};
use crate::ops::{OpError, held, trees};
use crate::repo::Repo;
use crate::store::Presence;
use crate::store::here::{Held, Here};

/// How an output in the work tree relates to what is recorded of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Everything that is recorded is here, and nothing else.
    Same,
    /// Nothing is here and nothing was: it was never downloaded or checked out.
    NotHere,
    /// Nothing is here although it was.
    Deleted,
    /// A file stands where a directory is recorded, or the other way round, or a file has other
    /// contents or another mode.
    Modified,
    /// A directory whose recorded tree was never downloaded, so that only "differs" is known.
    Unknown,
    /// A directory that differs, or of which only a part is here.
    Directory(DirectoryState),
}

/// How the entries of a directory differ.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DirectoryState {
    /// Added, modified and deleted entries, sorted by path; moved ones are not among them.
    pub changes: Vec<EntryChange>,
    /// Entries that moved.
    pub renames: Vec<Rename>,
    /// Recorded entries that are not here and never were.
    pub not_here: Vec<TreeEntry>,
    /// Files here.
    pub files_here: u64,
}

impl Verdict {
    /// Whether it counts as a difference: what was never here does not.
    pub fn is_difference(&self) -> bool {
        match self {
            Verdict::Same | Verdict::NotHere => false,
            Verdict::Directory(state) => !state.changes.is_empty() || !state.renames.is_empty(),
            Verdict::Deleted | Verdict::Modified | Verdict::Unknown => true,
        }
    }
}

/// What is known of an output after looking at it.
#[derive(Clone, Debug)]
pub struct OutputState {
    /// What stands in the work tree, every hash known.
    pub present: Present,
    /// How that relates to what is recorded.
    pub verdict: Verdict,
    /// The recorded entries, sorted by path, of a file one with an empty path; `None` where the tree
    /// was never downloaded.
    pub recorded: Option<Vec<TreeEntry>>,
}

/// Reads the state of `output`, recorded as `info`.
pub fn examine(
    repo: &Repo,
    scanner: &Scanner<'_>,
    here: &Here,
    (output, info): (&RepoPath, &ContentInfo),
) -> Result<OutputState, OpError> {
    let tracked = || Ok(trees::read_if_here(repo, info, output)?.unwrap_or_default());
    let mut present = scanner.look(output, &tracked)?;
    scanner.hash(output, &mut present, None)?;
    // After the walk, whose memory is free by now.
    let recorded = trees::read_if_here(repo, info, output)?;
    present.forget_unreadable(recorded.as_deref().unwrap_or_default());
    let verdict = match (&present, info.id) {
        (Present::Absent, id) => {
            // A part of which nothing is recorded any more says nothing of the rest.
            let covers_some = |held: &Held| {
                let entries = recorded.as_deref();
                *held == Held::All
                    || entries.is_none_or(|all| all.iter().any(|entry| held.covers(entry.bare_path())))
            };
            let was_here = here
                .get(output)
                .is_some_and(|known| known.content == id.to_string() && covers_some(&known.held));
            if was_here { Verdict::Deleted } else { Verdict::NotHere }
        }
        (Present::File(_), ContentId::File(_)) => {
            if recorded.as_deref().is_some_and(|recorded| present.is(recorded)) {
                Verdict::Same
            } else {
                Verdict::Modified
            }
        }
        (Present::Directory(_), ContentId::Tree(id)) => match &recorded {
            Some(recorded) => directory(repo, here, (output, info), recorded, &present),
            // The pages are not here; but the tree of what is here has a name too.
            None if trees::build(output, &present.tree_entries(), None)?.id == id => Verdict::Same,
            None => Verdict::Unknown,
        },
        (Present::File(_), ContentId::Tree(_)) | (Present::Directory(_), ContentId::File(_)) => {
            Verdict::Modified
        }
    };
    Ok(OutputState { present, verdict, recorded })
}

fn directory(
    repo: &Repo,
    here: &Here,
    (output, info): (&RepoPath, &ContentInfo),
    recorded: &[TreeEntry],
    present: &Present,
) -> Verdict {
    // The usual case, without a copy of every entry.
    if present.is(recorded) {
        return Verdict::Same;
    }
    let entries = present.tree_entries();
    let mut changes = compare::compare(recorded, &entries);
    if changes.is_empty() {
        return Verdict::Same;
    }
    let mut not_here = Vec::new();
    if !held::is_all_here(here, output, info.id) && changes.iter().any(|c| c.kind() == ChangeKind::Deleted) {
        let placed = held::placed(repo, here, output);
        let was_here: HashSet<&str> = placed.iter().map(TreeEntry::bare_path).collect();
        changes.retain(|change| match (&change.old, &change.new) {
            (Some(old), None) if !was_here.contains(old.bare_path()) => {
                not_here.push(old.clone());
                false
            }
            _ => true,
        });
    }
    let renames = compare::take_renames(&mut changes);
    let files_here = entries.iter().filter(|entry| entry.kind.is_file()).count() as u64;
    Verdict::Directory(DirectoryState { changes, renames, not_here, files_here })
}

impl OutputState {
    /// The files that stand here as they were put for another commit, while other contents are recorded;
    /// none where the list of that commit's is lost: they are told as changes then.
    pub fn left_behind(
        &self,
        repo: &Repo,
        here: &Here,
        (output, info): (&RepoPath, &ContentInfo),
    ) -> HashSet<Box<str>> {
        if !self.verdict.is_difference() || held::is_current(here, output, info.id) {
            return HashSet::new();
        }
        let (recorded, present) = (self.recorded.as_deref().unwrap_or_default(), self.present.tree_entries());
        let left = held::left_behind(repo, here, (output, info.id), (recorded, &present));
        left.unwrap_or_default().iter().map(|entry| entry.bare_path().into()).collect()
    }

    /// What was changed here, where the files of `left` stand as they were put for another commit.
    ///
    /// Nothing of what is recorded in whole otherwise, as a file or in a list that was never downloaded: no
    /// part of that can be recorded by itself.
    pub fn own_changes(&self, left: &HashSet<Box<str>>) -> DirectoryState {
        let Verdict::Directory(directory) = &self.verdict else { return DirectoryState::default() };
        let mut own = directory.clone();
        own.changes
            .retain(|change| change.new.as_ref().is_none_or(|entry| !left.contains(entry.bare_path())));
        let (renames, halves): (Vec<_>, Vec<_>) =
            own.renames.into_iter().partition(|rename| !left.contains(&rename.to));
        own.renames = renames;
        // Their other half was not moved but deleted.
        let froms: HashSet<Box<str>> = halves.into_iter().map(|rename| rename.from).collect();
        let deleted = self.recorded.iter().flatten().filter(|entry| froms.contains(&entry.path));
        own.changes.extend(deleted.map(|entry| EntryChange {
            path: entry.path.clone(),
            old: Some(entry.clone()),
            new: None,
        }));
        own.changes.sort_by(|a, b| a.path.cmp(&b.path));
        own
    }

    /// The recorded entries whose objects the cache lacks; `None` if even the tree is not there.
    ///
    /// Never inferred from the root page: every leaf is asked for (DVC's "remote hole").
    pub fn uncached(&self, presence: &Presence) -> Option<Vec<&TreeEntry>> {
        let lacks = |entry: &&TreeEntry| entry.kind.has_object() && !presence.has_object(entry.hash);
        self.recorded.as_ref().map(|entries| entries.iter().filter(lacks).collect())
    }
}
