//! Random directories with hostile names: what they hold, on disk and as a tree.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use mlv::model::digest::Digest;
use mlv::model::tree::{EntryKind, TreeBuilder, TreeEntry, TreeSummary};

use crate::support::Rng;

/// What stands at a path that is no folder with something in it.
#[derive(Clone, Debug)]
pub(super) enum Thing {
    File { bytes: Vec<u8>, executable: bool },
    Link(String),
    EmptyDir,
}

/// A directory: paths with `/` between the names, and what stands there.
#[derive(Clone, Debug, Default)]
pub(super) struct RandomTree(BTreeMap<String, Thing>);

/// Parts of names. Short ones meet again and make `a`, `a.b`, `a/c` and the like.
const NAMES: &[&str] = &[
    "a",
    "a.b",
    "a-",
    "a!",
    "a0",
    "b",
    "A",
    "-",
    "--force",
    "-rf",
    " ",
    "  x  ",
    "x ",
    ".",
    "..x",
    "...",
    "~",
    "it's",
    "say \"hi\"",
    "$(id)",
    "`id`",
    "*",
    "[a-z]",
    "?",
    "#",
    "!",
    "%2F",
    ":",
    "C:",
    "nul",
    "com1.txt",
    "<&>",
    "|",
    "caf\u{e9}",
    "cafe\u{301}",
    "\u{df}",
    "SS",
    "\u{130}",
    "i\u{307}",
    "\u{202e}gnp.exe",
    "\u{200b}",
    "\u{feff}",
    "\u{1f600}",
    "\u{4e2d}\u{6587}",
    "\u{fffd}",
    "\u{10ffff}",
    "a.mlv",
    ".gitignore",
    ".gitattributes",
    "git",
    ".gitx",
    "mlv~x",
    "tmp",
    "x.tmp",
    "lost+found",
    "yes",
    "null",
    "1e3",
    "0x1F",
    "- a",
    "k: v",
];

impl RandomTree {
    /// A small tree of any shape, or (`is_large`) one of several hundred entries with long names.
    pub(super) fn new(rng: &mut Rng, is_large: bool) -> RandomTree {
        let mut tree = RandomTree::default();
        let entries = if is_large { 170 + rng.below(120) } else { rng.below(14) };
        for _ in 0..entries {
            let path = if is_large { long_path(rng) } else { path(rng) };
            if tree.is_free(&path) {
                let thing = tree.thing(rng, &path);
                tree.0.insert(path, thing);
            }
        }
        tree
    }

    /// Whether nothing stands at `path`, above it or below it.
    fn is_free(&self, path: &str) -> bool {
        let above = path.match_indices('/').any(|(at, _)| self.0.contains_key(&path[..at]));
        let folder = format!("{path}/");
        let below = self.0.range(folder.clone()..).next().is_some_and(|(next, _)| next.starts_with(&folder));
        !above && !below && !self.0.contains_key(path) && path.len() < 3_000
    }

    fn thing(&self, rng: &mut Rng, path: &str) -> Thing {
        match rng.below(12) {
            0 => Thing::EmptyDir,
            1 => self.link(rng, path),
            2 => Thing::File { bytes: Vec::new(), executable: rng.one_in(3) },
            3 => {
                let len = rng.below(9_000);
                Thing::File { bytes: rng.bytes(len), executable: false }
            }
            // Few contents, so that several files share one.
            _ => Thing::File {
                bytes: format!("content {}", rng.below(40)).into_bytes(),
                executable: rng.one_in(4),
            },
        }
    }

    /// A link that stays in the directory: to something that is no link, or to nothing.
    fn link(&self, rng: &mut Rng, path: &str) -> Thing {
        let depth = path.matches('/').count();
        let files: Vec<&String> = self
            .0
            .iter()
            .filter(|(_, thing)| !matches!(thing, Thing::Link(_)))
            .map(|(path, _)| path)
            .collect();
        let goal = match files.len() {
            0 => "nowhere/at/all".to_owned(),
            _ if rng.one_in(3) => format!("nowhere {}", rng.below(9)),
            len => files[rng.below(len)].clone(),
        };
        Thing::Link(format!("{}{goal}", "../".repeat(depth)))
    }

