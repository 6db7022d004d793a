//! The only path type that is stored: relative, `/`-separated, checked once.
//!
//! A [`RepoPath`] came through one parser (docs/formats.md, "Paths"), so code that holds one
//! needs no further check against `..`, `.git` in disguise, or control characters. Paths are
//! ordered as bytes, the one order of trees, walks and the stat index.

use std::borrow::{Borrow, Cow};
use std::fmt;
use std::str::FromStr;

use unicode_normalization::UnicodeNormalization;

/// Longest part of a path, in bytes.
pub const MAX_PART: usize = 255;
/// Longest path, in bytes.
pub const MAX_PATH: usize = 4096;
/// Most parts of a path.
pub const MAX_DEPTH: usize = 128;

/// Why a text is no path that mlv stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PathError {
    /// Nothing, or two slashes in a row, or one at an end.
    #[error("a path has no empty parts and starts and ends without a slash")]
    EmptyPart,
    /// `.` or `..`.
    #[error("a path has no part `.` or `..`")]
    Dots,
    /// A NUL or another control character.
    #[error("a path has no control characters")]
    Control,
    /// A backslash: a separator on another platform.
    #[error("a path has no backslash")]
    Backslash,
    /// A part that some file system takes for `.git` or `.mlv`.
    #[error("a path has no part that means `.git` or `.mlv`")]
    Reserved,
    /// A part, path or depth over the limit.
    #[error("a path has at most 4,096 bytes, 128 parts, and 255 bytes a part")]
    TooLong,
    /// A file of git's or mlv's own, as an output.
    #[error("mlv's and git's own files are no outputs")]
    OwnFile,
    /// A name that Windows cannot hold.
    #[error("the name cannot be used on Windows")]
    NotPortable,
}

/// A checked path relative to the repository's root (or to a directory output).
///
/// The empty path is the root itself; no parser makes it, only [`RepoPath::root`].
// Not a `str`-like unsized type: the cast that makes one needs unsafe code, which the crate forbids.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RepoPath(Box<str>);

/// The same type under the name that owned paths have in signatures.
pub type RepoPathBuf = RepoPath;

impl RepoPath {
    /// Checks `text`; see [`check_stored`].
    pub fn parse(text: &str) -> Result<RepoPath, PathError> {
        check_stored(text)?;
        Ok(RepoPath(text.into()))
    }

    /// A path of mlv's own making: constants, numbers and hex digits.
    ///
    /// Panics on a text that is no path; what comes from outside goes through [`RepoPath::parse`].
    pub fn own(text: &str) -> RepoPath {
        RepoPath::parse(text).expect("mlv's own names are plain")
    }

    /// The root of the repository: the empty path.
    pub fn root() -> RepoPath {
        RepoPath("".into())
    }

    /// Whether this is the root.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `relative` below this path. Both are checked already; only the limits on the whole may be passed,
    /// which the file system then refuses.
    pub fn join(&self, relative: &RepoPath) -> RepoPath {
        match (self.is_root(), relative.is_root()) {
            (true, _) => relative.clone(),
            (_, true) => self.clone(),
            _ => RepoPath(format!("{}/{}", self.0, relative.0).into()),
        }
    }

    /// `relative` below this path, checked.
    pub fn join_str(&self, relative: &str) -> Result<RepoPath, PathError> {
        Ok(self.join(&RepoPath::parse(relative)?))
    }

    /// The path of a stored entry of the directory at this path: the entry's text is checked by
    /// whoever read it, and may end with the slash of an empty folder or be empty.
    pub fn join_entry(&self, entry: &str) -> RepoPath {
        let entry = entry.strip_suffix('/').unwrap_or(entry);
        self.join(&RepoPath(entry.into()))
    }

    /// The folder that this is in; `None` for the root.
    pub fn parent(&self) -> Option<RepoPath> {
        if self.is_root() {
            return None;
        }
        Some(RepoPath(self.0.rsplit_once('/').map_or("", |(folder, _)| folder).into()))
    }

