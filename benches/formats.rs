//! Times the formats in memory: trees, packs, index segments, chunks, pointers.
//!
//! `cargo bench --bench formats` (`-- tree` for a part). The targets stand in docs/performance.md.

use std::collections::HashMap;
use std::convert::Infallible;
use std::hint::black_box;
use std::io;

use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use mlv::chunk::split;
use mlv::model::digest::{Digest, TreeId};
use mlv::model::object::{RecordKey, RecordKind};
use mlv::model::path::RepoPath;
use mlv::model::pointer::Pointer;
use mlv::model::tree::{self, EntryKind, TreeBuilder, TreeEntry, TreeSummary};
use mlv::pack::format::{Codec, HEADER_LEN};
use mlv::pack::reader;
use mlv::pack::segment::{Segment, SegmentBuilder};
use mlv::pack::writer::{self, PackWriter, SealedPack};

fn main() {
    divan::main();
}

/// Files of the directory that the tree benches work on.
const FILES: u64 = 100_000;

type Pages = HashMap<TreeId, Vec<u8>>;

/// A dataset of images: 100 folders, names as cameras give them.
fn entries() -> Vec<TreeEntry> {
    let entry = |i: u64| TreeEntry {
        path: format!("train/class_{:03}/IMG_{i:08}.jpeg", i / 1000).into(),
        kind: EntryKind::File,
        size: i * 37 % 1_000_003,
        hash: Digest::of(&i.to_le_bytes()),
    };
    (0..FILES).map(entry).collect()
}

fn build(entries: &[TreeEntry], pages: &mut Pages) -> TreeSummary {
    let mut sink = |id, page: &[u8]| {
        pages.insert(id, page.to_vec());
        Ok::<_, Infallible>(())
    };
    let mut builder = TreeBuilder::new(&mut sink);
    for entry in entries {
        builder.push(entry).expect("entries are in order");
    }
    builder.finish().expect("the sink cannot fail")
}

mod trees {
    use super::*;

    fn load(pages: &Pages) -> impl FnMut(TreeId) -> Result<Vec<u8>, Infallible> {
        |id| Ok(pages[&id].clone())
    }

    #[divan::bench]
    fn check_paths(bencher: Bencher) {
        let entries = entries();
        bencher
            .counter(ItemsCount::new(FILES))
            .bench_local(|| entries.iter().filter(|entry| RepoPath::parse(&entry.path).is_ok()).count());
    }

    #[divan::bench]
    fn build_100_000(bencher: Bencher) {
        let entries = entries();
        bencher.counter(ItemsCount::new(FILES)).bench_local(|| {
            let mut bytes = 0;
            let mut sink = |_, page: &[u8]| {
                bytes += page.len();
                Ok::<_, Infallible>(())
            };
            let mut builder = TreeBuilder::new(&mut sink);
            for entry in &entries {
                builder.push(entry).expect("entries are in order");
            }
            builder.finish().expect("the sink cannot fail")
        });
    }

    #[divan::bench]
    fn read_100_000(bencher: Bencher) {
        let mut pages = Pages::new();
        let root = build(&entries(), &mut pages).id;
        bencher
            .counter(ItemsCount::new(FILES))
            .bench_local(|| tree::read_all(root, &mut load(&pages)).expect("a good tree"));
    }

    #[divan::bench]
    fn find_one(bencher: Bencher) {
        let mut pages = Pages::new();
        let entries = entries();
        let root = build(&entries, &mut pages).id;
        let path = &entries[54_321].path;
        bencher.bench_local(|| tree::find(root, path, &mut load(&pages)).expect("a good tree"));
    }

    /// Ten scattered changes among 100,000.
    #[divan::bench]
    fn diff_10_of_100_000(bencher: Bencher) {
        let mut pages = Pages::new();
        let mut entries = entries();
        let old = build(&entries, &mut pages).id;
        for at in 0..10 {
            entries[at * 9_973].size += 1;
        }
        let new = build(&entries, &mut pages).id;
        bencher.bench_local(|| count_changes(old, new, &pages));
    }

    #[divan::bench]
    fn diff_all_of_100_000(bencher: Bencher) {
        let mut pages = Pages::new();
        let mut entries = entries();
        let old = build(&entries, &mut pages).id;
        for entry in &mut entries {
            entry.size += 1;
        }
        let new = build(&entries, &mut pages).id;
        bencher.counter(ItemsCount::new(FILES)).bench_local(|| count_changes(old, new, &pages));
    }

    fn count_changes(old: TreeId, new: TreeId, pages: &Pages) -> usize {
        let mut changes = 0;
        let mut each = |_| {
            changes += 1;
            Ok(())
        };
        tree::diff(old, new, &mut load(pages), &mut each).expect("good trees");
        changes
    }
}

/// Bytes that do not repeat and do not compress, from a counter.
fn noise(len: usize) -> Vec<u8> {
    let blocks = 0..len.div_ceil(32) as u64;
    blocks.flat_map(|at| *Digest::of(&at.to_le_bytes()).as_bytes()).take(len).collect()
}

/// Lines of a table: what compresses.
fn table(len: usize) -> Vec<u8> {
    let lines =
        (0u64..).flat_map(|i| format!("{i},{},0.{:06}\n", i * 7919 % 4096, i * i % 999_983).into_bytes());
    lines.take(len).collect()
}

mod packs {
    use super::*;

    /// Bytes of a record, as of a small image.
    const RECORD: usize = 10 << 10;
    const RECORDS: usize = 3000;

