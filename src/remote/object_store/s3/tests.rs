use std::io::{Read, Write};
use std::net::TcpListener;
use std::ops::ControlFlow;

use super::*;
use crate::remote::backend::{Backend, Key, Situation, write};
use crate::remote::registry::SpecOption;

fn spec(url: &str, options: &[(&str, &str)]) -> RemoteSpec {
    let option = |(name, value): &(&str, &str)| SpecOption {
        name: (*name).to_owned(),
        value: Secret::new(*value),
        is_tracked: false,
    };
    RemoteSpec {
        name: "store".to_owned(),
        url: url.to_owned(),
        is_url_tracked: false,
        options: options.iter().map(option).collect(),
    }
}

fn try_endpoint(bucket: &str, region: &str, options: &[(&str, &str)]) -> Result<String, SpecError> {
    // A profile of its own, so that the files of whoever runs the test do not count.
    let options = [options, &[("configpath", "/none"), ("credentialpath", "/none")]].concat();
    let spec = spec("s3://ignored", &options);
    endpoint(&spec, &search(&spec).expect("good options"), region, bucket)
}

fn endpoint_of(bucket: &str, region: &str, options: &[(&str, &str)]) -> String {
    try_endpoint(bucket, region, options).unwrap_or_else(|error| panic!("{error}"))
}

// R13: the vendor's client panics at what is no URL.
#[test]
fn addresses_that_are_none_are_refused() {
    let no_urls = ["http://127.0.0.1:99999", "://", "http://[::1", "http://a b/", "ftp://host"];
    for bad in no_urls {
        for (url, options) in [
            ("s3://data/x", &[("endpointurl", bad)][..]),
            ("gs://data/x", &[("endpointurl", bad)]),
            ("azure://data/x", &[("endpointurl", bad), ("account_name", "a")]),
        ] {
            match spec(url, options).open(std::path::Path::new("/")) {
                Ok(_) => panic!("{url}: accepted {bad}"),
                Err(error) => assert!(error.to_string().contains("endpointurl"), "{error}"),
            }
        }
    }
    let refused = |options: &[(&str, &str)]| try_endpoint("data", "us-east-1", options).err();
    for address in ["http://127.0.0.1:9000", "http://[::1]:9000"] {
        assert!(refused(&[("endpointurl", address)]).is_none());
        let refused = refused(&[("endpointurl", address), ("addressing_style", "virtual")]);
        assert!(refused.is_some_and(|error| error.to_string().contains("addressing_style")));
    }
    assert!(refused(&[("addressing_style", "sideways")]).is_some());
}

#[test]
fn bucket_stands_in_the_host_at_amazons_and_in_the_path_elsewhere() {
    let minio = ("endpointurl", "http://minio:9000/");
    for (bucket, region, options, expected) in [
        ("data", "us-east-1", &[][..], "https://data.s3.us-east-1.amazonaws.com"),
        ("data", "cn-north-1", &[], "https://data.s3.cn-north-1.amazonaws.com.cn"),
        ("my.data", "eu-west-1", &[], "https://s3.eu-west-1.amazonaws.com/my.data"),
        ("data", "us-east-1", &[("addressing_style", "path")], "https://s3.us-east-1.amazonaws.com/data"),
        ("data", "us-east-1", &[minio], "http://minio:9000/data"),
        ("data", "us-east-1", &[minio, ("addressing_style", "virtual")], "http://data.minio:9000"),
        (
            "data",
            "us-east-1",
            &[("endpointurl", "minio:9000"), ("use_ssl", "false")],
            "http://minio:9000/data",
        ),
    ] {
        assert_eq!(endpoint_of(bucket, region, options), expected);
    }
}

#[test]
fn options_that_would_do_nothing_or_contradict_are_refused() {
    let refusal = |options: &[(&str, &str)]| match open_s3(&spec("s3://data/x", options)) {
        Ok(_) => panic!("accepted {}", options[0].0),
        Err(error) => error.to_string(),
    };
    assert!(refusal(&[("acl", "private")]).contains("have no option `acl`"));
    assert!(refusal(&[("access_key_id", "x")]).contains("`secret_access_key` is missing"));
    assert!(refusal(&[("sse", "rot13")]).contains("`aws:kms`"));
    assert!(refusal(&[("sse_kms_key_id", "x")]).contains("`sse`"));
    for url in ["s3://", "s3:///x", "s3://a b/x", "s3://data/a//b", "s3://data/.."] {
        assert!(open_s3(&spec(url, &[])).is_err(), "{url}");
    }
    let encrypted = [("sse", "aws:kms"), ("sse_kms_key_id", "key"), ("checksum", "crc64nvme"), ("jobs", "4")];
    assert!(open_s3(&spec("s3://data/x/y/", &encrypted)).is_ok());
}

#[test]
fn every_endpoint_of_amazons_has_a_client() {
    let token = "/var/run/token".into();
    let found = Found::WebIdentity { role: "arn:x".to_owned(), token, session: Some("s".to_owned()) };
    for found in [found, Found::Instance] {
        assert!(endpoint_client(&found, "us-east-1", None).is_some());
    }
}

