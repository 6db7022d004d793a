//! Takes objects in that arrive as streams.

use std::io::{Read, Write};

use crate::fs::file::{OutFile, read_full};
use crate::model::digest::{Hasher, ObjectId};
use crate::model::object::{RecordKey, RecordKind};
use crate::store::Error;
use crate::store::publish::Draft;
use crate::store::writer::{CacheWriter, WRITE};

impl CacheWriter<'_> {
    /// Stores an object of any size that arrives as a stream, if it hashes to `expected`.
    ///
    /// Fails with `WrongBytes` if it does not; false if it is there already (then nothing is
    /// read).
    pub fn put_stream(&self, reader: &mut dyn Read, expected: ObjectId) -> Result<bool, Error> {
        let key = RecordKey { hash: expected.digest(), kind: RecordKind::File };
        if self.has(key) {
            return Ok(false);
        }
        let (name, mut file) = self.draft()?;
        let outcome = self.fill_from(reader, &mut file, &name, key);
        match outcome {
            Ok(len) => self.put_draft(Draft { name, key, len, file: Some(file) }),
            Err(error) => {
                self.discard(&name);
                Err(error)
            }
        }
    }

    fn fill_from(
        &self,
        reader: &mut dyn Read,
        file: &mut OutFile,
        name: &str,
        key: RecordKey,
    ) -> Result<u64, Error> {
        let (mut hasher, mut buffer, mut len) = (Hasher::new(), vec![0; WRITE], 0);
        loop {
            let mut reader = &mut *reader;
            let count = read_full(&mut reader, &mut buffer).map_err(self.stage_failed(name, "fill"))?;
            if count == 0 {
                break;
            }
            hasher.update(&buffer[..count]);
            file.write_all(&buffer[..count]).map_err(self.stage_failed(name, "write"))?;
            len += count as u64;
        }
        let found = hasher.finish();
        if found == key.hash { Ok(len) } else { Err(Error::WrongBytes { expected: key.hash, found }) }
    }
}
