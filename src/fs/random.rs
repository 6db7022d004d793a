//! Random bytes from the operating system.

use std::time::{SystemTime, UNIX_EPOCH};

/// `N` bytes that no other process gets.
///
/// Where the operating system has none to give (a chroot without its device), the clock, the
/// process id and a counter stand in: the bytes name temporary files and packs, they keep no
/// secret.
pub fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    #[cfg(feature = "fault")]
    if seeded::fill(&mut bytes) {
        return bytes;
    }
    if getrandom::fill(&mut bytes).is_err() {
        fill_from_clock(&mut bytes);
    }
    bytes
}

/// `random_bytes` as lower-case hex, twice as many digits.
pub(crate) fn random_hex<const N: usize>() -> String {
    random_bytes::<N>().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn fill_from_clock(bytes: &mut [u8]) {
    use std::sync::atomic::{AtomicU64, Ordering};
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |age| age.as_nanos() as u64);
    for chunk in bytes.chunks_mut(32) {
        let count = COUNTER.fetch_add(1, Ordering::Relaxed);
        let seed = format!("{nanos} {} {count}", std::process::id());
        let digest = crate::model::digest::Digest::of(seed.as_bytes());
        chunk.copy_from_slice(&digest.as_bytes()[..chunk.len()]);
    }
}

/// Bytes that follow from a seed, so that a test can run the same way again.
#[cfg(feature = "fault")]
mod seeded {
    use std::cell::Cell;

    use crate::model::digest::Digest;

    thread_local! {
        static SEED: Cell<Option<(u64, u64)>> = const { Cell::new(None) };
    }

    /// Runs `body` with random bytes that follow from `seed`, in this thread alone.
    pub fn with_seed<T>(seed: u64, body: impl FnOnce() -> T) -> T {
        SEED.set(Some((seed, 0)));
        let result = body();
        SEED.set(None);
        result
    }

    /// The next bytes after the seed; false where there is none.
    pub(super) fn fill(bytes: &mut [u8]) -> bool {
        let Some((seed, mut count)) = SEED.get() else { return false };
        for chunk in bytes.chunks_mut(32) {
            let digest = Digest::of(format!("{seed} {count}").as_bytes());
            chunk.copy_from_slice(&digest.as_bytes()[..chunk.len()]);
            count += 1;
        }
        SEED.set(Some((seed, count)));
        true
    }
}

#[cfg(feature = "fault")]
pub use seeded::with_seed;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_calls_differ_with_and_without_the_system() {
        assert_ne!(random_bytes::<16>(), random_bytes::<16>());
        let (mut a, mut b) = ([0; 40], [0; 40]);
        fill_from_clock(&mut a);
        fill_from_clock(&mut b);
        assert_ne!(a, b);
    }
}
