//! Packets of SFTP version 3 (draft-ietf-secsh-filexfer-02), the one that every server speaks.
//!
//! ```text
//! u32 length of the rest | u8 type | u32 id (not in INIT and VERSION) | fields
//! ```
//! Strings are a u32 length and bytes; numbers are big-endian.

/// The longest packet that is read: more than any answer to what is asked here.
pub(super) const MAX_PACKET: usize = 1 << 20;

/// What is asked. The numbers are the protocol's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Ask {
    Init = 1,
    Open = 3,
    Close = 4,
    Read = 5,
    Write = 6,
    Lstat = 7,
    Fstat = 8,
    Opendir = 11,
    Readdir = 12,
    Remove = 13,
    Mkdir = 14,
    Rename = 18,
    Extended = 200,
}

/// For reading; for a new file that must not exist.
pub(super) const READ: u32 = 0x01;
pub(super) const NEW: u32 = 0x02 | 0x08 | 0x20;

/// A status that is not success.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    End,
    NoSuchFile,
    Denied,
    Failure,
    Unsupported,
    Other,
}

/// What a server says of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Attributes {
    pub(super) size: u64,
    pub(super) mode: u32,
    /// Seconds since the epoch.
    pub(super) mtime: u32,
}

impl Attributes {
    fn kind(self) -> u32 {
        self.mode & 0o170_000
    }

    pub(super) fn is_file(self) -> bool {
        self.kind() == 0o100_000
    }

    pub(super) fn is_folder(self) -> bool {
        self.kind() == 0o040_000
    }
}

/// An answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Version(Vec<String>),
    Done,
    Not(Status),
    Handle(Vec<u8>),
    Data(Vec<u8>),
    Names(Vec<(String, Attributes)>),
    Attributes(Attributes),
}

/// A packet under construction.
pub(super) struct Packet(Vec<u8>);

impl Packet {
    pub(super) fn new(ask: Ask, id: u32) -> Packet {
        Packet(vec![0, 0, 0, 0, ask as u8]).number(id)
    }

    pub(super) fn number(mut self, number: u32) -> Packet {
        self.0.extend(number.to_be_bytes());
        self
    }

    pub(super) fn long(mut self, number: u64) -> Packet {
        self.0.extend(number.to_be_bytes());
        self
    }

    pub(super) fn text(mut self, bytes: impl AsRef<[u8]>) -> Packet {
        let bytes = bytes.as_ref();
        self.0.extend((bytes.len() as u32).to_be_bytes());
        self.0.extend(bytes);
        self
    }

    /// The bytes to send.
    pub(super) fn finish(mut self) -> Vec<u8> {
        let len = (self.0.len() - 4) as u32;
        self.0[..4].copy_from_slice(&len.to_be_bytes());
        self.0
    }
}

/// A packet that came, read from its start.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self) -> Option<u32> {
        Some(u32::from_be_bytes(self.take(4)?.try_into().ok()?))
    }

    fn long(&mut self) -> Option<u64> {
        Some(u64::from_be_bytes(self.take(8)?.try_into().ok()?))
    }

    fn text(&mut self) -> Option<&'a [u8]> {
        let len = self.number()?;
        self.take(len as usize)
    }

    fn attributes(&mut self) -> Option<Attributes> {
        let flags = self.number()?;
        let mut found = Attributes::default();
        if flags & 1 != 0 {
            found.size = self.long()?;
        }
        if flags & 2 != 0 {
            self.take(8)?;
        }
        if flags & 4 != 0 {
            found.mode = self.number()?;
        }
        if flags & 8 != 0 {
            self.take(4)?;
            found.mtime = self.number()?;
        }
        if flags & 0x8000_0000 != 0 {
            for _ in 0..self.number()? {
                self.text()?;
                self.text()?;
            }
        }
        Some(found)
    }

    fn names(&mut self) -> Option<Vec<(String, Attributes)>> {
        let count = self.number()?;
        let mut names = Vec::new();
        for _ in 0..count {
            let name = self.text()?;
            self.text()?;
            let attributes = self.attributes()?;
            // No key of mlv's is anything but ASCII.
            names.push((String::from_utf8_lossy(name).into_owned(), attributes));
        }
        Some(names)
    }
}

/// The id and the answer of a packet without its length; `None` if it makes no sense.
pub(super) fn parse(packet: &[u8]) -> Option<(u32, Answer)> {
    let mut fields = Fields(packet);
    let kind = fields.take(1)?[0];
    let id = fields.number()?;
    let answer = match kind {
        2 => {
            let mut extensions = Vec::new();
            while !fields.0.is_empty() {
                extensions.push(String::from_utf8_lossy(fields.text()?).into_owned());
                fields.text()?;
            }
            Answer::Version(extensions)
        }
        101 => match fields.number()? {
            0 => Answer::Done,
            1 => Answer::Not(Status::End),
            2 => Answer::Not(Status::NoSuchFile),
            3 => Answer::Not(Status::Denied),
            4 => Answer::Not(Status::Failure),
            8 => Answer::Not(Status::Unsupported),
            _ => Answer::Not(Status::Other),
        },
        102 => Answer::Handle(fields.text()?.to_vec()),
        103 => Answer::Data(fields.text()?.to_vec()),
        104 => Answer::Names(fields.names()?),
        105 => Answer::Attributes(fields.attributes()?),
        _ => return None,
    };
    Some((id, answer))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_laid_out_as_the_draft_has_it() {
        let packet = Packet::new(Ask::Open, 7).text("/a").number(READ).number(0).finish();
        assert_eq!(packet, b"\0\0\0\x13\x03\0\0\0\x07\0\0\0\x02/a\0\0\0\x01\0\0\0\0");
    }

    // R13: whatever a server sends, it is an answer or none.
    #[test]
    fn every_prefix_of_an_answer_is_refused() {
        let mut names =
            Packet(vec![104]).number(9).number(1).text("x").text("-rw x").number(0x8000_000f).long(5);
        names = names.number(0).number(0).number(0o100_644).number(1).number(2).number(1).text("e").text("v");
        let (id, answer) = parse(&names.0).expect("whole");
        let attributes = Attributes { size: 5, mode: 0o100_644, mtime: 2 };
        assert_eq!((id, answer), (9, Answer::Names(vec![("x".to_owned(), attributes)])));
        for len in 0..names.0.len() {
            assert_eq!(parse(&names.0[..len]), None, "{len}");
        }
        assert_eq!(parse(&Packet(vec![103]).number(1).number(u32::MAX).0), None);
        assert_eq!(parse(&Packet(vec![104]).number(1).number(u32::MAX).0), None);
    }
}
