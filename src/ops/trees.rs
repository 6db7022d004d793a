//! Directory trees for operations: read from the cache or, where a page was never
//! downloaded, from the remote; built from entries into the cache.

use std::collections::{BTreeSet, HashSet};

use crate::config::keys::near;
use crate::model::digest::{Digest, TreeId};
use crate::model::object::{ContentId, ContentInfo, RecordKey, RecordKind};
use crate::model::path::RepoPath;
use crate::model::tree::{self, BuildError, EntryKind, TreeBuilder, TreeEntry, TreeSummary};
use crate::ops::compare::EntryChange;
use crate::ops::{OpError, OutputError, held};
use crate::pipeline::plan::Current;
use crate::repo::Repo;
use crate::store::{CacheWriter, Presence};

/// All entries of the tree `id` of `output`, sorted by path.
///
/// Fails with `TreeNotDownloaded` if a page is not in the cache.
pub fn read(repo: &Repo, id: TreeId, output: &RepoPath) -> Result<Vec<TreeEntry>, OpError> {
    let cache = repo.cache()?;
    let mut load =
        |page: TreeId| cache.read_record(RecordKey { hash: page.digest(), kind: RecordKind::TreePage });
    tree::read_all(id, &mut load).map_err(|error| OutputError::of_tree(output, id, error).into())
}

/// The entries of whatever `info` names: of a file one entry with an empty path.
pub fn read_content(repo: &Repo, info: &ContentInfo, output: &RepoPath) -> Result<Vec<TreeEntry>, OpError> {
    match info.id {
        ContentId::Tree(id) => read(repo, id, output),
        ContentId::File(id) => Ok(vec![TreeEntry {
            path: "".into(),
            kind: if info.executable { EntryKind::Executable } else { EntryKind::File },
            size: info.size,
            hash: id.digest(),
        }]),
    }
}

/// As [`read_content`]; nothing where the list was never downloaded.
pub fn read_if_here(
    repo: &Repo,
    info: &ContentInfo,
    output: &RepoPath,
) -> Result<Option<Vec<TreeEntry>>, OpError> {
    match read_content(repo, info, output) {
        Ok(entries) => Ok(Some(entries)),
        Err(error) if error.is_not_downloaded() => Ok(None),
        Err(error) => Err(error),
    }
}

/// Leaves out the empty folders that hold something after all: an entry that is kept, or new.
pub fn without_filled_folders(entries: Vec<TreeEntry>) -> Vec<TreeEntry> {
    // What lies in a folder comes right behind it in the order.
    let is_filled = |at: usize| {
        let next = entries.get(at + 1);
        entries[at].kind == EntryKind::EmptyDir
            && next.is_some_and(|next| next.path.starts_with(&*entries[at].path))
    };
    let filled: Vec<bool> = (0..entries.len()).map(is_filled).collect();
    entries.into_iter().zip(filled).filter(|(_, filled)| !filled).map(|(entry, _)| entry).collect()
}

/// Two sorted lists as one; of two entries of one path that of `b` counts.
pub fn merge(a: Vec<TreeEntry>, b: Vec<TreeEntry>) -> Vec<TreeEntry> {
    if b.is_empty() {
        return a;
    }
    let mut all = b;
    all.extend(a);
    // Stable: of equal paths the one from `b` comes first and stays.
    all.sort_by(|x, y| x.path.cmp(&y.path));
    all.dedup_by(|later, first| later.path == first.path);
    all
}

/// What a lock records of these entries at `path`.
pub fn named(path: &RepoPath, entries: &[TreeEntry]) -> Result<Current, OpError> {
    Ok(match entries {
        [] => Current::Missing,
        [file] if file.path.is_empty() => Current::Present(file_info(file)),
        _ => Current::Present(content_info(&build(path, entries, None)?)),
    })
}

