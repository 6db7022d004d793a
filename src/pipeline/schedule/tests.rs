use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::model::path::RepoPath;
use crate::pipeline::parse::parse;
use crate::pipeline::template::NoValues;

/// Stages `s0`, `s1`, … each of which makes a file of its name and reads those of earlier ones.
fn graph(reads: &[Vec<usize>]) -> Graph {
    let mut text = String::from("stages:\n");
    for (index, reads) in reads.iter().enumerate() {
        let reads: BTreeSet<String> = reads.iter().map(|above| format!("d{above}/o")).collect();
        let deps = reads.into_iter().collect::<Vec<_>>().join(", ");
        text += &format!("  s{index}: {{cmd: x, deps: [{deps}], outs: [d{index}]}}\n");
    }
    let file = RepoPath::parse("mlv.yaml").unwrap();
    Graph::build(vec![parse(&file, text.as_bytes(), &NoValues).unwrap()]).unwrap()
}

fn schedule(reads: &[Vec<usize>], on_failure: OnFailure) -> (Graph, Schedule) {
    let graph = graph(reads);
    let all: Vec<StageIndex> = graph.order().collect();
    let schedule = Schedule::new(&graph, &all, on_failure);
    (graph, schedule)
}

fn at(numbers: &[usize]) -> Vec<StageIndex> {
    numbers.iter().map(|number| StageIndex(*number)).collect()
}

fn take_all(schedule: &mut Schedule) -> Vec<StageIndex> {
    std::iter::from_fn(|| schedule.take()).collect()
}

/// Two chains of two that one stage joins.
fn joined() -> Vec<Vec<usize>> {
    vec![vec![], vec![0], vec![], vec![2], vec![1, 3]]
}

#[test]
fn stages_are_handed_out_in_order_once_what_they_read_is_done() {
    let (_, mut schedule) = schedule(&joined(), OnFailure::Stop);
    assert_eq!(take_all(&mut schedule), at(&[0, 2]));
    schedule.done(StageIndex(2));
    assert_eq!(take_all(&mut schedule), at(&[3]));
    schedule.done(StageIndex(0));
    schedule.done(StageIndex(3));
    assert_eq!(take_all(&mut schedule), at(&[1]));
    schedule.done(StageIndex(1));
    assert_eq!(take_all(&mut schedule), at(&[4]));
    assert!(!schedule.is_finished());
    schedule.done(StageIndex(4));
    assert!(schedule.is_finished());
}

#[test]
fn what_was_not_done_after_all_comes_again_and_with_it_what_builds_on_it() {
    let (_, mut schedule) = schedule(&joined(), OnFailure::Stop);
    assert_eq!(take_all(&mut schedule), at(&[0, 2]));
    schedule.done(StageIndex(0));
    assert_eq!(take_all(&mut schedule), at(&[1]));
    schedule.done(StageIndex(1));
    schedule.done(StageIndex(2));
    assert_eq!(schedule.take(), Some(StageIndex(3)));
    assert!(!schedule.is_held_up(StageIndex(3)));
    schedule.again(StageIndex(0));
    schedule.again(StageIndex(2));
    assert!(schedule.is_held_up(StageIndex(3)));
    schedule.put_off(StageIndex(3));
    schedule.resume();
    assert_eq!(take_all(&mut schedule), at(&[0, 2]), "what builds on them waits");
    for done in [0, 2] {
        schedule.done(StageIndex(done));
    }
    assert_eq!(take_all(&mut schedule), at(&[1, 3]));
    for done in [1, 3] {
        schedule.done(StageIndex(done));
    }
    assert_eq!(take_all(&mut schedule), at(&[4]));
    schedule.done(StageIndex(4));
    assert!(schedule.is_finished());
}

#[test]
fn what_is_put_off_comes_again_when_asked_for_and_holds_up_what_builds_on_it() {
    let (_, mut schedule) = schedule(&joined(), OnFailure::Stop);
    assert_eq!(take_all(&mut schedule), at(&[0, 2]));
    schedule.put_off(StageIndex(0));
    schedule.done(StageIndex(2));
    assert_eq!(take_all(&mut schedule), at(&[3]));
    schedule.done(StageIndex(3));
    assert!(schedule.has_put_off() && !schedule.is_finished());
    schedule.resume();
    assert_eq!(take_all(&mut schedule), at(&[0]));
}

#[test]
fn a_failure_drops_what_the_user_does_not_want_begun() {
    for (on_failure, dropped, next) in [
        (OnFailure::Stop, &[1, 3, 4][..], &[][..]),
        (OnFailure::KeepGoing, &[1, 4], &[3]),
        (OnFailure::Ignore, &[], &[1, 3]),
    ] {
        let (_, mut schedule) = schedule(&joined(), on_failure);
        take_all(&mut schedule);
        assert_eq!(schedule.failed(StageIndex(0)), at(dropped), "{on_failure:?}");
        schedule.done(StageIndex(2));
        assert_eq!(take_all(&mut schedule), at(next), "{on_failure:?}");
    }
}

#[test]
fn a_stage_that_fails_after_it_was_done_drops_what_was_ready() {
    let (_, mut schedule) = schedule(&joined(), OnFailure::KeepGoing);
    take_all(&mut schedule);
    schedule.done(StageIndex(0));
    assert_eq!(schedule.failed(StageIndex(0)), at(&[1, 4]));
    assert_eq!(take_all(&mut schedule), []);
}

