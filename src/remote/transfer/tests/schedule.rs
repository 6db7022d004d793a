//! R7, R8 under every order of calls: pushers and collectors take turns call by call, as a
//! seeded scheduler says. A push that succeeded must stay fetchable whatever the collectors
//! delete; and with any one of the rules left out, some schedule must lose data.
//!
//! The pushes are the real ones, from catalogues as old as they come. The collector is a
//! model of the protocol in docs/formats.md with zero grace and zero minimum age.

use std::collections::HashMap;
use std::ops::Range;
use std::time::SystemTime;

use crossbeam_channel::{Receiver, Sender, unbounded};

use super::*;
use crate::fs::fault;
use crate::model::digest::PackId;
use crate::pack::segment::Segment;
use crate::remote::backend::{
    Action, BackendError, ByteSink, Created, Key, ListSink, Listed, RoundTrip, Situation, Stat, list_sorted,
    read,
};
use crate::remote::names::{CollectionName, Nonce, RootRecordName, pack_key, parse_pack_key};
use crate::remote::records::{Mark, RootRecord};

/// What the scheduler says to a waiting call.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    Go,
    /// The call does nothing and fails: a crash before it.
    Crash,
    /// The call does its work and fails: a crash after it.
    Lost,
}

/// A store on which every call waits for its turn.
struct Gated {
    store: Arc<MemoryBackend>,
    actor: usize,
    waiting: Sender<(usize, bool)>,
    turns: Receiver<Turn>,
}

impl Gated {
    fn turn<T>(
        &self,
        call: impl FnOnce(&MemoryBackend) -> Result<T, BackendError>,
    ) -> Result<T, BackendError> {
        let dead = || BackendError::new(Situation::Unreachable, Action::Open, "", "memory".to_owned());
        self.waiting.send((self.actor, true)).map_err(|_| dead())?;
        match self.turns.recv().map_err(|_| dead())? {
            Turn::Go => call(&self.store),
            Turn::Crash => Err(dead()),
            Turn::Lost => call(&self.store).and_then(|_| Err(dead())),
        }
    }
}

impl Backend for Gated {
    fn get(&self, key: &Key, range: Option<Range<u64>>, sink: &mut ByteSink<'_>) -> Result<(), BackendError> {
        self.turn(|store| store.get(key, range, sink))
    }
    fn put(&self, key: &Key, parts: &[&[u8]]) -> Result<(), BackendError> {
        self.turn(|store| store.put(key, parts))
    }
    fn create(&self, key: &Key, bytes: &[u8]) -> Result<Created, BackendError> {
        self.turn(|store| store.create(key, bytes))
    }
    fn head(&self, key: &Key) -> Result<Option<Stat>, BackendError> {
        self.turn(|store| store.head(key))
    }
    fn list(&self, prefix: &str, each: &mut ListSink<'_>) -> Result<(), BackendError> {
        self.turn(|store| store.list(prefix, each))
    }
    fn delete(&self, key: &Key) -> Result<(), BackendError> {
        self.turn(|store| store.delete(key))
    }
    fn now(&self) -> Result<SystemTime, BackendError> {
        self.store.now()
    }
    fn round_trip(&self) -> RoundTrip {
        RoundTrip::Network
    }
    fn describe(&self) -> String {
        "memory".to_owned()
    }
}

struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % bound
    }
}

const OBJECTS: u64 = 6;

fn object(number: u64) -> Vec<u8> {
    noise(number, 40)
}

/// The roots of a push: some of the objects.
fn choose(random: &mut Random) -> Vec<u64> {
    let chosen: Vec<u64> = (0..OBJECTS).filter(|_| random.below(3) == 0).collect();
    if chosen.is_empty() { vec![random.below(OBJECTS as usize) as u64] } else { chosen }
}

fn wants(chosen: &[u64]) -> (WantList, Vec<Root>) {
    let mut list = WantList::new();
    let mut roots = Vec::new();
    for number in chosen {
        let id = ObjectId(Digest::of(&object(*number)));
        list.file(id, 40, "x");
        roots.push(Root::File { id, size: 40 });
    }
    (list, roots)
}

fn open(backend: impl Backend + 'static, operation: Operation) -> Result<Remote, Error> {
    let mut options = OpenOptions::new("memory", None, operation);
    options.patience = Patience { attempts: 1, pause: Duration::ZERO, longest: Duration::ZERO };
    Remote::open(Box::new(backend), options)
}

/// Whether a clone that comes now can fetch all of `chosen`.
fn is_fetchable(store: &Arc<MemoryBackend>, chosen: &[u64]) -> bool {
    let mut remote = open(Arc::clone(store), Operation::Read).expect("opens");
    let sink = Store::default();
    fetch(&mut remote, &wants(chosen).0, &sink, &NoReport).expect("fetches").is_complete()
}

