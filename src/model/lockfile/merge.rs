//! Merges two states of a lock file that started from one, stage by stage.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::emit;
use crate::model::lockfile::{LockDep, LockOut, LockSum, Lockfile, RefusedEntry, StageLock, write};
use crate::model::merge::{Favour, greater};
use crate::model::object::ContentInfo;
use crate::model::path::RepoPath;
use crate::model::stage::Command;
use crate::model::value::{Entries, Value};

/// A merged lock file.
#[derive(Clone, Debug, PartialEq)]
pub struct MergedLock {
    /// What it holds.
    pub lock: Lockfile,
    /// Stages that both sides changed, so that what stands there was never run; sorted.
    pub stale: Vec<Box<str>>,
}

impl Lockfile {
    /// Merges `ours` and `theirs`, which both come from `base`, as the lock file `file`.
    ///
    /// A stage that only one side changed is as there. One that both changed is as in `favour`, or merged
    /// input by input, and is stale unless the result is what one side ran. There is never a conflict:
    /// where both changed one value some value is taken that does not depend on the sides, for the stage
    /// has to run whatever stands there.
    pub fn merge(
        file: &RepoPath,
        base: &Lockfile,
        ours: &Lockfile,
        theirs: &Lockfile,
        favour: Option<Favour>,
    ) -> MergedLock {
        let folder = file.parent().unwrap_or_else(RepoPath::root);
        let mut merged = MergedLock { lock: Lockfile::default(), stale: Vec::new() };
        let locks = [base, ours, theirs];
        let names: BTreeSet<&Box<str>> =
            locks.iter().flat_map(|lock| lock.stages.keys().chain(lock.refused.keys())).collect();
        for name in names {
            let sides = locks.map(|lock| Entry::of(lock, name, &folder));
            match entry(&folder, name, sides, favour) {
                Some(Entry::Refused(_, entry)) => drop(merged.lock.refused.insert(name.clone(), entry)),
                Some(Entry::Read(_, entry)) => {
                    let was_stale = |lock: &Lockfile| lock.stages.get(name).is_some_and(StageLock::is_stale);
                    if entry.is_stale() && !was_stale(ours) && !was_stale(theirs) {
                        merged.stale.push(name.clone());
                    }
                    merged.lock.stages.insert(name.clone(), entry);
                }
                None => {}
            }
        }
        merged.lock.unknown = values(locks.map(|lock| &lock.unknown));
        merged
    }
}

/// What a lock has of a stage, with its text but for the sum: equal texts, equal meaning.
#[derive(Clone)]
enum Entry {
    Refused(String, RefusedEntry),
    Read(String, StageLock),
}

impl Entry {
    fn of(lock: &Lockfile, name: &str, folder: &RepoPath) -> Option<Entry> {
        let read = lock.stages.get(name).map(|entry| Entry::read(name, folder, entry.clone()));
        read.or_else(|| {
            let refused = lock.refused.get(name)?;
            Some(Entry::Refused(value_text(&refused.value), refused.clone()))
        })
    }

    fn read(name: &str, folder: &RepoPath, entry: StageLock) -> Entry {
        let mut text = String::new();
        write::body(&mut text, folder, name, &entry);
        Entry::Read(text, entry)
    }

    /// Any entry that can be read is greater than any that cannot.
    fn key(&self) -> (bool, &str) {
        match self {
            Entry::Refused(text, _) => (false, text),
            Entry::Read(text, _) => (true, text),
        }
    }

    /// The same with the sum that the sides of the same text give it.
    fn with_sum(self, sides: [&Option<Entry>; 2]) -> Entry {
        let Entry::Read(text, mut entry) = self else { return self };
        let sums = sides.iter().filter_map(|side| match side {
            Some(Entry::Read(other, entry)) if *other == text => Some(&entry.sum),
            _ => None,
        });
        let rank = |sum: &&LockSum| match sum {
            LockSum::Valid => (true, None),
            LockSum::Stale { written } => (false, written.clone()),
        };
        entry.sum = sums.max_by_key(rank).cloned().unwrap_or(LockSum::Stale { written: None });
        Entry::Read(text, entry)
    }
}

