//! What an interrupted push leaves to the next one.

use super::*;
use crate::remote::backend::list_sorted;
use crate::remote::conformance::faulty::FaultyBackend;
use crate::remote::names::PACKS;
use crate::report::{Event, Meter, Reporter, Task};

/// Keeps the events.
#[derive(Default)]
struct Heard(Mutex<Vec<Event>>);

impl Reporter for Heard {
    fn meter(&self, task: Task) -> Box<dyn Meter> {
        NoReport.meter(task)
    }

    fn event(&self, event: &Event) {
        self.0.lock().expect("no panic").push(event.clone());
    }
}

/// A store whose disk fails at one record.
struct Failing<'a> {
    store: &'a Store,
    at: RecordKey,
}

impl RecordSource for Failing<'_> {
    fn holds(&self, key: RecordKey) -> bool {
        self.store.holds(key)
    }

    fn load(&self, keys: &[RecordKey], each: &mut RecordReceiver<'_>) -> Result<(), Cause> {
        if keys.contains(&self.at) { Err(Cause::new(Ended)) } else { self.store.load(keys, each) }
    }

    fn open(&self, id: ObjectId) -> Result<Option<Box<dyn Read + Send + '_>>, Cause> {
        self.store.open(id)
    }

    fn found_damaged(&self, key: RecordKey) {
        self.store.found_damaged(key);
    }
}

fn push_from(
    clone: &Clone,
    backend: &Arc<MemoryBackend>,
    source: &dyn RecordSource,
) -> (Result<PushReport, Error>, Vec<Event>) {
    let heard = Heard::default();
    let mut remote = clone.open(Arc::clone(backend), Operation::Write).expect("opens");
    let plan = plan_push(&mut remote, &clone.wants, source).expect("plans");
    let outcome = push(&mut remote, plan, &clone.wants, source, &clone.request(), &heard);
    (outcome, heard.0.into_inner().expect("no panic"))
}

/// R15: the line goes down after some packs have arrived, and their index cannot be written either.
#[test]
fn what_arrived_before_the_line_went_down_is_not_sent_again() {
    const LEN: usize = 2 << 20;
    for knew_it in [true, false] {
        let backend = memory();
        let mut clone = Clone::new(1);
        if knew_it {
            clone.add_file("known", b"known".to_vec());
            clone.push(&backend).expect("pushes");
        }
        for number in 0..40 {
            clone.add_file("x.bin", noise(number, LEN));
        }
        let packs = || list_sorted(&backend, PACKS).expect("memory lists").len();
        let before = packs();
        // Calls of a push before its packs: one to open a remote, two more to make one.
        let calls = if knew_it { 1 } else { 3 };
        let dead = FaultyBackend::dead_from(Arc::clone(&backend), calls + 3);
        let mut remote = clone.open(dead, Operation::Write).expect("opens");
        let plan = plan_push(&mut remote, &clone.wants, &clone.store).expect("plans");
        push(&mut remote, plan, &clone.wants, &clone.store, &clone.request(), &NoReport).expect_err("down");
        assert_eq!(packs() - before, 2, "two have arrived");
        let (done, heard) = push_from(&clone, &backend, &clone.store);
        let [Event::Resuming { already, .. }] = heard[..] else { panic!("{heard:?}") };
        assert!(already >= 64 << 20, "{already}");
        let report = done.expect("pushes");
        assert!(report.bytes_sent < (40 * LEN as u64) - already + (1 << 20), "{report:?}");
        assert_eq!(report.indexes_restored, 0, "nothing was lost there: {report:?}");
        assert_fetchable(&backend, &clone);
    }
}

/// R15: what has arrived is found, counted and not sent again; also where the clone knew the remote.
#[test]
fn next_push_goes_on_where_the_last_one_stopped() {
    const LEN: usize = 2 << 20;
    let backend = memory();
    let mut clone = Clone::new(1);
    clone.add_file("known", b"known".to_vec());
    clone.push(&backend).expect("pushes");
    let mut last = None;
    for number in 0..40 {
        last = Some(clone.add_file("x.bin", noise(number, LEN)));
    }
    let failing = Failing { store: &clone.store, at: file_key(last.expect("forty")) };
    let (failed, heard) = push_from(&clone, &backend, &failing);
    failed.expect_err("the disk fails");
    assert_eq!(heard, [], "nothing to go on with yet");
    let (done, heard) = push_from(&clone, &backend, &clone.store);
    let sent = done.expect("pushes").bytes_sent;
    let [Event::Resuming { already, total }] = heard[..] else { panic!("{heard:?}") };
    assert_eq!(total, 40 * LEN as u64);
    assert!(already >= 32 << 20 && already.is_multiple_of(LEN as u64), "{already}");
    assert!(sent < total - already + (1 << 20), "{sent} bytes for {} that were left", total - already);
    assert_fetchable(&backend, &clone);
    let (again, heard) = push_from(&clone, &backend, &clone.store);
    assert_eq!((again.expect("pushes").packs, heard), (0, Vec::new()), "finished pushes are not resumed");
}
