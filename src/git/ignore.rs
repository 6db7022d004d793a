//! Keeps `.gitignore` in step with tracked paths: one block of mlv's own lines in each file.
//!
//! ```text
//! # >>> mlv: outputs (kept by mlv, do not edit) >>>
//! /model.bin
//! /raw
//! # <<< mlv <<<
//! ```
//! The lines are sorted, so that two branches that add outputs conflict as rarely as text can,
//! and what git's text merge makes of the block is put right at the next edit. Everything
//! outside the block is the user's and stays as it is, byte for byte.

use std::collections::BTreeSet;

use super::Error;
use crate::fs::lock::MetaLock;
use crate::fs::{self, atomic, dir::Dir};
use crate::model::path::RepoPath;

/// The name of git's ignore files.
pub const FILE_NAME: &str = ".gitignore";
/// Largest ignore file that is edited, in bytes (docs/formats.md, "Limits").
pub const MAX_SIZE: u64 = 1 << 20;

const BEGIN: &[u8] = b"# >>> mlv: outputs (kept by mlv, do not edit) >>>";
const END: &[u8] = b"# <<< mlv <<<";

/// What [`update`] did to an ignore file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All was as it should be.
    Unchanged,
    /// The file was written.
    Written,
    /// Nothing was left in it; the file is gone.
    Removed,
}

/// Adds and removes names in the block of the ignore file of `folder`, durable on return.
///
/// `add` and `remove` are names in that folder, unescaped; a name in both is added. The caller
/// holds the metadata lock, and asks [`super::repo::GitRepo::is_ignored`] before it adds.
pub fn update(
    dir: &Dir,
    folder: &RepoPath,
    add: &[&str],
    remove: &[&str],
    _held: &MetaLock,
) -> Result<Outcome, Error> {
    let Ok(path) = folder.join_str(FILE_NAME) else {
        return Err(Error::FolderName { path: dir.full(folder) });
    };
    let existing = match dir.read_file(&path, MAX_SIZE) {
        Ok(bytes) => Some(bytes),
        Err(error) if error.is_not_found() => None,
        Err(error) => return Err(error.into()),
    };
    let edited = edit_block(existing.as_deref(), add, remove);
    match (&existing, &edited) {
        (before, after) if before == after => return Ok(Outcome::Unchanged),
        (_, Some(bytes)) => atomic::write(dir, &path, bytes, None)?,
        (_, None) => {
            dir.remove_file(&path)?;
            dir.sync_dir(folder)?;
            return Ok(Outcome::Removed);
        }
    }
    Ok(Outcome::Written)
}

/// The ignore file after the edit; `None` for no file.
///
/// Without a change to mlv's lines the result equals `existing`. Several blocks, as a merge
/// makes them, become one where the first stood.
pub fn edit_block(existing: Option<&[u8]>, add: &[&str], remove: &[&str]) -> Option<Vec<u8>> {
    let parsed = parse(existing.unwrap_or_default());
    let mut lines: BTreeSet<Vec<u8>> = parsed.lines.iter().map(|line| line.to_vec()).collect();
    for name in remove {
        lines.remove(&line_of(name));
    }
    lines.extend(add.iter().map(|name| line_of(name)));
    if parsed.is_tidy && lines.iter().map(Vec::as_slice).eq(parsed.lines.iter().copied()) {
        return existing.map(<[u8]>::to_vec);
    }
    if lines.is_empty() && parsed.outside().all(|byte| byte.is_ascii_whitespace()) {
        return None;
    }
    Some(parsed.with_block(&lines))
}

