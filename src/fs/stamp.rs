//! What `lstat` tells of a file, as far as mlv compares it.
//!
//! Equal stamps mean "very probably the same bytes". The rule that makes it certain, or
//! refuses to say so (a file that changes within the granularity of its time stamp is
//! "racily clean"), is the stat index's: `store/statindex.rs`.

use rustix::fs::{FileType, Stat};

/// What a directory entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FileKind {
    /// A regular file.
    File,
    /// A folder.
    Dir,
    /// A symbolic link.
    Symlink,
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
    /// A block or character device.
    Device,
}

impl FileKind {
    /// The word for it in messages.
    pub fn noun(self) -> &'static str {
        match self {
            FileKind::File => "regular file",
            FileKind::Dir => "folder",
            FileKind::Symlink => "symbolic link",
            FileKind::Fifo => "FIFO",
            FileKind::Socket => "socket",
            FileKind::Device => "device",
        }
    }

    pub(super) fn of(file_type: FileType) -> Option<FileKind> {
        match file_type {
            FileType::RegularFile => Some(FileKind::File),
            FileType::Directory => Some(FileKind::Dir),
            FileType::Symlink => Some(FileKind::Symlink),
            FileType::Fifo => Some(FileKind::Fifo),
            FileType::Socket => Some(FileKind::Socket),
            FileType::BlockDevice | FileType::CharacterDevice => Some(FileKind::Device),
            FileType::Unknown => None,
        }
    }
}

/// Identity, size and times of one file at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileStamp {
    /// Device number.
    pub dev: u64,
    /// Inode number.
    pub inode: u64,
    /// Size in bytes.
    pub size: u64,
    /// Time of the last change of the bytes, ns since the epoch.
    pub mtime_ns: i64,
    /// Time of the last change of bytes or attributes, ns since the epoch.
    pub ctime_ns: i64,
    /// Number of hard links.
    pub nlink: u32,
    /// What it is.
    pub kind: FileKind,
    /// Whether the owner may execute it.
    pub mode_x: bool,
}

/// The permission bits of what a stat call examined.
// The field's type differs between platforms.
#[allow(clippy::useless_conversion)]
pub(super) fn permissions(stat: &Stat) -> u32 {
    u32::from(stat.st_mode) & 0o777
}

impl FileStamp {
    /// The stamp that a stat call's answer makes.
    // The fields' types differ between platforms.
    #[allow(clippy::unnecessary_cast, clippy::useless_conversion)]
    pub(super) fn of(stat: &Stat) -> FileStamp {
        let file_type = FileType::from_raw_mode(stat.st_mode);
        FileStamp {
            dev: stat.st_dev as u64,
            inode: stat.st_ino as u64,
            size: stat.st_size as u64,
            mtime_ns: nanoseconds(stat.st_mtime as i64, stat.st_mtime_nsec as i64),
            ctime_ns: nanoseconds(stat.st_ctime as i64, stat.st_ctime_nsec as i64),
            nlink: u32::try_from(stat.st_nlink).unwrap_or(u32::MAX),
            kind: FileKind::of(file_type).unwrap_or(FileKind::Device),
            mode_x: stat.st_mode & 0o100 != 0,
        }
    }

    /// Whether both stamps are of the same inode, whatever happened to it.
    pub fn is_same_inode(&self, other: &FileStamp) -> bool {
        (self.dev, self.inode, self.kind) == (other.dev, other.inode, other.kind)
    }

    /// Whether nothing says that the bytes changed between the two stamps.
    ///
    /// The time of attribute changes is left out: making or removing a hard link and renaming
    /// change it and not the bytes.
    pub fn has_same_bytes(&self, other: &FileStamp) -> bool {
        self.is_same_inode(other) && self.size == other.size && self.mtime_ns == other.mtime_ns
    }
}

/// Granularity to assume of a file system's clock where nothing better is known, in ns.
pub const COARSE_NS: i64 = 2_000_000_000;
/// Two ticks of the slowest kernel clock (100 Hz), for file systems that store nanoseconds.
pub const FINE_NS: i64 = 20_000_000;

/// How long after a change another one may leave the same time stamp, in ns.
#[cfg(target_os = "linux")]
pub fn granularity_ns(folder: impl std::os::fd::AsFd) -> i64 {
    // statfs(2): ext2 to ext4, xfs, btrfs, tmpfs, zfs.
    const FINE: [u64; 5] = [0xef53, 0x5846_5342, 0x9123_683e, 0x0102_1994, 0x2fc1_2fc1];
    let magic = rustix::fs::fstatfs(folder).map_or(0, |stat| stat.f_type as u64 & 0xffff_ffff);
    if FINE.contains(&magic) { FINE_NS } else { COARSE_NS }
}

/// How long after a change another one may leave the same time stamp, in ns.
#[cfg(not(target_os = "linux"))]
pub fn granularity_ns(_folder: impl std::os::fd::AsFd) -> i64 {
    // APFS stores nanoseconds; HFS+ does not, which a stamp of whole seconds gives away.
    if cfg!(target_vendor = "apple") { FINE_NS } else { COARSE_NS }
}

/// Saturates: a time stamp beyond the year 2262 only has to differ from others.
fn nanoseconds(seconds: i64, nanos: i64) -> i64 {
    seconds.saturating_mul(1_000_000_000).saturating_add(nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn far_times_saturate_instead_of_wrapping() {
        assert_eq!(nanoseconds(2, 5), 2_000_000_005);
        assert_eq!(nanoseconds(-1, 5), -999_999_995);
        assert_eq!(nanoseconds(i64::MAX / 2, 0), i64::MAX);
    }
}
