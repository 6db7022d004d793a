//! From the bytes of a file to rows: maps from columns to values.

use crate::model::path::RepoPath;
use crate::model::value::{Entries, Value};
use crate::model::values;
use crate::model::yaml::Limits;
use crate::plots::error::PlotError;
use crate::plots::{MAX_FILE, MAX_POINTS};

/// One map a point, each column once.
pub type Rows = Vec<Entries>;

/// How a file has its points.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// A line a point, fields separated by this (RFC 4180).
    Separated(char),
    /// JSON or YAML with a list of maps.
    Values,
}

/// Those of files with points in JSON or YAML.
const LIMITS: Limits =
    Limits { bytes: MAX_FILE as usize, depth: 64, nodes: 4_000_000, lines: 4_000_000, anchors: true };

/// The rows of `file`. Without a header columns are called `0`, `1` and so on.
pub fn read(file: &RepoPath, table: Table, has_header: bool, bytes: &[u8]) -> Result<Rows, PlotError> {
    let rows = match table {
        Table::Separated(separator) => separated(file, separator, has_header, bytes)?,
        Table::Values => {
            let root = values::read_within(file, bytes, LIMITS).map_err(Box::new)?;
            let mut rows = Rows::new();
            lists(&root, &mut rows);
            rows
        }
    };
    if rows.is_empty() {
        return Err(PlotError::NoPoints { file: file.clone() });
    }
    Ok(rows)
}

/// Adds the lists of maps in `value`. Several lists are columns of the same points, as DVC has it.
fn lists(value: &Value, rows: &mut Rows) {
    match value {
        Value::List(items) if is_points(items) => {
            for (at, item) in items.iter().enumerate() {
                let Value::Map(entries) = item else { continue };
                if rows.len() <= at {
                    rows.push(Entries::new());
                }
                for (key, value) in entries {
                    match rows[at].iter_mut().find(|(known, _)| known == key) {
                        Some(known) => known.1 = value.clone(),
                        None => rows[at].push((key.clone(), value.clone())),
                    }
                }
            }
        }
        Value::Map(entries) => entries.iter().for_each(|(_, value)| lists(value, rows)),
        _ => {}
    }
}

/// Whether all are maps with the keys of the first.
fn is_points(items: &[Value]) -> bool {
    let Some(Value::Map(first)) = items.first() else { return false };
    items.iter().all(|item| match item {
        Value::Map(entries) => {
            entries.len() == first.len() && entries.iter().zip(first).all(|(a, b)| a.0 == b.0)
                || entries.len() == first.len()
                    && entries.iter().all(|(key, _)| first.iter().any(|(known, _)| known == key))
        }
        _ => false,
    })
}

fn separated(file: &RepoPath, separator: char, has_header: bool, bytes: &[u8]) -> Result<Rows, PlotError> {
    let problem = |line, what| PlotError::Table { file: file.clone(), line, what };
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let line = bytes[..error.valid_up_to()].iter().filter(|byte| **byte == b'\n').count() + 1;
        problem(line, "the file is not UTF-8 text")
    })?;
    let mut lines = Lines { rest: text, separator, line: 1 };
    let mut columns: Option<Vec<Box<str>>> = None;
    let mut rows = Rows::new();
    while let Some(record) = lines.record().map_err(|(line, what)| problem(line, what))? {
        let (line, fields) = record;
        let Some(columns) = &columns else {
            let names: Vec<Box<str>> = match has_header {
                true => fields.iter().map(|field| field.trim().into()).collect(),
                false => (0..fields.len()).map(|at| at.to_string().into()).collect(),
            };
            if (1..names.len()).any(|at| names[..at].contains(&names[at])) {
                return Err(problem(line, "two columns have one name"));
            }
            if !has_header {
                rows.push(row(&names, fields));
            }
            columns = Some(names);
            continue;
        };
        if fields.len() != columns.len() {
            return Err(problem(line, "there are more or fewer fields than columns"));
        }
        if rows.len() > MAX_POINTS {
            // Counted on by who says that there are too many.
            rows.push(Entries::new());
        } else {
            rows.push(row(columns, fields));
        }
    }
    Ok(rows)
}

fn row(columns: &[Box<str>], fields: Vec<String>) -> Entries {
    columns.iter().cloned().zip(fields.into_iter().map(|field| Value::Text(field.into()))).collect()
}

/// Records of separated fields.
struct Lines<'t> {
    rest: &'t str,
    separator: char,
    line: usize,
}

type Fault = (usize, &'static str);

impl Lines<'_> {
    /// The next record that is no empty line, with its line.
    fn record(&mut self) -> Result<Option<(usize, Vec<String>)>, Fault> {
        while let Some(rest) = ["\n", "\r\n"].iter().find_map(|end| self.rest.strip_prefix(end)) {
            self.rest = rest;
            self.line += 1;
        }
        if self.rest.is_empty() {
            return Ok(None);
        }
        let (line, mut fields) = (self.line, Vec::new());
        loop {
            let (field, is_last) = self.field()?;
            fields.push(field);
            if is_last {
                return Ok(Some((line, fields)));
            }
        }
    }

    /// The next field, and whether it is the last of its record.
    fn field(&mut self) -> Result<(String, bool), Fault> {
        let start = self.line;
        let mut field = String::new();
        if let Some(quoted) = self.rest.strip_prefix('"') {
            let mut rest = quoted;
            loop {
                let Some(end) = rest.find('"') else {
                    return Err((start, "a field in quotes does not end"));
                };
                field.push_str(&rest[..end]);
                rest = &rest[end + 1..];
                // Two quotes are one.
                let Some(after) = rest.strip_prefix('"') else { break };
                field.push('"');
                rest = after;
            }
            self.line += field.matches('\n').count();
            self.rest = rest;
        } else {
            let ends = [self.separator, '\n'];
            let end = self.rest.find(ends).unwrap_or(self.rest.len());
            field.push_str(self.rest[..end].trim_end_matches('\r'));
            self.rest = &self.rest[end..];
        }
        let rest = self.rest.strip_prefix('\r').filter(|rest| rest.starts_with('\n')).unwrap_or(self.rest);
        if let Some(rest) = rest.strip_prefix(self.separator) {
            self.rest = rest;
            return Ok((field, false));
        }
        match rest.strip_prefix('\n') {
            Some(rest) => {
                self.rest = rest;
                self.line += 1;
            }
            None if rest.is_empty() => self.rest = rest,
            None => return Err((self.line, "something stands behind a field in quotes")),
        }
        Ok((field, true))
    }
}
