//! How threads are used: the only place that sizes pools.
//!
//! CPU work goes through rayon's scoped threads started on first use, so that commands
//! that need none do not pay for them. Pipelines that hold much memory share a [`Budget`]:
//! it hands out bytes, not slots, so the bound does not depend on the number of threads.

use std::sync::{Condvar, Mutex, PoisonError};

/// The number of processors that this process may use, at least 1.
pub fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
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
    use std::sync::atomic::{AtomicU64, Ordering};

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
