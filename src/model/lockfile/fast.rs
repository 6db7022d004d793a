//! Reading the form that mlv itself writes, a line at a time.
//!
//! A no-op `repro` has 20 ms for 200 stages in all. This reader gives up (`None`) at the first
//! thing that the writer would not have written so, and the YAML reader decides: it never
//! refuses anything itself, and never sees more in a text than YAML does.
// measured: 200 entries in 0.37 ms, through YAML 1.5 ms (`cargo bench --bench text`, 2 cores).

use std::borrow::Cow;

use crate::model::emit::is_plain;
use crate::model::lockfile::read::{check_content, check_name, check_twice, input_path, output_path};
use crate::model::lockfile::{LockDep, LockOut, Lockfile, StageLock, write};
use crate::model::object::ContentInfo;
use crate::model::path::RepoPath;
use crate::model::stage::Command;
use crate::model::value::{Entries, Value, resolve};
use crate::model::yaml::{Limits, conflict_marker, load};

pub(super) fn lockfile(file: &RepoPath, text: &str) -> Option<Lockfile> {
    let folder = file.parent().unwrap_or_else(RepoPath::root);
    let rest = text.strip_prefix("version: 1\nstages:\n")?;
    if rest.contains(['\r', '\t', '\0']) || conflict_marker(rest).is_some() {
        return None;
    }
    let mut lock = Lockfile::default();
    let mut lines = Lines { rest };
    while !lines.rest.is_empty() {
        let (name, entry) = stage(&folder, &mut lines)?;
        if lock.stages.insert(name, entry).is_some() {
            return None;
        }
    }
    (!lock.stages.is_empty()).then_some(lock)
}

/// The lines that are left; each ends with a line feed.
struct Lines<'a> {
    rest: &'a str,
}

impl<'a> Lines<'a> {
    fn peek(&self) -> Option<&'a str> {
        self.rest.split_once('\n').map(|(line, _)| line)
    }

    /// The next line behind `prefix`, if it starts so.
    fn take(&mut self, prefix: &str) -> Option<&'a str> {
        let line = self.peek()?;
        let value = line.strip_prefix(prefix)?;
        self.rest = &self.rest[line.len() + 1..];
        Some(value)
    }

    /// The next line, if it is `line`.
    fn skip(&mut self, line: &str) -> bool {
        let found = self.peek() == Some(line);
        if found {
            self.rest = &self.rest[line.len() + 1..];
        }
        found
    }
}

fn stage(folder: &RepoPath, lines: &mut Lines<'_>) -> Option<(Box<str>, StageLock)> {
    let start = lines.rest;
    let name = key(lines.take("  ")?.strip_suffix(':')?)?;
    check_name(&name).ok()?;
    let command = command(lines)?;
    let (mut deps, mut params, mut outs) = (Vec::new(), Vec::new(), Vec::new());
    if lines.skip("    deps:") {
        while let Some(dep) = item(lines, |path| input_path(folder, path).ok()) {
            deps.push(LockDep { path: dep.0?, content: dep.1? });
        }
    }
    if lines.skip("    params:") {
        while lines.peek()?.starts_with("      ") {
            params.push(param_file(folder, lines)?);
        }
    }
    if lines.skip("    outs:") {
        while let Some(out) = item(lines, |path| output_path(folder, path).ok()) {
            let mut out = LockOut { path: out.0?, content: out.1?, cache: true, push: true, remote: None };
            out.cache = !lines.skip("      cache: false");
            if let Some(remote) = lines.take("      remote: ") {
                out.remote = Some(text(remote)?.into());
            }
            out.push = !lines.skip("      push: false");
            outs.push(out);
        }
    }
    let body = &start[..start.len() - lines.rest.len()];
    // Text that fits its sum was written by mlv. One that does not is the other reader's.
    if lines.take("    sum: ")? != write::sum(body) {
        return None;
    }
    let entry = StageLock::new(command, deps, params, outs);
    check_twice(&entry).ok()?;
    Some((name.into(), entry))
}

fn command(lines: &mut Lines<'_>) -> Option<Command> {
    if lines.skip("    cmd: []") {
        return Some(Command::List(Vec::new()));
    }
    if lines.skip("    cmd:") {
        let mut items = Vec::new();
        while let Some(item) = lines.take("    - ") {
            items.push(text(item)?.into());
        }
        return (!items.is_empty()).then_some(Command::List(items));
    }
    match lines.take("    cmd: ")? {
        "|" => block(lines).map(|script| Command::Script(format!("{script}\n").into())),
        "|-" => block(lines).map(|script| Command::Script(script.into())),
        value => Some(Command::Script(text(value)?.into())),
    }
}

