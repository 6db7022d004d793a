//! Copying what is needed out of packs that are to go.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use super::{Run, class};
use crate::model::digest::PackId;
use crate::model::object::RecordKey;
use crate::pack::format::{Codec, MAX_RECORDS, TARGET_PACK};
use crate::pack::writer::{PackWriter, SealedPack, compress_if_it_pays};
use crate::remote::backend::Stat;
use crate::remote::catalog::Place;
use crate::remote::error::{Cause, Error};
use crate::remote::gc::look::Look;
use crate::remote::names::pack_key;
use crate::remote::transfer::push::put_segments;
use crate::remote::transfer::reading::read_placed;
use crate::report::{Task, Unit, interrupted};

/// A segment follows so many packs.
const CHECKPOINT: usize = 64;

impl Run<'_> {
    /// Writes `records` into new packs, verified, each once, and the segments over them (I2).
    ///
    /// A damaged one is left out and noted in `look`: its pack will stay. Memory: one pack and one
    /// pack's worth of raw bytes.
    pub(super) fn copy(&mut self, look: &mut Look, records: Vec<(RecordKey, Place)>) -> Result<(), Error> {
        let mut seen = HashSet::new();
        let records: Vec<(RecordKey, Place)> =
            records.into_iter().filter(|(key, _)| seen.insert(class(*key))).collect();
        if self.options.dry_run {
            self.report.copied_bytes +=
                records.iter().map(|(_, place)| u64::from(place.stored_len)).sum::<u64>();
            return Ok(());
        }
        let total = records.iter().map(|(_, place)| u64::from(place.raw_len)).sum();
        let meter = self.reporter.meter(Task { verb: "Copying", unit: Unit::Bytes, total: Some(total) });
        let mut written = Vec::new();
        for batch in batches(&records) {
            if interrupted() {
                return Err(Error::Interrupted);
            }
            written.extend(self.copy_batch(look, batch)?);
            meter.inc(batch.iter().map(|(_, place)| u64::from(place.raw_len)).sum());
            if written.len() >= CHECKPOINT {
                self.index(look, &std::mem::take(&mut written))?;
            }
        }
        meter.finish();
        self.index(look, &written)
    }

    fn copy_batch(&self, look: &mut Look, batch: &[(RecordKey, Place)]) -> Result<Option<SealedPack>, Error> {
        let own_fault = |error| Error::Source(Cause::new(error));
        let came = Mutex::new(HashMap::new());
        let failed = read_placed(self.remote, batch.to_vec(), &|key, raw| {
            came.lock().unwrap_or_else(PoisonError::into_inner).insert(key, raw.to_vec());
        })?;
        look.bad.extend(failed);
        let mut came = came.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut writer = PackWriter::new(Vec::new(), crate::fs::random_bytes()).map_err(own_fault)?;
        for (key, place) in batch {
            let Some(raw) = came.remove(key) else { continue };
            let packed = if place.codec == Codec::Raw { None } else { compress_if_it_pays(&raw) };
            let (codec, stored) = packed.as_ref().map_or((Codec::Raw, &raw), |packed| (Codec::Zstd, packed));
            writer.push(*key, codec, place.raw_len, stored).map_err(own_fault)?;
        }
        if writer.count() == 0 {
            return Ok(None);
        }
        let (sealed, bytes) = writer.finish().map_err(own_fault)?;
        self.remote.backend().put(&pack_key(sealed.id), &[bytes.into()])?;
        Ok(Some(sealed))
    }

    fn index(&mut self, look: &mut Look, packs: &[SealedPack]) -> Result<(), Error> {
        let mut segments = Vec::new();
        put_segments(self.remote.backend(), packs, &mut segments)?;
        for (name, segment) in segments {
            self.remote.catalog.hold(name, segment);
        }
        for SealedPack { id, len, .. } in packs {
            let id: PackId = *id;
            look.packs.insert(id, Stat { size: *len, modified: look.now });
            self.report.copied_bytes += len;
        }
        Ok(())
    }
}

/// Runs of records that fit in one pack, in the order in which they lie.
fn batches(records: &[(RecordKey, Place)]) -> Vec<&[(RecordKey, Place)]> {
    let mut all = Vec::new();
    let mut rest = records;
    while !rest.is_empty() {
        let mut bytes = 0;
        let within = rest.iter().take(MAX_RECORDS / 2).take_while(|(_, place)| {
            let fits = bytes == 0 || bytes + u64::from(place.raw_len) <= TARGET_PACK;
            bytes += u64::from(place.raw_len).max(1);
            fits
        });
        let (batch, after) = rest.split_at(within.count());
        all.push(batch);
        rest = after;
    }
    all
}
