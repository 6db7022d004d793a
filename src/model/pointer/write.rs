//! The canonical text of a pointer: fixed order, one key a line.

use std::fmt::Write;

use crate::model::emit::scalar;
use crate::model::object::ContentInfo;
use crate::model::pointer::{Import, Pointer};

pub(super) fn pointer(pointer: &Pointer) -> String {
    let mut out = String::from("version: 1\n");
    if let Some(wdir) = &pointer.wdir {
        line(&mut out, "wdir", scalar(wdir));
    }
    if pointer.frozen {
        line(&mut out, "frozen", "true");
    }
    if let Some(source) = &pointer.import {
        import(&mut out, source);
    }
    out.push_str("outs:\n");
    line(&mut out, "- path", scalar(pointer.path.file_name()));
    for (key, value) in fields(&pointer.content) {
        line(&mut out, &format!("  {key}"), value);
    }
    if let Some(remote) = &pointer.remote {
        line(&mut out, "  remote", scalar(remote));
    }
    if !pointer.push {
        line(&mut out, "  push", "false");
    }
    if pointer.pull_manual {
        line(&mut out, "  pull", "manual");
    }
    out
}

/// Keys and values of an output's contents in canonical order, without the path.
pub(super) fn fields(content: &ContentInfo) -> Vec<(&'static str, String)> {
    let mut fields = vec![("hash", content.id.to_string()), ("size", content.size.to_string())];
    fields.extend(content.nfiles.map(|nfiles| ("nfiles", nfiles.to_string())));
    fields.extend(content.executable.then(|| ("isexec", "true".to_owned())));
    fields
}

fn import(out: &mut String, import: &Import) {
    out.push_str("deps:\n");
    match import {
        Import::Url { url, etag, size } => {
            line(out, "- path", scalar(url));
            if let Some(etag) = etag {
                line(out, "  etag", scalar(etag));
            }
            if let Some(size) = size {
                line(out, "  size", size);
            }
        }
        Import::Repo { path, url, rev, rev_lock } => {
            line(out, "- path", scalar(path));
            out.push_str("  repo:\n");
            line(out, "    url", scalar(url));
            for (key, value) in [("    rev", rev), ("    rev_lock", rev_lock)] {
                if let Some(value) = value {
                    line(out, key, scalar(value));
                }
            }
        }
    }
}

fn line(out: &mut String, key: &str, value: impl std::fmt::Display) {
    // Writing to a String cannot fail.
    let _ = writeln!(out, "{key}: {value}");
}
