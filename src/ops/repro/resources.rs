//! Things that are counted, such as GPUs: which a stage gets while it runs, each by its index.
//!
//! What stages of this run hold stands in the session. A lease for each index keeps a second
//! `repro` in the repository from handing out the same.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;
use std::time::Instant;

use crate::fs;
use crate::fs::lock::StageLease;
use crate::model::stage::{MAX_RESOURCE, Variables, is_resource_name};
use crate::ops::present::WorkTreeState;
use crate::ops::repro::ReproOptions;
use crate::ops::repro::decide::TELL_AFTER;
use crate::ops::repro::error::StageError;
use crate::ops::repro::locks::Locks;
use crate::ops::repro::session::{LOOK_EVERY, Session};
use crate::ops::{OpError, leases};
use crate::pipeline::graph::{Graph, StageIndex};
use crate::pipeline::plan::{self, Verdict};
use crate::repo::Repo;
use crate::report::{Event, Reporter, interrupted};

/// The resource whose indices CUDA gets, too.
const GPU: &str = "gpu";
/// The variable that CUDA reads: without it a command would use all devices.
const CUDA: &str = "CUDA_VISIBLE_DEVICES";

/// What there is of one resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provision {
    /// The resource.
    pub name: Box<str>,
    /// Its indices, in the order in which they are handed out.
    pub indices: Vec<u32>,
}

/// Why a text says of no resource how much there is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProvisionError {
    /// There is no `=` in it.
    #[error("one is `NAME=COUNT`, such as `gpu=4`, or `NAME=INDICES`, such as `gpu=0,2,5`")]
    Form,
    /// The name.
    #[error(
        "the name has lower-case letters, digits and `_`, starts with a letter, and is not `root`, `run` or `stage`"
    )]
    Name,
    /// The number or numbers.
    #[error("a count is a whole number from 0 to {MAX_RESOURCE}; indices are different whole numbers")]
    Number,
}

impl FromStr for Provision {
    type Err = ProvisionError;

    /// `gpu=4` is 0 to 3, `gpu=0,2,5` these, `gpu=2,` the index 2 alone.
    fn from_str(text: &str) -> Result<Provision, ProvisionError> {
        let (name, numbers) = text.split_once('=').ok_or(ProvisionError::Form)?;
        if !is_resource_name(name) {
            return Err(ProvisionError::Name);
        }
        let number = |text: &str| text.parse::<u32>().map_err(|_| ProvisionError::Number);
        let indices: Vec<u32> = if numbers.contains(',') {
            numbers.strip_suffix(',').unwrap_or(numbers).split(',').map(number).collect::<Result<_, _>>()?
        } else {
            let count = number(numbers)?;
            if count > MAX_RESOURCE {
                return Err(ProvisionError::Number);
            }
            (0..count).collect()
        };
        let different: BTreeSet<u32> = indices.iter().copied().collect();
        if different.len() != indices.len() || indices.len() > MAX_RESOURCE as usize {
            return Err(ProvisionError::Number);
        }
        Ok(Provision { name: name.into(), indices })
    }
}

/// What there is; of two that name one resource the last counts.
#[derive(Clone, Debug, Default)]
pub struct Provided(BTreeMap<Box<str>, Vec<u32>>);

impl FromIterator<Provision> for Provided {
    fn from_iter<I: IntoIterator<Item = Provision>>(provisions: I) -> Provided {
        Provided(provisions.into_iter().map(|one| (one.name, one.indices)).collect())
    }
}

impl Provided {
    fn indices(&self, name: &str) -> &[u32] {
        self.0.get(name).map_or(&[], |indices| indices)
    }

    /// Says what the stage `target` wants more of than there is.
    pub(in crate::ops) fn check(&self, target: &str, wanted: &[(Box<str>, u32)]) -> Result<(), StageError> {
        let lacking = wanted.iter().find(|(name, count)| self.indices(name).len() < *count as usize);
        let Some((name, count)) = lacking else { return Ok(()) };
        let (name, provided, options) = (name.clone(), self.indices(name).len(), self.options(wanted));
        Err(StageError::NoResource { stage: target.into(), name, wanted: *count, provided, options })
    }

