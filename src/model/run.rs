//! What a stage made of which inputs, found by the inputs: a record of the run cache.
//!
//! Two lines of JSON. The first has the inputs, and its hash is the record's name; the second what
//! came of them. A record is a claim: whoever uses one looks whether the outputs can be had.

use std::collections::BTreeMap;

use crate::model::digest::{Digest, Domain, RunKey};
use crate::model::lockfile::{LockOut, StageLock};
use crate::model::object::{ContentId, ContentInfo};
use crate::model::path::RepoPath;
use crate::model::stage::{Command, Role, Stage};
use crate::model::value::{Entries, Value};

/// Largest record, in bytes.
const MAX: usize = 16 << 20;
/// How a record ends: the start of the BLAKE3 of all before this.
const SUM: &str = ",\"sum\":\"";
/// Digits of the sum.
const SUM_LEN: usize = 16;

/// The first line of a record.
#[derive(serde::Serialize)]
struct InputsLine<'a> {
    version: u32,
    cmd: &'a [Box<str>],
    wdir: &'a str,
    deps: Vec<DepLine<'a>>,
    params: BTreeMap<&'a str, Value>,
    settings: Value,
    outs: Vec<&'a str>,
}

#[derive(serde::Serialize)]
struct DepLine<'a> {
    path: &'a str,
    hash: String,
}

/// The second line, but for its sum.
#[derive(serde::Serialize, serde::Deserialize)]
struct ResultsLine {
    outs: Vec<OutLine>,
    #[serde(flatten)]
    facts: RunFacts,
}

#[derive(serde::Serialize, serde::Deserialize)]
struct OutLine {
    path: String,
    hash: String,
    size: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    nfiles: Option<u64>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    isexec: bool,
}

/// Where and when it was, for lineage and audit: nothing depends on it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct RunFacts {
    /// How the record came about: `run`, or `commit` where somebody said that a run would make this.
    pub kind: String,
    /// When the command was started, RFC 3339 UTC.
    pub start: String,
    /// How long it took.
    pub millis: u64,
    /// The machine's name.
    pub host: String,
    /// The operating system, as Rust names it.
    pub os: String,
    /// The processor, as Rust names it.
    pub arch: String,
    /// The version of mlv.
    pub mlv: String,
    /// The commit that was checked out, if any.
    pub commit: Option<String>,
    /// Whether files that git tracks differed from that commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub differed: Option<bool>,
    /// The BLAKE3 of all that the command printed.
    pub log: Option<String>,
}

/// The inputs of a run, as the first line of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunInputs(String);

impl RunInputs {
    /// Those that `entry` tells, of the stage `stage`; nothing if a run of it is not for reuse.
    pub fn of(stage: &Stage, entry: &StageLock) -> Option<RunInputs> {
        if !is_reusable(stage) {
            return None;
        }
        let params = entry.params.iter().map(|(file, values)| (file.as_str(), canonical_map(values)));
        let line = InputsLine {
            version: 1,
            cmd: match &entry.command {
                Command::Script(script) => std::slice::from_ref(script),
                Command::List(scripts) => scripts,
            },
            wdir: stage.wdir.as_str(),
            deps: entry
                .deps
                .iter()
                .map(|dep| DepLine { path: dep.path.as_str(), hash: dep.content.id.to_string() })
                .collect(),
            params: params.collect(),
            settings: canonical_map(&entry.settings),
            outs: stage.outs.iter().map(|out| out.path.as_str()).collect(),
        };
        let mut text = serde_json::to_string(&line).ok()?;
        text.push('\n');
        Some(RunInputs(text))
    }

    /// The name of records with these inputs.
    pub fn key(&self) -> RunKey {
        RunKey(Digest::of_domain(Domain::RunRecord, self.0.as_bytes()))
    }
}

