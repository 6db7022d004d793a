//! Commits: finding them by name, and reading files as they were.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use gix::bstr::ByteSlice;
use gix::objs::tree::EntryKind;

use super::error::{Error, NoCommit};
use super::objects::tree_id;
use super::repo::{CommitId, GitRepo, check_references};
use crate::model::path::RepoPath;

/// Deepest folder that is looked into, counted from git's root: the limit of paths.
const MAX_DEPTH: usize = crate::model::path::MAX_DEPTH;

/// Bytes of objects that are kept while many revisions are read.
const OBJECT_CACHE: usize = 16 << 20;

/// Which commits of a repository are meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// The newest commit of each local branch.
    pub branches: bool,
    /// The commit of each tag.
    pub tags: bool,
    /// Every commit that any reference or HEAD leads to.
    pub all_commits: bool,
}

impl Scope {
    /// Whether only the work tree is meant.
    pub fn is_empty(&self) -> bool {
        *self == Scope::default()
    }
}

/// The name of a file's contents in git: equal names, equal bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlobId(pub(super) gix::ObjectId);

impl std::fmt::Display for BlobId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// A file of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileAt {
    /// Its path.
    pub path: RepoPath,
    /// Its contents, for [`Snapshots::read`].
    pub blob: BlobId,
}

impl GitRepo {
    /// The one commit that `revision` names: a branch, a tag, `HEAD~1`, a full or short hex name.
    ///
    /// Fails with `NoSuchRevision` if there is none or several, and with `NotARevision` for text
    /// that looks like an option.
    pub fn resolve(&self, revision: &str) -> Result<CommitId, Error> {
        if revision.is_empty() || revision.starts_with('-') || revision.contains(|c: char| c.is_control()) {
            return Err(Error::NotARevision { revision: revision.to_owned() });
        }
        let repo = self.local();
        // What gix says of it is about its parser.
        let unknown = |_: gix::Error| Error::NoSuchRevision {
            revision: revision.to_owned(),
            why: why_unknown(&repo, revision),
        };
        let parse = |text: &str| repo.rev_parse_single(text.as_bytes().as_bstr());
        let found = parse(revision)
            .or_else(|error| expanded(&repo, revision).map_or(Err(error), |full| parse(&full)));
        if found.is_err() {
            check_references(&repo)?;
        }
        let id = found.map_err(unknown)?;
        let commit = id.object().and_then(|object| object.peel_to_commit()).map_err(unknown)?;
        Ok(CommitId(commit.id))
    }

    /// The best common ancestor of two commits; nothing if they have none.
    pub fn merge_base(&self, one: CommitId, two: CommitId) -> Result<Option<CommitId>, Error> {
        let repo = self.local();
        let base = repo.merge_base(one.0, two.0).map_err(Error::object(&one.0))?;
        Ok(base.map(|id| CommitId(id.detach())))
    }

    /// Whether the clone has only a part of the history.
    pub fn is_shallow(&self) -> bool {
        self.local().is_shallow().unwrap_or(false)
    }

    /// The commits of `scope`, each once, sorted by their hex names.
    ///
    /// References to something else than a commit are left out. A reference that cannot be read
    /// is an error: silence is not absence (R9).
    pub fn commits(&self, scope: Scope) -> Result<Vec<CommitId>, Error> {
        let repo = self.local();
        check_references(&repo)?;
        let platform = repo.references().map_err(Error::unreadable("references"))?;
        let mut found = BTreeSet::new();
        if scope.all_commits {
            let mut tips = BTreeSet::new();
            collect(platform.all(), &mut tips)?;
            tips.extend(self.head()?);
            return self.history(&repo, &tips);
        }
        if scope.branches {
            collect(platform.local_branches(), &mut found)?;
        }
        if scope.tags {
            collect(platform.tags(), &mut found)?;
        }
        Ok(found.into_iter().collect())
    }

    /// The commits that any reference or HEAD leads to and that were made at `seconds` after 1970 or later;
    /// sorted by their hex names.
    pub fn commits_since(&self, seconds: i64) -> Result<Vec<CommitId>, Error> {
        let repo = self.local();
        let mut commits = self.commits(Scope { all_commits: true, ..Scope::default() })?;
        let mut failed = None;
        commits.retain(|commit| {
            let found = repo.find_commit(commit.0).map_err(Error::object(&commit.0));
            // One whose date makes no sense may be younger.
            let is_younger =
                |found: gix::Commit<'_>| found.time().map_or(true, |time| time.seconds >= seconds);
            found.map(is_younger).unwrap_or_else(|error| {
                failed = Some(error);
                true
            })
        });
        failed.map_or(Ok(commits), Err)
    }

