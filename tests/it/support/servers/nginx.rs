//! nginx: files of a folder over HTTP, read-only.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Server, installed};

/// A running nginx that serves the folder [`Nginx::path`].
pub(crate) struct Nginx {
    server: Server,
}

impl Nginx {
    pub(crate) fn start() -> Option<Nginx> {
        let program = installed("nginx", &[PathBuf::from("/usr/sbin/nginx")])?;
        let server = Server::start(|folder, port| {
            fs::create_dir(folder.join("www")).expect("a folder");
            fs::write(folder.join("nginx.conf"), config(folder, port)).expect("written");
            let mut command = Command::new(program);
            command.arg("-p").arg(folder).arg("-c").arg(folder.join("nginx.conf")).arg("-e").arg("stderr");
            command
        });
        Some(Nginx { server })
    }

    /// The folder that is served as `/`.
    pub(crate) fn path(&self) -> PathBuf {
        self.server.folder().join("www")
    }

    pub(crate) fn url(&self) -> String {
        self.server.url()
    }
}

/// One process without a master: it is ended by its id, and may be anybody's.
fn config(folder: &Path, port: u16) -> String {
    let at = folder.display();
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let temporary = temporary.map(|name| format!("{name}_temp_path {at}/{name};\n")).concat();
    format!(
        "daemon off;\nmaster_process off;\npid {at}/pid;\nevents {{}}\nhttp {{\naccess_log off;\n{temporary}\
         server {{\nlisten 127.0.0.1:{port};\nroot {at}/www;\n\
         location = /moved/mlv-remote {{ return 302 /mlv-remote; }}\n}}\n}}\n"
    )
}
