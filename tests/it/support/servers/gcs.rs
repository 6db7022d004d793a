//! A double of Google Cloud Storage: what mlv asks of its XML interface, in memory.
//!
//! No server that can be installed speaks it, so what is shown here is that mlv asks as Google's
//! documentation has it, not that Google answers so.

use std::collections::BTreeMap;
use std::sync::Mutex;

use crate::support::http::{self, Answer};

/// Keys in one answer to a listing, fewer than Google's thousand, so that there are pages.
const PAGE: usize = 10;
const DATE: &str = "%a, %d %b %Y %H:%M:%S GMT";

struct Object {
    bytes: Vec<u8>,
    modified: String,
    generation: u64,
}

/// The running double; its thread ends with the process.
pub(crate) struct Gcs {
    pub(crate) url: String,
}

type Objects = BTreeMap<String, Object>;

impl Gcs {
    /// With one empty bucket, of any name.
    pub(crate) fn start() -> Gcs {
        let objects = Mutex::new(Objects::new());
        let answered = move |request: &http::Request| {
            let mut answer = answer(&Request::new(request), &objects);
            answer.headers.push(("Date".to_owned(), now().format(DATE).to_string()));
            answer
        };
        Gcs { url: http::serve(answered) }
    }
}

struct Request<'a> {
    method: &'a str,
    path: String,
    query: BTreeMap<String, String>,
    headers: &'a BTreeMap<String, String>,
    body: &'a [u8],
}

impl Request<'_> {
    fn new(request: &http::Request) -> Request<'_> {
        let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        Request {
            method: &request.method,
            // `/bucket/key`
            path: path.trim_start_matches('/').split_once('/').map_or(String::new(), |(_, key)| decoded(key)),
            query: pairs.map(|(name, value)| (name.to_owned(), decoded(value))).collect(),
            headers: &request.headers,
            body: &request.body,
        }
    }
}

fn now() -> chrono::DateTime<chrono::Utc> {
    std::time::SystemTime::now().into()
}

/// Google's client escapes more than it must.
fn decoded(text: &str) -> String {
    let mut parts = text.split('%');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        plain.push(u8::from_str_radix(&part[..2], 16).expect("two digits").into());
        plain += &part[2..];
    }
    plain
}

fn answer(request: &Request<'_>, objects: &Mutex<Objects>) -> Answer {
    let mut objects = objects.lock().expect("no thread panics");
    match request.method {
        "PUT" => put(request, &mut objects),
        "GET" if request.query.contains_key("list-type") => list(request, &objects),
        "GET" | "HEAD" => get(request, &objects),
        "DELETE" if objects.remove(&request.path).is_some() => Answer::new("204 No Content"),
        "DELETE" => Answer::new("404 Not Found"),
        _ => Answer::new("405 Method Not Allowed"),
    }
}

fn put(request: &Request<'_>, objects: &mut Objects) -> Answer {
    let before = objects.get(&request.path).map_or(0, |object| object.generation);
    let wanted = request.headers.get("x-goog-if-generation-match");
    if wanted.is_some_and(|wanted| *wanted != before.to_string()) {
        return Answer::new("412 Precondition Failed");
    }
    let object = Object {
        bytes: request.body.to_vec(),
        modified: now().format(DATE).to_string(),
        generation: before + 1,
    };
    let answer = Answer { headers: properties(&object), ..Answer::new("200 OK") };
    objects.insert(request.path.clone(), object);
    answer
}

fn properties(object: &Object) -> Vec<(String, String)> {
    let properties = [
        ("ETag", format!("\"{}\"", object.generation)),
        ("x-goog-generation", object.generation.to_string()),
        ("Last-Modified", object.modified.clone()),
    ];
    properties.map(|(name, value)| (name.to_owned(), value)).into()
}

fn get(request: &Request<'_>, objects: &Objects) -> Answer {
    let Some(object) = objects.get(&request.path) else { return Answer::new("404 Not Found") };
    let len = object.bytes.len();
    let mut answer = Answer { headers: properties(object), ..Answer::new("200 OK") };
    answer.body = object.bytes.clone();
    if let Some(range) = request.headers.get("range").and_then(|range| range.strip_prefix("bytes=")) {
        let (start, end) = range.split_once('-').expect("a range");
        let start: usize = start.parse().expect("a number");
        let end = end.parse().map_or(len, |end: usize| len.min(end + 1));
        if start >= len {
            return Answer::new("416 Range Not Satisfiable");
        }
        answer.status = "206 Partial Content".to_owned();
        answer.headers.push(("Content-Range".to_owned(), format!("bytes {start}-{}/{len}", end - 1)));
        answer.body = object.bytes[start..end].to_vec();
    }
    if request.method == "HEAD" {
        answer.headers.push(("Content-Length".to_owned(), len.to_string()));
    }
    answer
}

fn list(request: &Request<'_>, objects: &Objects) -> Answer {
    let prefix = request.query.get("prefix").map_or("", String::as_str);
    let after = request.query.get("continuation-token").cloned().unwrap_or_default();
    let mut found = objects.iter().filter(|(key, _)| key.starts_with(prefix) && **key > after);
    let mut body = String::from("<?xml version='1.0' encoding='UTF-8'?><ListBucketResult>");
    let mut last = "";
    for (key, object) in found.by_ref().take(PAGE) {
        let (size, modified) = (object.bytes.len(), &object.modified);
        let time = chrono::NaiveDateTime::parse_from_str(modified, DATE)
            .expect("our own date")
            .and_utc()
            .to_rfc3339();
        body += &format!(
            "<Contents><Key>{key}</Key><LastModified>{time}</LastModified><ETag>\"1\"</ETag><Size>{size}</Size></Contents>"
        );
        last = key;
    }
    if found.next().is_some() {
        body +=
            &format!("<IsTruncated>true</IsTruncated><NextContinuationToken>{last}</NextContinuationToken>");
    }
    body += "</ListBucketResult>";
    Answer { body: body.into_bytes(), ..Answer::new("200 OK") }
}