    /// The commits of `scope` with the names of the branches and tags that lead to each, those with names
    /// first, sorted by them; the others have none, the newest first.
    pub fn named_commits(&self, scope: Scope) -> Result<Vec<(Vec<String>, CommitId)>, Error> {
        let repo = self.local();
        check_references(&repo)?;
        let platform = repo.references().map_err(Error::unreadable("references"))?;
        let mut names: BTreeMap<CommitId, Vec<String>> = BTreeMap::new();
        let mut name = |commit, name: &str| names.entry(commit).or_default().push(name.to_owned());
        if scope.branches {
            each(platform.local_branches(), &mut name)?;
        }
        if scope.tags {
            each(platform.tags(), &mut name)?;
        }
        let mut named: Vec<(Vec<String>, CommitId)> =
            names.iter().map(|(commit, names)| (names.clone(), *commit)).collect();
        named.sort();
        if scope.all_commits {
            let mut others = self.commits(Scope { all_commits: true, ..Scope::default() })?;
            others.retain(|commit| !names.contains_key(commit));
            let mut dated = Vec::with_capacity(others.len());
            for commit in others {
                let found = repo.find_commit(commit.0).map_err(Error::object(&commit.0))?;
                let seconds = found.time().map_or(i64::MIN, |time| time.seconds);
                dated.push((std::cmp::Reverse(seconds), commit));
            }
            dated.sort();
            named.extend(dated.into_iter().map(|(_, commit)| (Vec::new(), commit)));
        }
        Ok(named)
    }

    /// The tips and all that they build on, each once, sorted by their hex names.
    pub(super) fn history(
        &self,
        repo: &gix::Repository,
        tips: &BTreeSet<CommitId>,
    ) -> Result<Vec<CommitId>, Error> {
        let walk = repo.rev_walk(tips.iter().map(|tip| tip.0)).all().map_err(Error::unreadable("history"))?;
        let mut found = BTreeSet::new();
        for info in walk {
            found.insert(CommitId(info.map_err(Error::unreadable("history"))?.id));
        }
        Ok(found.into_iter().collect())
    }

    /// The contents of `path` at `commit`; nothing if there is no regular file.
    ///
    /// Fails with `TooLarge` beyond `limit` bytes.
    pub fn read_at(&self, commit: CommitId, path: &RepoPath, limit: u64) -> Result<Option<Vec<u8>>, Error> {
        let repo = self.local();
        let root = tree_id(&repo, commit)?;
        match self.lookup(&repo, root, &self.full(path))? {
            Some((kind, id)) if is_file(kind) => self.blob(&repo, id, path.as_str(), limit).map(Some),
            _ => Ok(None),
        }
    }

    /// Looks at many commits for files whose name `wanted` picks; what was seen in a folder is
    /// remembered by the folder's id, so that a further commit costs its differences.
    ///
    /// Folders with a name that `closed` picks make their parent a project of its own, which is
    /// not entered (the topmost folder excepted).
    pub fn snapshots<'a>(
        &'a self,
        wanted: impl Fn(&str) -> bool + 'a,
        closed: impl Fn(&str) -> bool + 'a,
    ) -> Snapshots<'a> {
        let mut repo = self.local();
        // Neighbouring revisions share most of their trees as deltas of one another.
        repo.object_cache_size_if_unset(OBJECT_CACHE);
        Snapshots {
            git: self,
            repo,
            wanted: Box::new(wanted),
            closed: Box::new(closed),
            seen: HashMap::new(),
        }
    }
}

type Picks<'a> = Box<dyn Fn(&str) -> bool + 'a>;

/// The wanted files of one folder and below, relative to it.
struct Folder {
    files: Vec<(String, BlobId)>,
    is_closed: bool,
}

/// Reads chosen files of many commits; see [`GitRepo::snapshots`].
pub struct Snapshots<'a> {
    git: &'a GitRepo,
    repo: gix::Repository,
    wanted: Picks<'a>,
    closed: Picks<'a>,
    seen: HashMap<gix::ObjectId, Arc<Folder>>,
}

