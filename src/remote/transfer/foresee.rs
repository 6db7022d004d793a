//! What a fetch will take, without fetching.

use crate::model::object::{RecordKey, RecordKind};
use crate::remote::backend::RoundTrip;
use crate::remote::catalog::SortedKeys;
use crate::remote::error::Error;
use crate::remote::open::Remote;
use crate::remote::transfer::large::window_bytes;
use crate::remote::transfer::ranges::{Located, plan_reads};
use crate::remote::wants::WantList;
use crate::report::Reporter;

/// What a fetch will bring, for a report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct FetchCounts {
    /// Files and symlinks.
    pub objects: u64,
    /// Bytes, decompressed.
    pub bytes: u64,
    /// Requests; of large files about, as how many packs they lie in is not looked up.
    pub requests: u64,
}

/// Counts what a fetch of `wants` would take; also what no segment of the remote names.
///
/// Looks in the catalogue at hand, and lists the remote if something is not in it.
pub fn foresee_fetch(
    remote: &mut Remote,
    wants: &WantList,
    reporter: &dyn Reporter,
) -> Result<(FetchCounts, Vec<RecordKey>), Error> {
    let keys = SortedKeys::new(wants.wants().iter().map(|want| want.key).collect());
    let is_known = remote.catalog.is_known();
    if !is_known {
        remote.refresh(reporter)?;
    }
    let (counts, missing) = count(remote, &keys, wants);
    if missing.is_empty() || !is_known {
        return Ok((counts, missing));
    }
    // Others may have written it meanwhile.
    remote.refresh(reporter)?;
    Ok(count(remote, &keys, wants))
}

fn count(remote: &Remote, keys: &SortedKeys, wants: &WantList) -> (FetchCounts, Vec<RecordKey>) {
    let catalog = remote.catalog();
    let places = catalog.locate(keys, &catalog.usable(|_, _| true));
    let round_trip = remote.backend().round_trip();
    let mut counts = FetchCounts::default();
    let mut missing = Vec::new();
    let mut records = Vec::new();
    let mut large = 0;
    for (((index, want), place), repeated) in (0u32..).zip(wants.wants()).zip(places).zip(keys.repeated()) {
        if repeated {
            continue;
        }
        let recipe = RecordKey { kind: RecordKind::Recipe, ..want.key };
        match place.or_else(|| catalog.places(recipe).next()) {
            Some(found) => records.push(Located { index, place: found }),
            None => {
                missing.push(want.key);
                continue;
            }
        }
        counts.objects += 1;
        counts.bytes += want.size;
        if place.is_none() {
            large += want.size;
        }
    }
    // The chunks of all large files are one stream.
    counts.requests += large.div_ceil(window_bytes(round_trip));
    let limit = if round_trip == RoundTrip::Local { 4 << 20 } else { u64::MAX };
    counts.requests += plan_reads(records, round_trip, limit).len() as u64;
    (counts, missing)
}
