//! R15: after any failure the same command again finishes.

use super::*;
use crate::remote::conformance::faulty::{Fault, FaultyBackend};

/// Fails the n-th call of a push, for each n and way to fail; then pushes again.
#[test]
fn a_push_that_failed_anywhere_completes_when_it_is_repeated() {
    let calls = mixed(1).push(&memory()).expect("pushes").1.total();
    for fault in [Fault::Error, Fault::Torn, Fault::Lost] {
        for at in 1..=calls {
            let store = memory();
            let clone = mixed(1);
            let faulty = Arc::new(FaultyBackend::new(Arc::clone(&store), at, fault));
            let error = clone.push(&faulty).expect_err("told");
            assert_eq!(error.kind(), ErrorKind::Network, "{fault:?} at {at}");
            clone.push(&store).unwrap_or_else(|error| panic!("{fault:?} at {at}: {error}"));
            assert_fetchable(&store, &clone);
        }
    }
}

/// With patience the first push already succeeds: a fault is not even seen.
#[test]
fn a_passing_fault_is_waited_out() {
    let calls = mixed(1).push(&memory()).expect("pushes").1.total();
    for fault in [Fault::Error, Fault::Torn, Fault::Lost] {
        for at in 1..=calls {
            let store = memory();
            let clone = mixed(1);
            let faulty = FaultyBackend::new(Arc::clone(&store), at, fault);
            let mut options = OpenOptions::new("memory", None, Operation::Write);
            options.patience = Patience { attempts: 2, pause: Duration::ZERO, longest: Duration::ZERO };
            let mut remote = Remote::open(Box::new(faulty), options).expect("opens");
            let plan = plan_push(&mut remote, &clone.wants, &clone.store).expect("plans");
            push(&mut remote, plan, &clone.wants, &clone.store, &clone.request(), &NoReport).expect("pushes");
            assert_fetchable(&store, &clone);
        }
    }
}

/// What a broken push left is used by the next one, from any clone.
#[test]
fn what_was_sent_before_a_failure_is_not_sent_again() {
    let store = memory();
    let first = mixed(1);
    let calls = first.push(&memory()).expect("pushes").1.total();
    // Fails at the last listing: packs, segment and record are there.
    let faulty = Arc::new(FaultyBackend::new(Arc::clone(&store), calls, Fault::Error));
    first.push(&faulty).expect_err("told");
    let other = Clone { client: ClientId(2), ..mixed(1) };
    let (report, _) = other.push(&store).expect("pushes");
    assert_eq!(report.bytes_sent, 0, "{report:?}");
    assert_fetchable(&store, &other);
}
