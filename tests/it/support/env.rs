//! A machine for one test: its own home, git configuration and temporary folder.

use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, OnceLock};

use serde_json::Value;

/// A folder on the test's machine, and the programs run in it. Removed with the last handle.
#[derive(Clone)]
pub(crate) struct TestEnv {
    machine: Arc<Machine>,
    cwd: PathBuf,
}

struct Machine {
    /// Canonical, so that output can be compared with it.
    root: PathBuf,
    _folder: tempfile::TempDir,
}

impl TestEnv {
    /// An empty folder `repo`, in no repository.
    pub(crate) fn new() -> TestEnv {
        let folder =
            tempfile::Builder::new().prefix("mlv-it-").tempdir_in(disk()).expect("a temporary folder");
        let root = folder.path().canonicalize().expect("the folder is there");
        for name in ["home", "tmp", "repo"] {
            fs::create_dir(root.join(name)).expect("a new folder");
        }
        let cwd = root.join("repo");
        TestEnv { machine: Arc::new(Machine { root, _folder: folder }), cwd }
    }

    /// A git repository without commits, without mlv.
    pub(crate) fn in_git() -> TestEnv {
        let env = TestEnv::new();
        env.git(&["init", "--quiet", "--template=", "--initial-branch=main"]);
        env
    }

    /// A git repository with mlv set up and committed.
    pub(crate) fn ready() -> TestEnv {
        let env = TestEnv::in_git();
        env.mlv(&["init"]).success();
        env.commit("set up mlv");
        env
    }

    /// The same machine, in another folder: below this one, or absolute.
    pub(crate) fn at(&self, folder: impl AsRef<Path>) -> TestEnv {
        let cwd = self.cwd.join(folder);
        fs::create_dir_all(&cwd).expect("a folder");
        TestEnv { machine: Arc::clone(&self.machine), cwd }
    }

    /// A folder of the machine besides the repository, made if it is not there.
    pub(crate) fn beside(&self, name: &str) -> TestEnv {
        self.at(self.machine.root.join(name))
    }

    /// A git clone of this repository in the folder `name` beside it.
    pub(crate) fn clone_to(&self, name: &str) -> TestEnv {
        let target = self.machine.root.join(name);
        let (from, to) = (self.cwd.display().to_string(), target.display().to_string());
        self.git(&["clone", "--quiet", "--template=", &from, &to]);
        TestEnv { machine: Arc::clone(&self.machine), cwd: target }
    }

    /// A second machine with the same files, in the same folder of it.
    pub(crate) fn duplicate(&self) -> TestEnv {
        let other = TestEnv::new();
        let from = format!("{}/.", self.machine.root.display());
        other.run(other.command("cp").args(["-a", "--", &from]).arg(&other.machine.root)).success();
        let below = self.cwd.strip_prefix(&self.machine.root).expect("a folder of the machine");
        other.at(other.machine.root.join(below))
    }

    /// The absolute path of the folder.
    pub(crate) fn path(&self) -> &Path {
        &self.cwd
    }

    /// The folder that `$ENV` stands for in outputs.
    pub(crate) fn root(&self) -> &Path {
        &self.machine.root
    }

    /// The home of the machine's user.
    pub(crate) fn home(&self) -> PathBuf {
        self.machine.root.join("home")
    }

    // ---- programs

    /// Runs git and returns what it printed to stdout. Panics if it fails.
    pub(crate) fn git(&self, args: &[&str]) -> String {
        let output = self.run(self.command("git").args(args)).success();
        output.stdout().trim_end().to_owned()
    }