/// The line that ignores `name` in the folder of the ignore file, and nothing else.
///
/// gitignore(5): a leading slash anchors, which also makes a leading `!` or `#` plain; wildcards
/// and trailing spaces are escaped by a backslash.
fn line_of(name: &str) -> Vec<u8> {
    let trimmed = name.trim_end_matches(' ');
    let mut line = vec![b'/'];
    for byte in trimmed.bytes() {
        if matches!(byte, b'*' | b'?' | b'[' | b']' | b'\\') {
            line.push(b'\\');
        }
        line.push(byte);
    }
    for _ in trimmed.len()..name.len() {
        line.extend_from_slice(b"\\ ");
    }
    line
}

/// An ignore file taken apart.
struct Parsed<'a> {
    before: Vec<u8>,
    after: Vec<u8>,
    /// mlv's lines in the order of the file.
    lines: Vec<&'a [u8]>,
    /// Whether there is exactly one block, complete, or none.
    is_tidy: bool,
    newline: &'static [u8],
}

fn parse(text: &[u8]) -> Parsed<'_> {
    let crlf = text.windows(2).filter(|pair| pair == b"\r\n").count();
    let all = text.iter().filter(|byte| **byte == b'\n').count();
    let newline: &[u8] = if crlf * 2 > all { b"\r\n" } else { b"\n" };
    let mut parsed =
        Parsed { before: Vec::new(), after: Vec::new(), lines: Vec::new(), is_tidy: true, newline };
    let (mut blocks, mut inside) = (0, false);
    for raw in text.split_inclusive(|byte| *byte == b'\n') {
        let line = raw.strip_suffix(b"\n").unwrap_or(raw);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        // Inside, only anchored lines are mlv's: a block whose end a merge has torn off ends there.
        if line == BEGIN {
            parsed.is_tidy &= blocks == 0 && !inside;
            (blocks, inside) = (blocks + 1, true);
        } else if line == END {
            parsed.is_tidy &= inside;
            inside = false;
        } else if inside && line.starts_with(b"/") {
            parsed.lines.push(line);
        } else {
            parsed.is_tidy &= !inside;
            inside = false;
            if blocks == 0 { parsed.before.extend(raw) } else { parsed.after.extend(raw) }
        }
    }
    parsed.is_tidy &= !inside;
    parsed
}

impl Parsed<'_> {
    fn outside(&self) -> impl Iterator<Item = &u8> {
        self.before.iter().chain(&self.after)
    }

    fn with_block(self, lines: &BTreeSet<Vec<u8>>) -> Vec<u8> {
        let mut text = self.before;
        if !lines.is_empty() {
            if !text.is_empty() && !text.ends_with(b"\n") {
                text.extend_from_slice(self.newline);
            }
            let block = std::iter::once(BEGIN).chain(lines.iter().map(Vec::as_slice)).chain([END]);
            for line in block {
                text.extend_from_slice(line);
                text.extend_from_slice(self.newline);
            }
        }
        text.extend(self.after);
        text
    }
}

/// Names of `folder` that stand in its block, unescaped; of no meaning to git, of use to `fsck`.
pub fn names_in_block(text: &[u8]) -> Vec<String> {
    let unescape = |line: &&[u8]| {
        let mut bytes = line.iter().skip(1).copied();
        let mut name = Vec::new();
        while let Some(byte) = bytes.next() {
            name.push(if byte == b'\\' { bytes.next().unwrap_or(byte) } else { byte });
        }
        String::from_utf8(name).ok()
    };
    parse(text).lines.iter().filter_map(unescape).collect()
}

