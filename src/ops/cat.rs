//! `cat`: the bytes of a tracked file, or a part of them, without a checkout.

use std::io::Write;
use std::ops::Range;
use std::path::Path;

use crate::fs;
use crate::model::digest::ObjectId;
use crate::model::path::RepoPath;
use crate::ops::recorded::{self, Sources};
use crate::ops::targets::{self, TargetOptions};
use crate::ops::{OpError, OutputError};
use crate::remote::transfer::slice::{Slice, SliceOutcome, read_slice};
use crate::repo::Repo;
use crate::report::{Reporter, interrupted};
use crate::store::Cache;

/// One read from the cache, in bytes.
const BLOCK: usize = 4 << 20;

/// Which bytes.
#[derive(Clone, Debug, Default)]
pub struct CatOptions {
    /// The file.
    pub path: String,
    /// The revision; without one, what pointers and locks of the work tree name.
    pub rev: Option<String>,
    /// The remote that is asked instead of the output's own.
    pub remote: Option<String>,
    /// Where to begin; below zero, so many bytes before the end.
    pub offset: i64,
    /// How many bytes at most; to the end, if it is not said.
    pub length: Option<u64>,
}

/// A part of a recorded file.
#[derive(Clone, Debug, serde::Serialize)]
pub struct CatReport {
    /// The file, from the repository's root.
    pub path: String,
    /// The file's hash.
    pub hash: String,
    /// The file's length in bytes.
    pub size: u64,
    /// Where the part begins.
    pub offset: u64,
    /// Its bytes.
    pub length: u64,
    /// Whether the cache has the file.
    pub cached: bool,
}

/// Writes the bytes to `out`; without it, only tells what they would be.
///
/// Bytes from the cache are those of the file: it is checked as a whole first. Bytes from a remote
/// come as the chunks that hold them; a failure after some were written is an error.
pub fn run(
    repo: &Repo,
    options: &CatOptions,
    out: Option<&mut (dyn Write + Send)>,
    reporter: &dyn Reporter,
) -> Result<CatReport, OpError> {
    let tracked = recorded::tracked(repo, options.rev.as_deref())?;
    let path = targets::path(repo, &options.path)?;
    // As a target it means the outputs of its stages.
    if tracked.pipelines().iter().any(|one| one.pipeline.file == path) {
        return Err(OutputError::KeptByGit { path }.into());
    }
    let target = TargetOptions { targets: vec![options.path.clone()], ..TargetOptions::default() };
    let chosen = targets::outputs(repo, &tracked, &target)?;
    let [one] = &chosen[..] else {
        return Err(OutputError::IsFolder { path }.into());
    };
    let mut sources = Sources::new(repo, options.remote.clone(), reporter);
    let entries = sources.entries(one)?;
    let inside = one.inside.first().map_or("", |inside| inside);
    let path = one.out.path.join_entry(inside);
    let Some(entry) = entries.iter().find(|entry| *entry.path == *inside && entry.kind.has_object()) else {
        return Err(OutputError::IsFolder { path }.into());
    };
    let (id, size) = (ObjectId(entry.hash), entry.size);
    let range = part(options, size).ok_or_else(|| OutputError::BehindTheEnd {
        path: path.clone(),
        size,
        offset: options.offset.unsigned_abs(),
    })?;
    let cache = repo.cache()?;
    let report = CatReport {
        path: path.to_string(),
        hash: format!("blake3:{id}"),
        size,
        offset: range.start,
        length: range.end - range.start,
        cached: cache.object_len(id).is_some(),
    };
    let Some(out) = out else { return Ok(report) };
    if report.cached && cache.is_sound(id, &mut Vec::new()) {
        from_cache(cache, (id, &path), range, out)?;
        return Ok(report);
    }
    let from = sources.of(one.out)?;
    match read_slice(&mut from.remote, &Slice { id, size, range }, out, reporter)? {
        SliceOutcome::Done => Ok(report),
        SliceOutcome::Missing => {
            let missing = OutputError::MissingThere { path, remote: from.name.clone() };
            Err(recorded::lacking(one.out, missing.into()))
        }
        SliceOutcome::Gone => Err(OutputError::GoneThere { path, remote: from.name.clone() }.into()),
        SliceOutcome::Damaged => Err(OutputError::DamagedThere { path, remote: from.name.clone() }.into()),
    }
}

/// The bytes that are meant of a file of `size`; nothing if they start behind its end.
fn part(options: &CatOptions, size: u64) -> Option<Range<u64>> {
    let offset = options.offset.unsigned_abs();
    let start = if options.offset < 0 { size.saturating_sub(offset) } else { offset };
    let length = options.length.unwrap_or(u64::MAX);
    (start <= size).then(|| start..start.saturating_add(length).min(size))
}

fn from_cache(
    cache: &Cache,
    (id, path): (ObjectId, &RepoPath),
    mut rest: Range<u64>,
    out: &mut dyn Write,
) -> Result<(), OpError> {
    let mut block = vec![0; BLOCK.min(usize::try_from(rest.end - rest.start).unwrap_or(BLOCK))];
    while !rest.is_empty() {
        if interrupted() {
            return Err(OpError::Interrupted);
        }
        let wanted = block.len().min(usize::try_from(rest.end - rest.start).unwrap_or(BLOCK));
        let count = cache.read_object_at(id, rest.start, &mut block[..wanted])?;
        if count == 0 {
            return Err(OutputError::DamagedHere { path: path.clone() }.into());
        }
        out.write_all(&block[..count]).map_err(fs::at(Path::new("stdout"), "write to"))?;
        rest.start += count as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_end_with_the_file_and_may_be_counted_from_its_end() {
        let cases = [
            ((0, None), Some(0..10)),
            ((3, Some(4)), Some(3..7)),
            ((3, Some(100)), Some(3..10)),
            ((-4, None), Some(6..10)),
            ((-100, Some(2)), Some(0..2)),
            ((10, None), Some(10..10)),
            ((11, None), None),
            ((i64::MIN, Some(u64::MAX)), Some(0..10)),
        ];
        for ((offset, length), expected) in cases {
            let options = CatOptions { offset, length, ..CatOptions::default() };
            assert_eq!(part(&options, 10), expected, "{offset} {length:?}");
        }
    }
}
