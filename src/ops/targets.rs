//! What the targets on a command line mean.
//!
//! A target is an output, a file or folder inside a tracked directory, a pointer, a folder with
//! outputs below it, a pipeline file, a stage, or a group of stages (`train` for `train@a` and
//! `train@b`); always relative to the current folder. One that means nothing is an error (R14).

mod chosen;
mod expand;
mod filter;
#[cfg(test)]
mod tests;
mod usable;

use std::collections::BTreeSet;
use std::path::Path;

use globset::GlobMatcher;

use crate::config::keys::near;
use crate::model::path::RepoPath;
use crate::model::resolve::{ResolveError, resolve};
use crate::model::stage::Stage;
use crate::ops::OpError;
use crate::ops::tracked::{PIPELINE_FILE, Problem, Source, Tracked, TrackedOut, TrackedPipeline};
use crate::pipeline::graph::StageAddress;
use crate::repo::Repo;

use chosen::Chosen;
pub use expand::{names_in, near_there, paths};
pub use filter::{Filter, FilterOptions};
use usable::unusable;
pub use usable::{check_undisputed, check_usable};

/// The targets as they were given, and how to read them.
#[derive(Clone, Debug, Default)]
pub struct TargetOptions {
    /// The texts, relative to the current folder; none means the whole repository.
    pub targets: Vec<String>,
    /// Whether they are patterns.
    pub glob: bool,
    /// Whether what the targets depend on is meant too.
    pub with_deps: bool,
}

/// An output that targets mean, as a whole or in part.
#[derive(Clone, Debug, PartialEq)]
pub struct Selected<'t> {
    /// The output.
    pub out: &'t TrackedOut,
    /// The paths inside it that are meant, sorted, none in another; empty: all of it.
    pub inside: Vec<Box<str>>,
}

/// The outputs that the targets mean, sorted by path, each once.
///
/// A stage means its outputs. Where a name is a path and a stage, the path counts.
pub fn outputs<'t>(
    repo: &Repo,
    tracked: &'t Tracked,
    options: &TargetOptions,
) -> Result<Vec<Selected<'t>>, OpError> {
    let mut chosen = Chosen::new(tracked);
    if options.targets.is_empty() {
        tracked.outs().iter().for_each(|out| chosen.add(out, ""));
        return Ok(chosen.finish());
    }
    let resolver = Resolver { repo, tracked };
    for target in &options.targets {
        for meaning in resolver.meanings(target, options.glob, Order::PathsFirst)? {
            chosen.add_meaning(&meaning);
        }
    }
    if options.with_deps {
        chosen.add_upstream()?;
    }
    Ok(chosen.finish())
}

/// As [`outputs`], with the stages that targets name apart, sorted, instead of their outputs.
pub fn outputs_and_stages<'t>(
    repo: &Repo,
    tracked: &'t Tracked,
    options: &TargetOptions,
) -> Result<(Vec<Selected<'t>>, Vec<StageAddress>), OpError> {
    let mut chosen = Chosen::new(tracked);
    let mut stages = BTreeSet::new();
    let resolver = Resolver { repo, tracked };
    for target in &options.targets {
        for meaning in resolver.meanings(target, options.glob, Order::PathsFirst)? {
            match &meaning {
                Meaning::Stage(..) => stages.extend(resolver.stages_of(&meaning)),
                _ => chosen.add_meaning(&meaning),
            }
        }
    }
    Ok((chosen.finish(), stages.into_iter().collect()))
}

/// The stages that the targets mean, sorted, each once; all stages for no targets.
///
/// An output means the stage that makes it; what no stage makes is no target here. Where a name
/// is a path and a stage, the stage counts.
pub fn stages(repo: &Repo, tracked: &Tracked, options: &TargetOptions) -> Result<Vec<StageAddress>, OpError> {
    let is_none = |target: &str| Err(OpError::MadeByNoStage { target: target.to_owned() });
    stages_of(repo, tracked, options, &is_none).map_err(|error| match error {
        OpError::NoSuchTarget { target, near } => OpError::NoSuchStage { target, near },
        OpError::NotTracked { target } => OpError::MadeByNoStage { target },
        error => error,
    })
}

/// The same of targets that may mean data of no stage, too.
pub fn stages_among(
    repo: &Repo,
    tracked: &Tracked,
    options: &TargetOptions,
) -> Result<Vec<StageAddress>, OpError> {
    stages_of(repo, tracked, options, &|_| Ok(()))
}

