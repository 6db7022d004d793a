//! Bringing records and files from a remote: from places to reads, every record verified on the
//! way in (R4), large files put together in the order of their bytes.
//!
//! What is damaged at one place is looked for at others, then in a fresh catalogue; what is
//! nowhere is told, and the rest still comes (R14). Memory does not grow with the data: reads
//! are streamed, and a large file has a bounded read-ahead.

use std::collections::BTreeSet;

use crate::model::digest::PackId;
use crate::model::object::{RecordKey, RecordKind};
use crate::remote::backend::Backend;
use crate::remote::catalog::{Catalog, Place, SortedKeys};
use crate::remote::error::Error;
use crate::remote::mend::index_unknown_packs;
use crate::remote::open::Remote;
use crate::remote::transfer::RecordSink;
use crate::remote::transfer::large::fetch_files;
use crate::remote::transfer::losses::{Loss, Losses};
use crate::remote::transfer::ranges::Located;
use crate::remote::transfer::reading::{Brought, Put, Reading};
use crate::remote::wants::WantList;
use crate::report::{Meter, Reporter, Task, Unit};

/// What a fetch brought, and what it did not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FetchReport {
    /// Records that were brought, the parts of large files not counted.
    pub records: u64,
    /// Large files that were put together.
    pub files: u64,
    /// Chunks of large files that were read.
    pub chunks: u64,
    /// Bytes of what was brought, decompressed.
    pub bytes: u64,
    /// What no segment of the remote names; in the order of the wants.
    pub missing: Vec<RecordKey>,
    /// What segments name in packs that are not there any more, and nowhere else; in the order of the wants.
    pub gone: Vec<RecordKey>,
    /// What is named, but damaged wherever it should be; in the order of the wants.
    pub damaged: Vec<RecordKey>,
}

impl FetchReport {
    /// Whether everything that was wanted came.
    pub fn is_complete(&self) -> bool {
        self.missing.is_empty() && self.gone.is_empty() && self.damaged.is_empty()
    }

    pub(super) fn add(&mut self, other: FetchReport) {
        self.records += other.records;
        self.files += other.files;
        self.chunks += other.chunks;
        self.bytes += other.bytes;
        self.missing.extend(other.missing);
        self.gone.extend(other.gone);
        self.damaged.extend(other.damaged);
    }
}

/// Places at which something was found not to be.
pub(super) type Bad = BTreeSet<(RecordKey, PackId)>;

/// What a fetch works with.
pub(super) struct Fetching<'a> {
    pub(super) backend: &'a dyn Backend,
    pub(super) catalog: &'a Catalog,
    pub(super) sink: &'a dyn RecordSink,
    pub(super) meter: &'a dyn Meter,
    /// How many threads check what comes from a folder.
    pub(super) threads: usize,
}

/// Fetches what `wants` names into `sink`.
///
/// Looks in the catalogue at hand, and lists the remote only if something is not in it or not
/// where it says. Fails where the remote or the sink does; what is missing or damaged is in the
/// report. What was handed to the sink before a failure is good.
pub fn fetch(
    remote: &mut Remote,
    wants: &WantList,
    sink: &dyn RecordSink,
    reporter: &dyn Reporter,
) -> Result<FetchReport, Error> {
    let keys = SortedKeys::new(wants.wants().iter().map(|want| want.key).collect());
    let repeated = keys.repeated();
    let sizes: Vec<u64> = wants.wants().iter().map(|want| want.size).collect();
    let total = sizes.iter().zip(&repeated).filter(|(_, repeated)| !**repeated).map(|(size, _)| size).sum();
    let meter = reporter.meter(Task { verb: "Downloading", unit: Unit::Bytes, total: Some(total) });
    let mut open: Vec<u32> =
        (0u32..).zip(&repeated).filter(|(_, repeated)| !**repeated).map(|(index, _)| index).collect();
    let mut report = FetchReport::default();
    let mut bad = Bad::new();
    if !remote.catalog.is_known() {
        remote.refresh(reporter)?;
    }
    for round in 0.. {
        let on = Fetching {
            backend: remote.backend(),
            catalog: &remote.catalog,
            sink,
            meter: &*meter,
            threads: remote.threads(),
        };
        let (brought, left) = on.round((&keys, &sizes), open, &mut bad)?;
        report.add(brought);
        open = left;
        if open.is_empty() {
            break;
        }
        let knows_more = match round {
            // Nothing more at the known places: what others wrote or merged meanwhile may tell,
            0 => remote.refresh(reporter).map(|_| true)?,
            // or, where an index is damaged or lost, the packs themselves.
            1 => index_unknown_packs(remote)?,
            _ => false,
        };
        if !knows_more {
            break;
        }
    }
    meter.finish();
    let mut losses = Losses::of(remote, bad);
    for index in open {
        let key = keys.keys()[index as usize];
        let list = match losses.of_record(key, sizes[index as usize]) {
            Loss::Missing => &mut report.missing,
            Loss::Gone => &mut report.gone,
            Loss::Damaged => &mut report.damaged,
        };
        list.push(key);
    }
    losses.note();
    Ok(report)
}

impl Fetching<'_> {
    /// Tries all known places of what is `open`; returns what came, and what is still open, in order.
    fn round(
        &self,
        (keys, sizes): (&SortedKeys, &[u64]),
        mut open: Vec<u32>,
        bad: &mut Bad,
    ) -> Result<(FetchReport, Vec<u32>), Error> {
        let mut report = FetchReport::default();
        let mut nowhere = Vec::new();
        let all = self.catalog.usable(|_, _| true);
        let mut first = Some(self.catalog.locate(keys, &all));
        while !open.is_empty() {
            let located = first.take();
            let mut records = Vec::new();
            let mut files = Vec::new();
            for index in open {
                let key = keys.keys()[index as usize];
                let known = located.as_ref().and_then(|places| places[index as usize]);
                match known
                    .filter(|place| !self.is_bad(bad, key, *place))
                    .or_else(|| self.good_place(bad, key))
                {
                    Some(place) => records.push(Located { index, place }),
                    None if key.kind == RecordKind::File => files.push(index),
                    None => nowhere.push(index),
                }
            }
            let key_of = |record: &Located| keys.keys()[record.index as usize];
            let brought = self.records(&key_of, records, &|record, raw| {
                self.meter.inc(raw.len() as u64);
                self.sink.put(key_of(record), raw).map_err(Error::Sink)
            })?;
            report.add(brought.report);
            bad.extend(brought.bad);
            let of_files = fetch_files(self, (keys, sizes), &files, bad)?;
            report.add(of_files.report);
            nowhere.extend(of_files.nowhere);
            open = brought.failed;
            open.extend(of_files.again);
        }
        nowhere.sort_unstable();
        Ok((report, nowhere))
    }

    fn is_bad(&self, bad: &Bad, key: RecordKey, place: Place) -> bool {
        bad.contains(&(key, self.catalog.pack(place.pack).0))
    }

    /// A place of `key` that did not fail yet.
    pub(super) fn good_place(&self, bad: &Bad, key: RecordKey) -> Option<Place> {
        self.catalog.places(key).find(|place| !self.is_bad(bad, key, *place))
    }

    /// Reads `records` with several threads, and hands each to `put`, verified.
    pub(super) fn records(
        &self,
        key_of: &(dyn Fn(&Located) -> RecordKey + Sync),
        records: Vec<Located>,
        put: &Put<'_>,
    ) -> Result<Brought, Error> {
        let reading = Reading { backend: self.backend, catalog: self.catalog, threads: self.threads };
        reading.records(key_of, records, put)
    }
}
