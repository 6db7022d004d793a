//! What cutting by content saves on pairs of versions, profile by profile.
//!
//! `benches/pairs.py FOLDER` makes the pairs, `cargo bench --bench pairs -- FOLDER` prints a Markdown
//! table. A profile is chosen by a file's size; here each is tried on each file, since a profile that
//! is clearly better for a kind of file could be added. CPU seconds are this thread's own, of cutting and
//! hashing the new version.

#![allow(clippy::print_stdout, reason = "a table is what this is for")]

use std::collections::HashSet;
use std::path::Path;

use fastcdc::v2020::Normalization;
use mlv::chunk::cdc::Profile;
use mlv::model::digest::Digest;

/// The profiles, and one with smaller chunks than all of them.
fn profiles() -> impl Iterator<Item = Profile> {
    let small = Profile { number: 0, average: 4 << 10, normalization: Normalization::Level1 };
    [small].into_iter().chain([1, 5, 2, 3, 4].into_iter().filter_map(Profile::numbered))
}
/// Bytes that a chunk takes in its file's recipe, in an index segment, and as a record in a pack.
const RECIPE_ROW: u64 = 36;
const SEGMENT_ROW: u64 = 52;

fn main() {
    let folder = std::env::args().skip(1).find(|word| !word.starts_with('-'));
    let Some(folder) = folder else { return println!("usage: cargo bench --bench pairs -- FOLDER") };
    println!(
        "| pair | new version | profile | average | new bytes | of it | chunks | recipe and index | CPU s |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    let mut names: Vec<String> = std::fs::read_dir(&folder)
        .expect("a folder of pairs")
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.strip_suffix(".old").map(str::to_owned))
        .collect();
    names.sort();
    for name in names {
        let version = |ending: &str| std::fs::read(Path::new(&folder).join(format!("{name}.{ending}")));
        let (old, new) = (version("old").expect("the old one"), version("new").expect("the new one"));
        for profile in profiles() {
            row(&name, profile, &old, &new);
        }
    }
}

fn row(name: &str, profile: Profile, old: &[u8], new: &[u8]) {
    let mut known: HashSet<Digest> = chunks(old, profile).map(|(hash, _)| hash).collect();
    let start = cpu_seconds();
    let cut: Vec<(Digest, usize)> = chunks(new, profile).collect();
    let spent = cpu_seconds() - start;
    let (mut bytes, mut fresh) = (0u64, 0u64);
    for (hash, len) in &cut {
        if known.insert(*hash) {
            bytes += *len as u64;
            fresh += 1;
        }
    }
    let tables = cut.len() as u64 * RECIPE_ROW + fresh * SEGMENT_ROW;
    println!(
        "| {name} | {:.1} MiB | {} | {} KiB | {:.2} MiB | {:.1} % | {} | {:.0} KiB | {spent:.2} |",
        mib(new.len() as u64),
        profile.number,
        profile.average >> 10,
        mib(bytes),
        100.0 * bytes as f64 / new.len() as f64,
        cut.len(),
        tables as f64 / 1024.0,
    );
}

fn chunks(data: &[u8], profile: Profile) -> impl Iterator<Item = (Digest, usize)> + '_ {
    profile.lengths(data).scan(0, |start, len| {
        let chunk = &data[*start..*start + len];
        *start += len;
        Some((Digest::of(chunk), len))
    })
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// CPU seconds of this thread, from the scheduler's own count.
fn cpu_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds = text.split(' ').next().and_then(|number| number.parse::<f64>().ok());
    nanoseconds.unwrap_or_default() / 1e9
}