    /// The last part; empty for the root.
    pub fn file_name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }

    /// This path with another last part, which is checked.
    pub fn with_file_name(&self, name: &str) -> Result<RepoPath, PathError> {
        self.parent().unwrap_or_else(RepoPath::root).join_str(name)
    }

    /// Whether this is `folder` or lies below it.
    pub fn starts_with(&self, folder: &RepoPath) -> bool {
        self.strip_prefix(folder).is_some()
    }

    /// What leads from `folder` to this path: empty if they are equal, `None` if this is not below it.
    pub fn strip_prefix(&self, folder: &RepoPath) -> Option<&str> {
        if folder.is_root() {
            return Some(&self.0);
        }
        let rest = self.0.strip_prefix(&*folder.0)?;
        if rest.is_empty() { Some(rest) } else { rest.strip_prefix('/') }
    }

    /// The parts, from the root on; none for the root.
    pub fn components(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('/').filter(|part| !part.is_empty())
    }

    /// This path as seen from `folder`: with `..` where that is not above it.
    pub fn relative_to(&self, folder: &RepoPath) -> String {
        let mut from = folder.components().peekable();
        let mut to = self.components().peekable();
        while let (Some(a), Some(b)) = (from.peek(), to.peek()) {
            if a != b {
                break;
            }
            from.next();
            to.next();
        }
        let parts: Vec<&str> = from.map(|_| "..").chain(to).collect();
        if parts.is_empty() { ".".to_owned() } else { parts.join("/") }
    }
}

impl fmt::Display for RepoPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_root() { "." } else { &self.0 })
    }
}

impl fmt::Debug for RepoPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl FromStr for RepoPath {
    type Err = PathError;

    fn from_str(text: &str) -> Result<RepoPath, PathError> {
        RepoPath::parse(text)
    }
}

