//! Who a project and a clone are to remotes.

use std::fmt;
use std::sync::Arc;

use super::{Error, Repo};
use crate::config::FILE_NAME;
use crate::fs::dir::Dir;
use crate::fs::lock::MetaLock;
use crate::fs::{atomic, random_bytes};
use crate::model::path::RepoPath;

/// The file with the clone's id, below mlv's own folder.
const CLIENT_FILE: &str = "client";
/// More than the file ever holds, in bytes.
const MAX_CLIENT_FILE: u64 = 4096;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident $bytes:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; $bytes]);

        impl $name {
            /// A new one, unlike any other.
            pub(super) fn random() -> $name {
                $name(random_bytes())
            }

            /// Reads lower-case hex digits, exactly as many as it has.
            pub fn parse(text: &str) -> Option<$name> {
                let is_hex = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
                if text.len() != 2 * $bytes || !is_hex {
                    return None;
                }
                let mut bytes = [0; $bytes];
                for (at, byte) in bytes.iter_mut().enumerate() {
                    *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).ok()?;
                }
                Some($name(bytes))
            }

            /// Its bytes.
            pub fn as_bytes(&self) -> &[u8; $bytes] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }
    };
}

id! {
    /// The random name of a project on its remotes; the same in all its clones.
    ProjectId 16
}

id! {
    /// The random name of one work tree of a project on its remotes.
    ClientId 8
}

impl Repo {
    /// The project's id, from its tracked configuration.
    pub fn project_id(&self) -> Result<ProjectId, Error> {
        let id = self.config.project_id()?.and_then(|text| ProjectId::parse(&text));
        id.ok_or_else(|| Error::NoProjectId { path: self.mlv.path().join(FILE_NAME) })
    }

    /// This work tree's id, made when it is first asked for; the caller holds the metadata lock.
    ///
    /// Remotes take the newest record of a client for all that it needs, so two work trees must
    /// never share an id: it is bound to the inode of `.mlv`, and a copied work tree gets another.
    pub fn client_id(&self, _held: &MetaLock) -> Result<ClientId, Error> {
        if let Some(id) = self.client_id_if_any()? {
            return Ok(id);
        }
        let id = ClientId::random();
        let text = format!("1 {id} {}\n", inode(&self.mlv)?);
        atomic::write(&self.mlv, &RepoPath::own(CLIENT_FILE), text.as_bytes(), None)?;
        Ok(id)
    }

    /// This work tree's id, if it has one.
    pub fn client_id_if_any(&self) -> Result<Option<ClientId>, Error> {
        let bytes = match self.mlv.read_file(&RepoPath::own(CLIENT_FILE), MAX_CLIENT_FILE) {
            Ok(bytes) => bytes,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let text = String::from_utf8_lossy(&bytes);
        let words: Vec<&str> = text.split_whitespace().collect();
        let here = inode(&self.mlv)?.to_string();
        match words[..] {
            ["1", id, bound] if bound == here => Ok(ClientId::parse(id)),
            // Unreadable or copied: a new id costs a record on the remote, never data.
            _ => Ok(None),
        }
    }
}

fn inode(dir: &Arc<Dir>) -> Result<u64, Error> {
    let stamp = dir.stat(&RepoPath::root())?;
    Ok(stamp.map_or(0, |stamp| stamp.inode))
}
