//! s3rver: an S3 of the old kind, which ignores conditions without a word.

use std::process::Command;

use super::{Server, installed, tools};

/// The key that s3rver takes.
pub(crate) const KEY: &str = "S3RVER";

/// A running s3rver with the bucket `data`.
pub(crate) struct S3rver {
    server: Server,
}

impl S3rver {
    pub(crate) fn start() -> Option<S3rver> {
        let program = installed("s3rver", &[tools().join("s3rver/node_modules/.bin/s3rver")])?;
        let server = Server::start(|folder, port| {
            let mut command = Command::new(program);
            command.arg("-d").arg(folder.join("buckets")).args([
                "-a",
                "127.0.0.1",
                "--configure-bucket",
                "data",
            ]);
            command.args(["-p", &port.to_string()]);
            command
        });
        Some(S3rver { server })
    }

    pub(crate) fn url(&self) -> String {
        self.server.url()
    }
}
