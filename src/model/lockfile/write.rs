//! The canonical text of a lock file.

use std::fmt::Write;

use crate::model::digest::Digest;
use crate::model::emit;
use crate::model::lockfile::{LockSum, Lockfile, StageLock};
use crate::model::object::ContentInfo;
use crate::model::path::RepoPath;
use crate::model::stage::Command;
use crate::model::value::Value;

/// Digits of an entry's sum: enough to notice an edit; nothing is proven by it.
const SUM_DIGITS: usize = 16;

pub(super) fn lockfile(file: &RepoPath, lock: &Lockfile) -> String {
    let folder = file.parent().unwrap_or_else(RepoPath::root);
    let mut out = String::with_capacity(64 + 512 * lock.stages.len());
    out.push_str("version: 1\nstages:");
    out.push_str(if lock.stages.is_empty() && lock.refused.is_empty() { " {}\n" } else { "\n" });
    let mut refused = lock.refused.iter().peekable();
    for (name, entry) in &lock.stages {
        while let Some((name, entry)) = refused.next_if(|(earlier, _)| *earlier < name) {
            raw(&mut out, name, &entry.value);
        }
        stage(&mut out, &folder, name, entry);
    }
    refused.for_each(|(name, entry)| raw(&mut out, name, &entry.value));
    unknown(&mut out, "", &lock.unknown);
    out
}

/// An entry that mlv makes nothing of, on one line.
fn raw(out: &mut String, name: &str, value: &Value) {
    let _ = write!(out, "  {}: ", emit::scalar(name));
    emit::value(value, out);
    out.push('\n');
}

fn stage(out: &mut String, folder: &RepoPath, name: &str, entry: &StageLock) {
    let start = out.len();
    body(out, folder, name, entry);
    let written = match &entry.sum {
        LockSum::Valid => Some(sum(&out[start..])),
        LockSum::Stale { written } => written.as_deref().map(|sum| emit::scalar(sum).into_owned()),
    };
    if let Some(written) = written {
        line(out, "    sum", &written);
    }
}

/// The entry but for its sum.
pub(super) fn body(out: &mut String, folder: &RepoPath, name: &str, entry: &StageLock) {
    let _ = writeln!(out, "  {}:", emit::scalar(name));
    match &entry.command {
        Command::Script(text) => script(out, text),
        Command::List(items) => list(out, items),
    }
    section(out, "deps", entry.deps.is_empty());
    for dep in &entry.deps {
        item(out, folder, &dep.path, &dep.content);
    }
    section(out, "params", entry.params.is_empty());
    for (file, values) in &entry.params {
        let end = if values.is_empty() { " {}" } else { "" };
        let _ = writeln!(out, "      {}:{end}", emit::scalar(&file.relative_to(folder)));
        for (key, value) in values {
            let _ = write!(out, "        {}: ", emit::scalar(key));
            emit::value(value, out);
            out.push('\n');
        }
    }
    section(out, "outs", entry.outs.is_empty());
    for written in &entry.outs {
        item(out, folder, &written.path, &written.content);
        if !written.cache {
            line(out, "      cache", "false");
        }
        if let Some(remote) = &written.remote {
            line(out, "      remote", &emit::scalar(remote));
        }
        if !written.push {
            line(out, "      push", "false");
        }
    }
    unknown(out, "    ", &entry.settings);
    unknown(out, "    ", &entry.unknown);
}

fn section(out: &mut String, key: &str, empty: bool) {
    if !empty {
        let _ = writeln!(out, "    {key}:");
    }
}

/// A script of several lines as a block, so that a diff shows the line that changed.
fn script(out: &mut String, text: &str) {
    let end = match text.strip_suffix('\n') {
        None => "|-",
        Some(rest) if !rest.ends_with('\n') => "|",
        Some(_) => "",
    };
    let printable = |c: char| c == '\n' || (' '..='~').contains(&c) || (!c.is_ascii() && c.is_alphanumeric());
    let body = text.strip_suffix('\n').unwrap_or(text);
    if !body.contains('\n') || end.is_empty() || body.starts_with([' ', '\n']) || !text.chars().all(printable)
    {
        return line(out, "    cmd", &emit::scalar(text));
    }
    let _ = writeln!(out, "    cmd: {end}");
    for part in body.split('\n') {
        // A blank line has no indentation: nothing that an editor would strip.
        let indent = if part.is_empty() { "" } else { "      " };
        let _ = writeln!(out, "{indent}{part}");
    }
}

fn list(out: &mut String, items: &[Box<str>]) {
    if items.is_empty() {
        return out.push_str("    cmd: []\n");
    }
    out.push_str("    cmd:\n");
    for item in items {
        let _ = writeln!(out, "    - {}", emit::scalar(item));
    }
}

fn item(out: &mut String, folder: &RepoPath, path: &RepoPath, content: &ContentInfo) {
    let _ = writeln!(out, "    - path: {}", emit::scalar(&path.relative_to(folder)));
    let _ = writeln!(out, "      hash: {}", content.id);
    let _ = writeln!(out, "      size: {}", content.size);
    if let Some(nfiles) = content.nfiles {
        let _ = writeln!(out, "      nfiles: {nfiles}");
    }
    if content.executable {
        out.push_str("      isexec: true\n");
    }
}

fn unknown(out: &mut String, indent: &str, entries: &[(Box<str>, Value)]) {
    for (key, value) in entries {
        let _ = write!(out, "{indent}{}: ", emit::scalar(key));
        emit::value(value, out);
        out.push('\n');
    }
}

fn line(out: &mut String, key: &str, value: &str) {
    let _ = writeln!(out, "{key}: {value}");
}

/// The sum over the canonical text of an entry, from its name on.
pub(super) fn sum(text: &str) -> String {
    let mut hex = Digest::of(text.as_bytes()).to_string();
    hex.truncate(SUM_DIGITS);
    hex
}
