//! What the tests of several commands ask of a project: its pointers, its cache, a remote.

use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::TestEnv;

/// What a pointer says about its output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pointer {
    /// The line's value, without quotes.
    pub(crate) path: String,
    /// With the algorithm: `blake3:…`.
    pub(crate) hash: String,
    /// In bytes.
    pub(crate) size: u64,
    /// Of a directory.
    pub(crate) nfiles: Option<u64>,
    /// Whether `isexec: true` stands there.
    pub(crate) is_executable: bool,
}

impl TestEnv {
    /// `a` and `d/1`, `d/2` are tracked and committed.
    pub(crate) fn tracked() -> TestEnv {
        let env = TestEnv::ready();
        env.write("a", "one");
        env.write("d/1", "first");
        env.write("d/2", "second");
        env.mlv(&["add", "a", "d"]).success();
        env.commit("add data");
        env
    }

    /// A project with a folder remote, `remote` beside it, as the default; committed.
    pub(crate) fn shared() -> TestEnv {
        let env = TestEnv::ready();
        env.add_remote();
        env.commit("name a remote");
        env
    }

    /// Waits for a file, and fails if it does not come.
    #[track_caller]
    pub(crate) fn wait_for(&self, path: &str) {
        let start = Instant::now();
        while !self.exists(path) {
            assert!(start.elapsed() < Duration::from_secs(20), "{path} does not come");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Makes `remote` beside the repository the default remote.
    pub(crate) fn add_remote(&self) {
        let _ = self.beside("remote");
        self.mlv(&["remote", "add", "-d", "storage", "../remote"]).success();
    }

    /// The document that a successful command prints with `--json`.
    #[track_caller]
    pub(crate) fn json(&self, args: &[&str]) -> Value {
        self.run(self.mlv_command().arg("--json").args(args)).success().json()
    }

    /// The kind and document of a command that fails with `code` under `--json`.
    #[track_caller]
    pub(crate) fn json_error(&self, args: &[&str], code: i32) -> (String, Value) {
        let output = self.run(self.mlv_command().arg("--json").args(args)).code(code);
        (output.error_kind(), output.json())
    }

    /// What `status --json` says: `{}` when clean.
    #[track_caller]
    pub(crate) fn status(&self) -> Value {
        self.json(&["status"])
    }

    /// What differs from the pointers, entry by entry: lists `added`, `modified`, `deleted`, `renamed`.
    #[track_caller]
    pub(crate) fn uncommitted(&self) -> Value {
        self.json(&["status", "--granular"])["data"]["uncommitted"].clone()
    }

    /// Panics unless `status` finds nothing to say.
    #[track_caller]
    pub(crate) fn assert_clean(&self) {
        assert_eq!(self.status(), serde_json::json!({}), "the project is not clean");
    }

    /// Panics if the work tree differs from the pointers; these may differ from git.
    #[track_caller]
    pub(crate) fn assert_recorded(&self) {
        let status = self.status();
        assert!(
            status["data"]["uncommitted"].is_null() && status["data"]["not_in_cache"].is_null(),
            "{status}"
        );
    }

    /// Panics with its report unless `fsck` finds nothing wrong.
    #[track_caller]
    pub(crate) fn assert_sound(&self) {
        self.mlv(&["fsck"]).success();
    }

    /// Reads a pointer line by line, so that a mistake of the program's own reader shows.
    #[track_caller]
    pub(crate) fn pointer(&self, path: &str) -> Pointer {
        let text = self.read_text(path);
        let find = |name: &str| {
            text.lines().find_map(|line| {
                let line = line.strip_prefix("- ").or_else(|| line.strip_prefix("  "))?;
                let value = line.strip_prefix(name)?.strip_prefix(": ")?;
                Some(value.trim_matches(['"', '\'']).to_owned())
            })
        };
        let need = |name: &str| find(name).unwrap_or_else(|| panic!("no `{name}` in {path}:\n{text}"));
        assert!(text.contains("version: 1\n") && text.ends_with('\n'), "{path}:\n{text}");
        Pointer {
            path: need("path"),
            hash: need("hash"),
            size: need("size").parse().expect("a size is a number"),
            nfiles: find("nfiles").map(|count| count.parse().expect("nfiles is a number")),
            is_executable: find("isexec").as_deref() == Some("true"),
        }
    }

    /// Whether git leaves `path` alone because of an ignore file.
    pub(crate) fn git_ignores(&self, path: &str) -> bool {
        self.run(self.command("git").args(["check-ignore", "--quiet", "--no-index", "--", path])).exit_code()
            == 0
    }

    /// The loose objects of the cache, sorted.
    pub(crate) fn loose_objects(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        files_below(&self.path().join(".mlv/cache/objects"), &mut found);
        found
    }

    /// Throws the cache and everything that remembers its contents away.
    pub(crate) fn lose_cache(&self) {
        fs::remove_dir_all(self.path().join(".mlv/cache")).expect("there is a cache");
    }

    /// Everything that lies in rescue, without the logs: paths below the operations' folders.
    pub(crate) fn rescued(&self) -> Vec<String> {
        let root = self.path().join(".mlv/rescue");
        let mut found = Vec::new();
        files_below(&root, &mut found);
        let relative = found.iter().map(|path| path.strip_prefix(&root).expect("it is below"));
        let texts =
            relative.filter_map(|path| path.to_str()?.split_once('/').map(|(_, rest)| rest.to_owned()));
        texts.collect()
    }

    /// Whether a file in rescue has these bytes.
    pub(crate) fn has_rescued(&self, bytes: &[u8]) -> bool {
        let mut found = Vec::new();
        files_below(&self.path().join(".mlv/rescue"), &mut found);
        found.iter().any(|path| fs::read(path).is_ok_and(|read| read == bytes))
    }
}

/// All that is no folder below `folder`, sorted; none if it is not there.
pub(crate) fn files_below(folder: &std::path::Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    for path in paths {
        if path.symlink_metadata().expect("it is there").is_dir() {
            files_below(&path, found);
        } else {
            found.push(path);
        }
    }
}

/// What the document of `repro` says was done, stage by stage: `run`, `restored`, …
pub(crate) fn actions(document: &Value) -> Vec<&str> {
    let stages = document["stages"].as_array().expect("a list");
    stages.iter().map(|stage| stage["action"].as_str().expect("a word")).collect()
}

/// The same with the names: `train run`.
pub(crate) fn stage_actions(document: &Value) -> Vec<String> {
    let stages = document["stages"].as_array().expect("a list");
    let names = stages.iter().map(|stage| stage["stage"].as_str().expect("a name"));
    names.zip(actions(document)).map(|(name, action)| format!("{name} {action}")).collect()
}

/// The strings of a JSON list; a row that is an object counts with its `path`.
pub(crate) fn texts(list: &Value) -> Vec<&str> {
    let rows = list.as_array().map(Vec::as_slice).unwrap_or_default();
    rows.iter().map(|row| row["path"].as_str().or(row.as_str()).expect("a path")).collect()
}

/// The hash of a file as pointers write it.
pub(crate) fn hash_of(bytes: &[u8]) -> String {
    format!("blake3:{}", mlv::model::digest::Digest::of(bytes))
}