/// What is at `inside` of a directory with these contents; `Unlisted` without the list of what is in it.
pub fn part_of(repo: &Repo, out: &RepoPath, content: &ContentInfo, inside: &str) -> Result<Current, OpError> {
    let part = match read_part(repo, content, out, &[inside.into()]) {
        Err(error) if error.is_not_downloaded() => return Ok(Current::Unlisted),
        part => relative_to(&part?, inside),
    };
    named(&out.join_entry(inside), &part)
}

/// The entries at or below the path `inside`, with paths relative to it.
pub fn relative_to(entries: &[TreeEntry], inside: &str) -> Vec<TreeEntry> {
    let below = entries.iter().filter(|entry| is_within(entry.bare_path(), inside));
    let relative = |entry: &TreeEntry| {
        let path = entry.path[inside.len()..].trim_start_matches('/');
        TreeEntry { path: path.into(), ..entry.clone() }
    };
    below.map(relative).collect()
}

/// The entry of a directory that lies at `inside` of another, as an entry of that.
pub fn placed_in(inside: &str, entry: TreeEntry) -> TreeEntry {
    let path = if entry.path.is_empty() { inside.into() } else { format!("{inside}/{}", entry.path).into() };
    TreeEntry { path, ..entry }
}

/// The entries of `info` at or below the paths `inside`; all of them if there is none. Only the pages
/// that can hold them are read.
pub fn read_part(
    repo: &Repo,
    info: &ContentInfo,
    output: &RepoPath,
    inside: &[Box<str>],
) -> Result<Vec<TreeEntry>, OpError> {
    let ContentId::Tree(id) = info.id else { return read_content(repo, info, output) };
    if inside.is_empty() {
        return read(repo, id, output);
    }
    if inside.len() > FEW {
        return Ok(only(read(repo, id, output)?, inside));
    }
    let cache = repo.cache()?;
    let mut entries = Vec::new();
    for path in inside {
        let mut load =
            |page: TreeId| cache.read_record(RecordKey { hash: page.digest(), kind: RecordKind::TreePage });
        let below = tree::read_below(id, path, &mut load);
        entries.extend(below.map_err(|error| OutputError::of_tree(output, id, error))?);
    }
    Ok(entries)
}

/// Fails with `NotRecorded` if `info` has nothing at one of the paths `inside`.
pub fn check_recorded(
    repo: &Repo,
    info: &ContentInfo,
    output: &RepoPath,
    inside: &[Box<str>],
) -> Result<(), OpError> {
    if inside.is_empty() {
        return Ok(());
    }
    let entries = read_part(repo, info, output, inside)?;
    let names = || entries.iter().map(TreeEntry::bare_path);
    let known: HashSet<&str> = names().chain(held::folders_above(names())).collect();
    match inside.iter().find(|path| !known.contains(&***path)) {
        Some(path) => {
            let entries = read_content(repo, info, output).unwrap_or_default();
            Err(not_recorded(output, path, &entries).into())
        }
        None => Ok(()),
    }
}

/// Paths of which each is looked for by itself in a tree; of more, all of the tree is read.
const FEW: usize = 16;

/// The entries at or below one of the paths; all of them if there is none.
pub fn only(entries: Vec<TreeEntry>, inside: &[Box<str>]) -> Vec<TreeEntry> {
    if inside.is_empty() {
        return entries;
    }
    let parts = Parts::new(inside);
    entries.into_iter().filter(|entry| parts.hold(entry.bare_path())).collect()
}

/// Some files and folders of a directory.
pub struct Parts<'p>(HashSet<&'p str>);

