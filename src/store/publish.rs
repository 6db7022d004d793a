//! Making what an operation wrote durable, and then visible (R8, I4).
//!
//! Order: bytes, rename, folder; packs before the segment that names them. A failed fsync is
//! not tried again on the same file: the kernel may have dropped what it could not write. The
//! operation fails, and the next one writes the bytes anew from their source.

use std::collections::BTreeSet;
use std::io::Write;

use crate::fs;
use crate::fs::file::OutFile;
use crate::model::object::RecordKey;
use crate::model::path::RepoPath;
use crate::pack::segment::{MAX_ENTRIES, SegmentBuilder, SegmentName};
use crate::pack::writer::SealedPack;
use crate::store::Error;
use crate::store::layout::{self, loose_path, segment_path};
use crate::store::writer::{self, CacheWriter};

/// A written file in the staging folder that becomes a loose record.
pub(super) struct Draft {
    /// Its name in the staging folder.
    pub(super) name: String,
    /// The record.
    pub(super) key: RecordKey,
    /// Bytes.
    pub(super) len: u64,
    /// Open for its fsync, unless there are many.
    pub(super) file: Option<OutFile>,
}

/// Up to so many files are synced one by one; of more, the whole file system is, once.
pub(super) const FEW: usize = 15;
/// So many segments of one tier are merged into the next.
const MERGE_AT: usize = 16;

/// Publishes loose files: sync, rename, sync of the folders.
pub(super) fn loose(writer: &CacheWriter<'_>, drafts: Vec<Draft>) -> Result<(), Error> {
    if drafts.is_empty() {
        return Ok(());
    }
    let dir = writer::dir(writer)?;
    let mode = writer.opened()?.trust.file_mode();
    for draft in &drafts {
        let failed = |error| writer.stage_failed(&draft.name, "set the mode of")(error);
        match &draft.file {
            Some(file) => file.set_mode(mode).map_err(failed)?,
            None => writer.staging()?.dir().set_mode(&RepoPath::own(&draft.name), mode)?,
        }
    }
    let is_synced = drafts.len() > FEW && dir.sync_file_system()?;
    for draft in drafts.iter().filter(|_| !is_synced) {
        if let Some(file) = &draft.file {
            file.sync_data().map_err(|error| writer.stage_failed(&draft.name, "sync")(error))?;
        }
    }
    let mut folders = BTreeSet::new();
    for draft in &drafts {
        let path = loose_path(draft.key);
        rename(writer, &draft.name, &path)?;
        folders.extend(path.parent());
    }
    if is_synced && folders.len() > FEW {
        dir.sync_file_system()?;
        return Ok(());
    }
    folders.extend(folders.clone().iter().filter_map(RepoPath::parent));
    sync_folders(writer, folders)
}

/// Folders before those that they are in: `objects/ab`, `objects`, the root.
fn sync_folders(writer: &CacheWriter<'_>, mut folders: BTreeSet<RepoPath>) -> Result<(), Error> {
    let dir = writer::dir(writer)?;
    folders.insert(RepoPath::root());
    for folder in folders.iter().rev() {
        dir.sync_dir(folder)?;
    }
    Ok(())
}

/// Gives a staged file its final name. What stands there already has the same bytes.
pub(super) fn rename(writer: &CacheWriter<'_>, name: &str, to: &RepoPath) -> Result<(), Error> {
    let (dir, from) = (writer::dir(writer)?, writer::staged(writer.staging()?, name));
    match dir.rename(&from, to) {
        Err(error) if error.is_not_found() => {}
        other => return Ok(other?),
    }
    if let Some(folder) = to.parent() {
        dir.create_dir_all_with(&folder, writer.opened()?.trust.dir_mode())?;
    }
    Ok(dir.rename(&from, to)?)
}

/// Makes packs visible: syncs their folders and publishes the segment that names them.
pub(super) fn segment(writer: &CacheWriter<'_>, sealed: &[SealedPack]) -> Result<(), Error> {
    if sealed.is_empty() {
        return Ok(());
    }
    let mut folders: BTreeSet<_> =
        sealed.iter().filter_map(|pack| layout::pack_path(pack.id).parent()).collect();
    folders.insert(RepoPath::own(layout::PACKS));
    sync_folders(writer, folders)?;
    let mut builder = SegmentBuilder::new();
    for pack in sealed {
        builder.add_pack(pack.id, pack.len, &pack.entries);
    }
    // I2: the segment after its packs.
    write_segment(writer, &builder, 0)
}

fn write_segment(writer: &CacheWriter<'_>, builder: &SegmentBuilder, tier: u8) -> Result<(), Error> {
    let failed = |source| Error::Pack { path: writer.cache.root().join(layout::SEGMENTS), source };
    let built = builder.build(tier, (0, 0), fs::random_bytes()).map_err(failed)?;
    let Some((name, bytes)) = built else { return Ok(()) };
    let (staged, mut file) = writer.draft()?;
    let mode = writer.opened()?.trust.file_mode();
    file.write_all(&bytes)
        .and_then(|()| file.set_mode(mode))
        .and_then(|()| file.sync_data())
        .map_err(writer.stage_failed(&staged, "write"))?;
    rename(writer, &staged, &segment_path(&name))?;
    sync_folders(writer, BTreeSet::from([RepoPath::own(layout::SEGMENTS)]))
}

/// Merges 16 or more segments of one tier into one of the next. Best effort: an operation is
/// complete without it, and the next one tries again.
pub(super) fn merge_tiers(writer: &CacheWriter<'_>) {
    for tier in 0..u8::MAX {
        match merge_tier(writer, tier) {
            Ok(true) => writer.cache.forget_packed(),
            _ => return,
        }
    }
}

fn merge_tier(writer: &CacheWriter<'_>, tier: u8) -> Result<bool, Error> {
    let Some(packed) = writer.cache.packed() else { return Ok(false) };
    let inputs: Vec<_> = packed.segments().iter().filter(|(name, _)| name.tier == tier).collect();
    let entries: usize = inputs.iter().map(|(_, segment)| segment.len()).sum();
    if inputs.len() < MERGE_AT || entries > MAX_ENTRIES {
        return Ok(false);
    }
    let mut builder = SegmentBuilder::new();
    for (name, segment) in &inputs {
        builder.add_segment(segment);
        builder.supersede(name.id);
    }
    write_segment(writer, &builder, tier + 1)?;
    let names: Vec<SegmentName> = inputs.iter().map(|(name, _)| *name).collect();
    for name in names {
        // A reader that listed it before finds it gone and lists again.
        writer::dir(writer)?.remove_file(&segment_path(&name))?;
    }
    Ok(true)
}
