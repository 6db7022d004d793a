//! What can be tried out only where requests travel: pages of listings, and checksums.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use super::{Outcome, Probe};
use crate::remote::backend::{Action, Backend, BackendError, Key, ListSink, Situation, Trials, read};

/// How many lines of a listing are looked at: each is a request.
const LINES: usize = 3;
/// A page that holds all of them.
const WHOLE: usize = 100;

/// Whether an upload that changes on the way is refused, and leaves the `bytes` at `key` as they are.
///
/// Amazon's word for it is 400, and others have other ones, up to an internal error.
pub(super) fn check_checksums(
    backend: &dyn Backend,
    trials: &dyn Trials,
    (key, bytes): (&Key, &[u8]),
    probe: &mut Probe,
) {
    let put = trials.put_changed(key, bytes);
    match (put, read(backend, key, bytes.len() as u64)) {
        (Err(error), _) if error.situation == Situation::Interrupted => probe.fail("checksum", error),
        (_, Err(error)) => probe.fail("checksum", error),
        (Err(_), Ok(there)) if there == bytes => {
            probe.note("checksum", Outcome::Ok, "an upload that changes on the way is refused");
        }
        (_, Ok(_)) => {
            probe.note("checksum", Outcome::No, "the store takes an upload that changed on the way");
            probe.advise(
                "reach it by https, which lets nothing change on the way; `mlv fsck --remote --read-data` finds \
                 what is damaged",
            );
        }
    }
}

/// Whether a listing that begins with `prefix` is complete when it comes in pages of one line.
pub(super) fn check_pages(backend: &dyn Backend, trials: &dyn Trials, prefix: &str, probe: &mut Probe) {
    let whole = names(|each| trials.list_in_pages(prefix, WHOLE, each));
    let paged = whole.and_then(|(whole, _)| {
        let (found, pages) = names(|each| trials.list_in_pages(prefix, 1, each))?;
        match found == whole {
            true => Ok((whole.len(), pages)),
            false => Err(BackendError::new(Situation::Invalid, Action::List, prefix, backend.describe())),
        }
    });
    match paged {
        Ok((0 | 1, _)) => {
            probe.note("list_pages", Outcome::Unknown, "too little is here to fill two pages of a listing");
        }
        Ok((_, 1)) => {
            let detail = "the store does not let the pages of a listing be made smaller";
            probe.note("list_pages", Outcome::Unknown, detail);
        }
        Ok((_, pages)) => {
            probe.note("list_pages", Outcome::Ok, format!("a listing in {pages} pages is complete"));
        }
        Err(error) => {
            probe.advise(match error.situation {
                Situation::Invalid => {
                    "a listing that leaves out lines makes data vanish: do not use this store"
                }
                _ => "a listing of more than one page (1,000 objects) cannot be relied on here",
            });
            probe.fail("list_pages", error);
        }
    }
}

/// The first names of a listing, each once and sorted, and in how many pages they came.
fn names(
    list: impl FnOnce(&mut ListSink<'_>) -> Result<usize, BackendError>,
) -> Result<(BTreeSet<Key>, usize), BackendError> {
    let mut names = BTreeSet::new();
    let pages = list(&mut |line| {
        names.insert(line.key);
        if names.len() < LINES { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    Ok((names, pages))
}