fn entry(
    folder: &RepoPath,
    name: &str,
    [base, ours, theirs]: [Option<Entry>; 3],
    favour: Option<Favour>,
) -> Option<Entry> {
    let [b, o, t] = [&base, &ours, &theirs].map(|side| side.as_ref().map(Entry::key));
    let chosen = if o == t || t == b {
        ours.clone()
    } else if o == b {
        theirs.clone()
    } else if let Some(favour) = favour {
        favour.of(ours.clone(), theirs.clone())
    } else {
        match (&base, &ours, &theirs) {
            (base, Some(Entry::Read(_, ours)), Some(Entry::Read(_, theirs))) => {
                let base = match base {
                    Some(Entry::Read(_, base)) => Some(base),
                    _ => None,
                };
                Some(Entry::read(name, folder, mixed(base, ours, theirs)))
            }
            _ if o >= t => ours.clone(),
            _ => theirs.clone(),
        }
    };
    chosen.map(|entry| entry.with_sum([&ours, &theirs]))
}

/// An entry that both sides changed: each input by itself, the outputs as they come from one run.
fn mixed(base: Option<&StageLock>, ours: &StageLock, theirs: &StageLock) -> StageLock {
    let sides = [base, Some(ours), Some(theirs)];
    let command = of_sides(sides.map(|side| side.map(|entry| Ordered(&entry.command, command_key))));
    let deps = by_key(sides, |entry| entry.deps.iter().map(|dep| (&dep.path, &dep.content)), content_key);
    let files = by_key(sides, |entry| entry.params.iter().map(|(file, _)| (file, &())), |()| ());
    let params = by_key(
        sides,
        |entry| {
            entry
                .params
                .iter()
                .flat_map(|(file, values)| values.iter().map(move |(key, value)| ((file, key), value)))
        },
        value_text,
    );
    let outs = of_sides(
        sides.map(|side| side.map(|entry| Ordered(&entry.outs, |outs: &Vec<LockOut>| outs_key(outs)))),
    );
    let params = files.into_iter().map(|(file, ())| {
        let of_file = params.iter().filter(|((other, _), _)| *other == file);
        (file.clone(), of_file.map(|((_, key), value)| ((*key).clone(), (*value).clone())).collect())
    });
    let mut merged = StageLock::new(
        command.map_or_else(|| ours.command.clone(), Clone::clone),
        deps.into_iter().map(|(path, content)| LockDep { path: path.clone(), content: *content }).collect(),
        params.collect(),
        outs.cloned().unwrap_or_default(),
    );
    let empty = Entries::new();
    merged.settings = values(sides.map(|side| side.map_or(&empty, |entry| &entry.settings)));
    merged.unknown = values(sides.map(|side| side.map_or(&empty, |entry| &entry.unknown)));
    merged.sum = LockSum::Stale { written: None };
    merged
}

/// Something with what orders it.
struct Ordered<'a, T, K>(&'a T, fn(&T) -> K);

/// The greater change of a thing.
fn of_sides<'a, T, K: Ord>(sides: [Option<Ordered<'a, T, K>>; 3]) -> Option<&'a T> {
    let [base, ours, theirs] = &sides;
    let key = |side: &Option<Ordered<'a, T, K>>| side.as_ref().map(|Ordered(thing, key)| key(thing));
    let chosen = greater(key(base), key(ours), key(theirs));
    [ours, theirs].into_iter().find(|side| key(side) == chosen)?.as_ref().map(|Ordered(thing, _)| *thing)
}

