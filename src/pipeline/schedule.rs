//! Which stages may be begun, given those that are done, failed or in somebody's hands: a pure
//! state machine.
//!
//! A stage may be begun when all selected stages that it builds on directly are done. Those that
//! may are handed out in the order of the graph, so one job at a time is that order. A stage that
//! cannot be begun just now (another process has it) is put off and asked for again later.

use std::collections::BTreeSet;

use crate::pipeline::graph::{Graph, StageIndex};

/// What becomes of the others when a stage fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFailure {
    /// No other is begun.
    #[default]
    Stop,
    /// All are begun that do not build on it.
    KeepGoing,
    /// All are begun.
    Ignore,
}

/// The selected stages and how far each is.
#[derive(Clone, Debug)]
pub struct Schedule {
    on_failure: OnFailure,
    /// In the graph's order. A place is an index into this.
    stages: Vec<Scheduled>,
    /// The places of the graph's stages.
    places: Vec<Option<usize>>,
    ready: BTreeSet<usize>,
    put_off: BTreeSet<usize>,
    in_hand: usize,
}

#[derive(Clone, Debug)]
struct Scheduled {
    stage: StageIndex,
    /// The places of those that build on it directly.
    below: Vec<usize>,
    /// How many that it builds on directly are not done.
    open: usize,
    phase: Phase,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Not begun: waiting, ready or put off.
    Ahead,
    InHand,
    Done,
    Failed,
    /// Will not be begun.
    Dropped,
}

impl Schedule {
    /// A schedule of `selected`, which are in the graph's order, each once.
    pub fn new(graph: &Graph, selected: &[StageIndex], on_failure: OnFailure) -> Schedule {
        let mut places = vec![None; graph.len()];
        for (place, stage) in selected.iter().enumerate() {
            places[stage.0] = Some(place);
        }
        let scheduled = |&stage: &StageIndex| Scheduled {
            stage,
            below: graph.downstream(stage).filter_map(|below| places[below.0]).collect(),
            open: graph.upstream(stage).filter(|above| places[above.0].is_some()).count(),
            phase: Phase::Ahead,
        };
        let stages: Vec<Scheduled> = selected.iter().map(scheduled).collect();
        let ready = (0..stages.len()).filter(|place| stages[*place].open == 0).collect();
        Schedule { on_failure, stages, places, ready, put_off: BTreeSet::new(), in_hand: 0 }
    }

    /// The first stage that may be begun; it is in the caller's hands then, until [`Self::done`],
    /// [`Self::failed`] or [`Self::put_off`].
    pub fn take(&mut self) -> Option<StageIndex> {
        let place = self.ready.pop_first()?;
        self.stages[place].phase = Phase::InHand;
        self.in_hand += 1;
        Some(self.stages[place].stage)
    }

    /// Takes back a stage that cannot be begun before [`Self::resume`], or before those that it builds on
    /// are done [again](Self::again).
    pub fn put_off(&mut self, stage: StageIndex) {
        if let Some(place) = self.release(stage, Phase::Ahead)
            && self.stages[place].open == 0
        {
            self.put_off.insert(place);
        }
    }

    /// Whether a stage in hand must be put off, because one that it builds on is not done after all.
    pub fn is_held_up(&self, stage: StageIndex) -> bool {
        self.places[stage.0].is_some_and(|place| self.stages[place].open > 0)
    }

    /// Whether the stage is one of the selected ones.
    pub fn has(&self, stage: StageIndex) -> bool {
        self.places[stage.0].is_some()
    }

    /// Whether a stage may be begun.
    pub fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Whether stages were put off.
    pub fn has_put_off(&self) -> bool {
        !self.put_off.is_empty()
    }

    /// Hands out again what was put off.
    pub fn resume(&mut self) {
        self.ready.append(&mut self.put_off);
    }

    /// The stage ran, or needed no run.
    pub fn done(&mut self, stage: StageIndex) {
        if let Some(place) = self.release(stage, Phase::Done) {
            self.open_below(place);
        }
    }

    /// The stage failed, in hand or after it was done; returns those that will not be begun for
    /// that, in the graph's order.
    pub fn failed(&mut self, stage: StageIndex) -> Vec<StageIndex> {
        let Some(place) = self.places[stage.0] else { return Vec::new() };
        let was_in_hand = self.release(stage, Phase::Failed).is_some();
        self.stages[place].phase = Phase::Failed;
        match self.on_failure {
            OnFailure::Stop => self.stop(),
            OnFailure::KeepGoing => self.drop_below(place),
            OnFailure::Ignore => {
                if was_in_hand {
                    self.open_below(place);
                }
                Vec::new()
            }
        }
    }

    /// Takes a stage into the caller's hands that cannot be begun at all, to be [failed](Self::failed).
    pub fn seize(&mut self, stage: StageIndex) {
        let Some(place) = self.places[stage.0] else { return };
        if self.stages[place].phase == Phase::Ahead {
            self.stages[place].phase = Phase::InHand;
            self.in_hand += 1;
            self.ready.remove(&place);
        }
    }

    /// The stage was not done after all: it is to be begun again, and so is what was done on top of it.
    pub fn again(&mut self, stage: StageIndex) {
        let Some(place) = self.places[stage.0] else { return };
        let mut undone = vec![place];
        while let Some(place) = undone.pop() {
            if self.stages[place].phase != Phase::Done {
                continue;
            }
            self.stages[place].phase = Phase::Ahead;
            for below in self.stages[place].below.clone() {
                self.stages[below].open += 1;
                self.ready.remove(&below);
                self.put_off.remove(&below);
                undone.push(below);
            }
            if self.stages[place].open == 0 {
                self.ready.insert(place);
            }
        }
    }

    /// Drops all that are not begun; returns them in the graph's order.
    pub fn stop(&mut self) -> Vec<StageIndex> {
        let all = 0..self.stages.len();
        self.drop_all(all.collect())
    }

    /// Whether none is in hand and none can be begun any more.
    pub fn is_finished(&self) -> bool {
        self.in_hand == 0 && self.ready.is_empty() && self.put_off.is_empty()
    }

    /// The place of a stage that was in hand and is no more.
    fn release(&mut self, stage: StageIndex, phase: Phase) -> Option<usize> {
        let place = self.places[stage.0]?;
        if self.stages[place].phase != Phase::InHand {
            return None;
        }
        self.stages[place].phase = phase;
        self.in_hand -= 1;
        Some(place)
    }

    fn open_below(&mut self, place: usize) {
        for below in self.stages[place].below.clone() {
            let next = &mut self.stages[below];
            next.open -= 1;
            if next.open == 0 && next.phase == Phase::Ahead {
                self.ready.insert(below);
            }
        }
    }

    fn drop_below(&mut self, place: usize) -> Vec<StageIndex> {
        let mut found = BTreeSet::new();
        let mut open = self.stages[place].below.clone();
        while let Some(next) = open.pop() {
            if found.insert(next) {
                open.extend(&self.stages[next].below);
            }
        }
        self.drop_all(found)
    }

    fn drop_all(&mut self, places: BTreeSet<usize>) -> Vec<StageIndex> {
        let mut dropped = Vec::new();
        for place in places {
            if self.stages[place].phase == Phase::Ahead {
                self.stages[place].phase = Phase::Dropped;
                self.ready.remove(&place);
                self.put_off.remove(&place);
                dropped.push(self.stages[place].stage);
            }
        }
        dropped
    }
}

#[cfg(test)]
mod tests;