/// Pushes three times, each until it succeeds; returns what was pushed last, or what was lost at once.
fn pusher(
    backend: Gated,
    client: u64,
    mut random: Random,
    mutation: Option<&str>,
) -> Result<Vec<u64>, Vec<u64>> {
    let store = Arc::clone(&backend.store);
    let source = Store::default();
    (0..OBJECTS).for_each(|number| {
        let bytes = object(number);
        source.insert(file_key(ObjectId(Digest::of(&bytes))), bytes);
    });
    let backend = Arc::new(backend);
    let mut remote = loop {
        if let Ok(remote) = open(Arc::clone(&backend), Operation::Write) {
            break remote;
        }
    };
    let mut chosen = Vec::new();
    for _ in 0..3 {
        chosen = choose(&mut random);
        let (list, roots) = wants(&chosen);
        let request =
            PushRequest { client: ClientId(client), project: ProjectId(1), commits: Vec::new(), roots };
        let mut attempt = || {
            let plan = plan_push(&mut remote, &list, &source)?;
            push(&mut remote, plan, &list, &source, &request, &NoReport)
        };
        let mut push_once = || match mutation {
            Some(name) => fault::with_mutation(name, &mut attempt),
            None => attempt(),
        };
        while push_once().is_err() {}
        if !is_fetchable(&store, &chosen) {
            return Err(chosen);
        }
    }
    Ok(chosen)
}

/// What the listed segments say that packs hold. Only that counts as a place: a pack that no segment
/// names cannot be found by anyone. Segments never change, so reading them takes no turn.
fn contents(store: &MemoryBackend, listed: &[Listed]) -> HashMap<PackId, Vec<RecordKey>> {
    let mut held: HashMap<PackId, Vec<RecordKey>> = HashMap::new();
    for line in listed {
        let segment =
            Segment::parse(read(store, &line.key, u64::MAX).expect("never deleted")).expect("a segment");
        segment.iter().for_each(|(key, location)| held.entry(location.pack).or_default().push(key));
    }
    held
}

struct Seen {
    marks: HashMap<Key, Vec<PackId>>,
    live: BTreeSet<RecordKey>,
    packs: Vec<(PackId, Vec<RecordKey>)>,
}

/// The listings of a collector, in the order of the protocol; a record counts while it is its client's last.
fn look(backend: &Gated) -> Result<Seen, BackendError> {
    let mut marks = HashMap::new();
    for line in list_sorted(backend, "gc/")? {
        if let Some(CollectionName::Mark(name)) = CollectionName::parse(&line.key) {
            match read(backend, &line.key, u64::MAX) {
                Ok(bytes) => {
                    drop(marks.insert(line.key, Mark::decode_named(name, &bytes).expect("a mark").packs))
                }
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(error),
            }
        }
    }
    let mut last: HashMap<ClientId, RootRecordName> = HashMap::new();
    for line in list_sorted(backend, "rt/")? {
        let name = RootRecordName::parse(&line.key).expect("a record");
        last.insert(name.client, name);
    }
    let mut live = BTreeSet::new();
    for name in last.into_values() {
        let record =
            RootRecord::decode_named(name, &read(backend, &name.key(), u64::MAX)?).expect("a record");
        for root in record.roots {
            if let Root::File { id, .. } = root {
                live.insert(file_key(id));
            }
        }
    }
    let mut held = contents(&backend.store, &list_sorted(backend, "ix/")?);
    let packs = list_sorted(backend, "pk/")?;
    let packs = packs.iter().filter_map(|line| parse_pack_key(&line.key));
    let packs = packs.map(|pack| (pack, held.remove(&pack).unwrap_or_default())).collect();
    Ok(Seen { marks, live, packs })
}

impl Seen {
    fn marked(&self) -> BTreeSet<PackId> {
        self.marks.values().flatten().copied().collect()
    }

    /// Whether every live record of the pack has a place outside `doomed` and the pack.
    fn is_dispensable(&self, pack: PackId, doomed: &BTreeSet<PackId>) -> bool {
        let held = self
            .packs
            .iter()
            .find(|(id, _)| *id == pack)
            .map(|(_, held)| held.as_slice())
            .unwrap_or_default();
        held.iter().filter(|key| self.live.contains(*key)).all(|key| {
            self.packs.iter().any(|(id, held)| *id != pack && !doomed.contains(id) && held.contains(key))
        })
    }
}

