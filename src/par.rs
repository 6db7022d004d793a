//! How threads are used: the only place that decides their number.
//!
//! Work is cut into runs of neighbours, so that a thread stays in one folder or one pack, and
//! taken from a counter, so that a slow item holds up nobody else. Nothing is started for work
//! that one thread does in no time: a start-up must not pay for threads. Pipelines that hold
//! much memory share a [`Budget`]: it hands out bytes, not slots, so the bound does not depend
//! on the number of threads.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, OnceLock, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

/// Most threads for CPU work when the user does not say.
const MAX_DEFAULT: usize = 8;

/// The number of processors that this process may use, at least 1.
pub fn processors() -> usize {
    // A scanner is made for each stage, and the answer takes a system call and a look at cgroups.
    static FOUND: OnceLock<usize> = OnceLock::new();
    *FOUND.get_or_init(|| thread::available_parallelism().map_or(1, usize::from))
}

/// Threads for CPU work: what the user asked for, else one for each processor, at most 8.
pub fn threads(requested: Option<NonZeroUsize>) -> usize {
    requested.map_or_else(|| processors().min(MAX_DEFAULT), NonZeroUsize::get)
}

/// Calls `work` once for each run of up to `run` neighbouring indices below `count`.
///
/// Up to `jobs` threads, this one included, each with a state of its own made by `start`; the
/// states are returned in no particular order. Runs are begun in rising order. `work` returns
/// whether to go on: once it said no, no thread begins another run.
pub fn runs<S: Send>(
    jobs: usize,
    count: usize,
    run: usize,
    start: impl Fn() -> S + Sync,
    work: impl Fn(&mut S, std::ops::Range<usize>) -> bool + Sync,
) -> Vec<S> {
    let run = run.max(1);
    let next = AtomicUsize::new(0);
    let serve = || {
        let mut state = start();
        loop {
            let begin = next.fetch_add(run, Ordering::Relaxed);
            if begin >= count {
                return state;
            }
            if !work(&mut state, begin..count.min(begin + run)) {
                next.store(count, Ordering::Relaxed);
                return state;
            }
        }
    };
    let extra = jobs.min(count.div_ceil(run)).saturating_sub(1);
    tracing::trace!(threads = extra + 1, items = count, "working");
    thread::scope(|scope| {
        let others: Vec<_> = (0..extra).map(|_| scope.spawn(serve)).collect();
        let mut states = vec![serve()];
        for other in others {
            match other.join() {
                Ok(state) => states.push(state),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        states
    })
}

/// What `work` returns; `tell` is called beside it, once, if it takes longer than `patience`.
pub fn tell_if_slow<R>(patience: Duration, tell: impl FnOnce() + Send, work: impl FnOnce() -> R) -> R {
    let (working, wait) = mpsc::channel::<()>();
    thread::scope(|scope| {
        scope.spawn(move || {
            if wait.recv_timeout(patience) == Err(mpsc::RecvTimeoutError::Timeout) {
                tell();
            }
        });
        let result = work();
        drop(working);
        result
    })
}

/// `f` of each item, in the order of the items, on up to `jobs` threads.
pub fn map<T: Sync, R: Send>(jobs: usize, items: &[T], f: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let parts = runs(jobs, items.len(), 1, Vec::new, |done: &mut Vec<(usize, R)>, range| {
        done.extend(range.map(|index| (index, f(&items[index]))));
        true
    });
    let mut results: Vec<(usize, R)> = parts.into_iter().flatten().collect();
    results.sort_unstable_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}

/// A number of bytes that threads share: taken before the memory is, given back by drop.
pub struct Budget {
    size: u64,
    free: Mutex<u64>,
    freed: Condvar,
}

/// A part of a [`Budget`], returned when this is dropped.
pub struct Permit<'b> {
    budget: &'b Budget,
    bytes: u64,
}

impl Budget {
    /// A budget of `size` bytes.
    pub fn new(size: u64) -> Budget {
        Budget { size, free: Mutex::new(size), freed: Condvar::new() }
    }

    /// Takes `bytes`, waiting until others have returned enough.
    ///
    /// A request for more than the whole budget waits for all of it: it is slow, not stuck.
    pub fn take(&self, bytes: u64) -> Permit<'_> {
        let bytes = bytes.min(self.size);
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let mut free =
            self.freed.wait_while(free, |free| *free < bytes).unwrap_or_else(PoisonError::into_inner);
        *free -= bytes;
        Permit { budget: self, bytes }
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        *self.budget.free.lock().unwrap_or_else(PoisonError::into_inner) += self.bytes;
        self.budget.freed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU64;

    #[test]
    fn every_index_is_served_once_whatever_the_threads() {
        for (jobs, count, run) in [(1, 10, 3), (4, 1000, 7), (3, 0, 5), (8, 2, 0)] {
            let sum = AtomicUsize::new(0);
            let states = runs(
                jobs,
                count,
                run,
                || 0,
                |served: &mut usize, range| {
                    *served += range.len();
                    sum.fetch_add(range.sum::<usize>(), Ordering::Relaxed);
                    true
                },
            );
            assert_eq!(states.iter().sum::<usize>(), count);
            assert_eq!(sum.into_inner(), (0..count).sum::<usize>());
        }
    }

    #[test]
    fn stopping_leaves_the_rest() {
        let states = runs(
            2,
            1_000_000,
            1,
            || 0,
            |served: &mut u64, _| {
                *served += 1;
                false
            },
        );
        assert!(states.iter().sum::<u64>() <= 2);
    }

    #[test]
    fn map_keeps_the_order() {
        let items: Vec<u64> = (0..500).collect();
        assert_eq!(map(4, &items, |item| item * 2), (0..500).map(|item| item * 2).collect::<Vec<_>>());
    }

    #[test]
    fn no_more_than_the_budget_is_out_at_any_time() {
        let budget = Budget::new(10);
        let out = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for size in [3, 4, 10, 7, 100] {
                let (budget, out) = (&budget, &out);
                scope.spawn(move || {
                    for _ in 0..200 {
                        let permit = budget.take(size);
                        let now = out.fetch_add(permit.bytes, Ordering::SeqCst) + permit.bytes;
                        assert!(now <= 10, "{now}");
                        out.fetch_sub(permit.bytes, Ordering::SeqCst);
                    }
                });
            }
        });
        assert_eq!(*budget.free.lock().expect("no panic"), 10);
    }
}