#[test]
fn what_cannot_be_begun_fails_like_what_was_begun() {
    let left: [(OnFailure, &[usize]); 3] =
        [(OnFailure::Stop, &[]), (OnFailure::KeepGoing, &[2]), (OnFailure::Ignore, &[1, 2])];
    for (on_failure, left) in left {
        let (_, mut schedule) = schedule(&joined(), on_failure);
        schedule.seize(StageIndex(0));
        schedule.failed(StageIndex(0));
        assert_eq!(take_all(&mut schedule), at(left), "{on_failure:?}");
        left.iter().for_each(|stage| schedule.done(StageIndex(*stage)));
        assert_eq!(schedule.is_finished(), on_failure == OnFailure::Stop, "{on_failure:?}");
    }
}

#[test]
fn stages_that_are_not_selected_are_not_waited_for() {
    let graph = graph(&joined());
    let mut schedule = Schedule::new(&graph, &at(&[1, 4]), OnFailure::Stop);
    assert_eq!(take_all(&mut schedule), at(&[1]));
    assert_eq!(schedule.stop(), at(&[4]));
    schedule.done(StageIndex(1));
    assert!(schedule.is_finished());
}

/// What each stage reads of those before it, and what is done next, as numbers to choose by.
fn cases() -> impl Strategy<Value = (Vec<Vec<usize>>, Vec<(usize, u8)>, OnFailure)> {
    let reads = prop::collection::vec(prop::collection::vec(any::<prop::sample::Index>(), 0..4), 1..24);
    let reads = reads.prop_map(|reads| {
        let below = |(number, reads): (usize, Vec<prop::sample::Index>)| match number {
            0 => Vec::new(),
            _ => reads.into_iter().map(|read| read.index(number)).collect(),
        };
        reads.into_iter().enumerate().map(below).collect::<Vec<Vec<usize>>>()
    });
    let moves = prop::collection::vec((any::<usize>(), 0_u8..8), 1..200);
    // Repeated for ever they come to an end: something that was put off is taken and done.
    let moves = moves.prop_map(|moves| [moves, vec![(0, 0), (0, 0), (0, 7)]].concat());
    let policies = [OnFailure::Stop, OnFailure::KeepGoing, OnFailure::Ignore];
    (reads, moves, prop::sample::select(policies.to_vec()))
}

/// All that `stage` builds on, directly or not.
fn above(reads: &[Vec<usize>], stage: usize) -> BTreeSet<usize> {
    let mut found = BTreeSet::new();
    let mut open = reads[stage].clone();
    while let Some(next) = open.pop() {
        if found.insert(next) {
            open.extend(&reads[next]);
        }
    }
    found
}

proptest! {
    /// Whatever ends in whatever order: nothing begins before all that it builds on is done, or
    /// twice, or although it was dropped; and in the end each is done, failed or dropped.
    #[test]
    fn every_order_of_ends_keeps_the_order_of_dependencies((reads, moves, on_failure) in cases()) {
        let (_, mut schedule) = schedule(&reads, on_failure);
        let (mut hand, mut begun) = (Vec::new(), BTreeSet::new());
        let (mut done, mut failed, mut dropped) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        let mut moves = moves.into_iter().cycle();
        while !schedule.is_finished() {
            let (which, what) = moves.next().expect("it is a cycle");
            match what {
                0..=2 => {
                    if let Some(StageIndex(stage)) = schedule.take() {
                        prop_assert!(begun.insert(stage), "twice");
                        prop_assert!(!dropped.contains(&stage));
                        let open: Vec<usize> = above(&reads, stage)
                            .into_iter()
                            .filter(|above| !done.contains(above))
                            .collect();
                        let ignored = on_failure == OnFailure::Ignore && open.iter().all(|one| failed.contains(one));
                        prop_assert!(open.is_empty() || ignored, "{stage} before {open:?}");
                        hand.push(stage);
                    } else {
                        schedule.resume();
                    }
                }
                _ if hand.is_empty() => {
                    schedule.resume();
                    if let Some(stage) = schedule.take() {
                        schedule.put_off(stage);
                    }
                }
                3 => {
                    let stage = hand.swap_remove(which % hand.len());
                    begun.remove(&stage);
                    schedule.put_off(StageIndex(stage));
                }
                4 => {
                    let stage = hand.swap_remove(which % hand.len());
                    failed.insert(stage);
                    let now: Vec<usize> =
                        schedule.failed(StageIndex(stage)).into_iter().map(|stage| stage.0).collect();
                    if on_failure == OnFailure::KeepGoing {
                        prop_assert!(now.iter().all(|one| above(&reads, *one).contains(&stage)));
                    }
                    dropped.extend(now);
                }
                _ => {
                    let stage = hand.swap_remove(which % hand.len());
                    done.insert(stage);
                    schedule.done(StageIndex(stage));
                }
            }
        }
        prop_assert_eq!(done.len() + failed.len() + dropped.len(), reads.len());
        if on_failure == OnFailure::Ignore {
            prop_assert!(dropped.is_empty());
        }
    }
}