impl<'p> Parts<'p> {
    /// The parts at these paths.
    pub fn new(paths: &'p [Box<str>]) -> Parts<'p> {
        Parts(paths.iter().map(|path| &**path).collect())
    }

    /// Whether `path` is one of them or lies in one.
    pub fn hold(&self, path: &str) -> bool {
        self.0.contains(path) || held::ancestors(path).any(|folder| self.0.contains(folder))
    }
}

/// That nothing is recorded at `path` of `output`, with what of its entries has nearly that name.
pub fn not_recorded(output: &RepoPath, path: &str, entries: &[TreeEntry]) -> OutputError {
    let mut names: BTreeSet<&str> = BTreeSet::new();
    for entry in entries {
        let name = entry.bare_path();
        names.insert(name);
        names.extend(name.match_indices('/').map(|(end, _)| &name[..end]));
    }
    let near = near(path, names.into_iter());
    let near = near.iter().map(|name| output.join_entry(name)).collect();
    OutputError::NotRecorded { path: output.join_entry(path), near }
}

/// Fails with `OtherSize` if the file that `info` names has not the size that it says, as far as the
/// cache can tell. A tree's sums are checked when it is read. Where it is the cache that is wrong, what
/// it has is put aside.
pub fn check_size(repo: &Repo, info: &ContentInfo, output: &RepoPath) -> Result<(), OpError> {
    let ContentId::File(id) = info.id else { return Ok(()) };
    let cache = repo.cache()?;
    match cache.object_len(id) {
        Some(size) if size != info.size && cache.is_sound(id, &mut Vec::new()) => {
            let (path, said) = (output.clone(), info.size);
            Err(OutputError::OtherSize { path, said, size }.into())
        }
        _ => Ok(()),
    }
}

/// Builds the tree of `output` from `entries`, sorted by path; its pages go to `writer` if there is one.
pub fn build(
    output: &RepoPath,
    entries: &[TreeEntry],
    writer: Option<&CacheWriter<'_>>,
) -> Result<TreeSummary, OpError> {
    let mut sink = |id: TreeId, page: &[u8]| match writer {
        Some(writer) => {
            writer.put_verified(RecordKey { hash: id.digest(), kind: RecordKind::TreePage }, page).map(drop)
        }
        None => Ok(()),
    };
    let failed = |error| match error {
        BuildError::Path { path } => OutputError::BadEntryName { path: output.join_entry(&path) },
        error => OutputError::BadEntries { path: output.clone(), source: Box::new(error) },
    };
    let mut builder = TreeBuilder::new(&mut sink);
    entries.iter().try_for_each(|entry| builder.push(entry)).map_err(failed)?;
    Ok(builder.finish().map_err(failed)?)
}

/// What a pointer records of a directory with this summary.
pub fn content_info(summary: &TreeSummary) -> ContentInfo {
    ContentInfo {
        id: ContentId::Tree(summary.id),
        size: summary.size,
        nfiles: Some(summary.nfiles),
        executable: false,
    }
}

/// What a pointer records of a file with this entry.
pub fn file_info(entry: &TreeEntry) -> ContentInfo {
    ContentInfo {
        id: ContentId::File(entry.hash.into()),
        size: entry.size,
        nfiles: None,
        executable: entry.kind == EntryKind::Executable,
    }
}

/// Whether `path` is `folder` or lies below it; the empty folder holds everything.
pub fn is_within(path: &str, folder: &str) -> bool {
    folder.is_empty()
        || path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The entries on which two trees of `output` differ, sorted by path; pages that both share are not read.
///
/// Fails with `TreeNotDownloaded` if a page that is needed is not in the cache.
pub fn diff(repo: &Repo, output: &RepoPath, old: TreeId, new: TreeId) -> Result<Vec<EntryChange>, OpError> {
    let cache = repo.cache()?;
    let mut load =
        |page: TreeId| cache.read_record(RecordKey { hash: page.digest(), kind: RecordKind::TreePage });
    let mut changes = Vec::new();
    let mut each = |change: tree::TreeChange| {
        let path = change.old.as_ref().or(change.new.as_ref()).map(|entry| entry.path.clone());
        changes.push(EntryChange { path: path.unwrap_or_default(), old: change.old, new: change.new });
        Ok(())
    };
    tree::diff(old, new, &mut load, &mut each).map_err(|error| OutputError::of_tree(output, new, error))?;
    Ok(changes)
}

/// Whether the root page `id` is in the cache.
pub fn is_here(presence: &Presence, id: Digest) -> bool {
    presence.has(RecordKey { hash: id, kind: RecordKind::TreePage })
}
