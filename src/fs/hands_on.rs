//! What a folder hands on to the files that are made in it: its group (setgid), its default access
//! list (acl(5)).
//!
//! The kernel sees to that for a file that is made in the folder. mlv makes its files elsewhere and
//! renames them, so they are given the same by hand. Only a folder that hands something on costs
//! calls a file.

use std::io;
use std::os::fd::AsFd;

use rustix::fs::{Gid, Mode, fgetxattr, fgetxattr_query, fstat};

use super::sys;

const DEFAULT_LIST: &str = "system.posix_acl_default";

/// What one folder hands on.
#[derive(Debug, Default)]
pub(super) struct HandsOn {
    group: Option<Gid>,
    list: Option<AccessList>,
}

impl HandsOn {
    /// What this folder hands on; nothing where it does not say.
    pub(super) fn of(folder: impl AsFd) -> HandsOn {
        let stat = fstat(&folder).ok();
        let setgid = stat.filter(|stat| Mode::from_raw_mode(stat.st_mode).contains(Mode::SGID));
        HandsOn { group: setgid.map(|stat| Gid::from_raw(stat.st_gid)), list: AccessList::default_of(folder) }
    }

    /// Whether it is nothing.
    pub(super) fn is_nothing(&self) -> bool {
        self.group.is_none() && self.list.is_none()
    }

    /// Gives it to the file or symlink `name` of `dir`; `open` is the file, made with this mode.
    ///
    /// Who is not of the group may not give it away, though a file that is made in the folder gets
    /// it: the file then keeps the own one.
    pub(super) fn give(&self, dir: impl AsFd, name: &str, open: Option<(impl AsFd, u32)>) -> io::Result<()> {
        if let Some(group) = self.group {
            let_off(sys::set_group(dir, name, group))?;
        }
        match (&self.list, open) {
            (Some(list), Some((file, mode))) => let_off(sys::set_access_list(file, &list.of_new_file(mode))),
            _ => Ok(()),
        }
    }
}

fn let_off(outcome: io::Result<()>) -> io::Result<()> {
    use io::ErrorKind::{InvalidInput, PermissionDenied, Unsupported};
    match outcome {
        // InvalidInput: a group that the user namespace has no number for.
        Err(error) if matches!(error.kind(), PermissionDenied | Unsupported | InvalidInput) => Ok(()),
        other => other,
    }
}

/// An access list in the kernel's encoding (linux/posix_acl_xattr.h, little-endian):
///
/// | bytes | what |
/// |---|---|
/// | 0..4 | version, 2 |
/// | 4..12, 12..20, … | entries: tag u16, permissions u16, id u32 |
#[derive(Debug)]
struct AccessList(Vec<u8>);

const HEADER: usize = 4;
const ENTRY: usize = 8;
const USER_OBJ: u16 = 0x01;
const GROUP_OBJ: u16 = 0x04;
const MASK: u16 = 0x10;
const OTHER: u16 = 0x20;

impl AccessList {
    fn default_of(folder: impl AsFd) -> Option<AccessList> {
        let len = fgetxattr_query(&folder, DEFAULT_LIST).ok()?;
        let mut bytes = vec![0; len];
        let read = fgetxattr(&folder, DEFAULT_LIST, &mut bytes[..]).ok()?;
        (read == len && len % ENTRY == HEADER).then_some(AccessList(bytes))
    }

    /// What a file gets that is made with this mode: the list, without what the mode does not ask
    /// for (acl(5), "object creation and default ACLs": the umask plays no part).
    fn of_new_file(&self, mode: u32) -> Vec<u8> {
        let mut bytes = self.0.clone();
        let tag_of = |entry: &[u8]| u16::from_le_bytes([entry[0], entry[1]]);
        let has_mask = bytes[HEADER..].chunks_exact(ENTRY).any(|entry| tag_of(entry) == MASK);
        for entry in bytes[HEADER..].chunks_exact_mut(ENTRY) {
            let asked = match tag_of(entry) {
                USER_OBJ => mode >> 6,
                MASK => mode >> 3,
                GROUP_OBJ if !has_mask => mode >> 3,
                OTHER => mode,
                _ => 0o7,
            };
            entry[2] &= (asked & 0o7) as u8;
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMED_USER: u16 = 0x02;

    fn list(entries: &[(u16, u16)]) -> Vec<u8> {
        let mut bytes = 2u32.to_le_bytes().to_vec();
        for (tag, permissions) in entries {
            bytes.extend(tag.to_le_bytes());
            bytes.extend(permissions.to_le_bytes());
            bytes.extend(7u32.to_le_bytes());
        }
        bytes
    }

    #[test]
    fn a_new_file_gets_of_the_list_what_its_mode_asks_for() {
        let all = |tags: &[u16]| AccessList(list(&tags.iter().map(|tag| (*tag, 7)).collect::<Vec<_>>()));
        let masked = all(&[USER_OBJ, NAMED_USER, GROUP_OBJ, MASK, OTHER]);
        let of_masked = |o, m| list(&[(USER_OBJ, o), (NAMED_USER, 7), (GROUP_OBJ, 7), (MASK, m), (OTHER, m)]);
        assert_eq!(masked.of_new_file(0o666), of_masked(6, 6));
        assert_eq!(masked.of_new_file(0o777), of_masked(7, 7));
        let plain = all(&[USER_OBJ, GROUP_OBJ, OTHER]);
        assert_eq!(plain.of_new_file(0o640), list(&[(USER_OBJ, 6), (GROUP_OBJ, 4), (OTHER, 0)]));
    }
}
