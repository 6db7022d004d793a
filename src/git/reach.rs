//! Everything that somebody may still want: what a collector of garbage must not take.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::Error;
use super::add::{find_program, says};
use super::repo::{CommitId, GitRepo, check_references};
use super::revision::collect;

/// Variables that would lead git to another repository.
const LEADING_ELSEWHERE: &[&str] = &[
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_CONFIG",
    "GIT_DIR",
    "GIT_GRAFT_FILE",
    "GIT_INDEX_FILE",
    "GIT_NAMESPACE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_REPLACE_REF_BASE",
    "GIT_SHALLOW_FILE",
    "GIT_WORK_TREE",
];

/// A branch or tag as a git remote advertises it.
struct Advertised {
    remote: String,
    reference: String,
    id: gix::ObjectId,
}

impl GitRepo {
    /// Every commit that can be reached: from references of all kinds, the `HEAD`s of all work trees,
    /// what reflogs and the stash remember, and the branches and tags of git's remotes. Each once, sorted.
    ///
    /// Asks each remote of git for its branches and tags by `git ls-remote`; changes nothing. Fails with
    /// `NotFetched` if this clone lacks one of them, with `Shallow` if it lacks old commits: what it
    /// cannot see must not count as not needed (R9).
    pub fn reachable(&self) -> Result<Vec<CommitId>, Error> {
        let repo = self.local();
        check_references(&repo)?;
        if repo.is_shallow().map_err(Error::unreadable("history"))? {
            return Err(Error::Shallow);
        }
        let mut tips = BTreeSet::new();
        collect(repo.references().map_err(Error::unreadable("references"))?.all(), &mut tips)?;
        tips.extend(self.head()?);
        self.add_heads(&repo, &mut tips)?;
        add_reflogs(&repo, &mut tips)?;
        for Advertised { remote, reference, id } in self.advertised(&repo)? {
            if !repo.has_object(id) {
                return Err(Error::NotFetched { remote, reference });
            }
            add_commit(&repo, id, &mut tips)?;
        }
        self.history(&repo, &tips)
    }

    /// The `HEAD`s of the other work trees.
    fn add_heads(&self, repo: &gix::Repository, tips: &mut BTreeSet<CommitId>) -> Result<(), Error> {
        for proxy in repo
            .worktrees()
            .map_err(|error| Error::unreadable("work trees")(gix::Error::from_error(error)))?
        {
            let other = proxy.into_repo_with_possibly_inaccessible_worktree();
            let other = other.map_err(Error::unreadable("work trees"))?;
            let mut head = other.head().map_err(Error::unreadable("HEAD"))?;
            if let Some(id) = head.try_peel_to_id().map_err(Error::unreadable("HEAD"))? {
                tips.insert(CommitId(id.detach()));
            }
        }
        Ok(())
    }

    /// The branches and tags of all remotes of git.
    fn advertised(&self, repo: &gix::Repository) -> Result<Vec<Advertised>, Error> {
        let mut all = Vec::new();
        for name in repo.remote_names() {
            let remote = name.to_string();
            let output = self.ls_remote(&remote)?;
            let text = String::from_utf8_lossy(&output);
            for line in text.lines() {
                let parsed = line.split_once('\t').and_then(|(hex, reference)| {
                    Some((gix::ObjectId::from_hex(hex.as_bytes()).ok()?, reference.to_owned()))
                });
                let Some((id, reference)) = parsed else {
                    return Err(Error::NotAnswering { remote, says: "its answer makes no sense".to_owned() });
                };
                all.push(Advertised { remote: remote.clone(), reference, id });
            }
        }
        Ok(all)
    }

    fn ls_remote(&self, remote: &str) -> Result<Vec<u8>, Error> {
        let (program, mut command) = self.asking_remotes()?;
        command.args(["ls-remote", "--quiet", "--refs", "--heads", "--tags", "--", remote]);
        command.stdin(Stdio::null());
        let output = command.output().map_err(|error| crate::fs::at(&program, "run")(error))?;
        if !output.status.success() {
            return Err(Error::NotAnswering { remote: remote.to_owned(), says: says(&output) });
        }
        Ok(output.stdout)
    }

    /// The user's `git`, to ask git's remotes: of this repository, and without its hooks (R11).
    pub(super) fn asking_remotes(&self) -> Result<(PathBuf, Command), Error> {
        let work_dir = self.work_dir().unwrap_or_else(|| self.git_dir());
        let program = find_program(work_dir).ok_or(Error::NoProgram)?;
        let mut command = Command::new(&program);
        for name in LEADING_ELSEWHERE {
            command.env_remove(name);
        }
        command.current_dir(work_dir).env("GIT_TERMINAL_PROMPT", "0");
        command.arg("--git-dir").arg(self.git_dir());
        command.args(["-c", "core.hooksPath=/dev/null", "-c", "protocol.ext.allow=never"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Ok((program, command))
    }
}

/// What reflogs remember, the stash among it, as far as git still has it.
fn add_reflogs(repo: &gix::Repository, tips: &mut BTreeSet<CommitId>) -> Result<(), Error> {
    let unreadable = || Error::unreadable("reflogs");
    let platform = repo.references().map_err(Error::unreadable("references"))?;
    let all = platform.all().map_err(Error::unreadable("references"))?;
    let mut references = Vec::new();
    for reference in all {
        references.push(reference.map_err(|error| Error::unreadable("references")(error))?);
    }
    let head = repo.find_reference("HEAD").ok();
    for reference in references.iter().chain(&head) {
        let mut log = reference.log_iter();
        let Some(lines) = log.all().map_err(|error| unreadable()(gix::Error::from_error(error)))? else {
            continue;
        };
        for line in lines {
            // A line that a crash cut off names nothing.
            let Ok(line) = line else { continue };
            for id in [line.new_oid(), line.previous_oid()] {
                // git forgets what a reflog names once the entry is old enough.
                if !id.is_null() && repo.has_object(id) {
                    add_commit(repo, id, tips)?;
                }
            }
        }
    }
    Ok(())
}

/// Adds the commit that `id` is or, through tags, leads to; nothing if it is something else.
fn add_commit(repo: &gix::Repository, id: gix::ObjectId, tips: &mut BTreeSet<CommitId>) -> Result<(), Error> {
    let object = repo.find_object(id).map_err(Error::object(&id))?;
    let object = object.peel_tags_to_end().map_err(Error::object(&id))?;
    if object.kind == gix::objs::Kind::Commit {
        tips.insert(CommitId(object.id));
    }
    Ok(())
}