fn stages_of(
    repo: &Repo,
    tracked: &Tracked,
    options: &TargetOptions,
    no_stage: &dyn Fn(&str) -> Result<(), OpError>,
) -> Result<Vec<StageAddress>, OpError> {
    if options.targets.is_empty() {
        let all: BTreeSet<StageAddress> = tracked.pipelines().iter().flat_map(addresses).collect();
        return Ok(all.into_iter().collect());
    }
    let resolver = Resolver { repo, tracked };
    let mut found = BTreeSet::new();
    for target in &options.targets {
        let meanings = resolver.meanings(target, options.glob, Order::StagesFirst)?;
        if meanings.is_empty() {
            return Err(resolver.unknown(target));
        }
        let stages: Vec<StageAddress> =
            meanings.iter().flat_map(|meaning| resolver.stages_of(meaning)).collect();
        if stages.is_empty() {
            no_stage(target)?;
        }
        found.extend(stages);
    }
    Ok(found.into_iter().collect())
}

/// Takes out what cannot be used of what was asked for: without targets all of it, else what lies
/// in a folder that is a target, or matches a pattern, and the lock that does not tell what a target holds.
/// Ask after [`outputs`], which refuses a target that cannot be used itself.
pub fn problems(repo: &Repo, tracked: &mut Tracked, options: &TargetOptions) -> Vec<(RepoPath, OpError)> {
    let untold = untold(repo, tracked, options);
    let asks_for = |file: &RepoPath, target: &String| {
        if options.glob {
            let pattern =
                expand::from_root(repo, target).and_then(|pattern| expand::matcher(target, &pattern));
            return pattern.is_ok_and(|pattern| pattern.is_match(file.as_str()));
        }
        path(repo, target).is_ok_and(|folder| file.starts_with(&folder))
    };
    let mut problems = tracked.take_problems();
    if !options.targets.is_empty() {
        problems.retain(|problem| {
            untold.contains(&problem.file)
                || options.targets.iter().any(|target| asks_for(&problem.file, target))
        });
    }
    problems.into_iter().map(|problem| (problem.file, problem.error)).collect()
}

/// The files that should say what targets hold, and do not.
fn untold(repo: &Repo, tracked: &Tracked, options: &TargetOptions) -> BTreeSet<RepoPath> {
    let selected = outputs(repo, tracked, options).unwrap_or_default();
    let untold = selected.iter().filter(|one| one.out.content.is_none());
    untold.map(|one| tracked.recorded_in(&one.out.source).clone()).collect()
}

/// The path that a user's text names, relative to the root: relative to the current folder, or
/// absolute. Fails with `BadTarget` if it is not in the repository.
pub fn path(repo: &Repo, text: &str) -> Result<RepoPath, OpError> {
    resolve_text(repo, text).map_err(|reason| OpError::BadTarget { target: text.to_owned(), reason })
}

fn resolve_text(repo: &Repo, text: &str) -> Result<RepoPath, ResolveError> {
    if !Path::new(text).is_absolute() {
        return resolve(repo.prefix(), text);
    }
    let given = Path::new(text);
    let inside = given.strip_prefix(repo.root()).map(Path::to_path_buf);
    // The current folder may be known to the user by way of a symlink.
    let inside = inside.or_else(|error| {
        match (given.parent().and_then(|p| p.canonicalize().ok()), given.file_name()) {
            (Some(parent), Some(name)) => parent.join(name).strip_prefix(repo.root()).map(Path::to_path_buf),
            _ => Err(error),
        }
    });
    match inside.ok().as_deref().and_then(Path::to_str) {
        None => Err(ResolveError::Outside),
        Some("") => Ok(RepoPath::root()),
        Some(inside) => resolve(&RepoPath::root(), inside),
    }
}

/// What comes first where a name could be both.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    PathsFirst,
    StagesFirst,
}

/// One thing that a target means.
#[derive(Debug)]
enum Meaning<'t> {
    /// An output, or (not empty) a path inside it.
    Output(&'t TrackedOut, String),
    /// Everything below a folder.
    Folder(RepoPath),
    /// A stage.
    Stage(&'t TrackedPipeline, &'t Stage),
}

struct Resolver<'a, 't> {
    repo: &'a Repo,
    tracked: &'t Tracked,
}

