//! The other projects on a remote: what they pushed counts until somebody says that they are to be
//! forgotten, and 30 days more.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use super::look::{Look, Record};
use super::{DAY, Live, Run, age, class};
use crate::remote::backend::write;
use crate::remote::check::{RemoteCheck, closure};
use crate::remote::error::Error;
use crate::remote::names::{ClientId, ForgetName, Nonce, ProjectId};
use crate::remote::records::{NOTE, Root};

/// What a forgotten project pushed counts for so long.
const FORGET_AFTER: Duration = Duration::from_secs(30 * DAY.as_secs());

/// What another project has on the remote.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct OtherProject {
    /// Its id.
    pub id: String,
    /// Its clones that pushed.
    pub clones: u64,
    /// Outputs and runs that these need.
    pub roots: u64,
    /// Days since one of them pushed, by the store's clock.
    pub idle_days: u64,
    /// Days until it is forgotten, if somebody said that it is to be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forgotten_in_days: Option<u64>,
}

/// A project whose records will count no longer.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Forgotten {
    /// Its id.
    pub project: String,
    /// Its clones that pushed.
    pub clones: u64,
    /// Outputs and runs that these need.
    pub roots: u64,
    /// Bytes of what nobody else needs, as they are stored.
    pub bytes: u64,
    /// Days for which all of that is kept still.
    pub kept_days: u64,
}

/// What a look found of another project.
#[derive(Default)]
pub(super) struct Project {
    clones: BTreeSet<ClientId>,
    roots: BTreeSet<Root>,
    /// When one of its clones pushed last; by the store's clock.
    last: Option<SystemTime>,
    /// The announcements that it is to be forgotten.
    forgets: Vec<(ForgetName, SystemTime)>,
}

/// The projects of `records`, without `own` and pins.
pub(super) fn of_records(
    records: &[Record],
    forgets: &[(ForgetName, SystemTime)],
    own: ProjectId,
) -> BTreeMap<ProjectId, Project> {
    let mut projects: BTreeMap<ProjectId, Project> = BTreeMap::new();
    let others = records.iter().filter(|(_, _, record)| ![own, ProjectId::PINS].contains(&record.project));
    for (name, modified, record) in others {
        let project = projects.entry(record.project).or_default();
        project.clones.insert(name.client);
        project.roots.extend(record.roots.iter().copied());
        project.last = project.last.max(Some(*modified));
    }
    for (name, put) in forgets {
        if let Some(project) = projects.get_mut(&name.project) {
            project.forgets.push((*name, *put));
        }
    }
    projects
}

impl Project {
    /// Since when it is to be forgotten. Who pushed since then takes that back, for all its clones.
    fn forgotten_since(&self) -> Option<SystemTime> {
        let is_meant = |put: &SystemTime| self.last.is_none_or(|last| last < *put);
        self.forgets.iter().map(|(_, put)| *put).filter(is_meant).min()
    }

    /// Whether what it pushed still counts.
    pub(super) fn counts(&self, now: SystemTime) -> bool {
        self.forgotten_since().is_none_or(|since| age(now, since) < FORGET_AFTER)
    }

    fn row(&self, id: ProjectId, now: SystemTime) -> OtherProject {
        let left = |since| FORGET_AFTER.saturating_sub(age(now, since)).as_secs().div_ceil(DAY.as_secs());
        OtherProject {
            id: id.to_string(),
            clones: self.clones.len() as u64,
            roots: self.roots.len() as u64,
            idle_days: self.last.map_or(0, |last| age(now, last).as_secs() / DAY.as_secs()),
            forgotten_in_days: self.forgotten_since().map(left),
        }
    }
}

impl Run<'_> {
    /// Announces that a project is to be forgotten, if that is asked for, and counts the others.
    pub(super) fn forget(&mut self, look: &Look) -> Result<(), Error> {
        let rows = look.projects.iter().map(|(id, project)| project.row(*id, look.now));
        self.report.projects = rows.collect();
        self.report.pins = look.pins;
        let Some(text) = &self.options.forget else { return Ok(()) };
        if **text == *self.options.project.to_string() {
            return Err(Error::OwnProject { project: text.clone() });
        }
        let Some((&id, project)) = look.projects.iter().find(|(id, _)| **text == *id.to_string()) else {
            let known = look.projects.keys().map(|id| id.to_string().into()).collect();
            return Err(Error::NoSuchProject { place: self.remote.place(), project: text.clone(), known });
        };
        let mut row = project.row(id, look.now);
        if row.forgotten_in_days.is_none() {
            row.forgotten_in_days = Some(FORGET_AFTER.as_secs() / DAY.as_secs());
            if !self.options.dry_run {
                let name =
                    ForgetName { project: id, nonce: Nonce(u64::from_le_bytes(crate::fs::random_bytes())) };
                write(self.remote.backend(), &name.key(), NOTE.as_bytes())?;
            }
        }
        let forgotten = Forgotten {
            project: row.id.clone(),
            clones: row.clones,
            roots: row.roots,
            bytes: self.needed_by_nobody_else(look)?,
            kept_days: row.forgotten_in_days.unwrap_or_default(),
        };
        let rows = self.report.projects.iter_mut();
        rows.filter(|known| known.id == row.id).for_each(|known| *known = row.clone());
        self.report.forgotten = Some(forgotten);
        Ok(())
    }

    /// Bytes of the records that count because of the forgotten project alone.
    fn needed_by_nobody_else(&self, look: &Look) -> Result<u64, Error> {
        let mut found = RemoteCheck::default();
        let live = closure::check(self.remote, &look.packs, &look.others, &mut found)?;
        let live: Live = live.into_iter().map(class).collect();
        let catalog = &self.remote.catalog;
        let lone = look.live.iter().filter(|key| !live.contains(key));
        Ok(lone.filter_map(|key| catalog.places(*key).next()).map(|place| u64::from(place.stored_len)).sum())
    }
}

impl Look {
    /// The announcements that are over: the project is forgotten, or one of its clones pushed since.
    pub(super) fn idle_forgets(&self, all: &[(ForgetName, SystemTime)], own: ProjectId) -> Vec<ForgetName> {
        let is_idle = |(name, put): &&(ForgetName, SystemTime)| match self.projects.get(&name.project) {
            Some(project) => !project.counts(self.now) || project.last.is_some_and(|last| last >= *put),
            None => name.project != own,
        };
        all.iter().filter(is_idle).map(|(name, _)| *name).collect()
    }
}
