//! A small HTTP server inside of a test: endpoints and stores that no real server can be had for, and
//! real ones that are to lie once.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

/// A request, read whole.
pub(crate) struct Request {
    pub(crate) method: String,
    /// Path and query as they were sent.
    pub(crate) target: String,
    /// By their names in lower case.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

/// An answer; its length is added, unless it is one to `HEAD`.
pub(crate) struct Answer {
    pub(crate) status: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn new(status: &str) -> Answer {
        Answer { status: status.to_owned(), headers: Vec::new(), body: Vec::new() }
    }

    pub(crate) fn with(status: &str, body: impl Into<Vec<u8>>) -> Answer {
        Answer { body: body.into(), ..Answer::new(status) }
    }
}

/// Serves on a free port until the process ends; returns the URL.
pub(crate) fn serve(answer: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("it is bound"));
    let answer = Arc::new(answer);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let answer = Arc::clone(&answer);
            std::thread::spawn(move || converse(stream.expect("a connection"), &*answer));
        }
    });
    url
}

/// What the server at `port` answers; it sees the client's own `Host`, which is signed.
pub(crate) fn forward(port: u16, request: &Request) -> Answer {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("the server listens");
    let mut head = format!("{} {} HTTP/1.1\r\nconnection: close\r\n", request.method, request.target);
    for (name, value) in request.headers.iter().filter(|(name, _)| *name != "connection") {
        head += &format!("{name}: {value}\r\n");
    }
    stream.write_all(&[head.as_bytes(), b"\r\n", &request.body].concat()).expect("the server reads");
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).expect("the server answers");
    let headers = read_headers(&mut reader).expect("the server answers");
    let is_head = request.method == "HEAD";
    let mut body = Vec::new();
    match headers.get("content-length").map(|len| len.parse::<u64>().expect("a number")) {
        _ if is_head => 0,
        None if headers.contains_key("transfer-encoding") => read_chunks(&mut reader, &mut body),
        Some(len) => reader.take(len).read_to_end(&mut body).expect("the server answers"),
        None => reader.read_to_end(&mut body).expect("the server answers"),
    };
    let status = line.trim_end().split_once(' ').expect("a status").1.to_owned();
    // A length is added to all but what answers `HEAD`.
    let kept = headers.into_iter().filter(|(name, _)| match name.as_str() {
        "connection" | "transfer-encoding" => false,
        "content-length" => is_head,
        _ => true,
    });
    Answer { status, headers: kept.collect(), body }
}

/// A body in chunks; how many bytes it has.
fn read_chunks(reader: &mut impl BufRead, body: &mut Vec<u8>) -> usize {
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).expect("the server answers");
        let len = u64::from_str_radix(line.trim_end(), 16).expect("a length");
        reader.by_ref().take(len).read_to_end(body).expect("the server answers");
        reader.read_line(&mut line).expect("the server answers");
        if len == 0 {
            return body.len();
        }
    }
}

fn converse(mut stream: TcpStream, answer: &(impl Fn(&Request) -> Answer + ?Sized)) {
    let mut reader = BufReader::new(stream.try_clone().expect("a handle"));
    while let Some(request) = read_request(&mut reader) {
        let answer = answer(&request);
        let is_head = request.method == "HEAD";
        let mut head = format!("HTTP/1.1 {}\r\n", answer.status);
        for (name, value) in &answer.headers {
            head += &format!("{name}: {value}\r\n");
        }
        if !is_head {
            head += &format!("Content-Length: {}\r\n", answer.body.len());
        }
        let body = if is_head { &[][..] } else { &answer.body };
        if stream.write_all(&[head.as_bytes(), b"\r\n", body].concat()).is_err() {
            return;
        }
    }
}

fn read_request(reader: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|count| *count > 0)?;
    let mut words = line.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let headers = read_headers(reader)?;
    let len = headers.get("content-length").map_or(0, |len| len.parse().expect("a number"));
    let mut body = vec![0; len];
    reader.read_exact(&mut body).ok()?;
    Some(Request { method, target, headers, body })
}

fn read_headers(reader: &mut impl BufRead) -> Option<BTreeMap<String, String>> {
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { return Some(headers) };
        headers.insert(name.to_ascii_lowercase(), value.trim_start().to_owned());
    }
}