/// One collection: mark, and sweep at once.
fn collect(backend: &Gated, nonce: u64) -> Result<(), BackendError> {
    let seen = look(backend)?;
    let mut doomed = seen.marked();
    let mut mine = Vec::new();
    for (pack, _) in &seen.packs {
        if !doomed.contains(pack) && seen.is_dispensable(*pack, &doomed) {
            doomed.insert(*pack);
            mine.push(*pack);
        }
    }
    if !mine.is_empty() {
        let bytes = Mark { client: ClientId(90), packs: mine }.encode();
        backend.put(&Mark::name(&bytes, Nonce(nonce)).key(), &[&bytes])?;
    }
    let seen = look(backend)?;
    let marked = seen.marked();
    for (pack, _) in seen.packs.iter().filter(|(pack, _)| marked.contains(pack)) {
        if seen.is_dispensable(*pack, &marked) {
            backend.delete(&pack_key(*pack))?;
        }
    }
    let there: BTreeSet<PackId> =
        list_sorted(backend, "pk/")?.iter().filter_map(|line| parse_pack_key(&line.key)).collect();
    for (key, packs) in &seen.marks {
        if packs.iter().all(|pack| !there.contains(pack)) {
            backend.delete(key)?;
        }
    }
    Ok(())
}

/// Runs one schedule; false if something that was pushed with success was lost.
fn run(seed: u64, mutation: Option<&'static str>) -> bool {
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let store = memory();
    let (waiting, events) = unbounded();
    let mut turns = Vec::new();
    let mut gate = |actor| {
        let (grant, granted) = unbounded();
        turns.push(grant);
        Gated { store: Arc::clone(&store), actor, waiting: waiting.clone(), turns: granted }
    };
    let mut pushers = Vec::new();
    let mut collectors = Vec::new();
    for actor in 0..2 {
        let (backend, random, done) = (gate(actor), Random(seed * 31 + actor as u64 + 1), waiting.clone());
        pushers.push(std::thread::spawn(move || {
            let result = pusher(backend, actor as u64 + 1, random, mutation);
            let _ = done.send((actor, false));
            result
        }));
    }
    for actor in 2..4 {
        let (backend, done) = (gate(actor), waiting.clone());
        collectors.push(std::thread::spawn(move || {
            for round in 0..3 {
                // A collector that crashed starts anew.
                let _ = collect(&backend, seed * 100 + actor as u64 * 10 + round);
            }
            let _ = done.send((actor, false));
        }));
    }
    // Every actor is either waiting for its turn or gone before the next turn is given.
    let mut ready = BTreeSet::new();
    let settle = |ready: &mut BTreeSet<usize>, count: usize| {
        for _ in 0..count {
            let (actor, is_waiting) = events.recv().expect("the actors hold senders");
            if is_waiting {
                ready.insert(actor)
            } else {
                ready.remove(&actor)
            };
        }
    };
    settle(&mut ready, 4);
    while !ready.is_empty() {
        let actor = *ready.iter().nth(random.below(ready.len())).expect("not empty");
        ready.remove(&actor);
        store.advance(Duration::from_secs(1));
        let turn = match random.below(60) {
            0 => Turn::Crash,
            1 => Turn::Lost,
            _ => Turn::Go,
        };
        turns[actor].send(turn).expect("it waits");
        settle(&mut ready, 1);
    }
    collectors.into_iter().for_each(|thread| thread.join().expect("no panic"));
    let outcomes: Vec<_> = pushers.into_iter().map(|thread| thread.join().expect("no panic")).collect();
    outcomes.iter().all(|outcome| outcome.as_ref().is_ok_and(|chosen| is_fetchable(&store, chosen)))
}

fn losses(seeds: Range<u64>, mutation: Option<&'static str>) -> Vec<u64> {
    seeds.filter(|seed| !run(*seed, mutation)).collect()
}

fn schedules() -> u64 {
    std::env::var("MLV_TEST_SCHEDULES").ok().and_then(|count| count.parse().ok()).unwrap_or(150)
}

#[test]
fn no_schedule_loses_what_a_push_said_is_there() {
    assert_eq!(losses(1..schedules() + 1, None), Vec::<u64>::new(), "seeds");
}

fn assert_caught(mutation: &'static str) {
    let caught = (1..4_000).any(|seed| !run(seed, Some(mutation)));
    assert!(caught, "no schedule notices that `{mutation}` is missing");
}

#[test]
fn a_push_without_verification_is_caught() {
    assert_caught("push-verification");
}

#[test]
fn a_record_after_the_look_for_marks_is_caught() {
    assert_caught("push-record-before-marks");
}

#[test]
fn relying_on_marked_packs_is_caught() {
    assert_caught("push-marked-is-absent");
}

#[test]
fn listing_packs_before_marks_is_caught() {
    assert_caught("push-marks-before-packs");
}