/// Whether what a stage makes depends on what it declares, and on nothing else: so that its outputs
/// may be had without a run of it.
pub fn is_reusable(stage: &Stage) -> bool {
    // What nobody keeps cannot be brought back; metrics and plots are small, and kept for this.
    let is_kept = |role: &Role, cache: bool| cache || *role != Role::Data;
    stage.has_inputs()
        && !stage.frozen
        && !stage.always_changed
        && !stage.outs.is_empty()
        && stage.outs.iter().all(|out| !out.persist && is_kept(&out.role, out.cache))
}

/// One form for values that nothing tells apart: see [`Value::same`].
fn canonical(value: &Value) -> Value {
    match value {
        Value::Float(float) if Value::Int(*float as i128).same(value) => Value::Int(*float as i128),
        Value::List(items) => Value::List(items.iter().map(canonical).collect()),
        Value::Map(entries) => canonical_map(entries),
        // JSON would round it.
        Value::Int(int) if i64::try_from(*int).is_err() => Value::Text(int.to_string().into()),
        other => other.clone(),
    }
}

fn canonical_map(entries: &Entries) -> Value {
    let sorted: BTreeMap<_, _> = entries.iter().map(|(key, value)| (key.clone(), canonical(value))).collect();
    Value::Map(sorted.into_iter().collect())
}

/// What came of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunRecord {
    /// The outputs that were made, sorted by path.
    pub outs: Vec<(RepoPath, ContentInfo)>,
    /// Where and when.
    pub facts: RunFacts,
}

impl RunRecord {
    /// The record of a run with these inputs.
    pub fn write(&self, inputs: &RunInputs) -> Vec<u8> {
        let outs = self.outs.iter().map(|(path, content)| OutLine {
            path: path.to_string(),
            hash: content.id.to_string(),
            size: content.size,
            nfiles: content.nfiles,
            isexec: content.executable,
        });
        let line = ResultsLine { outs: outs.collect(), facts: self.facts.clone() };
        let results = serde_json::to_string(&line).expect("a record has text keys");
        let text = format!("{}{}", inputs.0, results.strip_suffix('}').unwrap_or(&results));
        let sum = &Digest::of(text.as_bytes()).to_string()[..SUM_LEN];
        format!("{text}{SUM}{sum}\"}}\n").into_bytes()
    }

    /// Reads a record; nothing if it is damaged, or of a form that this mlv does not know.
    pub fn parse(bytes: &[u8]) -> Option<RunRecord> {
        let text = std::str::from_utf8(bytes).ok().filter(|text| text.len() <= MAX)?;
        let (before, end) = text.rsplit_once(SUM)?;
        let sum = end.strip_suffix("\"}\n")?;
        if sum.len() != SUM_LEN || !Digest::of(before.as_bytes()).to_string().starts_with(sum) {
            return None;
        }
        let (_, results) = before.split_once('\n')?;
        let line: ResultsLine = serde_json::from_str(&format!("{results}}}")).ok()?;
        let mut outs = Vec::new();
        for out in line.outs {
            let id: ContentId = out.hash.parse().ok()?;
            if out.nfiles.is_some() != matches!(id, ContentId::Tree(_)) {
                return None;
            }
            let content = ContentInfo { id, size: out.size, nfiles: out.nfiles, executable: out.isexec };
            outs.push((RepoPath::parse(&out.path).ok()?, content));
        }
        outs.sort_by(|a, b| a.0.cmp(&b.0));
        Some(RunRecord { outs, facts: line.facts })
    }

    /// What the lock says of the outputs, if `stage` declares each of them and the record lacks none that
    /// is not optional.
    pub fn lock_outs(&self, stage: &Stage) -> Option<Vec<LockOut>> {
        let made = |path: &RepoPath| self.outs.iter().find(|(made, _)| made == path);
        let lacks = stage.outs.iter().any(|out| !out.optional && made(&out.path).is_none());
        let outs: Vec<LockOut> = stage
            .outs
            .iter()
            .filter_map(|out| made(&out.path).map(|(_, content)| LockOut::new(out, *content)))
            .collect();
        (!lacks && outs.len() == self.outs.len()).then_some(outs)
    }
}

#[cfg(test)]
mod tests;
