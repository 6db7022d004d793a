//! Files and folders over one session, with many requests under way where there are many to make.

use std::collections::VecDeque;
use std::ops::{ControlFlow, Range};

use super::session::{Session, SftpError};
use super::wire::{Answer, Ask, Attributes, NEW, READ, Status};
use crate::remote::backend::{ByteSink, SentSink};

/// Bytes of one read or write: every server takes packets of 34,000 bytes.
const PIECE: usize = 32 << 10;
/// Requests under way: 2 MiB, enough for 100 MB/s at 20 ms.
const WINDOW: usize = 64;

/// What can be done in a session.
pub(super) struct Files<'a>(pub(super) &'a mut Session);

/// The names in a folder with what they are.
pub(super) type Names = Vec<(String, Attributes)>;

fn done(answer: Answer) -> Result<(), SftpError> {
    if answer == Answer::Done { Ok(()) } else { Err(SftpError::Nonsense) }
}

impl Files<'_> {
    pub(super) fn open(&mut self, path: &str) -> Result<Vec<u8>, SftpError> {
        self.0.handle(Ask::Open, |packet| packet.text(path).number(READ).number(0))
    }

    pub(super) fn create(&mut self, path: &str) -> Result<Vec<u8>, SftpError> {
        self.0.handle(Ask::Open, |packet| packet.text(path).number(NEW).number(0))
    }

    pub(super) fn close(&mut self, handle: &[u8]) -> Result<(), SftpError> {
        done(self.0.ask(Ask::Close, |packet| packet.text(handle))?)
    }

    /// The size of an open file.
    pub(super) fn stat_open(&mut self, handle: &[u8]) -> Result<u64, SftpError> {
        match self.0.ask(Ask::Fstat, |packet| packet.text(handle))? {
            Answer::Attributes(found) => Ok(found.size),
            _ => Err(SftpError::Nonsense),
        }
    }

    /// What stands at `path`, a link as such; `None` if nothing does.
    pub(super) fn stat(&mut self, path: &str) -> Result<Option<Attributes>, SftpError> {
        match self.0.ask(Ask::Lstat, |packet| packet.text(path)) {
            Ok(Answer::Attributes(found)) => Ok(Some(found)),
            Ok(_) => Err(SftpError::Nonsense),
            Err(SftpError::Status(Status::NoSuchFile)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Hands the bytes of `range` to `sink` in order; false if the file has ended before.
    pub(super) fn read(
        &mut self,
        handle: &[u8],
        range: Range<u64>,
        sink: &mut ByteSink<'_>,
    ) -> Result<bool, SftpError> {
        let mut ahead = VecDeque::new();
        let mut next = range.start;
        let mut is_wanted = true;
        loop {
            while is_wanted && ahead.len() < WINDOW && next < range.end {
                let len = (range.end - next).min(PIECE as u64) as u32;
                ahead.push_back((self.ask_read(handle, next, len)?, next, len));
                next += u64::from(len);
            }
            let Some((mut id, mut at, mut len)) = ahead.pop_front() else { return Ok(true) };
            // A server may answer with less than it was asked for: the rest is asked for again.
            while len > 0 {
                let bytes = match self.0.answer(id) {
                    Ok(Answer::Data(bytes)) if !bytes.is_empty() && bytes.len() <= len as usize => bytes,
                    Err(SftpError::Status(Status::End)) => return self.drain(ahead).map(|()| false),
                    Err(error) if error.is_answer() => return self.drain(ahead).and(Err(error)),
                    Err(error) => return Err(error),
                    Ok(_) => return Err(SftpError::Nonsense),
                };
                if is_wanted && sink(&bytes) == ControlFlow::Break(()) {
                    is_wanted = false;
                }
                at += bytes.len() as u64;
                len -= bytes.len() as u32;
                if len > 0 && is_wanted {
                    id = self.ask_read(handle, at, len)?;
                } else {
                    break;
                }
            }
        }
    }

    fn ask_read(&mut self, handle: &[u8], at: u64, len: u32) -> Result<u32, SftpError> {
        self.0.send(Ask::Read, |packet| packet.text(handle).long(at).number(len))
    }

    /// Takes the answers that nobody waits for any more, so that the session can go on.
    fn drain(&mut self, ahead: VecDeque<(u32, u64, u32)>) -> Result<(), SftpError> {
        for (id, ..) in ahead {
            match self.0.answer(id) {
                Err(error) if !error.is_answer() => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// Writes the concatenation of `parts` from the start of an open file.
    pub(super) fn write(
        &mut self,
        handle: &[u8],
        parts: &[impl AsRef<[u8]>],
        sent: &mut SentSink<'_>,
    ) -> Result<(), SftpError> {
        let mut ahead = VecDeque::new();
        let mut at = 0;
        let mut first_error = None;
        for piece in parts.iter().flat_map(|part| part.as_ref().chunks(PIECE)) {
            ahead.push_back(self.0.send(Ask::Write, |packet| packet.text(handle).long(at).text(piece))?);
            at += piece.len() as u64;
            sent(at);
            if ahead.len() == WINDOW {
                self.take_done(&mut ahead, WINDOW / 2, &mut first_error)?;
            }
        }
        self.take_done(&mut ahead, 0, &mut first_error)?;
        first_error.map_or(Ok(()), Err)
    }

    fn take_done(
        &mut self,
        ahead: &mut VecDeque<u32>,
        rest: usize,
        first_error: &mut Option<SftpError>,
    ) -> Result<(), SftpError> {
        while ahead.len() > rest {
            let Some(id) = ahead.pop_front() else { break };
            match self.0.answer(id).and_then(done) {
                Err(error) if !error.is_answer() => return Err(error),
                Err(error) => drop(first_error.get_or_insert(error)),
                Ok(()) => {}
            }
        }
        Ok(())
    }

    /// Makes an open file durable, where the server can.
    pub(super) fn sync(&mut self, handle: &[u8]) -> Result<(), SftpError> {
        let name = "fsync@openssh.com";
        if !self.0.knows(name) {
            return Ok(());
        }
        done(self.0.ask(Ask::Extended, |packet| packet.text(name).text(handle))?)
    }

    pub(super) fn remove(&mut self, path: &str) -> Result<(), SftpError> {
        done(self.0.ask(Ask::Remove, |packet| packet.text(path))?)
    }

    /// Renames to a name that is free: version 3 says that it fails on one that is taken.
    pub(super) fn rename(&mut self, from: &str, to: &str) -> Result<(), SftpError> {
        done(self.0.ask(Ask::Rename, |packet| packet.text(from).text(to))?)
    }

    /// Renames over what is there.
    pub(super) fn replace(&mut self, from: &str, to: &str) -> Result<(), SftpError> {
        let name = "posix-rename@openssh.com";
        if self.0.knows(name) {
            return done(self.0.ask(Ask::Extended, |packet| packet.text(name).text(from).text(to))?);
        }
        self.remove(to)?;
        self.rename(from, to)
    }

    /// Makes the folder at the absolute `path` and those above it that are missing.
    pub(super) fn make_folders(&mut self, path: &str) -> Result<(), SftpError> {
        let mut missing = Vec::new();
        let mut at = path;
        while !at.is_empty() && self.stat(at)?.is_none() {
            missing.push(at);
            at = at.rsplit_once('/').map_or("", |(above, _)| above);
        }
        for folder in missing.into_iter().rev() {
            match self.0.ask(Ask::Mkdir, |packet| packet.text(folder).number(0)) {
                // Somebody else may have made it meanwhile.
                Err(error) if error.is_answer() && self.stat(folder)?.is_none() => return Err(error),
                Err(error) if !error.is_answer() => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// The names in each of the folders; one that does not exist has none.
    pub(super) fn list(&mut self, folders: &[String]) -> Result<Vec<Names>, SftpError> {
        let mut all = Vec::new();
        // Each step of all folders of a window at once: four round trips for 64 folders.
        for window in folders.chunks(WINDOW) {
            all.extend(self.list_window(window)?);
        }
        Ok(all)
    }

    fn list_window(&mut self, folders: &[String]) -> Result<Vec<Names>, SftpError> {
        let mut all = vec![Names::new(); folders.len()];
        let asked = folders.iter().map(|folder| self.0.send(Ask::Opendir, |packet| packet.text(folder)));
        let asked = asked.collect::<Result<Vec<u32>, _>>()?;
        let mut open = Vec::new();
        let mut first_error = None;
        for (number, id) in asked.into_iter().enumerate() {
            match self.0.answer(id) {
                Ok(Answer::Handle(handle)) => open.push((number, handle)),
                Err(SftpError::Status(Status::NoSuchFile)) => {}
                Err(error) if error.is_answer() => drop(first_error.get_or_insert(error)),
                Err(error) => return Err(error),
                Ok(_) => return Err(SftpError::Nonsense),
            }
        }
        let handles: Vec<Vec<u8>> = open.iter().map(|(_, handle)| handle.clone()).collect();
        while !open.is_empty() {
            let asked =
                open.iter().map(|(_, handle)| self.0.send(Ask::Readdir, |packet| packet.text(handle)));
            let asked = asked.collect::<Result<Vec<u32>, _>>()?;
            let mut more = Vec::new();
            for ((number, handle), id) in open.into_iter().zip(asked) {
                match self.0.answer(id) {
                    Ok(Answer::Names(names)) => {
                        all[number].extend(names);
                        more.push((number, handle));
                    }
                    Err(SftpError::Status(Status::End)) => {}
                    Err(error) if error.is_answer() => drop(first_error.get_or_insert(error)),
                    Err(error) => return Err(error),
                    Ok(_) => return Err(SftpError::Nonsense),
                }
            }
            open = more;
        }
        self.close_all(&handles)?;
        first_error.map_or(Ok(all), Err)
    }

    fn close_all(&mut self, handles: &[Vec<u8>]) -> Result<(), SftpError> {
        let asked = handles.iter().map(|handle| self.0.send(Ask::Close, |packet| packet.text(handle)));
        for id in asked.collect::<Result<Vec<u32>, _>>()? {
            done(self.0.answer(id)?)?;
        }
        Ok(())
    }
}
