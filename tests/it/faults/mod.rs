//! What a crash, an error, a full disk, a race or another process may not do: lose a byte,
//! leave half a file, or need a hand to clean up. And that the tests would notice: each safety
//! measure is left out once (`MLV_MUTATE`), and the same oracle must then report.

mod calls;
mod disk;
mod durability;
mod kill;
mod meanwhile;
mod race;
mod recovery;
mod scenario;
mod trace;

pub(crate) use trace::has_strace;