    /// The options that provide what is `wanted`, several counts of one thing among it, and all that is
    /// provided as it is.
    fn options<'w>(&self, wanted: impl IntoIterator<Item = &'w (Box<str>, u32)>) -> String {
        let mut options: BTreeMap<&str, (u32, String)> = BTreeMap::new();
        for (name, indices) in &self.0 {
            let count = indices.len() as u32;
            let is_count = indices.iter().copied().eq(0..count);
            let numbers: Vec<String> = indices.iter().map(ToString::to_string).collect();
            let end = if numbers.len() == 1 { "," } else { "" };
            let text = if is_count { count.to_string() } else { numbers.join(",") + end };
            options.insert(name, (count, text));
        }
        for (name, count) in wanted {
            if options.get(&**name).is_none_or(|(known, _)| known < count) {
                options.insert(name, (*count, count.to_string()));
            }
        }
        let options = options.iter().map(|(name, (_, text))| format!("--resources {name}={text}"));
        options.collect::<Vec<_>>().join(" ")
    }
}

/// What a stage holds while it runs.
#[derive(Default)]
pub(in crate::ops) struct Grant {
    /// By resource.
    indices: Vec<(Box<str>, Vec<u32>)>,
    /// Held for their drop.
    leases: Vec<StageLease>,
}

impl Grant {
    /// The variables that tell the command: `MLV_GPU=2`.
    pub(in crate::ops) fn variables(&self) -> Variables {
        let mut variables = Vec::new();
        for (name, indices) in &self.indices {
            let text: Vec<String> = indices.iter().map(ToString::to_string).collect();
            let text: Box<str> = text.join(",").into();
            variables.push((format!("MLV_{}", name.to_ascii_uppercase()).into(), text.clone()));
            if **name == *GPU {
                variables.push((CUDA.into(), text));
            }
        }
        variables
    }
}

/// Says, before anything runs, what a stage that would run lacks.
///
/// With `--pull` nobody knows yet which stages will run: those that lack something fail by then.
pub(super) fn check_all(
    graph: &Graph,
    order: &[StageIndex],
    locks: &Locks<'_>,
    state: &WorkTreeState<'_>,
    options: &ReproOptions,
) -> Result<(), OpError> {
    let check = |index: StageIndex| {
        let target = graph.address(index).to_string();
        options.resources.check(&target, &graph.stage(index).resources)
    };
    if options.pull || order.iter().all(|index| check(*index).is_ok()) {
        return Ok(());
    }
    let entry = |index: StageIndex| locks.entry(graph.address(index));
    let mut actions = plan::plan(graph, order, entry, state, options.plan())?;
    actions.retain(|action| matches!(action.verdict, Verdict::Run { .. } | Verdict::Waits { .. }));
    let Some(mut error) = actions.iter().find_map(|action| check(action.stage).err()) else { return Ok(()) };
    if let StageError::NoResource { options: remedy, .. } = &mut error {
        // Not stage by stage.
        let wanted = actions.iter().flat_map(|action| &graph.stage(action.stage).resources);
        *remedy = options.resources.options(wanted);
    }
    Err(error.into())
}

/// All of what is `wanted` of the indices that `free` tells of each resource; if others hold too much of
/// it, who does, as far as that is another process.
///
/// Never a part: who waits holds nothing, so that two runs never wait for each other.
fn acquire(
    repo: &Repo,
    wanted: &[(Box<str>, u32)],
    free: impl Fn(&str) -> Vec<u32>,
) -> Result<Result<Grant, Option<fs::Error>>, OpError> {
    let mut grant = Grant::default();
    let mut busy = None;
    for (name, count) in wanted {
        let mut got = Vec::new();
        for number in free(name) {
            if got.len() == *count as usize {
                break;
            }
            // No stage has such a name.
            match leases::try_acquire(repo, &format!("{name}={number}")) {
                Ok(lease) => {
                    got.push(number);
                    grant.leases.push(lease);
                }
                Err(error @ fs::Error::Busy { .. }) => busy = Some(error),
                Err(error) => return Err(error.into()),
            }
        }
        if got.len() < *count as usize {
            return Ok(Err(busy));
        }
        grant.indices.push((name.clone(), got));
    }
    Ok(Ok(grant))
}

