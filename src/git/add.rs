//! `git add` and `git config` for the user who asked for it: the one place that runs the user's `git`.
//!
//! A repository must not be able to make this run anything (R11): hooks, the file-system monitor
//! and fetching on demand are off, and the program is never one that lies in the work tree. Paths
//! go in as data on stdin, not as patterns among the arguments.

use std::ffi::OsStr;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use super::Error;
use super::repo::GitRepo;
use crate::model::path::RepoPath;

/// Variables of git's that are the user's settings; all others would lead it to another
/// repository, or are the business of whoever set them.
const KEPT_VARIABLES: &[&str] =
    &["GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM", "GIT_EXEC_PATH"];
const INDEX_VARIABLE: &str = "GIT_INDEX_FILE";
/// What git says at most, in bytes, of why it failed.
const MAX_SAYS: usize = 2000;

impl GitRepo {
    /// Puts the files as they are now into git's index; those that are gone are taken out of it.
    ///
    /// A path that is neither here nor in the index is left alone. Runs no hook and touches
    /// nothing but the index and the object database. Fails with `IndexBusy` where another git
    /// process holds the index, with `NoProgram` where there is no `git` to run.
    pub fn add(&self, paths: &[RepoPath]) -> Result<(), Error> {
        if self.is_bare() {
            return Ok(());
        }
        let mut input = Vec::new();
        for path in paths {
            input.extend_from_slice(self.full(path).as_str().as_bytes());
            input.push(0);
        }
        let output = self.output_of(&["update-index", "--add", "--remove", "-z", "--stdin"], &input)?;
        if output.status.success() {
            return Ok(());
        }
        let lock = self.git_dir().join("index.lock");
        if lock.exists() {
            return Err(Error::IndexBusy { path: lock });
        }
        Err(Error::NotAdded { says: says(&output) })
    }

    /// Runs a command of git's that has nothing to say.
    pub(super) fn run_git(&self, args: &[&str]) -> Result<(), Error> {
        let output = self.output_of(args, &[])?;
        if output.status.success() { Ok(()) } else { Err(Error::Refused { says: says(&output) }) }
    }

    fn output_of(&self, args: &[&str], input: &[u8]) -> Result<Output, Error> {
        let work_dir = self.work_dir().unwrap_or(self.git_dir());
        let program = find_program(work_dir).ok_or(Error::NoProgram)?;
        let mut command = self.command(&program, work_dir);
        Ok(feed(command.args(args), input).map_err(|error| crate::fs::at(&program, "run")(error))?)
    }

    fn command(&self, program: &Path, work_dir: &Path) -> Command {
        let mut command = Command::new(program);
        for (name, value) in std::env::vars_os() {
            let of_git = name.as_encoded_bytes().starts_with(b"GIT_");
            if of_git && !KEPT_VARIABLES.iter().any(|kept| name == *kept) && !self.is_own_index(&name, &value)
            {
                command.env_remove(name);
            }
        }
        command.current_dir(work_dir).env("GIT_NO_LAZY_FETCH", "1").env("GIT_TERMINAL_PROMPT", "0");
        command.arg("--git-dir").arg(self.git_dir()).arg("--work-tree").arg(work_dir);
        command.args(["-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false"]);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        command
    }

    /// Whether the variable names an index of this very repository, as it does in a hook of
    /// `git commit PATH`: what is added there belongs to that commit.
    fn is_own_index(&self, name: &OsStr, value: &OsStr) -> bool {
        let Some(work_dir) = self.work_dir().filter(|_| name == INDEX_VARIABLE) else { return false };
        let index = work_dir.join(value);
        index.parent().and_then(|folder| folder.canonicalize().ok()).is_some_and(|it| it == self.git_dir())
    }
}

/// The beginning of what git said of why it failed, on one line.
pub(super) fn says(output: &Output) -> String {
    let says = &output.stderr[..output.stderr.len().min(MAX_SAYS)];
    String::from_utf8_lossy(says).trim().replace('\n', "; ")
}

/// Runs the command with `input` on its stdin.
pub(super) fn feed(command: &mut Command, input: &[u8]) -> io::Result<Output> {
    let mut child = command.spawn()?;
    // One that ends early says why on its stderr; git prints nothing before it has read all.
    let fed = child.stdin.take().map_or(Ok(()), |mut stdin| stdin.write_all(input));
    let output = child.wait_with_output()?;
    match fed {
        Err(error) if output.status.success() => Err(error),
        _ => Ok(output),
    }
}

/// The first `git` on the path, in a folder that is absolute and outside of the work tree.
pub(super) fn find_program(work_dir: &Path) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let is_program = |file: &PathBuf| {
        file.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
            && file.canonicalize().is_ok_and(|real| !real.starts_with(work_dir))
    };
    std::env::split_paths(&path)
        .filter(|folder| folder.is_absolute() && !folder.starts_with(work_dir))
        .map(|folder| folder.join("git"))
        .find(is_program)
}
