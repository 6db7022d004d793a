//! Every hostile pointer, pipeline and lock under `fixtures/hostile/` (R13, and promises.md's list).
//!
//! What becomes of each stands in `fixtures/hostile/outcomes.snap`; read it when it changes.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use crate::model::lockfile::Lockfile;
use crate::model::path::RepoPath;
use crate::model::pointer::Pointer;
use crate::pipeline::graph::Graph;
use crate::pipeline::parse;
use crate::pipeline::template::NoValues;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/hostile")
}

fn at(path: &str) -> RepoPath {
    RepoPath::parse(path).unwrap()
}

fn pointer(bytes: &[u8]) -> String {
    match Pointer::parse(&at("p/x.mlv"), bytes) {
        Ok(pointer) => format!("read: {} of {} bytes", pointer.path, pointer.content.size),
        Err(error) => format!("refused: {error}"),
    }
}

fn pipeline(bytes: &[u8]) -> String {
    match parse::parse(&at("p/mlv.yaml"), bytes, &NoValues) {
        Ok(pipeline) => match Graph::build(vec![pipeline]) {
            Ok(graph) => format!("read: {} stages", graph.len()),
            Err(error) => format!("refused: {error}"),
        },
        Err(error) => format!("refused: {error}"),
    }
}

fn lock(bytes: &[u8]) -> String {
    match Lockfile::parse(&at("p/mlv.lock"), bytes) {
        Ok(lock) => {
            let valid = lock.stages.values().filter(|entry| !entry.is_stale()).count();
            let mut outcome = format!("read: {valid} valid, {} stale", lock.stages.len() - valid);
            for entry in lock.refused.values() {
                let _ = write!(outcome, "; entry refused: {}", entry.error);
            }
            outcome
        }
        Err(error) => format!("refused: {error}"),
    }
}

/// What would change a terminal or a reader's eyes, as an escape.
fn printable(text: &str) -> String {
    let plain = |c: char| !c.is_control() && !('\u{200b}'..='\u{206f}').contains(&c) && c != '\u{ad}';
    text.chars().map(|c| if plain(c) { c.to_string() } else { c.escape_unicode().to_string() }).collect()
}

#[test]
fn every_hostile_file_is_refused_or_survived() {
    type Read = fn(&[u8]) -> String;
    let kinds: [(&str, Read); 3] = [("lock", lock), ("pipeline", pipeline), ("pointer", pointer)];
    let mut outcomes = String::new();
    for (kind, read) in kinds {
        let folder = std::fs::read_dir(fixtures().join(kind)).unwrap();
        let mut files: Vec<PathBuf> = folder.map(|entry| entry.unwrap().path()).collect();
        files.sort();
        let _ = writeln!(outcomes, "{kind}: {} files", files.len());
        for file in files {
            let bytes = std::fs::read(&file).unwrap();
            let outcome = read(&bytes);
            assert!(outcome.len() < 1000, "{}: the message is too long", file.display());
            let name = file.file_stem().unwrap().to_str().unwrap();
            let _ = writeln!(outcomes, "  {name}: {}", printable(&outcome));
        }
    }
    insta::with_settings!({ snapshot_path => fixtures(), prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!("outcomes", outcomes);
    });
}

/// Sizes at the limits, which are not worth a file.
#[test]
fn files_at_the_limits_are_refused() {
    let check = |read: fn(&[u8]) -> String, text: String, expected: &str| {
        let outcome = read(text.as_bytes());
        assert!(outcome.contains(expected), "{outcome}");
    };
    check(pointer, "#".repeat((1 << 20) + 1), "larger than the limit of 1048576 bytes");
    check(pipeline, "#".repeat((8 << 20) + 1), "larger than the limit of 8388608 bytes");
    check(lock, "#".repeat((64 << 20) + 1), "larger than the limit of 67108864 bytes");
    check(lock, "\n".repeat(10_000_000), "more lines than the limit of 2000000");
    check(pipeline, "[".repeat(8 << 20), "nested deeper than the limit of 64");
    check(lock, "[".repeat(64 << 20), "nested deeper than the limit of 64");
    check(pipeline, format!("\"{}\"", "\\n".repeat(1 << 20)), "must be a map");
    let outs: String = (0..30_000).map(|index| format!("    - d/{index}\n")).collect();
    check(
        pipeline,
        format!("stages:\n  s:\n    cmd: x\n    deps: [d]\n    outs:\n{outs}"),
        "overlaps its own input",
    );
    check(pipeline, format!("stages:\n  s:\n    cmd: x\n    outs:\n{outs}"), "read: 1 stages");
}