    /// Makes it on disk; `folder` does not exist yet.
    pub(super) fn write(&self, folder: &Path) {
        fs::create_dir_all(folder).expect("a new folder");
        for (path, thing) in &self.0 {
            let path = folder.join(path);
            fs::create_dir_all(path.parent().expect("it is below the folder")).expect("a folder");
            match thing {
                Thing::EmptyDir => fs::create_dir(&path).expect("a new folder"),
                Thing::Link(target) => symlink(target, &path).expect("a new link"),
                Thing::File { bytes, executable } => {
                    fs::write(&path, bytes).expect("a new file");
                    let mode = if *executable { 0o755 } else { 0o644 };
                    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("its mode");
                }
            }
        }
    }

    /// Changes about a tenth of it: contents, modes, kinds, additions, deletions.
    pub(super) fn change(&mut self, rng: &mut Rng) {
        let paths: Vec<String> = self.0.keys().cloned().collect();
        for path in &paths {
            if !rng.one_in(10) {
                continue;
            }
            self.0.remove(path);
            if rng.one_in(2) && self.is_free(path) {
                let thing = self.thing(rng, path);
                self.0.insert(path.clone(), thing);
            }
        }
        let fresh = path(rng);
        if self.is_free(&fresh) {
            self.0.insert(fresh, Thing::File { bytes: rng.bytes(20), executable: false });
        }
        // A link whose goal became a link would be refused.
        let links: Vec<String> = self
            .0
            .iter()
            .filter(|(_, thing)| matches!(thing, Thing::Link(_)))
            .map(|(path, _)| path.clone())
            .collect();
        for path in links {
            self.0.insert(path, Thing::Link("nowhere".to_owned()));
        }
    }

    /// What the tree of the directory is by the model alone.
    pub(super) fn summary(&self) -> TreeSummary {
        let mut entries: Vec<TreeEntry> = self.0.iter().map(|(path, thing)| entry(path, thing)).collect();
        entries.sort_by(|a, b| a.path.as_bytes().cmp(b.path.as_bytes()));
        let mut sink = |_, _: &[u8]| Ok::<(), std::convert::Infallible>(());
        let mut builder = TreeBuilder::new(&mut sink);
        for entry in &entries {
            builder.push(entry).expect("the names are allowed and in order");
        }
        builder.finish().expect("it ends")
    }
}

fn entry(path: &str, thing: &Thing) -> TreeEntry {
    let (path, kind, bytes) = match thing {
        Thing::EmptyDir => {
            return TreeEntry {
                path: format!("{path}/").into(),
                kind: EntryKind::EmptyDir,
                size: 0,
                hash: Digest::ZERO,
            };
        }
        Thing::Link(target) => (path, EntryKind::Symlink, target.as_bytes()),
        Thing::File { bytes, executable: true } => (path, EntryKind::Executable, &bytes[..]),
        Thing::File { bytes, .. } => (path, EntryKind::File, &bytes[..]),
    };
    TreeEntry { path: path.into(), kind, size: bytes.len() as u64, hash: Digest::of(bytes) }
}

fn name(rng: &mut Rng) -> String {
    let name = match rng.below(10) {
        0 => format!("{}{}", rng.pick(NAMES), rng.pick(NAMES)),
        1 => "n".repeat(1 + rng.below(255)),
        2 => "\u{e4}".repeat(1 + rng.below(127)),
        _ => (*rng.pick(NAMES)).to_owned(),
    };
    // What is no name, and what mlv leaves out.
    let is_special = name.chars().all(|c| c == '.') || name.ends_with("git");
    if is_special { format!("{name}_") } else { name }
}

fn path(rng: &mut Rng) -> String {
    let depth = if rng.one_in(40) { 30 } else { 1 + rng.below(3) };
    let names: Vec<String> = (0..depth).map(|_| if depth > 3 { "deep".into() } else { name(rng) }).collect();
    names.join("/")
}

/// About 650 bytes, with little in common with others: some hundred of them are over a page.
fn long_path(rng: &mut Rng) -> String {
    let digits =
        |rng: &mut Rng, words: usize| (0..words).map(|_| format!("{:016x}", rng.next())).collect::<String>();
    format!("{:02}/{}/{}/{}", rng.below(20), digits(rng, 15), digits(rng, 15), digits(rng, 10))
}