impl<'t> Resolver<'_, 't> {
    /// All that `target` means; never empty.
    fn meanings(&self, target: &str, glob: bool, order: Order) -> Result<Vec<Meaning<'t>>, OpError> {
        let found = if glob {
            self.matching(target)?
        } else {
            let first = match order {
                Order::PathsFirst => self.at_path(target)?,
                Order::StagesFirst => self.named_stages(target)?,
            };
            match order {
                _ if !first.is_empty() => first,
                Order::PathsFirst => self.named_stages(target)?,
                Order::StagesFirst => self.at_path(target)?,
            }
        };
        if found.is_empty() { Err(self.unknown(target)) } else { Ok(found) }
    }

    fn at_path(&self, target: &str) -> Result<Vec<Meaning<'t>>, OpError> {
        let path = match resolve_text(self.repo, target) {
            Ok(path) => path,
            // `mlv.yaml:train` is no path, and need not be one.
            Err(_) if target.contains(':') => return Ok(Vec::new()),
            Err(reason) => return Err(OpError::BadTarget { target: target.to_owned(), reason }),
        };
        if let Some((out, inside)) = self.tracked.containing(&path) {
            return Ok(vec![Meaning::Output(out, inside.to_owned())]);
        }
        if let Some(out) = self.tracked.of_pointer(&path) {
            return Ok(vec![Meaning::Output(out, String::new())]);
        }
        if let Some(pipeline) = self.tracked.pipelines().iter().find(|known| known.pipeline.file == path) {
            return Ok(pipeline
                .pipeline
                .stages
                .iter()
                .map(|stage| Meaning::Stage(pipeline, stage))
                .collect());
        }
        check_usable(self.tracked, target, &path)?;
        let has_some = self.tracked.below(&path).next().is_some()
            || self.tracked.pipelines().iter().any(|known| known.pipeline.file.starts_with(&path));
        Ok(if has_some { vec![Meaning::Folder(path)] } else { Vec::new() })
    }

    /// The stages of this name, or of this group: those of the current folder's pipeline, of the
    /// one named before a colon, or of the only one that has them.
    fn named_stages(&self, target: &str) -> Result<Vec<Meaning<'t>>, OpError> {
        if let Some((file, name)) = target.rsplit_once(':')
            && (file.is_empty() || file.rsplit('/').next() == Some(PIPELINE_FILE))
        {
            let file = if file.is_empty() { PIPELINE_FILE } else { file };
            let file = path(self.repo, file)?;
            return Ok(self.stages_in(&file, name));
        }
        let here = self.stages_in(&self.pipeline_here(), target);
        if !here.is_empty() {
            return Ok(here);
        }
        let mut elsewhere: Vec<Vec<Meaning<'t>>> = Vec::new();
        for pipeline in self.tracked.pipelines() {
            elsewhere.push(self.stages_in(&pipeline.pipeline.file, target));
        }
        elsewhere.retain(|stages| !stages.is_empty());
        match elsewhere.len() {
            0 | 1 => Ok(elsewhere.pop().unwrap_or_default()),
            _ => {
                let stages = elsewhere.into_iter().flatten();
                let candidates = stages.filter_map(|meaning| match meaning {
                    Meaning::Stage(pipeline, stage) => Some(self.shown_stage(pipeline, stage)),
                    _ => None,
                });
                Err(OpError::AmbiguousTarget { target: target.to_owned(), candidates: candidates.collect() })
            }
        }
    }

    fn stages_in(&self, file: &RepoPath, name: &str) -> Vec<Meaning<'t>> {
        let Some(pipeline) = self.tracked.pipelines().iter().find(|known| known.pipeline.file == *file)
        else {
            return Vec::new();
        };
        let all = &pipeline.pipeline.stages;
        if let Some(stage) = all.iter().find(|stage| *stage.name == *name) {
            return vec![Meaning::Stage(pipeline, stage)];
        }
        let of_group = all.iter().filter(|stage| is_in_group(&stage.name, name));
        of_group.map(|stage| Meaning::Stage(pipeline, stage)).collect()
    }

    fn pipeline_here(&self) -> RepoPath {
        // The prefix is a path of the file system, so within its limits.
        self.repo.prefix().join_str(PIPELINE_FILE).unwrap_or_else(|_| self.repo.prefix().clone())
    }

    /// Outputs, pointers and stages that match a pattern.
    fn matching(&self, pattern: &str) -> Result<Vec<Meaning<'t>>, OpError> {
        let on_paths = expand::matcher(pattern, &expand::from_root(self.repo, pattern)?)?;
        let on_names = expand::matcher(pattern, pattern)?;
        let mut found = Vec::new();
        for out in self.tracked.outs() {
            let pointer = match &out.source {
                Source::Pointer { file } => on_paths.is_match(file.as_str()),
                Source::Stage { .. } => false,
            };
            if pointer || on_paths.is_match(out.path.as_str()) {
                found.push(Meaning::Output(out, String::new()));
            }
        }
        let here = self.pipeline_here();
        for pipeline in self.tracked.pipelines() {
            let is_here = pipeline.pipeline.file == here;
            let matches = |stage: &&Stage| self.matches_stage(&on_names, pipeline, stage, is_here);
            let stages = pipeline.pipeline.stages.iter().filter(matches);
            found.extend(stages.map(|stage| Meaning::Stage(pipeline, stage)));
        }
        Ok(found)
    }

    fn matches_stage(
        &self,
        names: &GlobMatcher,
        pipeline: &TrackedPipeline,
        stage: &Stage,
        is_here: bool,
    ) -> bool {
        let shown = self.shown_stage(pipeline, stage);
        let file = shown.strip_suffix(&*stage.name).unwrap_or_default();
        // A group is named as without a pattern.
        let group = stage.name.split_once('@').map(|(group, _)| group);
        let mut called = std::iter::once(&*stage.name).chain(group);
        called.any(|name| is_here && names.is_match(name) || names.is_match(format!("{file}{name}")))
    }

    /// The stage as a target from the current folder.
    fn shown_stage(&self, pipeline: &TrackedPipeline, stage: &Stage) -> String {
        if pipeline.pipeline.file == self.pipeline_here() {
            return stage.name.to_string();
        }
        format!("{}:{}", self.repo.shown(&pipeline.pipeline.file), stage.name)
    }

    fn stages_of(&self, meaning: &Meaning<'t>) -> Vec<StageAddress> {
        let made_by = |out: &TrackedOut| match &out.source {
            Source::Stage { file, stage } => Some(StageAddress { file: file.clone(), name: stage.clone() }),
            Source::Pointer { .. } => None,
        };
        match meaning {
            Meaning::Output(out, _) => made_by(out).into_iter().collect(),
            Meaning::Stage(pipeline, stage) => {
                vec![StageAddress { file: pipeline.pipeline.file.clone(), name: stage.name.clone() }]
            }
            Meaning::Folder(folder) => {
                let pipelines = self.tracked.pipelines().iter();
                pipelines
                    .filter(|known| known.pipeline.file.starts_with(folder))
                    .flat_map(addresses)
                    .collect()
            }
        }
    }

    fn unknown(&self, target: &str) -> OpError {
        // What a pipeline that cannot be read declares is not "unknown".
        let is_unread = |known: &&Problem| {
            known.file.file_name() == PIPELINE_FILE
                && !self.tracked.pipelines().iter().any(|pipeline| pipeline.pipeline.file == known.file)
        };
        let mut unread = self.tracked.problems().iter().filter(is_unread);
        if let Some(problem) =
            unread.clone().find(|known| known.file == self.pipeline_here()).or(unread.next())
        {
            return unusable(target, problem);
        }
        let there = path(self.repo, target).and_then(|path| Ok(self.repo.dir().stat(&path)?));
        if matches!(there, Ok(Some(_))) {
            return OpError::NotTracked { target: target.to_owned() };
        }
        let outs = self.tracked.outs().iter().map(|out| self.repo.shown(&out.path));
        let stages = self.tracked.pipelines().iter().flat_map(|pipeline| {
            pipeline.pipeline.stages.iter().flat_map(move |stage| {
                let shown = self.shown_stage(pipeline, stage);
                // `train` stands for all of `train@…`.
                let group = shown.rsplit_once('@').map(|(group, _)| group.to_owned());
                std::iter::once(shown).chain(group)
            })
        });
        no_such(target, outs.chain(stages))
    }
}

/// The error of a target that means none of these names.
pub fn no_such(target: &str, names: impl Iterator<Item = String>) -> OpError {
    let names: BTreeSet<String> = names.collect();
    // Names are shown without.
    let near = near(target.trim_start_matches("./"), names.iter().map(String::as_str));
    OpError::NoSuchTarget { target: target.to_owned(), near }
}

/// Whether a stage was generated as a part of `group`: `build@us` of `build`.
fn is_in_group(name: &str, group: &str) -> bool {
    name.split_once('@').is_some_and(|(known, _)| known == group)
}

fn addresses(pipeline: &TrackedPipeline) -> impl Iterator<Item = StageAddress> {
    let file = &pipeline.pipeline.file;
    pipeline.pipeline.stages.iter().map(|stage| StageAddress { file: file.clone(), name: stage.name.clone() })
}