/// Answers each request with the next of `answers`, then with nothing.
fn double(answers: &'static [&'static str]) -> (String, std::thread::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    let thread = std::thread::spawn(move || {
        let mut seen = Vec::new();
        for answer in answers {
            let (mut stream, _) = listener.accept().expect("a request");
            let mut request = vec![0; 65_536];
            let count = stream.read(&mut request).expect("a request");
            seen.push(String::from_utf8_lossy(&request[..count]).into_owned());
            stream.write_all(answer.as_bytes()).expect("it is read");
        }
        seen
    });
    (url, thread)
}

const EXPIRED: &str = "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 77\r\n\r\n\
    <Error><Code>ExpiredToken</Code><Message>The token has expired</Message></Error>";
const FOUND: &str = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 3\r\n\
    Last-Modified: Sat, 21 Nov 2026 10:00:00 GMT\r\nETag: \"x\"\r\nDate: Sat, 21 Nov 2026 12:00:00 GMT\r\n\r\nabc";

fn store_at(url: &str) -> BucketBackend {
    let options = [
        ("endpointurl", url),
        ("access_key_id", "x"),
        ("secret_access_key", "CANARY"),
        ("session_token", "y"),
    ];
    open_s3(&spec("s3://data", &options)).unwrap_or_else(|error| panic!("{error}"))
}

// N1: expired credentials half-way.
#[test]
fn expired_credentials_are_renewed_once() {
    let (url, server) = double(&[EXPIRED, FOUND]);
    let key = Key::parse("a").expect("a key");
    let store = store_at(&url);
    let bytes = crate::remote::backend::read(&store, &key, 10).expect("the second answer serves");
    assert_eq!(bytes, b"abc");
    assert_eq!(server.join().expect("it ends").len(), 2);
    // R22: the store's clock, whatever this machine's says.
    let now = chrono::DateTime::<chrono::Utc>::from(store.now().expect("it is known"));
    assert!(now.to_rfc3339().starts_with("2026-11-21T12:00:0"), "{now}");
    let (url, server) = double(&[EXPIRED, EXPIRED]);
    let error = crate::remote::backend::read(&store_at(&url), &key, 10).expect_err("twice is enough");
    assert_eq!(error.situation, Situation::CredentialsExpired);
    assert!(!format!("{error:?}").contains("CANARY"));
    assert_eq!(server.join().expect("it ends").len(), 2);
}

// R9: what is no answer is not "nothing there".
#[test]
fn odd_answers_are_errors_and_never_absence() {
    let key = Key::parse("a").expect("a key");
    let login = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 6\r\n\r\n<html>";
    let wrong_range = "HTTP/1.1 206 Partial Content\r\nConnection: close\r\nContent-Length: 3\r\n\
        Content-Range: bytes 5-7/20\r\nLast-Modified: Sat, 21 Nov 2026 10:00:00 GMT\r\nETag: \"x\"\r\n\r\nabc";
    let elsewhere = "HTTP/1.1 301 Moved Permanently\r\nConnection: close\r\nContent-Length: 0\r\n\
        x-amz-bucket-region: eu-west-1\r\nLocation: http://127.0.0.1:1/x\r\n\r\n";
    let no_bucket = "HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 46\r\n\r\n\
        <Error><Code>NoSuchBucket</Code></Error>      ";
    let slow = "HTTP/1.1 503 Slow Down\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    for (answer, expected) in [
        (login, Situation::Invalid),
        (wrong_range, Situation::Invalid),
        (elsewhere, Situation::Refused),
        (no_bucket, Situation::NoBucket),
        (slow, Situation::Throttled),
        ("", Situation::Unreachable),
    ] {
        let (url, server) = double(Box::leak(Box::new([Box::leak(answer.into()) as &str])));
        let error = crate::remote::backend::read_range(&store_at(&url), &key, 0..3).expect_err("no answer");
        assert_eq!(error.situation, expected, "{answer}: {error:?}");
        if expected == Situation::Refused {
            assert_eq!(
                error.remedy.as_deref(),
                Some("the bucket is in another region: `mlv remote modify store region eu-west-1`")
            );
        }
        drop(server.join());
    }
    for answer in [login, slow, no_bucket] {
        let (url, server) = double(Box::leak(Box::new([Box::leak(answer.into()) as &str])));
        assert!(store_at(&url).list("ix/", &mut |_| ControlFlow::Continue(())).is_err(), "{answer}");
        drop(server.join());
    }
}

// N1: half-open connections are given up on a stall, in both directions.
#[test]
fn transfers_that_stall_are_given_up() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    // Takes connections, and neither reads nor answers.
    let silent = std::thread::spawn(move || {
        let taken: Vec<_> = (0..2).map(|_| listener.accept()).collect();
        std::thread::park();
        drop(taken);
    });
    let options = [
        ("endpointurl", url.as_str()),
        ("access_key_id", "x"),
        ("secret_access_key", "y"),
        ("read_timeout", "1"),
    ];
    let store = open_s3(&spec("s3://data", &options)).unwrap_or_else(|error| panic!("{error}"));
    let key = Key::parse("a").expect("a key");
    assert_eq!(store.head(&key).expect_err("silence").situation, Situation::TimedOut);
    let upload = write(&store, &key, &vec![0; 32 << 20]);
    assert_eq!(upload.expect_err("silence").situation, Situation::TimedOut);
    silent.thread().unpark();
    drop(silent.join());
}
