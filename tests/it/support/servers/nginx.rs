//! nginx: files of a folder over HTTP, read-only; with TLS, also before another server.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::authority::Authority;
use super::{Server, installed};

/// A running nginx that serves the folder [`Nginx::path`].
pub(crate) struct Nginx {
    server: Server,
    /// Scheme and host: certificates are for a name.
    at: &'static str,
}

impl Nginx {
    pub(crate) fn start() -> Option<Nginx> {
        Nginx::start_with("", "", "http://127.0.0.1")
    }

    /// The same by HTTPS.
    pub(crate) fn with_tls(authority: &Authority) -> Option<Nginx> {
        Nginx::start_with(" ssl", &certificate(authority), "https://localhost")
    }

    /// By HTTPS, passes everything on to the server at `port`.
    pub(crate) fn before(port: u16, authority: &Authority) -> Option<Nginx> {
        let pass_on = format!(
            "{}client_max_body_size 0;\nlocation / {{\nproxy_pass http://127.0.0.1:{port};\n\
             proxy_set_header Host $http_host;\nproxy_request_buffering off;\n}}\n",
            certificate(authority)
        );
        Nginx::start_with(" ssl", &pass_on, "https://localhost")
    }

    fn start_with(listen: &str, settings: &str, at: &'static str) -> Option<Nginx> {
        let program = installed("nginx", &[PathBuf::from("/usr/sbin/nginx")])?;
        let server = Server::start(|folder, port| {
            fs::create_dir(folder.join("www")).expect("a folder");
            let config = config(folder, &format!("{port}{listen}"), settings);
            fs::write(folder.join("nginx.conf"), config).expect("written");
            let mut command = Command::new(program);
            command.arg("-p").arg(folder).arg("-c").arg(folder.join("nginx.conf")).arg("-e").arg("stderr");
            command
        });
        Some(Nginx { server, at })
    }

    /// The folder that is served as `/`.
    pub(crate) fn path(&self) -> PathBuf {
        self.server.folder().join("www")
    }

    pub(crate) fn port(&self) -> u16 {
        self.server.port
    }

    pub(crate) fn url(&self) -> String {
        format!("{}:{}", self.at, self.server.port)
    }
}

fn certificate(authority: &Authority) -> String {
    let [certificate, key] = ["server.pem", "server.key"].map(|name| authority.path(name));
    format!("ssl_certificate {};\nssl_certificate_key {};\n", certificate.display(), key.display())
}

/// One process without a master: it is ended by its id, and may be anybody's.
fn config(folder: &Path, listen: &str, settings: &str) -> String {
    let at = folder.display();
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let temporary = temporary.map(|name| format!("{name}_temp_path {at}/{name};\n")).concat();
    format!(
        "daemon off;\nmaster_process off;\npid {at}/pid;\nevents {{}}\nhttp {{\naccess_log off;\n{temporary}\
         server {{\nlisten 127.0.0.1:{listen};\nroot {at}/www;\n{settings}\
         location = /moved/mlv-remote {{ return 302 /mlv-remote; }}\n}}\n}}\n"
    )
}
