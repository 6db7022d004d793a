//! Packs that this process has written itself, of records that it hashed on their way.
//!
//! What a fetch has just verified and written, the checkout behind it need not hash again: the pack's
//! stamp proves that nobody wrote to it since (R4).

use std::collections::HashMap;
use std::fs::File;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::fs::dir::stamp_of;
use crate::fs::fault;
use crate::fs::stamp::FileStamp;
use crate::model::digest::PackId;

/// Their stamps under their final names.
#[derive(Debug, Default)]
pub(super) struct OwnPacks {
    stamps: Mutex<HashMap<PackId, FileStamp>>,
}

impl OwnPacks {
    /// Notes a pack that was written and has its name.
    pub(super) fn note(&self, id: PackId, stamp: FileStamp) {
        self.lock().insert(id, stamp);
    }

    /// Whether `file` is the pack `id` as this process wrote it.
    pub(super) fn has(&self, id: PackId, file: &File) -> bool {
        let Some(known) = self.lock().get(&id).copied() else { return false };
        stamp_of(file).is_ok_and(|stamp| stamp == known) || fault::mutated("pack-stamp")
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<PackId, FileStamp>> {
        self.stamps.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
