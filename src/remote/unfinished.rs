//! What a clone remembers of a push that has not finished: how much it was about, and the index
//! segments over what has arrived. Advisory (R10): it only says how far the last push came.

use std::collections::BTreeSet;

use crate::model::object::RecordKind;
use crate::pack::segment::SegmentName;
use crate::remote::catalog::Catalog;
use crate::remote::state::State;

const FILE: &str = "pushing";
const VERSION: &str = "mlv pushing 1";
/// The longest note that is read, in bytes.
const MAX_SIZE: u64 = 1 << 20;

/// A push that was begun.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Unfinished {
    /// Bytes that it was to send, before compression.
    pub(crate) total: u64,
    /// The segments that it has written.
    pub(crate) segments: BTreeSet<SegmentName>,
}

impl Unfinished {
    /// What was noted, if the last push did not finish.
    pub(crate) fn load(state: &State) -> Option<Unfinished> {
        let bytes = state.read(FILE, MAX_SIZE)?;
        let mut lines = std::str::from_utf8(&bytes).ok()?.lines();
        if lines.next() != Some(VERSION) {
            return None;
        }
        let total = lines.next()?.parse().ok()?;
        let segments: Option<BTreeSet<SegmentName>> = lines.map(SegmentName::parse).collect();
        Some(Unfinished { total, segments: segments? })
    }

    /// Notes it.
    pub(crate) fn save(&self, state: &State) {
        let mut text = format!("{VERSION}\n{}\n", self.total);
        for name in &self.segments {
            text.push_str(&format!("{name}\n"));
        }
        state.save("", FILE, &[text.as_bytes()]);
    }

    /// Forgets what was noted: the push has finished.
    pub(crate) fn forget(state: &State) {
        state.forget("", FILE);
    }

    /// Bytes of data that have arrived, before compression.
    pub(crate) fn arrived(&self, catalog: &Catalog) -> u64 {
        let held = catalog.held().filter(|(name, _)| self.segments.contains(name));
        let records = held.flat_map(|(_, segment)| (0..segment.len()).map(|at| segment.entry_at(at)));
        let of_data = records.filter(|(key, ..)| matches!(key.kind, RecordKind::File | RecordKind::Chunk));
        of_data.map(|(_, _, at)| u64::from(at.raw_len)).fold(0, u64::saturating_add).min(self.total)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remote::names::RepoId;

    #[test]
    fn note_round_trips_and_damage_is_no_note() {
        let root = tempfile::tempdir().expect("a folder");
        let state = State::below(root.path(), RepoId(1), "/mnt");
        assert_eq!(Unfinished::load(&state), None);
        let note = Unfinished { total: 7, segments: BTreeSet::new() };
        note.save(&state);
        assert_eq!(Unfinished::load(&state), Some(note));
        for damaged in ["", "mlv pushing 2\n7\n", "mlv pushing 1\nx\n", "mlv pushing 1\n7\nno name\n"] {
            state.save("", FILE, &[damaged.as_bytes()]);
            assert_eq!(Unfinished::load(&state), None, "{damaged}");
        }
        Unfinished::forget(&state);
        assert_eq!(state.read(FILE, MAX_SIZE), None);
    }
}
