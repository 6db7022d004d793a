//! Cutting a streamed read of a pack into verified records.

use std::ops::ControlFlow;

use crate::model::digest::PackId;
use crate::model::object::RecordKey;
use crate::pack::format::RECORD_LEN;
use crate::pack::reader::decode_record;
use crate::remote::backend::{Backend, BackendError};
use crate::remote::names::pack_key;
use crate::remote::transfer::ranges::{Located, RangeRead};

/// Gets each record of a read: its verified bytes, or nothing if it is not what was looked for.
/// Returns whether to go on.
pub(super) type Receiver<'a> = dyn FnMut(&Located, Option<&[u8]>) -> bool + 'a;

/// Reads the bytes of `read` and hands its records to `receive`, in the order of the read.
///
/// Memory: the largest record that lies across two pieces of the stream, at most 16 MiB. After an
/// error the records that were not handed over did not come.
pub(super) fn read_records(
    backend: &dyn Backend,
    pack: PackId,
    read: &RangeRead,
    key_of: &dyn Fn(&Located) -> RecordKey,
    receive: &mut Receiver<'_>,
) -> Result<(), BackendError> {
    let mut cutter = Cutter { read, key_of, next: 0, at: read.bytes.start, held: Vec::new() };
    backend.get(&pack_key(pack), Some(read.bytes.clone()), &mut |piece| cutter.take(piece, receive))
}

struct Cutter<'a> {
    read: &'a RangeRead,
    key_of: &'a dyn Fn(&Located) -> RecordKey,
    /// The next record to be handed over.
    next: usize,
    /// Where the next piece starts, in bytes from the start of the pack.
    at: u64,
    /// The bytes from the start of the next record on, as far as they came in earlier pieces.
    held: Vec<u8>,
}

impl<'a> Cutter<'a> {
    fn take(&mut self, piece: &[u8], receive: &mut Receiver<'_>) -> ControlFlow<()> {
        let read: &'a RangeRead = self.read;
        let end = self.at + piece.len() as u64;
        while let Some(record) = read.records.get(self.next) {
            let start = u64::from(record.place.offset);
            let len = RECORD_LEN + record.place.stored_len as usize;
            if start >= end {
                break;
            }
            if !self.held.is_empty() {
                let missing = len - self.held.len();
                self.held.extend_from_slice(&piece[..missing.min(piece.len())]);
                if self.held.len() < len {
                    break;
                }
                let held = std::mem::take(&mut self.held);
                self.hand_over(record, &held, receive)?;
                self.held = held;
                self.held.clear();
                continue;
            }
            // In a catalogue that lies, records overlap: what came before is not kept for them.
            let Some(from) = start.checked_sub(self.at) else {
                self.hand_over(record, &[], receive)?;
                continue;
            };
            let rest = &piece[from as usize..];
            match rest.get(..len) {
                Some(bytes) => self.hand_over(record, bytes, receive)?,
                None => {
                    self.held.extend_from_slice(rest);
                    break;
                }
            }
        }
        self.at = end;
        ControlFlow::Continue(())
    }

    /// Hands over `record`, and those behind it that are looked for at the same place.
    fn hand_over(
        &mut self,
        record: &'a Located,
        bytes: &[u8],
        receive: &mut Receiver<'_>,
    ) -> ControlFlow<()> {
        let same = self.read.records[self.next..].iter().take_while(|other| other.place == record.place);
        for record in same {
            self.next += 1;
            let raw = decode_record(bytes, (self.key_of)(record)).ok();
            if !receive(record, raw.as_deref()) {
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    }
}
