//! An authority of the test's own, a stranger to every machine, and a server that it vouches for.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Certificates of one test. The server's is for `localhost`, `store.test` and the names below that,
/// and for where Google exchanges tokens.
pub(crate) struct Authority {
    folder: tempfile::TempDir,
}

impl Authority {
    pub(crate) fn new() -> Authority {
        let folder = tempfile::Builder::new().prefix("mlv-authority-").tempdir().expect("a folder");
        let at = folder.path();
        let extensions = "[req]\ndistinguished_name=dn\n[dn]\n[ext]\n\
            subjectAltName=DNS:localhost,DNS:store.test,DNS:*.store.test,DNS:accounts.google.com\n";
        fs::write(at.join("extensions"), extensions).expect("written");
        make(at, "authority", &[]);
        make(at, "stranger", &[]);
        let signed = ["-config", "extensions", "-extensions", "ext", "-CA", "authority.pem"];
        make(at, "server", &[&signed[..], &["-CAkey", "authority.key"]].concat());
        Authority { folder }
    }

    /// The file `authority.pem`, `stranger.pem`, `server.pem`, or the `.key` to it.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

fn make(folder: &Path, name: &str, more: &[&str]) {
    let (key, certificate) = (format!("{name}.key"), format!("{name}.pem"));
    let mut command = Command::new("openssl");
    command.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]);
    command.args(["-days", "2", "-subj", &format!("/CN={name}"), "-keyout", &key, "-out", &certificate]);
    let made = command.args(more).current_dir(folder).output().expect("openssl runs");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}
