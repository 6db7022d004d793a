//! An open file that is being written.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt;

use super::dir::{Dir, stamp_of};
use super::error::Error;
use super::stamp::FileStamp;
use super::{fault, sys};
use crate::model::path::RepoPath;

/// A file under a temporary name. Every write goes past a fault point.
#[derive(Debug)]
pub struct OutFile(File);

impl OutFile {
    pub(super) fn new(file: File) -> OutFile {
        OutFile(file)
    }

    /// Makes the bytes durable. After a failure the file must not be used: the kernel may have
    /// dropped what it could not write and would say yes the next time.
    pub fn sync_data(&self) -> io::Result<()> {
        if fault::mutated("data-fsync") { Ok(()) } else { sys::fdatasync(&self.0) }
    }

    /// Sets the length; a longer one ends in a hole.
    pub fn set_len(&self, len: u64) -> io::Result<()> {
        sys::truncate(&self.0, len)
    }

    /// Moves on to `position`; what lies between stays a hole.
    pub fn seek_to(&mut self, position: u64) -> io::Result<()> {
        self.0.seek(io::SeekFrom::Start(position)).map(drop)
    }

    /// Sets the permission bits, whatever the umask.
    pub fn set_mode(&self, mode: u32) -> io::Result<()> {
        sys::chmod(&self.0, mode)
    }

    /// Makes this empty file share the blocks of `source`, where the file system can.
    pub fn clone_from(&self, source: &File) -> io::Result<()> {
        sys::reflink(source, &self.0)
    }

    /// The file's stamp now.
    pub fn stamp(&self) -> io::Result<FileStamp> {
        stamp_of(&self.0)
    }

    /// Fills `bytes` from `position`, as far as there are bytes.
    pub fn read_at(&self, bytes: &mut [u8], position: u64) -> io::Result<usize> {
        self.0.read_at(bytes, position)
    }
}

impl Write for OutFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        sys::write(&self.0, bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsFd for OutFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Dir {
    /// Creates a file that must not exist; `mode` is its permission bits before the umask.
    pub fn create_file(&self, path: &RepoPath, mode: u32) -> Result<OutFile, Error> {
        let created = self.place(path).and_then(|place| sys::create_new(place.fd(), place.name, mode));
        created.map(OutFile).map_err(|error| self.failed(path.as_str(), "create", error))
    }

    /// Makes everything durable that was written to the file system of this folder so far.
    ///
    /// On Linux one call for any number of files; elsewhere false, and each file needs its own.
    pub fn sync_file_system(&self) -> Result<bool, Error> {
        #[cfg(target_os = "linux")]
        return sys::syncfs(self).map(|()| true).map_err(|error| self.failed("", "sync", error));
        #[cfg(not(target_os = "linux"))]
        Ok(false)
    }
}

impl Dir {
    /// Bytes that may still be written to the file system of this folder; nothing if it does not say.
    pub fn free_bytes(&self) -> Option<u64> {
        let stat = rustix::fs::fstatvfs(self).ok()?;
        // Some network and FUSE file systems answer zero for everything.
        (stat.f_blocks > 0).then(|| stat.f_bavail.saturating_mul(stat.f_frsize))
    }
}

/// Whether this process owns a file, so that nobody else (but root) can change it unnoticed.
pub fn is_own(file: &File) -> bool {
    let owner = rustix::fs::fstat(file).map(|stat| stat.st_uid);
    owner.is_ok_and(|owner| owner == rustix::process::geteuid().as_raw())
}

/// Reads into `buffer` until it is full or the file ends; returns the number of bytes.
pub fn read_full(file: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Appends to `out` what one read call gives, of at most what `out` then has room for and at
/// least `wanted` bytes of room; returns the number of bytes, 0 at the end of the file.
pub fn append_from(file: &File, out: &mut Vec<u8>, wanted: usize) -> io::Result<usize> {
    out.reserve(wanted);
    sys::retry(|| rustix::io::read(file, rustix::buffer::spare_capacity(out)))
}

/// The next range of a file that holds data, from `position`; nothing if only a hole follows.
///
/// A file system that knows no holes answers "all of it".
#[cfg(target_os = "linux")]
pub fn next_data(file: &File, position: u64, len: u64) -> io::Result<Option<(u64, u64)>> {
    use rustix::fs::{SeekFrom, seek};
    use rustix::io::Errno;
    let start = match seek(file, SeekFrom::Data(position)) {
        Ok(start) => start,
        Err(Errno::NXIO) => return Ok(None),
        Err(Errno::INVAL | Errno::OPNOTSUPP) => return Ok((position < len).then_some((position, len))),
        Err(error) => return Err(error.into()),
    };
    let end = seek(file, SeekFrom::Hole(start)).unwrap_or(len);
    Ok((start < len).then_some((start, end.min(len))))
}

/// No way to ask here: all of it counts as data.
#[cfg(not(target_os = "linux"))]
pub fn next_data(_file: &File, position: u64, len: u64) -> io::Result<Option<(u64, u64)>> {
    Ok((position < len).then_some((position, len)))
}
