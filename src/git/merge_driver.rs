//! The registration of mlv as git's merge driver for pointers and locks.
//!
//! `.gitattributes` says which files it is for, and is shared; which program that is stands in each
//! clone's own configuration, for git runs nothing that came with a repository.

use super::Error;
use super::repo::GitRepo;
use crate::fs::{atomic, dir::Dir};
use crate::model::path::RepoPath;

/// The name of the file with git's attributes.
pub const ATTRIBUTES_FILE: &str = ".gitattributes";
/// Largest such file that is edited, in bytes.
const MAX_SIZE: u64 = 1 << 20;
/// The files, and what git is told of them.
const ATTRIBUTES: [(&str, &str); 3] = [
    ("*.mlv", "merge=mlv text eol=lf"),
    ("mlv.lock", "merge=mlv text eol=lf"),
    // Two branches that add outputs each put a line into the same block: both lines are wanted.
    (".gitignore", "merge=union"),
];
/// The key of git's configuration.
const KEY: &str = "merge.mlv.driver";
/// The command that git runs: base, our and their version as files, and the path.
const DRIVER: &str = "mlv merge-driver %O %A %B %P";

/// The attributes file of the folder `dir` with what it lacks; nothing if it lacks nothing.
///
/// What the user says of these files stays.
pub fn missing_attributes(dir: &Dir) -> Result<Option<Vec<u8>>, Error> {
    let mut bytes = match dir.read_file(&path(), MAX_SIZE) {
        Ok(bytes) => bytes,
        Err(error) if error.is_not_found() => Vec::new(),
        Err(error) => return Err(error.into()),
    };
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let missing = ATTRIBUTES.iter().filter(|(pattern, _)| !has_merge_attribute(&text, pattern));
    let lines: String = missing.map(|(pattern, attributes)| format!("{pattern} {attributes}\n")).collect();
    if lines.is_empty() {
        return Ok(None);
    }
    if !bytes.is_empty() && !bytes.ends_with(b"\n") {
        bytes.push(b'\n');
    }
    bytes.extend_from_slice(lines.as_bytes());
    Ok(Some(bytes))
}

/// Adds what the attributes file of `dir` lacks; whether it lacked anything.
pub fn complete_attributes(dir: &Dir) -> Result<bool, Error> {
    let Some(bytes) = missing_attributes(dir)? else { return Ok(false) };
    atomic::write(dir, &path(), &bytes, None)?;
    Ok(true)
}

fn path() -> RepoPath {
    RepoPath::own(ATTRIBUTES_FILE)
}

/// Whether a line of the file says how files of this pattern are merged.
fn has_merge_attribute(text: &str, pattern: &str) -> bool {
    text.lines().any(|line| {
        let mut words = line.split_ascii_whitespace();
        words.next() == Some(pattern)
            && words.any(|word| word.trim_start_matches(['-', '!']).starts_with("merge"))
    })
}

/// What git would run to merge pointers and locks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Driver {
    /// Nothing.
    None,
    /// mlv.
    Mlv,
    /// Another command, by whoever set it.
    Other(String),
}

impl GitRepo {
    /// What git would run to merge pointers and locks.
    pub fn merge_driver(&self) -> Driver {
        match self.local().config_snapshot().string(KEY) {
            None => Driver::None,
            Some(command) if command == DRIVER => Driver::Mlv,
            Some(command) => Driver::Other(command.to_string()),
        }
    }

    /// Has git run mlv to merge pointers and locks in this clone, unless it runs something already.
    pub fn register_merge_driver(&self) -> Result<Driver, Error> {
        let known = self.merge_driver();
        if known == Driver::None {
            self.run_git(&["config", "--local", KEY, DRIVER])?;
        }
        Ok(known)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::testing::TestRepo;

    #[test]
    fn attributes_are_completed_and_what_is_there_stays() {
        let test = TestRepo::new();
        let dir = Dir::open(&test.root).unwrap();
        let read = || std::fs::read_to_string(test.root.join(ATTRIBUTES_FILE)).unwrap();
        assert!(complete_attributes(&dir).unwrap());
        assert_eq!(
            read(),
            "*.mlv merge=mlv text eol=lf\nmlv.lock merge=mlv text eol=lf\n.gitignore merge=union\n"
        );
        assert!(!complete_attributes(&dir).unwrap());
        test.write(ATTRIBUTES_FILE, "*.png binary\n*.mlv -merge\nmlv.lock text");
        assert!(complete_attributes(&dir).unwrap());
        assert_eq!(
            read(),
            "*.png binary\n*.mlv -merge\nmlv.lock text\nmlv.lock merge=mlv text eol=lf\n.gitignore merge=union\n"
        );
    }

    #[test]
    fn driver_is_registered_once_and_never_over_another() {
        let test = TestRepo::new();
        let open = || GitRepo::discover_plain(&test.root).unwrap().unwrap();
        assert_eq!(open().register_merge_driver().unwrap(), Driver::None);
        assert_eq!(open().register_merge_driver().unwrap(), Driver::Mlv);
        assert_eq!(test.git(&["config", KEY]), DRIVER);
        test.git(&["config", KEY, "/opt/mlv merge-driver %O %A %B %P"]);
        assert!(matches!(open().register_merge_driver().unwrap(), Driver::Other(_)));
        assert_eq!(test.git(&["config", KEY]), "/opt/mlv merge-driver %O %A %B %P");
    }
}
