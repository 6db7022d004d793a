//! From the bytes of pointers, pipelines and locks to outputs.

use super::{LOCK_FILE, PIPELINE_FILE, POINTER_SUFFIX, Source, TrackedOut};
use crate::model::lockfile::{LockOut, Lockfile};
use crate::model::path::RepoPath;
use crate::model::pointer::Pointer;
use crate::model::stage::{Out, Pipeline};
use crate::model::yaml::Limits;
use crate::pipeline::template::ValueFiles;
use crate::repo::Repo;

/// What a file of mlv's is by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Role {
    Pointer,
    Pipeline,
    Lock,
}

impl Role {
    pub(super) fn of(name: &str) -> Option<Role> {
        match name {
            PIPELINE_FILE => Some(Role::Pipeline),
            LOCK_FILE => Some(Role::Lock),
            // `.mlv` alone is mlv's folder.
            _ if name.len() > POINTER_SUFFIX.len() && name.ends_with(POINTER_SUFFIX) => Some(Role::Pointer),
            _ => None,
        }
    }

    /// Largest file of this kind, in bytes.
    pub(super) fn limit(self) -> u64 {
        let limits = match self {
            Role::Pointer => Limits::POINTER,
            Role::Pipeline => Limits::PIPELINE,
            Role::Lock => Limits::LOCK,
        };
        limits.bytes as u64
    }
}

/// Files of values as they are in the work tree.
pub struct WorkTreeValues<'a>(pub &'a Repo);

impl ValueFiles for WorkTreeValues<'_> {
    fn read(&self, file: &RepoPath) -> Result<Option<Vec<u8>>, Box<str>> {
        match self.0.dir().read_file(file, Role::Pipeline.limit()) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error.to_string().into()),
        }
    }
}

/// The output of a pointer.
pub(super) fn out_of(file: &RepoPath, pointer: Pointer) -> TrackedOut {
    TrackedOut {
        path: pointer.path,
        source: Source::Pointer { file: file.clone() },
        content: Some(pointer.content),
        cache: true,
        push: pointer.push,
        pull_manual: pointer.pull_manual,
        remote: pointer.remote,
        frozen: pointer.frozen,
    }
}

/// The outputs of all stages of a pipeline, with the contents that the lock has.
pub(super) fn outs_of(pipeline: &Pipeline, lock: &Lockfile) -> Vec<TrackedOut> {
    let mut outs = Vec::new();
    for stage in &pipeline.stages {
        let entry = lock.stages.get(&stage.name);
        let source = Source::Stage { file: pipeline.file.clone(), stage: stage.name.clone() };
        for out in &stage.outs {
            let locked = entry.and_then(|entry| entry.out(&out.path));
            outs.push(stage_out(&source, out, locked));
        }
    }
    outs
}

fn stage_out(source: &Source, out: &Out, locked: Option<&LockOut>) -> TrackedOut {
    TrackedOut {
        path: out.path.clone(),
        source: source.clone(),
        content: locked.map(|locked| locked.content),
        cache: out.cache,
        push: out.push,
        pull_manual: false,
        remote: out.remote.clone(),
        frozen: false,
    }
}

/// The outputs that a lock names, for a pipeline `file` that cannot be read.
pub(super) fn outs_of_lock(file: &RepoPath, lock: &Lockfile) -> Vec<TrackedOut> {
    let mut outs = Vec::new();
    for (name, entry) in &lock.stages {
        for out in &entry.outs {
            outs.push(TrackedOut {
                path: out.path.clone(),
                source: Source::Stage { file: file.clone(), stage: name.clone() },
                content: Some(out.content),
                cache: out.cache,
                push: out.push,
                pull_manual: false,
                remote: out.remote.clone(),
                frozen: false,
            });
        }
    }
    outs
}

/// A file of mlv's in `folder`. A folder that was read is within the limits with any of its
/// names; where the sum is not, the folder stands for it in messages.
pub(super) fn within(folder: &RepoPath, name: &'static str) -> RepoPath {
    folder.join_str(name).unwrap_or_else(|_| folder.clone())
}

/// A file of mlv's in the folder of `file`.
pub(super) fn beside(file: &RepoPath, name: &'static str) -> RepoPath {
    within(&file.parent().unwrap_or_else(RepoPath::root), name)
}
