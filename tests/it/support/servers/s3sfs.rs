//! s3s-fs: a second S3, in Rust, on a folder.

use std::fs;
use std::process::Command;

use super::{Server, installed, tools};

/// The only key that it takes.
pub(crate) const KEY: &str = "s3sfs";

/// A running s3s-fs with the bucket `data`.
pub(crate) struct S3sFs {
    server: Server,
}

impl S3sFs {
    /// It wants requests signed with [`KEY`], id and secret.
    pub(crate) fn start() -> Option<S3sFs> {
        S3sFs::with(&["--access-key", KEY, "--secret-key", KEY])
    }

    /// It takes whatever comes unsigned.
    pub(crate) fn public() -> Option<S3sFs> {
        S3sFs::with(&[])
    }

    fn with(args: &[&str]) -> Option<S3sFs> {
        let program = installed("s3s-fs", &[tools().join("bin/s3s-fs")])?;
        let server = Server::start(|folder, port| {
            fs::create_dir_all(folder.join("buckets/data")).expect("a folder");
            let mut command = Command::new(program);
            command.args(["--host", "127.0.0.1", "--port", &port.to_string()]).args(args);
            command.arg(folder.join("buckets"));
            command
        });
        Some(S3sFs { server })
    }

    pub(crate) fn url(&self) -> String {
        self.server.url()
    }
}
