//! Real servers for the tests: installed below `target/tools` by `tests/run`, started on a free
//! port of the loopback, ended with the test by their process id.
//!
//! Where a server is not installed the test says so and passes; with `CI` set it fails.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

mod authority;
pub(crate) mod azurite;
mod gcs;
mod moto;
mod nginx;
pub(crate) mod s3rver;
pub(crate) mod s3sfs;
mod sshd;

pub(crate) use authority::Authority;
pub(crate) use azurite::Azurite;
pub(crate) use gcs::Gcs;
pub(crate) use moto::{Keys, Moto};
pub(crate) use nginx::Nginx;
pub(crate) use s3rver::S3rver;
pub(crate) use s3sfs::S3sFs;
pub(crate) use sshd::Sshd;

/// The folder that `tests/run` installs servers into.
fn tools() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools")
}

/// The folder with the `aws` command, which is installed beside moto.
pub(crate) fn aws_folder() -> PathBuf {
    tools().join("moto/bin")
}

/// The program that servers of the npm registry run on.
pub(crate) fn node() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let candidates: Vec<PathBuf> = std::env::split_paths(&path).map(|folder| folder.join("node")).collect();
    installed("node", &candidates)
}

/// The program that holds workflows against their schemas, installed beside the servers.
pub(crate) fn check_jsonschema() -> Option<PathBuf> {
    installed("check-jsonschema", &[tools().join("check-jsonschema/bin/check-jsonschema")])
}

/// A program that `tests/run` installed, or that the machine has anyway.
#[allow(clippy::print_stderr, reason = "what is left out is said where a test speaks")]
fn installed(server: &str, candidates: &[PathBuf]) -> Option<PathBuf> {
    let found = candidates.iter().find(|path| path.is_file()).cloned();
    if found.is_none() {
        let message = format!("{server} is not installed; to get it: tests/run servers");
        assert!(std::env::var_os("CI").is_none(), "{message}");
        eprintln!("skipped: {message}");
    }
    found
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    listener.local_addr().expect("it is bound").port()
}

/// A running server, ended when it is dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) port: u16,
    folder: tempfile::TempDir,
}

impl Server {
    /// Starts the program that `command` makes for a folder and a port, and waits until it listens.
    fn start(command: impl FnOnce(&Path, u16) -> Command) -> Server {
        let folder = tempfile::Builder::new().prefix("mlv-server-").tempdir().expect("a folder");
        let port = free_port();
        let log = File::create(folder.path().join("log")).expect("a file");
        let mut command = command(folder.path(), port);
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("a handle")).stderr(log);
        let child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let mut server = Server { child, port, folder };
        let start = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let ended = server.child.try_wait().expect("a child").is_some();
            assert!(!ended && start.elapsed() < Duration::from_secs(60), "no server:\n{}", server.log());
            std::thread::sleep(Duration::from_millis(20));
        }
        server
    }

    /// All that the server has printed.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// The folder that the server works in.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// One request; the status and the body of the answer.
    fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("the server listens");
        let mut request = format!("{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\n", self.port);
        for (name, value) in headers {
            request += &format!("{name}: {value}\r\n");
        }
        request += &format!("Connection: close\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        stream.write_all(request.as_bytes()).expect("the server reads");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("the server answers");
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let status = answer.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
        (status, answer.split_once("\r\n\r\n").map_or("", |(_, body)| body).to_owned())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