    fn records(data: &[u8]) -> Vec<(RecordKey, &[u8])> {
        let key = |raw: &[u8]| RecordKey { hash: Digest::of(raw), kind: RecordKind::File };
        data.chunks(RECORD).map(|raw| (key(raw), raw)).collect()
    }

    fn pack(records: &[(RecordKey, &[u8])], compress: bool) -> (SealedPack, Vec<u8>) {
        let mut writer = PackWriter::new(Vec::with_capacity(33 << 20), [7; 16]).expect("memory");
        for (key, raw) in records {
            let frame = if compress { writer::compress_if_it_pays(raw) } else { None };
            let (codec, stored) = match &frame {
                Some(frame) => (Codec::Zstd, &frame[..]),
                None => (Codec::Raw, *raw),
            };
            writer.push(*key, codec, raw.len() as u32, stored).expect("it fits");
        }
        writer.finish().expect("records are distinct")
    }

    #[divan::bench]
    fn write_raw(bencher: Bencher) {
        let data = noise(RECORD * RECORDS);
        let records = records(&data);
        bencher.counter(BytesCount::new(data.len())).bench_local(|| pack(&records, false));
    }

    #[divan::bench]
    fn write_compressed(bencher: Bencher) {
        let data = table(RECORD * RECORDS);
        let records = records(&data);
        bencher.counter(BytesCount::new(data.len())).bench_local(|| pack(&records, true));
    }

    #[divan::bench(args = [false, true])]
    fn read_and_verify(bencher: Bencher, compressed: bool) {
        let data = table(RECORD * RECORDS);
        let (sealed, bytes) = pack(&records(&data), compressed);
        bencher.counter(BytesCount::new(data.len())).bench_local(|| {
            for entry in &sealed.entries {
                black_box(reader::decode_record(&bytes[entry.offset as usize..], entry.key).expect("good"));
            }
        });
    }

    #[divan::bench]
    fn read_table(bencher: Bencher) {
        let data = noise(RECORD * RECORDS);
        let (_, bytes) = pack(&records(&data), false);
        assert!(bytes.len() > HEADER_LEN);
        bencher
            .counter(ItemsCount::new(RECORDS))
            .bench_local(|| reader::read_pack(&bytes).expect("a good pack"));
    }

    fn segment(count: u32) -> (Vec<RecordKey>, SegmentBuilder) {
        let mut builder = SegmentBuilder::new();
        let mut keys = Vec::new();
        let all: Vec<[u8; 4]> = (0..count).map(u32::to_le_bytes).collect();
        for (part, records) in all.chunks(3000).enumerate() {
            let records: Vec<(RecordKey, &[u8])> = records
                .iter()
                .map(|raw| (RecordKey { hash: Digest::of(raw), kind: RecordKind::File }, &raw[..]))
                .collect();
            let mut writer = PackWriter::new(io::sink(), [part as u8; 16]).expect("a sink");
            for (key, raw) in &records {
                writer.push(*key, Codec::Raw, 4, raw).expect("it fits");
            }
            let (sealed, _) = writer.finish().expect("records are distinct");
            builder.add_pack(sealed.id, sealed.len, &sealed.entries);
            keys.extend(records.iter().map(|(key, _)| *key));
        }
        (keys, builder)
    }

    fn segment_bytes(builder: &SegmentBuilder) -> Vec<u8> {
        builder.build(0, (0, 0), [0; 8]).expect("within limits").expect("records").1
    }

    #[divan::bench(args = [100_000, 1_000_000])]
    fn build_segment(bencher: Bencher, count: u32) {
        let (_, builder) = segment(count);
        bencher.counter(ItemsCount::new(count)).bench_local(|| segment_bytes(&builder));
    }

    #[divan::bench(args = [100_000, 1_000_000])]
    fn open_segment(bencher: Bencher, count: u32) {
        let bytes = segment_bytes(&segment(count).1);
        bencher
            .counter(ItemsCount::new(count))
            .with_inputs(|| bytes.clone())
            .bench_local_values(|bytes| Segment::parse(bytes).expect("a good segment"));
    }

    #[divan::bench(args = [100_000, 1_000_000])]
    fn look_up_100_000(bencher: Bencher, count: u32) {
        let (mut keys, builder) = segment(count);
        let segment = Segment::parse(segment_bytes(&builder)).expect("a good segment");
        keys.truncate(100_000);
        bencher
            .counter(ItemsCount::new(keys.len()))
            .bench_local(|| keys.iter().filter(|key| segment.contains(**key)).count());
    }
}

mod chunks {
    use super::*;

    /// Reads, cuts, hashes each chunk and the whole file.
    #[divan::bench]
    fn split_64_mib(bencher: Bencher) {
        let data = noise(64 << 20);
        bencher.counter(BytesCount::new(data.len())).bench_local(|| {
            split::split::<Infallible>(&mut &data[..], data.len() as u64, &mut |_, bytes| {
                black_box(bytes);
                Ok(())
            })
            .expect("memory")
        });
    }

    #[divan::bench]
    fn hash_64_mib(bencher: Bencher) {
        let data = noise(64 << 20);
        bencher.counter(BytesCount::new(data.len())).bench_local(|| Digest::of(&data));
    }
}

mod pointers {
    use super::*;

    const POINTER: &str = "\
version: 1
outs:
- path: train.csv
  hash: blake3:af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262
  size: 14445097
  desc: what the model learns from
";

    #[divan::bench]
    fn parse(bencher: Bencher) {
        let file: RepoPath = "data/train.csv.mlv".parse().expect("a path");
        bencher.bench_local(|| Pointer::parse(&file, POINTER.as_bytes()).expect("a good pointer"));
    }
}