/// The greater change of each thing that has a key.
fn by_key<'a, K: Ord + Clone, T: 'a, O: Ord, I: Iterator<Item = (K, &'a T)>>(
    sides: [Option<&'a StageLock>; 3],
    things: impl Fn(&'a StageLock) -> I,
    order: fn(&T) -> O,
) -> BTreeMap<K, &'a T> {
    let sides = sides.map(|side| side.into_iter().flat_map(&things).collect::<BTreeMap<K, &'a T>>());
    let keys: BTreeSet<&K> = sides.iter().flat_map(BTreeMap::keys).collect();
    let merged = keys.into_iter().filter_map(|key| {
        let thing = of_sides([0, 1, 2].map(|side| sides[side].get(key).map(|thing| Ordered(*thing, order))));
        thing.map(|thing| (key.clone(), thing))
    });
    merged.collect()
}

/// Keys that a newer mlv wrote.
fn values(sides: [&Entries; 3]) -> Entries {
    let sides = sides.map(|side| side.iter().map(|(key, value)| (key, value)).collect::<BTreeMap<_, _>>());
    let keys: BTreeSet<&Box<str>> = sides.iter().flat_map(BTreeMap::keys).copied().collect();
    let merged = keys.into_iter().filter_map(|key| {
        let value =
            of_sides([0, 1, 2].map(|side| sides[side].get(key).map(|value| Ordered(*value, value_text))));
        value.map(|value| (key.clone(), value.clone()))
    });
    merged.collect()
}

fn value_text(value: &Value) -> String {
    let mut text = String::new();
    emit::value(value, &mut text);
    text
}

fn command_key(command: &Command) -> (bool, Vec<Box<str>>) {
    (matches!(command, Command::List(_)), command.scripts().to_vec())
}

fn content_key(content: &ContentInfo) -> (String, u64, Option<u64>, bool) {
    (content.id.to_string(), content.size, content.nfiles, content.executable)
}

type OutKey = (RepoPath, (String, u64, Option<u64>, bool), bool, bool, Option<Box<str>>);

fn outs_key(outs: &[LockOut]) -> Vec<OutKey> {
    let key = |out: &LockOut| {
        (out.path.clone(), content_key(&out.content), out.cache, out.push, out.remote.clone())
    };
    outs.iter().map(key).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::digest::Digest;
    use crate::model::object::ContentId;
    use proptest::prelude::*;

    fn at(path: &str) -> RepoPath {
        RepoPath::parse(path).unwrap()
    }

    fn file() -> RepoPath {
        at("p/mlv.lock")
    }

    fn content(number: u8) -> ContentInfo {
        let id = ContentId::File(Digest::of(&[number]).into());
        ContentInfo { id, size: number.into(), nfiles: None, executable: false }
    }

    fn stage(command: &str, deps: &[(&str, u8)], params: &[(&str, i64)], outs: &[(&str, u8)]) -> StageLock {
        let dep = |(path, number): &(&str, u8)| LockDep { path: at(path), content: content(*number) };
        let out = |(path, number): &(&str, u8)| LockOut {
            path: at(path),
            content: content(*number),
            cache: true,
            push: true,
            remote: None,
        };
        let values: Entries =
            params.iter().map(|(key, value)| ((*key).into(), Value::Int((*value).into()))).collect();
        let params = if values.is_empty() { Vec::new() } else { vec![(at("params.yaml"), values)] };
        let (deps, outs) = (deps.iter().map(dep).collect(), outs.iter().map(out).collect());
        StageLock::new(Command::Script(command.into()), deps, params, outs)
    }

    fn lock(stages: &[(&str, &StageLock)]) -> Lockfile {
        let stages = stages.iter().map(|(name, entry)| ((*name).into(), (*entry).clone())).collect();
        Lockfile { stages, ..Lockfile::default() }
    }

    fn merge(base: &Lockfile, ours: &Lockfile, theirs: &Lockfile) -> MergedLock {
        Lockfile::merge(&file(), base, ours, theirs, None)
    }

    #[test]
    fn stages_that_one_side_changed_are_as_there() {
        let [old, new, other] = [1, 2, 3].map(|number| stage("x", &[("d", number)], &[], &[("o", number)]));
        let base = lock(&[("a", &old), ("b", &old), ("gone", &old), ("same", &old)]);
        let ours = lock(&[("a", &new), ("b", &old), ("gone", &old), ("mine", &new), ("same", &new)]);
        let theirs = lock(&[("a", &old), ("b", &other), ("same", &new), ("yours", &other)]);
        let merged = merge(&base, &ours, &theirs);
        let expected = [("a", &new), ("b", &other), ("mine", &new), ("same", &new), ("yours", &other)];
        assert_eq!(merged.lock, lock(&expected));
        assert!(merged.stale.is_empty());
    }

    #[test]
    fn stage_that_both_changed_is_merged_input_by_input_and_stale() {
        let base = lock(&[("t", &stage("x", &[("d", 1), ("e", 1)], &[("lr", 1), ("n", 1)], &[("o", 1)]))]);
        let ours = stage("x", &[("d", 2), ("e", 1)], &[("lr", 1), ("n", 5)], &[("o", 2)]);
        let theirs = stage("y", &[("d", 1), ("f", 3)], &[("lr", 4), ("n", 1)], &[("o", 3)]);
        let merged = merge(&base, &lock(&[("t", &ours)]), &lock(&[("t", &theirs)]));
        assert_eq!(merged.stale, ["t".into()]);
        let entry = &merged.lock.stages["t"];
        let wanted = stage("y", &[("d", 2), ("f", 3)], &[("lr", 4), ("n", 5)], &[("o", 2)]);
        assert_eq!(
            (&entry.command, &entry.deps, &entry.params),
            (&wanted.command, &wanted.deps, &wanted.params)
        );
        assert!(entry.is_stale());
        // The outputs are those of one run.
        assert!([&ours.outs, &theirs.outs].contains(&&entry.outs));
        // And what is written is stale for who reads it.
        let read = Lockfile::parse(&file(), merged.lock.write(&file()).as_bytes()).unwrap();
        assert_eq!(read, merged.lock);
        let of = |favour| {
            Lockfile::merge(&file(), &base, &lock(&[("t", &ours)]), &lock(&[("t", &theirs)]), Some(favour))
        };
        assert_eq!(of(Favour::Ours).lock, lock(&[("t", &ours)]));
        assert_eq!(of(Favour::Theirs).lock, lock(&[("t", &theirs)]));
    }

    #[test]
    fn entries_that_cannot_be_read_are_kept() {
        let text = |hash: &str| {
            format!(
                "version: 1\nstages:\n  a:\n    cmd: x\n    outs:\n    - path: o\n      hash: {hash}\n      size: 1\n"
            )
        };
        let of = |hash: &str| Lockfile::parse(&file(), text(hash).as_bytes()).unwrap();
        let merged = merge(&of("md9:1"), &of("md9:1"), &of("md9:2"));
        assert_eq!(merged.lock.refused["a"].value, of("md9:2").refused["a"].value);
        let good = lock(&[("a", &stage("x", &[], &[], &[]))]);
        assert_eq!(merge(&of("md9:1"), &of("md9:2"), &good).lock, good);
    }

    fn any_stage() -> impl Strategy<Value = StageLock> {
        let numbers = || proptest::collection::btree_map(prop_oneof!["x", "y"], 0..3_u8, 0..3);
        let parts = (0..3_u8, numbers(), numbers(), numbers(), 0..4_u8);
        parts.prop_map(|(command, deps, params, outs, sum)| {
            let command = command.to_string();
            let owned: Vec<(String, u8)> =
                outs.into_iter().map(|(name, n)| (format!("o{name}"), n)).collect();
            let outs: Vec<(&str, u8)> = owned.iter().map(|(name, number)| (name.as_str(), *number)).collect();
            let deps: Vec<(&str, u8)> = deps.iter().map(|(name, number)| (name.as_str(), *number)).collect();
            let params: Vec<(&str, i64)> =
                params.iter().map(|(key, n)| (key.as_str(), i64::from(*n))).collect();
            let mut entry = stage(&command, &deps, &params, &outs);
            if sum > 1 {
                entry.settings = vec![("shell".into(), Value::Text(format!("sh{sum}").into()))];
            }
            if sum == 0 {
                entry.sum = LockSum::Stale { written: None };
            }
            entry
        })
    }

    fn any_lock() -> impl Strategy<Value = Lockfile> {
        let stages = proptest::collection::btree_map(prop_oneof!["a", "b"], any_stage(), 0..3);
        stages.prop_map(|stages| Lockfile {
            stages: stages.into_iter().map(|(name, entry)| (name.into(), entry)).collect(),
            ..Lockfile::default()
        })
    }

    proptest::proptest! {
        #[test]
        fn merges_are_commutative_associative_and_idempotent(
            base in any_lock(), a in any_lock(), b in any_lock(), c in any_lock()
        ) {
            let merged = |a: &Lockfile, b: &Lockfile| merge(&base, a, b).lock;
            prop_assert_eq!(merge(&base, &a, &b), merge(&base, &b, &a));
            prop_assert_eq!(&merged(&a, &a), &a);
            prop_assert_eq!(merged(&merged(&a, &b), &c), merged(&a, &merged(&b, &c)));
        }

        #[test]
        fn what_is_written_is_what_was_merged(base in any_lock(), a in any_lock(), b in any_lock()) {
            let merged = merge(&base, &a, &b);
            let text = merged.lock.write(&file());
            prop_assert_eq!(Lockfile::parse(&file(), text.as_bytes()).unwrap(), merged.lock);
        }
    }
}