    /// Commits everything that git does not ignore, also if nothing changed.
    pub(crate) fn commit(&self, message: &str) {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "--message", message]);
    }

    /// Runs the built `mlv`.
    #[must_use = "check how it ended: success() or code(n)"]
    pub(crate) fn mlv(&self, args: &[&str]) -> Output {
        self.run(self.mlv_command().args(args))
    }

    /// Runs `mlv` with arguments that need not be UTF-8.
    #[must_use = "check how it ended: success() or code(n)"]
    pub(crate) fn mlv_os(&self, args: &[&OsStr]) -> Output {
        self.run(self.mlv_command().args(args))
    }

    /// The built `mlv`, to be given arguments, variables, pipes, and then to [`TestEnv::run`].
    pub(crate) fn mlv_command(&self) -> Command {
        self.command(env!("CARGO_BIN_EXE_mlv"))
    }

    /// A program on this machine: none of the variables of the test's own process but `PATH`.
    pub(crate) fn command(&self, program: &str) -> Command {
        let home = self.home();
        let mut command = Command::new(program);
        command.current_dir(&self.cwd).env_clear().stdin(Stdio::null());
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HOME", &home).env("TMPDIR", self.machine.root.join("tmp"));
        command.env("LANG", "C.UTF-8").env("TZ", "UTC");
        command.env("MLV_SYSTEM_CONFIG_DIR", self.machine.root.join("system"));
        command.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CONFIG_GLOBAL", home.join(".gitconfig"));
        for role in ["AUTHOR", "COMMITTER"] {
            command.env(format!("GIT_{role}_NAME"), "Ada");
            command.env(format!("GIT_{role}_EMAIL"), "ada@example.com");
            command.env(format!("GIT_{role}_DATE"), "2026-01-02T03:04:05Z");
        }
        command
    }

    /// Runs the command to its end.
    #[must_use = "check how it ended: success() or code(n)"]
    pub(crate) fn run(&self, command: &mut Command) -> Output {
        let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        Output::new(output, &self.machine.root)
    }

    /// Runs the command to its end with `input` on its stdin.
    #[must_use = "check how it ended: success() or code(n)"]
    pub(crate) fn run_with_input(&self, command: &mut Command, input: &[u8]) -> Output {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        child.stdin.take().expect("it is piped").write_all(input).expect("the program reads its input");
        Output::new(child.wait_with_output().expect("the program ends"), &self.machine.root)
    }

    /// The output of a child that was started by hand.
    #[must_use = "check how it ended: success() or code(n)"]
    pub(crate) fn output(&self, output: std::process::Output) -> Output {
        Output::new(output, &self.machine.root)
    }

    // ---- files

    /// Writes a file below the folder, with the folders above it.
    pub(crate) fn write(&self, path: impl AsRef<Path>, bytes: impl AsRef<[u8]>) {
        let path = self.cwd.join(path);
        fs::create_dir_all(path.parent().expect("a file has a folder")).expect("its folder");
        fs::write(&path, bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }

    /// The bytes of a file.
    pub(crate) fn read(&self, path: impl AsRef<Path>) -> Vec<u8> {
        let path = self.cwd.join(path);
        fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// A file that is text.
    pub(crate) fn read_text(&self, path: impl AsRef<Path>) -> String {
        String::from_utf8(self.read(path)).expect("the file is text")
    }

    /// Makes a symlink at `path`.
    pub(crate) fn symlink(&self, target: &str, path: impl AsRef<Path>) {
        let path = self.cwd.join(path);
        fs::create_dir_all(path.parent().expect("a link has a folder")).expect("its folder");
        symlink(target, path).expect("a new link");
    }

    /// Sets the mode of a file or folder.
    pub(crate) fn chmod(&self, path: impl AsRef<Path>, mode: u32) {
        fs::set_permissions(self.cwd.join(path), fs::Permissions::from_mode(mode)).expect("its mode");
    }

    /// Removes a file, or a folder with everything in it.
    pub(crate) fn remove(&self, path: impl AsRef<Path>) {
        let path = self.cwd.join(path);
        let is_dir = path.symlink_metadata().is_ok_and(|found| found.is_dir());
        let removed = if is_dir { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        removed.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }

    /// Whether there is anything at `path`, also a link that leads nowhere.
    pub(crate) fn exists(&self, path: impl AsRef<Path>) -> bool {
        self.cwd.join(path).symlink_metadata().is_ok()
    }

    /// The tree below the folder as text, without `.git` and `.mlv`: see [`super::snapshot`].
    pub(crate) fn snapshot(&self) -> String {
        super::snapshot(&self.cwd, &[".git", ".mlv"])
    }

    /// The tree below `path` as text, all of it.
    pub(crate) fn snapshot_of(&self, path: impl AsRef<Path>) -> String {
        super::snapshot(&self.cwd.join(path), &[])
    }
}

/// Where the machines are: in memory if there is room and no other place was named. mlv makes all
/// that it writes durable, which is the slowest part of most tests, and no test pulls the plug.
fn disk() -> &'static Path {
    static DISK: OnceLock<PathBuf> = OnceLock::new();
    DISK.get_or_init(|| {
        let memory = Path::new("/dev/shm");
        let free = Command::new("df").args(["--output=avail", "-B1"]).arg(memory).output();
        let free = free.ok().and_then(|output| {
            String::from_utf8(output.stdout).ok()?.lines().last()?.trim().parse::<u64>().ok()
        });
        let is_asked_for = std::env::var_os("TMPDIR").is_some();
        let has_room = free.is_some_and(|bytes| bytes > 4 << 30);
        if has_room && !is_asked_for { memory.to_path_buf() } else { std::env::temp_dir() }
    })
}

/// What a program printed and how it ended. `Display` shows all of it, for snapshots.
#[derive(Clone)]
pub(crate) struct Output {
    code: i32,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    root: String,
}

impl Output {
    fn new(output: std::process::Output, root: &Path) -> Output {
        let status = output.status;
        let code = status.code().or(status.signal().map(|signal| 128 + signal)).expect("it ended");
        let root = root.to_str().expect("temporary folders have plain names").to_owned();
        Output { code, stdout: output.stdout, stderr: output.stderr, root }
    }

    /// Panics with all output unless the exit code is 0.
    #[track_caller]
    pub(crate) fn success(self) -> Output {
        self.code(0)
    }

    /// Panics with all output unless the exit code is `code`; 128 + n stands for signal n.
    #[track_caller]
    pub(crate) fn code(self, code: i32) -> Output {
        assert_eq!(self.code, code, "exit code; the output was:\n{self}");
        self
    }

    /// The exit code, for tests that accept several.
    pub(crate) fn exit_code(&self) -> i32 {
        self.code
    }

    /// What was printed to stdout, with the machine's paths as `$ENV`.
    pub(crate) fn stdout(&self) -> String {
        self.normal(&self.stdout)
    }

    /// What was printed to stderr, with the machine's paths as `$ENV`.
    pub(crate) fn stderr(&self) -> String {
        self.normal(&self.stderr)
    }

    /// What was printed to stdout, byte by byte.
    pub(crate) fn stdout_bytes(&self) -> &[u8] {
        &self.stdout
    }

    /// What was printed to stderr, byte by byte.
    pub(crate) fn stderr_bytes(&self) -> &[u8] {
        &self.stderr
    }

    /// The one JSON document on stdout, paths as they are. Panics if it is not one.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.stdout)
            .unwrap_or_else(|error| panic!("no JSON document ({error}); the output was:\n{self}"))
    }

    /// The `kind` of the error document on stdout.
    #[track_caller]
    pub(crate) fn error_kind(&self) -> String {
        let document = self.json();
        let kind = document["error"]["kind"].as_str();
        kind.unwrap_or_else(|| panic!("no error document; the output was:\n{self}")).to_owned()
    }

    /// Paths of the machine as `$ENV`, and run times as `[TIME]`.
    fn normal(&self, bytes: &[u8]) -> String {
        let text = String::from_utf8_lossy(bytes).replace(&self.root, "$ENV");
        let mut words = text.split(" in ");
        let mut normal = words.next().unwrap_or_default().to_owned();
        for word in words {
            let number = word.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(word.len());
            let is_time = number > 0 && word[number..].starts_with('s');
            normal.push_str(if is_time { " in [TIME]" } else { " in " });
            normal.push_str(if is_time { &word[number + 1..] } else { word });
        }
        normal
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.stdout())?;
        if !self.stderr.is_empty() {
            write!(f, "--- stderr\n{}", self.stderr())?;
        }
        if self.code != 0 {
            write!(f, "[exit {}]", self.code)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Bytes as an argument or file name.
pub(crate) fn os(bytes: &[u8]) -> &OsStr {
    OsStr::from_bytes(bytes)
}