/// What a stage needs that runs while no other of this process does. Waits for other processes, unless
/// the user does not want to wait.
pub(in crate::ops) fn grant_alone(
    repo: &Repo,
    provided: &Provided,
    wanted: &[(Box<str>, u32)],
    reporter: &dyn Reporter,
) -> Result<Grant, OpError> {
    let (since, mut is_told) = (Instant::now(), false);
    loop {
        match acquire(repo, wanted, |name| provided.indices(name).to_vec())? {
            Ok(grant) => return Ok(grant),
            Err(Some(fs::Error::Busy { holder, .. })) if repo.waits() => {
                if !is_told && since.elapsed() >= TELL_AFTER {
                    is_told = true;
                    reporter.event(&Event::Waiting { holder });
                }
            }
            Err(Some(error)) => return Err(error.into()),
            Err(None) => {}
        }
        if interrupted() {
            return Err(OpError::Interrupted);
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

impl Session<'_> {
    /// What the stage needs to run, all of it; nothing while others hold too much.
    pub(super) fn grant(&mut self, index: StageIndex) -> Result<Option<Grant>, OpError> {
        let graph = self.graph;
        let wanted = &graph.stage(index).resources;
        self.options.resources.check(&self.target(index), wanted)?;
        match acquire(self.repo, wanted, |name| self.free(name))? {
            Ok(grant) => return Ok(Some(grant)),
            Err(Some(fs::Error::Busy { holder, .. })) if self.repo.waits() => {
                self.tell_of_waiting(index, holder);
            }
            Err(Some(error)) => return Err(error.into()),
            Err(None) => {}
        }
        Ok(None)
    }

    /// Whether no stage of this run keeps the stage from getting what it needs.
    pub(super) fn may_get_resources(&self, index: StageIndex) -> bool {
        let wanted = &self.graph.stage(index).resources;
        wanted.iter().all(|(name, count)| self.free(name).len() >= *count as usize)
    }

    /// The indices of a resource that no stage of this run holds.
    fn free(&self, name: &str) -> Vec<u32> {
        let grants = self.running.values().flat_map(|run| &run.hold.grant.indices);
        let held: BTreeSet<u32> =
            grants.filter(|(held, _)| **held == *name).flat_map(|(_, held)| held).copied().collect();
        let all = self.options.resources.indices(name).iter().copied();
        all.filter(|number| !held.contains(number)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn provisions_are_counts_or_indices() {
        let indices = |text: &str| text.parse::<Provision>().map(|provision| provision.indices);
        assert_eq!(indices("gpu=4"), Ok(vec![0, 1, 2, 3]));
        assert_eq!(indices("gpu=5,0,2"), Ok(vec![5, 0, 2]));
        assert_eq!(indices("gpu=2,"), Ok(vec![2]));
        assert_eq!(indices("gpu=0"), Ok(vec![]));
        for (text, error) in [
            ("gpu", ProvisionError::Form),
            ("GPU=1", ProvisionError::Name),
            ("=1", ProvisionError::Name),
            ("run=1", ProvisionError::Name),
            ("gpu=", ProvisionError::Number),
            ("gpu=,", ProvisionError::Number),
            ("gpu=-1", ProvisionError::Number),
            ("gpu=1,1", ProvisionError::Number),
            ("gpu=1025", ProvisionError::Number),
            ("gpu=4294967296,", ProvisionError::Number),
        ] {
            assert_eq!(indices(text), Err(error), "{text}");
        }
    }

    #[test]
    fn only_gpus_are_told_to_cuda() {
        let indices = vec![("gpu".into(), vec![2, 5]), ("license_x".into(), vec![0])];
        let grant = Grant { indices, leases: Vec::new() };
        let variables: Vec<String> =
            grant.variables().iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(variables, ["MLV_GPU=2,5", "CUDA_VISIBLE_DEVICES=2,5", "MLV_LICENSE_X=0"]);
    }
}