impl Borrow<str> for RepoPath {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl AsRef<std::path::Path> for RepoPath {
    fn as_ref(&self) -> &std::path::Path {
        std::path::Path::new(&*self.0)
    }
}

impl serde::Serialize for RepoPath {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// Checks the rule for every stored path: relative, `/`-separated, UTF-8 by type, no empty, `.` or `..`
/// part, no control character, no backslash, no part that means `.git` or `.mlv`, within the limits.
pub fn check_stored(text: &str) -> Result<(), PathError> {
    check_stored_after(text, 0)
}

/// As [`check_stored`], for a text whose first `known` bytes stand at the start of a path that has
/// passed: neighbours in a directory share most of their folders, which are then checked once.
pub(super) fn check_stored_after(text: &str, known: usize) -> Result<(), PathError> {
    let bytes = text.as_bytes();
    if bytes.len() > MAX_PATH {
        return Err(PathError::TooLong);
    }
    let start = bytes[..known].iter().rposition(|&byte| byte == b'/').map_or(0, |slash| slash + 1);
    text[start..].split('/').try_for_each(check_part)?;
    let depth = bytes.iter().filter(|&&byte| byte == b'/').count() + 1;
    if depth > MAX_DEPTH { Err(PathError::TooLong) } else { Ok(()) }
}

fn check_part(part: &str) -> Result<(), PathError> {
    match part {
        "" => return Err(PathError::EmptyPart),
        "." | ".." => return Err(PathError::Dots),
        _ if part.len() > MAX_PART => return Err(PathError::TooLong),
        _ => {}
    }
    // No branch and no allocation for the names that nearly all names are: this is the check of every
    // entry of every directory that is read.
    let (mut backslash, mut control, mut beyond_ascii) = (false, false, false);
    for byte in part.bytes() {
        backslash |= byte == b'\\';
        control |= byte < 0x20 || byte == 0x7f;
        beyond_ascii |= byte >= 0x80;
    }
    if backslash {
        return Err(PathError::Backslash);
    }
    if control || (beyond_ascii && part.chars().any(char::is_control)) {
        return Err(PathError::Control);
    }
    let reserved = if beyond_ascii { is_reserved(&visible_and_folded(part)) } else { is_reserved(part) };
    if reserved { Err(PathError::Reserved) } else { Ok(()) }
}

/// What HFS+ compares: it ignores code points, composes and folds case.
fn visible_and_folded(part: &str) -> String {
    let visible: String = part.chars().filter(|c| !is_default_ignorable(*c)).collect();
    fold(&visible).into_owned()
}

/// Whether some file system takes `part` for git's or mlv's folder: NTFS drops trailing dots and spaces
/// and has short names (`git~1`).
fn is_reserved(part: &str) -> bool {
    let starts = |text: &str, stem: &str| {
        text.as_bytes().get(..stem.len()).is_some_and(|head| head.eq_ignore_ascii_case(stem.as_bytes()))
    };
    let folder =
        |stem| starts(part, stem) && part[stem.len()..].bytes().all(|byte| matches!(byte, b'.' | b' '));
    let short = |stem| {
        let digits = |rest: &str| !rest.is_empty() && rest.bytes().all(|digit| digit.is_ascii_digit());
        starts(part, stem) && digits(part[stem.len()..].trim_end_matches(['.', ' ']))
    };
    folder(".git") || folder(".mlv") || short("git~") || short("mlv~")
}

/// Unicode's Default_Ignorable_Code_Point (DerivedCoreProperties.txt), which is closed but for unassigned
/// code points in the ranges named here.
fn is_default_ignorable(c: char) -> bool {
    matches!(u32::from(c),
        0xAD | 0x34F | 0x61C | 0x115F..=0x1160 | 0x17B4..=0x17B5 | 0x180B..=0x180F | 0x200B..=0x200F
        | 0x202A..=0x202E | 0x2060..=0x206F | 0x3164 | 0xFE00..=0xFE0F | 0xFEFF | 0xFFA0 | 0xFFF0..=0xFFF8
        | 0x1BCA0..=0x1BCA3 | 0x1D173..=0x1D17A | 0xE0000..=0xE0FFF)
}

/// NFC and full case folding: two names with equal folds are twins on macOS or Windows.
pub fn fold(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase()) {
        return Cow::Borrowed(text);
    }
    let composed: String = text.nfc().collect();
    Cow::Owned(caseless::default_case_fold_str(&composed).nfc().collect())
}

/// How two names are written that look the same, as composed and decomposed letters: ` (written `\u{e9}` and
/// `e\u{301}`)`; nothing where they look different.
pub fn written(one: &str, other: &str) -> String {
    if one == other || !one.nfc().eq(other.nfc()) {
        return String::new();
    }
    format!(" (written `{}` and `{}`)", one.escape_default(), other.escape_default())
}

/// The stricter rule for pointers and stage outputs: none of git's or mlv's own files, and portable.
pub fn check_output_name(path: &RepoPath) -> Result<(), PathError> {
    let folded = visible_and_folded(path.file_name());
    let own = matches!(
        &*folded,
        ".gitattributes" | ".gitmodules" | ".gitignore" | ".mlvignore" | "mlv.yaml" | "mlv.lock"
    ) || folded.ends_with(".mlv");
    if own || path.is_root() {
        return Err(PathError::OwnFile);
    }
    check_portable(path.as_str())
}

/// Whether Windows can hold the path: no `:*?"<>|`, no device name, no part ending with a dot or space.
pub fn check_portable(path: &str) -> Result<(), PathError> {
    for part in path.split('/').filter(|part| !part.is_empty()) {
        let stem = part.split('.').next().unwrap_or_default().trim_end().to_ascii_lowercase();
        let numbered = |prefix: &str| {
            stem.strip_prefix(prefix).is_some_and(|rest| {
                matches!(
                    rest,
                    "1" | "2" | "3" | "4" | "5" | "6" | "7" | "8" | "9" | "\u{b9}" | "\u{b2}" | "\u{b3}"
                )
            })
        };
        let device = matches!(&*stem, "con" | "prn" | "aux" | "nul" | "conin$" | "conout$")
            || numbered("com")
            || numbered("lpt");
        if device || part.ends_with(['.', ' ']) || part.contains([':', '*', '?', '"', '<', '>', '|']) {
            return Err(PathError::NotPortable);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn path(text: &str) -> RepoPath {
        text.parse().unwrap()
    }

    #[test]
    fn relative_paths_lead_from_one_folder_to_another() {
        assert_eq!(path("a/b/c").relative_to(&path("a/d")), "../b/c");
        assert_eq!(path("a").relative_to(&path("a")), ".");
        assert_eq!(path("a/b").relative_to(&RepoPath::root()), "a/b");
    }

    #[test]
    fn prefixes_end_at_slashes() {
        assert_eq!(path("a/b").strip_prefix(&path("a")), Some("b"));
        assert_eq!(path("a").strip_prefix(&path("a")), Some(""));
        assert_eq!(path("ab").strip_prefix(&path("a")), None);
        assert_eq!(path("ab").strip_prefix(&RepoPath::root()), Some("ab"));
    }

    #[test]
    fn disguises_of_reserved_names_are_seen_and_lookalikes_are_not() {
        for bad in [".GiT", ".git. .", "a/.m\u{200d}lv", "GIT~1", "mlv~42", "\u{ff0e}git"] {
            let seen = RepoPath::parse(bad);
            // Full-width letters fold to themselves under NFC: no file system takes them for ASCII.
            assert_eq!(seen.is_err(), !bad.starts_with('\u{ff0e}'), "{bad:?}");
        }
        for good in [".gitx", "git~", "git~a", ".gitignore", "x.mlv", "..."] {
            assert!(RepoPath::parse(good).is_ok(), "{good:?}");
        }
    }

    #[test]
    fn outputs_have_stricter_names() {
        for bad in [
            "data/.gitignore",
            "MLV.yaml",
            ".git\u{200c}modules",
            "x.mlv",
            "x.m\u{feff}LV",
            "nul",
            "a/com1.txt",
            "a:b",
            "dir ",
            "q?",
        ] {
            assert!(check_output_name(&path(bad)).is_err(), "{bad:?}");
        }
        for good in ["data", "model.bin", "com10", "console"] {
            assert_eq!(check_output_name(&path(good)), Ok(()), "{good:?}");
        }
    }

    /// The rule as docs/formats.md states it, word by word and slowly.
    fn is_allowed_by_the_book(text: &str) -> bool {
        let part_is_allowed = |part: &str| {
            let visible: String = part.chars().filter(|c| !is_default_ignorable(*c)).collect();
            let composed: String = visible.nfc().collect();
            let folded = caseless::default_case_fold_str(&composed);
            let name = folded.trim_end_matches(['.', ' ']);
            let numbered = ["git~", "mlv~"].iter().any(|stem| {
                name.strip_prefix(stem)
                    .is_some_and(|n| !n.is_empty() && n.chars().all(|c| c.is_ascii_digit()))
            });
            let reserved = name == ".git" || name == ".mlv" || numbered;
            !part.is_empty() && part != "." && part != ".." && part.len() <= MAX_PART && !reserved
        };
        let parts: Vec<&str> = text.split('/').collect();
        text.len() <= MAX_PATH
            && parts.len() <= MAX_DEPTH
            && !text.contains(|c: char| c.is_control() || c == '\\')
            && parts.into_iter().all(part_is_allowed)
    }

    /// Something near a reserved name: other case, a letter more or less, ignorable characters, a tail.
    fn disguise() -> impl Strategy<Value = String> {
        let stem = prop_oneof![Just(".git"), Just(".mlv"), Just("git~"), Just("mlv~"), Just("g\u{131}t~")];
        let extra = prop_oneof![Just(""), Just("\u{200d}"), Just("\u{feff}"), Just("x"), Just("\u{307}")];
        (stem, any::<u8>(), extra, 0..6usize, "[0-9]{0,2}[. ]{0,2}").prop_map(
            |(stem, upper, extra, at, tail)| {
                let cased = stem.chars().enumerate().map(|(at, c)| {
                    if upper >> at & 1 == 1 { c.to_uppercase().to_string() } else { c.to_string() }
                });
                let mut parts: Vec<String> = cased.collect();
                parts.insert(at.min(parts.len()), extra.to_owned());
                parts.concat() + &tail
            },
        )
    }

    fn arbitrary_path() -> impl Strategy<Value = String> {
        let long = (240..260usize).prop_map(|len| "x".repeat(len));
        let part = prop_oneof![3 => disguise(), 3 => "[a-zÄ.~ ]{1,4}", 1 => any::<String>(), 1 => long];
        let shallow = proptest::collection::vec(part, 1..4).prop_map(|parts| parts.join("/"));
        let deep = (120..136usize).prop_map(|depth| vec!["d"; depth].join("/"));
        prop_oneof![9 => shallow, 1 => deep]
    }

    proptest! {
        #[test]
        fn the_parser_takes_what_the_rule_allows_and_nothing_else(text in arbitrary_path()) {
            let parsed = RepoPath::parse(&text);
            prop_assert_eq!(parsed.is_ok(), is_allowed_by_the_book(&text), "{:?}", text);
            let Ok(path) = parsed else { return Ok(()) };
            prop_assert_eq!(path.to_string().parse::<RepoPath>(), Ok(path.clone()));
            let parent = path.parent().unwrap();
            prop_assert_eq!(parent.join_str(path.file_name()), Ok(path.clone()));
            prop_assert!(path.starts_with(&parent));
            let _ = (check_output_name(&path), check_portable(path.as_str()), fold(path.as_str()));
        }

        #[test]
        fn what_a_neighbour_settled_needs_no_second_check(a in arbitrary_path(), b in arbitrary_path()) {
            if check_stored(&a).is_err() {
                return Ok(());
            }
            let shared = a.bytes().zip(b.bytes()).take_while(|(x, y)| x == y).count();
            prop_assert_eq!(check_stored_after(&b, shared).is_ok(), check_stored(&b).is_ok());
            let glued = format!("{a}/{b}");
            prop_assert_eq!(check_stored_after(&glued, a.len()), check_stored(&glued));
        }
    }
}
