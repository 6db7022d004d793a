//! sshd: OpenSSH's own server, for whoever runs the tests.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Server, installed};

/// A running sshd that takes one key.
pub(crate) struct Sshd {
    server: Server,
}

impl Sshd {
    pub(crate) fn start() -> Option<Sshd> {
        let program = installed("sshd", &[PathBuf::from("/usr/sbin/sshd")])?;
        // Where sshd of root puts its unprivileged part; another user's has none.
        let _ = fs::create_dir_all("/run/sshd");
        let server = Server::start(|folder, port| {
            make_key(&folder.join("host"));
            make_key(&folder.join("user"));
            let at = folder.display();
            let config = format!(
                "Port {port}\nListenAddress 127.0.0.1\nHostKey {at}/host\nPidFile none\nUsePAM no\n\
                 StrictModes no\nPermitRootLogin yes\nPasswordAuthentication no\n\
                 KbdInteractiveAuthentication no\nAuthorizedKeysFile {at}/user.pub\n\
                 Subsystem sftp internal-sftp\n"
            );
            fs::write(folder.join("sshd_config"), config).expect("written");
            write_client(folder, port);
            let mut command = Command::new(program);
            command.args(["-D", "-e", "-f"]).arg(folder.join("sshd_config"));
            command
        });
        Some(Sshd { server })
    }

    /// `ssh` with a configuration of the test's own: the real one reads the user's, wherever `HOME` is.
    pub(crate) fn ssh(&self) -> String {
        self.server.folder().join("ssh").display().to_string()
    }

    /// A folder that can be written through it.
    pub(crate) fn url(&self, name: &str) -> String {
        format!("ssh://server{}/{name}", self.server.folder().display())
    }

    /// Where that folder is on this machine.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.server.folder().join(name)
    }

    /// Makes the client forget the server.
    pub(crate) fn forget(&self) {
        fs::write(self.server.folder().join("known_hosts"), "").expect("written");
    }

    /// Takes the key away.
    pub(crate) fn lock_out(&self) {
        fs::write(self.server.folder().join("user.pub"), "").expect("written");
    }
}

fn make_key(path: &Path) {
    let mut command = Command::new("ssh-keygen");
    let made = command.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(path).status();
    assert!(made.expect("ssh-keygen runs").success());
}

fn write_client(folder: &Path, port: u16) {
    let at = folder.display();
    let user = Command::new("id").arg("-un").output().expect("id runs").stdout;
    let user = String::from_utf8(user).expect("a name");
    let config = format!(
        "Host server\nHostName 127.0.0.1\nPort {port}\nUser {user}\nIdentityFile {at}/user\n\
         IdentitiesOnly yes\nIdentityAgent none\nUserKnownHostsFile {at}/known_hosts\n"
    );
    fs::write(folder.join("ssh_config"), config).expect("written");
    let key = fs::read_to_string(folder.join("host.pub")).expect("a key");
    fs::write(folder.join("known_hosts"), format!("[127.0.0.1]:{port} {key}")).expect("written");
    let ssh = folder.join("ssh");
    fs::write(&ssh, format!("#!/bin/sh\nexec ssh -F {at}/ssh_config \"$@\"\n")).expect("written");
    fs::set_permissions(&ssh, fs::Permissions::from_mode(0o755)).expect("its mode");
}