impl Snapshots<'_> {
    /// The wanted files of `commit`, sorted by path.
    ///
    /// Symlinks, submodules and files whose paths mlv could not store are left out.
    pub fn files(&mut self, commit: CommitId) -> Result<Vec<FileAt>, Error> {
        let Some(id) = self.root_of(commit)? else { return Ok(Vec::new()) };
        let folder = self.folder(id, 0)?;
        let files = folder.files.iter().filter_map(|(path, blob)| {
            let path = RepoPath::parse(path).ok()?;
            Some(FileAt { path, blob: *blob })
        });
        let mut files: Vec<FileAt> = files.collect();
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(files)
    }

    /// Has git bring what a partial clone lacks of the wanted files of `commits`, all at once: first their
    /// folders, then the files.
    pub fn foresee(&mut self, commits: &[CommitId]) -> Result<(), Error> {
        if !self.git.is_partial(&self.repo) {
            return Ok(());
        }
        let roots: Result<Vec<_>, Error> =
            commits.iter().map(|commit| tree_id(&self.repo, *commit)).collect();
        self.git.bring(&self.repo, roots?)?;
        let mut blobs = BTreeSet::new();
        for commit in commits {
            blobs.extend(self.files(*commit)?.into_iter().map(|file| file.blob.0));
        }
        self.git.bring(&self.repo, blobs)
    }

    /// The tree of the folder that the repository was discovered from, if the commit has it.
    fn root_of(&self, commit: CommitId) -> Result<Option<gix::ObjectId>, Error> {
        let found = self.git.lookup(&self.repo, tree_id(&self.repo, commit)?, &self.git.prefix)?;
        Ok(found.filter(|(kind, _)| *kind == EntryKind::Tree).map(|(_, id)| id))
    }

    /// The bytes of a file that [`Snapshots::files`] found; `TooLarge` beyond `limit` bytes.
    pub fn read(&self, file: &FileAt, limit: u64) -> Result<Vec<u8>, Error> {
        self.git.blob(&self.repo, file.blob.0, file.path.as_str(), limit)
    }

    fn folder(&mut self, id: gix::ObjectId, depth: usize) -> Result<Arc<Folder>, Error> {
        if let Some(folder) = self.seen.get(&id) {
            return Ok(folder.clone());
        }
        let tree = self.git.find_tree(&self.repo, id)?;
        let mut files = Vec::new();
        let mut below = BTreeMap::new();
        let mut is_closed = false;
        for entry in tree.iter() {
            let entry = entry.map_err(|error| Error::object(&id)(gix::Error::from_error(error)))?;
            let Ok(name) = entry.filename().to_str() else { continue };
            match entry.mode().kind() {
                EntryKind::Tree if (self.closed)(name) => is_closed = true,
                EntryKind::Tree if depth < MAX_DEPTH => {
                    below.insert(name.to_owned(), entry.object_id());
                }
                kind if is_file(kind) && (self.wanted)(name) => {
                    files.push((name.to_owned(), BlobId(entry.object_id())));
                }
                _ => {}
            }
        }
        drop(tree);
        for (name, id) in below {
            let folder = self.folder(id, depth + 1)?;
            if !folder.is_closed {
                files.extend(folder.files.iter().map(|(path, blob)| (format!("{name}/{path}"), *blob)));
            }
        }
        let folder = Arc::new(Folder { files, is_closed });
        self.seen.insert(id, folder.clone());
        Ok(folder)
    }
}

/// `revision` with its leading short hex name in full, in a SHA-256 repository.
///
/// gix 0.90 takes up to 40 digits for a prefix of a SHA-1 name and finds nothing there.
fn expanded(repo: &gix::Repository, revision: &str) -> Option<String> {
    let kind = repo.object_hash();
    let digits = revision.bytes().take_while(u8::is_ascii_hexdigit).count();
    if kind == gix::hash::Kind::Sha1 || digits >= kind.len_in_hex() {
        return None;
    }
    let (short, rest) = revision.split_at(digits);
    let padded = format!("{short:0<width$}", width = kind.len_in_hex());
    let id = gix::ObjectId::from_hex(padded.as_bytes()).ok()?;
    let prefix = gix::hash::Prefix::new(&id, digits).ok()?;
    let found = repo.objects.lookup_prefix(prefix, None).ok()??.ok()?;
    Some(format!("{found}{rest}"))
}

/// Why `revision`, which cannot be resolved, names no commit.
fn why_unknown(repo: &gix::Repository, revision: &str) -> NoCommit {
    let of = revision.split(['~', '^']).next().unwrap_or_default();
    if of.len() < revision.len() && repo.rev_parse_single(of.as_bytes().as_bstr()).is_ok() {
        let is_shallow = repo.is_shallow().unwrap_or(false);
        return NoCommit::NoAncestor { of: of.to_owned(), is_shallow };
    }
    let prefix = gix::hash::Prefix::from_hex(of);
    match prefix.map(|prefix| repo.objects.lookup_prefix(prefix, None)) {
        Ok(Ok(Some(Err(())))) => NoCommit::Ambiguous,
        _ => NoCommit::Unknown,
    }
}

fn is_file(kind: EntryKind) -> bool {
    matches!(kind, EntryKind::Blob | EntryKind::BlobExecutable)
}

/// Adds the commits that references lead to, through tags.
pub(super) fn collect<'r>(
    references: Result<gix::reference::iter::Iter<'_, 'r>, gix::Error>,
    into: &mut BTreeSet<CommitId>,
) -> Result<(), Error> {
    each(references, &mut |commit, _| {
        into.insert(commit);
    })
}

/// Calls `found` with each commit that references lead to, through tags, and its short name.
fn each<'r>(
    references: Result<gix::reference::iter::Iter<'_, 'r>, gix::Error>,
    found: &mut dyn FnMut(CommitId, &str),
) -> Result<(), Error> {
    for reference in references.map_err(Error::unreadable("references"))? {
        let mut reference = reference.map_err(|error| Error::unreadable("references")(error))?;
        match reference.follow() {
            // A symbolic reference to nothing, as `refs/remotes/origin/HEAD` may be, leads nowhere.
            Some(Err(error)) if error.is_not_found() => continue,
            Some(Err(error)) => return Err(Error::unreadable("references")(error)),
            _ => {}
        }
        let name = reference.name().shorten().to_str_lossy().into_owned();
        let id = reference.peel_to_id().map_err(Error::unreadable("references"))?;
        let header = id.header().map_err(Error::object(&id))?;
        if header.kind() == gix::objs::Kind::Commit {
            found(CommitId(id.detach()), &name);
        }
    }
    Ok(())
}