/// The lines of a block, which the writer never starts with a blank or an indented one.
fn block(lines: &mut Lines<'_>) -> Option<String> {
    let mut script = lines.take("      ")?.to_owned();
    loop {
        let line = if lines.skip("") {
            ""
        } else if let Some(line) = lines.take("      ") {
            line
        } else {
            break;
        };
        script.push('\n');
        script.push_str(line);
    }
    let odd = script.starts_with([' ', '\n']) || script.ends_with('\n') || !script.contains('\n');
    (!odd).then_some(script)
}

type Item = (Option<RepoPath>, Option<ContentInfo>);

/// The next item of a list: `None` if there is none, and within it if it is odd.
fn item(lines: &mut Lines<'_>, path: impl Fn(&str) -> Option<RepoPath>) -> Option<Item> {
    let written = lines.take("    - path: ")?;
    let path = text(written).and_then(|written| path(&written));
    Some((path, content(lines)))
}

fn content(lines: &mut Lines<'_>) -> Option<ContentInfo> {
    let id = lines.take("      hash: ")?.parse().ok()?;
    let size = count(lines.take("      size: ")?)?;
    let nfiles = match lines.take("      nfiles: ") {
        Some(nfiles) => Some(count(nfiles)?),
        None => None,
    };
    let executable = lines.skip("      isexec: true");
    let info = ContentInfo { id, size, nfiles, executable };
    check_content(&info).ok()?;
    Some(info)
}

fn param_file(folder: &RepoPath, lines: &mut Lines<'_>) -> Option<(RepoPath, Entries)> {
    let line = lines.take("      ")?;
    if let Some(file) = line.strip_suffix(": {}") {
        return Some((input_path(folder, &key(file)?).ok()?, Entries::new()));
    }
    let file = input_path(folder, &key(line.strip_suffix(':')?)?).ok()?;
    let mut values = Entries::new();
    while let Some(line) = lines.take("        ") {
        let (key, rest) = split_key(line)?;
        if values.last().is_some_and(|(last, _)| **last >= *key) {
            return None;
        }
        values.push((key.into(), value(rest)?));
    }
    (!values.is_empty()).then_some((file, values))
}

/// A key in front of `: `, and what is behind it.
fn split_key(line: &str) -> Option<(Cow<'_, str>, &str)> {
    if !line.starts_with('"') {
        let (written, rest) = line.split_once(": ")?;
        return Some((key(written)?, rest));
    }
    let end = closing_quote(line)?;
    Some((key(&line[..end])?, line[end..].strip_prefix(": ")?))
}

fn key(written: &str) -> Option<Cow<'_, str>> {
    text(written)
}

/// A text, plain or in double quotes.
fn text(written: &str) -> Option<Cow<'_, str>> {
    if is_plain(written) {
        return Some(Cow::Borrowed(written));
    }
    if closing_quote(written)? != written.len() {
        return None;
    }
    unquote(&written[1..written.len() - 1]).map(Cow::Owned)
}

fn value(written: &str) -> Option<Value> {
    if written.starts_with(['[', '{']) {
        // Rare enough for the other reader.
        return load("", written, Limits::LOCK).ok().map(|node| Value::of(&node));
    }
    match resolve(written) {
        Value::Text(_) => text(written).map(|text| Value::Text(text.as_ref().into())),
        Value::Null if written != "null" => None,
        value => Some(value),
    }
}

fn count(written: &str) -> Option<u64> {
    let canonical = written == "0" || !written.starts_with('0');
    let digits = !written.is_empty() && written.bytes().all(|byte| byte.is_ascii_digit());
    written.parse().ok().filter(|count| canonical && digits && *count <= i64::MAX as u64)
}

/// The offset behind the quote that ends the text that `line` starts with.
fn closing_quote(line: &str) -> Option<usize> {
    let mut escaped = false;
    for (offset, byte) in line.bytes().enumerate().skip(usize::from(line.starts_with('"'))) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return line.starts_with('"').then_some(offset + 1),
            _ => {}
        }
    }
    None
}

/// Takes back the escapes that the writer makes, and no others.
fn unquote(inner: &str) -> Option<String> {
    let mut out = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        let digits = match chars.next()? {
            'n' => {
                out.push('\n');
                continue;
            }
            't' => {
                out.push('\t');
                continue;
            }
            c @ ('"' | '\\') => {
                out.push(c);
                continue;
            }
            'x' => 2,
            'u' => 4,
            'U' => 8,
            _ => return None,
        };
        let code = chars.as_str().get(..digits)?;
        chars = chars.as_str()[digits..].chars();
        if !code.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        out.push(char::from_u32(u32::from_str_radix(code, 16).ok()?)?);
    }
    Some(out)
}