/// Reads the names in the block of `folder`'s ignore file; none if there is no file.
pub fn read_names(dir: &Dir, folder: &RepoPath) -> Result<Vec<String>, fs::Error> {
    let Ok(path) = folder.join_str(FILE_NAME) else { return Ok(Vec::new()) };
    match dir.read_file(&path, MAX_SIZE) {
        Ok(bytes) => Ok(names_in_block(&bytes)),
        Err(error) if error.is_not_found() => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::repo::GitRepo;
    use crate::git::testing::TestRepo;
    use proptest::prelude::*;

    fn edit(existing: Option<&str>, add: &[&str], remove: &[&str]) -> Option<String> {
        edit_block(existing.map(str::as_bytes), add, remove).map(|bytes| String::from_utf8(bytes).unwrap())
    }

    const BLOCK: &str = "# >>> mlv: outputs (kept by mlv, do not edit) >>>\n/a\n/b\n# <<< mlv <<<\n";

    #[test]
    fn the_block_comes_and_goes_without_a_trace() {
        assert_eq!(edit(None, &["b", "a"], &[]).unwrap(), BLOCK);
        assert_eq!(edit(Some(BLOCK), &["a"], &["none"]).unwrap(), BLOCK);
        assert_eq!(edit(Some(BLOCK), &[], &["a", "b"]), None);
        assert_eq!(edit(None, &[], &["a"]), None);
        assert_eq!(edit(Some("mine"), &["b", "a"], &[]).unwrap(), format!("mine\n{BLOCK}"));
        assert_eq!(edit(Some(&format!("mine\n{BLOCK}rest")), &[], &["a", "b"]).unwrap(), "mine\nrest");
        assert_eq!(edit(Some(""), &[], &[]).unwrap(), "", "an empty file of the user's stays");
        assert_eq!(edit(Some("/a\n"), &[], &["a"]).unwrap(), "/a\n", "so does the user's own line");
    }

    #[test]
    fn what_a_merge_made_of_the_block_is_put_right() {
        let torn = "mine\n# >>> mlv: outputs (kept by mlv, do not edit) >>>\n<<<<<<< ours\n/b\n=======\n";
        let healed = edit(Some(torn), &["a", "b"], &[]).unwrap();
        assert!(healed.starts_with(&format!("mine\n{BLOCK}<<<<<<< ours\n/b\n")), "{healed}");
        let twice = format!("{BLOCK}x\n{BLOCK}");
        assert_eq!(edit(Some(&twice), &[], &[]).unwrap(), format!("{BLOCK}x\n"));
        let unsorted = BLOCK.replace("/a\n/b", "/b\n/a");
        assert_eq!(edit(Some(&unsorted), &["a"], &[]).unwrap(), BLOCK);
    }

    #[test]
    fn line_ends_stay_what_they_are() {
        let existing = "one\r\ntwo\r\n";
        let edited = edit(Some(existing), &["a", "b"], &[]).unwrap();
        assert_eq!(edited, format!("{existing}{}", BLOCK.replace('\n', "\r\n")));
        assert_eq!(edit(Some(&edited), &["a"], &[]).unwrap(), edited);
        assert_eq!(edit(Some(&edited), &[], &["a", "b"]).unwrap(), existing);
    }

    #[test]
    fn special_names_are_escaped() {
        assert_eq!(line_of("sp[1].txt"), br"/sp\[1\].txt");
        assert_eq!(line_of("!a#"), b"/!a#");
        assert_eq!(line_of("a  "), br"/a\ \ ");
        assert_eq!(names_in_block(&edit_block(None, &["sp[1] ", r"a\b"], &[]).unwrap()), [r"a\b", "sp[1] "]);
    }

    #[test]
    fn files_are_edited_as_a_whole() {
        let test = TestRepo::new();
        test.write("d/.gitignore", "mine\n").write("x", "");
        let dir = Dir::open(&test.root).unwrap();
        let lock = RepoPath::parse("lock").unwrap();
        let held = MetaLock::acquire(&dir, &lock, &fs::lock::Patience::NONE).unwrap();
        let folder = RepoPath::parse("d").unwrap();
        let text = || std::fs::read_to_string(test.root.join("d/.gitignore")).unwrap();
        let both = ["b", "a"];
        assert_eq!(update(&dir, &folder, &both, &[], &held).unwrap(), Outcome::Written);
        assert_eq!(text(), format!("mine\n{BLOCK}"));
        assert_eq!(read_names(&dir, &folder).unwrap(), ["a", "b"]);
        assert_eq!(update(&dir, &folder, &both, &[], &held).unwrap(), Outcome::Unchanged);
        assert_eq!(update(&dir, &folder, &[], &both, &held).unwrap(), Outcome::Written);
        assert_eq!(text(), "mine\n");
        let root = RepoPath::root();
        assert_eq!(update(&dir, &root, &["a"], &[], &held).unwrap(), Outcome::Written);
        assert_eq!(update(&dir, &root, &[], &["a"], &held).unwrap(), Outcome::Removed);
        assert_eq!(update(&dir, &root, &[], &["a"], &held).unwrap(), Outcome::Unchanged);
        assert!(!test.root.join(".gitignore").exists());
        // R3: a link may lead anywhere.
        std::os::unix::fs::symlink("x", test.root.join(".gitignore")).unwrap();
        assert!(update(&dir, &root, &["a"], &[], &held).is_err());
        assert_eq!(std::fs::read(test.root.join("x")).unwrap(), b"");
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

        /// Each line ignores exactly its name, by git's own judgement and by gix's.
        #[test]
        fn every_name_is_ignored_and_no_other(names in proptest::collection::btree_set(r"[ab!#*?\[\]\{\}$~ é.-]{1,6}", 1..12)) {
            let names: Vec<String> = names.into_iter().filter(|name| name != "." && name != ".." && name != ".git").collect();
            let repo = TestRepo::new();
            let (ours, others): (Vec<_>, Vec<_>) = names.iter().enumerate().partition(|(at, _)| at % 2 == 0);
            let ours: Vec<&str> = ours.into_iter().map(|(_, name)| name.as_str()).collect();
            if let Some(text) = edit_block(Some(b"# mine\r\n"), &ours, &[]) {
                repo.write(".gitignore", text);
            }
            let git = GitRepo::discover_plain(&repo.root).unwrap().unwrap();
            for name in &names {
                repo.write(name, "");
                let path = RepoPath::parse(name).unwrap();
                prop_assert_eq!(git.is_ignored(&path, false).unwrap(), ours.contains(&name.as_str()), "{:?}", name);
            }
            let listed = repo.git(&["ls-files", "-z", "-o", "--exclude-standard"]);
            let mut listed: Vec<&str> = listed.split_terminator('\0').filter(|name| *name != ".gitignore").collect();
            listed.sort_unstable();
            let mut expected: Vec<&str> = others.into_iter().map(|(_, name)| name.as_str()).collect();
            expected.sort_unstable();
            prop_assert_eq!(listed, expected);
        }

        /// Any file, any edit: the user's lines stay in order, and the edit is its own fixed point.
        #[test]
        fn user_lines_stay(lines in proptest::collection::vec("(/a|/b|x|# >>> mlv: outputs \\(kept by mlv, do not edit\\) >>>|# <<< mlv <<<|)\r?", 0..12), add in proptest::collection::vec("[abc]", 0..3), remove in proptest::collection::vec("[abc]", 0..3)) {
            let text = lines.join("\n");
            let as_names = |names: &[String]| names.to_vec();
            let (add, remove) = (as_names(&add), as_names(&remove));
            let (add, remove): (Vec<&str>, Vec<&str>) = (add.iter().map(String::as_str).collect(), remove.iter().map(String::as_str).collect());
            let edited = edit_block(Some(text.as_bytes()), &add, &remove);
            let user = |text: &[u8]| parse(text).outside().filter(|byte| !byte.is_ascii_whitespace()).copied().collect::<Vec<u8>>();
            let after = edited.clone().unwrap_or_default();
            prop_assert_eq!(user(text.as_bytes()), user(&after));
            prop_assert_eq!(edit_block(edited.as_deref(), &add, &remove), edited);
            for name in add {
                prop_assert!(names_in_block(&after).iter().any(|line| line == name));
            }
        }
    }
}
