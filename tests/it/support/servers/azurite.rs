//! Azurite: Azure Blob Storage.

use std::process::Command;

use super::{Server, installed, tools};

/// The account and the key that everybody knows: Azurite has no other.
pub(crate) const ACCOUNT: &str = "devstoreaccount1";
pub(crate) const KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// A running Azurite with the container `data`.
pub(crate) struct Azurite {
    server: Server,
}

impl Azurite {
    pub(crate) fn start() -> Option<Azurite> {
        let program = installed("azurite", &[tools().join("azurite/node_modules/.bin/azurite-blob")])?;
        let server = Server::start(|folder, port| {
            let mut command = Command::new(program);
            command.args([
                "--silent",
                "--inMemoryPersistence",
                "--skipApiVersionCheck",
                "--disableTelemetry",
            ]);
            command.args(["--blobHost", "127.0.0.1", "--blobPort", &port.to_string()]).current_dir(folder);
            command
        });
        let azurite = Azurite { server };
        azurite.make_container();
        Some(azurite)
    }

    pub(crate) fn port(&self) -> u16 {
        self.server.port
    }

    /// The address of the account.
    pub(crate) fn endpoint(&self) -> String {
        format!("{}/{ACCOUNT}", self.server.url())
    }

    /// A signature of the account that serves until `end`, as `name=value&…`.
    pub(crate) fn signature(end: &str) -> String {
        let script = r"
import base64, hashlib, hmac, sys, urllib.parse
account, key, end = sys.argv[1:]
text = f'{account}\nrwdlac\nb\nsco\n\n{end}\n\n\n2018-11-09\n'
sign = base64.b64encode(hmac.new(base64.b64decode(key), text.encode(), hashlib.sha256).digest()).decode()
print(urllib.parse.urlencode({'sv': '2018-11-09', 'ss': 'b', 'srt': 'sco', 'sp': 'rwdlac', 'se': end, 'sig': sign}), end='')
";
        let made = Command::new("python3").args(["-c", script, ACCOUNT, KEY, end]).output();
        String::from_utf8(made.expect("python3 runs").stdout).expect("a query is text")
    }

    /// A signed request, which the interpreter that installs the servers can make.
    fn make_container(&self) {
        let script = r"
import base64, email.utils, hashlib, hmac, sys, urllib.request
url, account, key = sys.argv[1:]
date = email.utils.formatdate(usegmt=True)
text = f'PUT\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:{date}\nx-ms-version:2021-08-06\n/{account}/{account}/data\nrestype:container'
sign = base64.b64encode(hmac.new(base64.b64decode(key), text.encode(), hashlib.sha256).digest()).decode()
headers = {'x-ms-date': date, 'x-ms-version': '2021-08-06', 'Authorization': f'SharedKey {account}:{sign}'}
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
opener.open(urllib.request.Request(url + '/data?restype=container', method='PUT', headers=headers))
";
        let made = Command::new("python3").args(["-c", script, &self.endpoint(), ACCOUNT, KEY]).status();
        assert!(made.expect("python3 runs").success(), "no container:\n{}", self.server.log());
    }
}
