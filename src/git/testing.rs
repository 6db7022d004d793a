//! Real git repositories for tests, made by the `git` program in folders of their own.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A folder that is gone at the end, with a git repository in it.
pub(crate) struct TestRepo {
    _temp: tempfile::TempDir,
    /// The folder, without symlinks.
    pub(crate) root: PathBuf,
}

impl TestRepo {
    /// A repository without commits, on a branch `main`.
    pub(crate) fn new() -> TestRepo {
        TestRepo::with(&["init", "-q", "-b", "main"])
    }

    /// A folder in which git ran with these arguments.
    pub(crate) fn with(arguments: &[&str]) -> TestRepo {
        let repo = TestRepo::bare_folder();
        repo.git(arguments);
        repo
    }

    /// A folder without git.
    pub(crate) fn bare_folder() -> TestRepo {
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path().canonicalize().unwrap();
        TestRepo { _temp: temp, root }
    }

    /// Runs git here, isolated from the machine's configuration; its output without the last line end.
    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        git_in(&self.root, arguments)
    }

    /// Writes a file and the folders above it.
    pub(crate) fn write(&self, path: &str, text: impl AsRef<[u8]>) -> &TestRepo {
        let full = self.root.join(path);
        std::fs::create_dir_all(full.parent().unwrap()).unwrap();
        std::fs::write(full, text).unwrap();
        self
    }

    /// Records everything, ignored or not; the commit's hex name.
    pub(crate) fn commit(&self, message: &str) -> String {
        self.git(&["add", "-A", "-f"]);
        self.git(&["commit", "-q", "--allow-empty", "-m", message]);
        self.git(&["rev-parse", "HEAD"])
    }
}

/// Runs git in `folder`.
pub(crate) fn git_in(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .current_dir(folder)
        .args(["-c", "user.name=T", "-c", "user.email=t@example.org", "-c", "protocol.file.allow=always"])
        .args(arguments)
        .env_remove("GIT_DIR")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null")
        .env("GIT_AUTHOR_DATE", "2026-11-20T10:00:00Z")
        .env("GIT_COMMITTER_DATE", "2026-11-20T10:00:00Z")
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "git {arguments:?}: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap().trim_end_matches('\n').to_owned()
}
