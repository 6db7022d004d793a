//! A proxy as companies have one: `CONNECT` for HTTPS, whole URLs for HTTP.
//!
//! It knows hosts that no resolver knows, so a request that arrives came through it.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// A running proxy; its threads end with the process.
pub(crate) struct HttpProxy {
    port: u16,
    asked: Arc<Mutex<Vec<String>>>,
}

/// Where requests are sent on to, whatever host they name.
#[derive(Clone, Copy)]
struct Behind {
    plain: u16,
    tls: u16,
}

impl HttpProxy {
    /// In front of a server at the port `plain`, and one that speaks TLS at the port `tls`.
    pub(crate) fn start(plain: u16, tls: u16) -> HttpProxy {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&asked);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let log = Arc::clone(&log);
                std::thread::spawn(move || serve(client, Behind { plain, tls }, &log));
            }
        });
        HttpProxy { port, asked }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The first lines of all requests, and forgets them.
    pub(crate) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().expect("no thread panics"))
    }
}

fn serve(mut client: TcpStream, behind: Behind, log: &Mutex<Vec<String>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if client.read_exact(&mut byte).is_err() {
            return;
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).expect("heads are text");
    let (line, rest) = head.split_once("\r\n").expect("a line");
    log.lock().expect("no thread panics").push(line.to_owned());
    let [method, target, version] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
    let to = |port| TcpStream::connect(("127.0.0.1", port)).expect("the server listens");
    let server = if method == "CONNECT" {
        client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").expect("it is read");
        to(behind.tls)
    } else {
        let path = target.strip_prefix("http://").and_then(|rest| rest.find('/').map(|at| &rest[at..]));
        let path = path.unwrap_or_else(|| panic!("{line}"));
        let mut server = to(behind.plain);
        // One request a connection: each has a head to be rewritten.
        let head = format!("{method} {path} {version}\r\nConnection: close\r\n{rest}");
        server.write_all(head.as_bytes()).expect("it is read");
        server
    };
    let (from, into) = (client.try_clone().expect("a handle"), server.try_clone().expect("a handle"));
    let up = std::thread::spawn(move || pass_on(from, into));
    pass_on(server, client);
    drop(up.join());
}

fn pass_on(mut from: TcpStream, mut to: TcpStream) {
    drop(std::io::copy(&mut from, &mut to));
    drop((from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both)));
}
