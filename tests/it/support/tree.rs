//! Trees as text, to compare and to read in a failing test.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Contents up to this length are shown as they are.
const SHOWN: usize = 40;

/// Everything below `folder`, one line each, sorted by path, but what `without` names at any
/// depth: kind, mode, path, then the contents of a file or the target of a link.
///
/// ```text
/// d 755 data/
/// f 644 data/a.txt "hello"
/// f 755 data/big 70000 bytes 6e5f42a1…
/// l     data/link -> a.txt
/// ```
pub(crate) fn snapshot(folder: &Path, without: &[&str]) -> String {
    let mut lines = Vec::new();
    collect(folder, "", without, &mut lines);
    lines.sort();
    lines.into_iter().map(|(_, line)| line + "\n").collect()
}

fn collect(folder: &Path, prefix: &str, without: &[&str], lines: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let entry = entry.expect("an entry");
        let name = entry.file_name();
        if without.iter().any(|skipped| name == *skipped) {
            continue;
        }
        let path = format!("{prefix}{}", name.to_string_lossy());
        let found = entry.metadata().expect("an entry has metadata");
        let mode = found.permissions().mode() & 0o777;
        let line = if found.is_dir() {
            collect(&entry.path(), &format!("{path}/"), without, lines);
            format!("d {mode:o} {path}/")
        } else if found.is_symlink() {
            let target = fs::read_link(entry.path()).expect("a link has a target");
            format!("l     {path} -> {}", target.to_string_lossy())
        } else if found.is_file() {
            format!("f {mode:o} {path} {}", contents(&entry.path()))
        } else {
            format!("? {mode:o} {path}")
        };
        lines.push((path, line));
    }
}

fn contents(path: &Path) -> String {
    let bytes = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    match std::str::from_utf8(&bytes) {
        Ok(text) if text.len() <= SHOWN => format!("{text:?}"),
        _ => {
            let mut hash = String::new();
            for byte in &mlv::model::digest::Digest::of(&bytes).as_bytes()[..4] {
                write!(hash, "{byte:02x}").expect("writing to a String cannot fail");
            }
            format!("{} bytes {hash}…", bytes.len())
        }
    }
}

/// The lines of two snapshots that only one of them has, each with its side.
pub(crate) fn differences(here: &str, there: &str) -> Vec<String> {
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<BTreeSet<String>>();
    let (here, there) = (lines(here), lines(there));
    let only = |side: &str, line: &String| format!("{side} {line}");
    let first = here.difference(&there).map(|line| only("first: ", line));
    first.chain(there.difference(&here).map(|line| only("second:", line))).collect()
}

/// Bytes that do not compress, equal for equal seeds.
pub(crate) fn random_bytes(seed: u64, len: usize) -> Vec<u8> {
    // SplitMix64 (Steele, Lea, Flood 2014).
    let mut state = seed;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bytes.extend_from_slice(&(word ^ (word >> 31)).to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// The Rust files below a folder of the project, sorted.
pub(crate) fn source_files(folder: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of the project") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}
