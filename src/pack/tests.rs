use proptest::prelude::*;
use serde_json::Value;

use super::Error;
use super::format::{
    Codec, HEADER_LEN, MAX_PACK, MAX_RAW, RECORD_LEN, TRAILER_LEN, TableEntry, Trailer, encode_entry,
    encode_header, encode_record, encode_trailer,
};
use super::reader::{decode_record, is_named, read_pack, read_table, read_trailer, walk_records};
use super::segment::{Segment, SegmentBuilder, SegmentId, SegmentName};
use super::writer::{PackWriter, SealedPack, compress_if_it_pays};
use crate::model::digest::{Digest, PackId};
use crate::model::object::{RecordKey, RecordKind};

/// Bytes of a segment's footer.
const FOOTER_LEN: usize = 176;

fn vectors() -> Value {
    serde_json::from_str(include_str!("../../fixtures/formats/formats.json")).unwrap()
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn file_key(raw: &[u8]) -> RecordKey {
    RecordKey { hash: Digest::of(raw), kind: RecordKind::File }
}

fn pack_of(raws: &[Vec<u8>]) -> (SealedPack, Vec<u8>) {
    let mut writer = PackWriter::new(Vec::new(), [7; 16]).unwrap();
    for raw in raws {
        match compress_if_it_pays(raw) {
            Some(frame) => writer.push(file_key(raw), Codec::Zstd, raw.len() as u32, &frame).unwrap(),
            None => writer.push(file_key(raw), Codec::Raw, raw.len() as u32, raw).unwrap(),
        }
    }
    writer.finish().unwrap()
}

#[test]
fn golden_pack_is_read_and_written_byte_for_byte() {
    let vector = &vectors()["formats"]["pack"];
    let bytes = hex(vector["bytes"].as_str().unwrap());
    let (id, entries) = read_pack(&bytes).unwrap();
    assert_eq!(format!("pk/{}/{id}", &id.to_string()[..2]), vector["key"].as_str().unwrap());
    let mut nonce = [0; 16];
    nonce.copy_from_slice(&hex(vector["nonce"].as_str().unwrap()));
    let mut writer = PackWriter::new(Vec::new(), nonce).unwrap();
    for entry in walk_records(&bytes) {
        let at = entry.offset as usize;
        let raw = decode_record(&bytes[at..], entry.key).unwrap();
        assert!(is_named(entry.key, &raw));
        let stored = &bytes[at + RECORD_LEN..at + RECORD_LEN + entry.stored_len as usize];
        writer.push(entry.key, entry.codec, entry.raw_len, stored).unwrap();
    }
    let (sealed, again) = writer.finish().unwrap();
    assert_eq!(sealed.entries, entries);
    assert_eq!(again, bytes);
}

#[test]
fn golden_segment_is_read_and_written_byte_for_byte() {
    let vectors = vectors();
    let (id, entries) = read_pack(&hex(vectors["formats"]["pack"]["bytes"].as_str().unwrap())).unwrap();
    let len = vectors["formats"]["pack"]["bytes"].as_str().unwrap().len() as u64 / 2;
    let vector = &vectors["formats"]["segment over that pack"];
    let bytes = hex(vector["bytes"].as_str().unwrap());
    let mut builder = SegmentBuilder::new();
    builder.add_pack(id, len, &entries);
    builder.supersede(SegmentId(std::array::from_fn(|at| at as u8)));
    let (name, built) = builder.build(0, (0, 0), [1; 8]).unwrap().unwrap();
    assert_eq!(built, bytes);
    assert_eq!(format!("ix/{name}"), vector["key"].as_str().unwrap());
    let segment = Segment::parse(bytes).unwrap();
    assert!(segment.has_name(&name));
    assert_eq!(SegmentName::parse(&name.to_string()), Some(name));
    for entry in &entries {
        let hits: Vec<_> = segment.find(entry.key).collect();
        assert_eq!(hits.len(), 1);
        assert_eq!((hits[0].pack, hits[0].offset), (id, entry.offset));
    }
}

#[test]
fn golden_run_record_and_checksum() {
    let vectors = vectors();
    let run = &vectors["formats"]["run record"];
    let key = run["key"].as_str().unwrap().parse().unwrap();
    assert!(is_named(
        RecordKey { hash: key, kind: RecordKind::RunRecord },
        run["text"].as_str().unwrap().as_bytes()
    ));
    assert_eq!(crc32c::crc32c(b"123456789"), 0xe306_9283);
}

#[test]
fn compressible_records_are_stored_smaller_and_come_back() {
    let raw = b"label,weight\n".repeat(4000);
    let (sealed, bytes) = pack_of(std::slice::from_ref(&raw));
    assert_eq!(sealed.entries[0].codec, Codec::Zstd);
    assert!(bytes.len() < raw.len() / 10);
    assert_eq!(*decode_record(&bytes[HEADER_LEN..], file_key(&raw)).unwrap(), raw[..]);
}

#[test]
fn a_record_serves_for_what_was_asked_and_nothing_else() {
    let (_, bytes) = pack_of(&[b"asked".to_vec()]);
    let record = &bytes[HEADER_LEN..];
    let asked = |raw: &[u8], kind| decode_record(record, RecordKey { hash: Digest::of(raw), kind });
    assert_eq!(*asked(b"asked", RecordKind::File).unwrap(), *b"asked");
    assert_eq!(*asked(b"asked", RecordKind::Chunk).unwrap(), *b"asked");
    for (raw, kind) in [
        (&b"other"[..], RecordKind::File),
        (b"asked", RecordKind::Recipe),
        (b"asked", RecordKind::TreePage),
        (b"asked", RecordKind::RunRecord),
    ] {
        assert!(matches!(asked(raw, kind), Err(Error::OtherRecord { .. })), "{kind:?}");
    }
    // The name is right and the bytes are not.
    let mut damaged = record.to_vec();
    damaged[RECORD_LEN] ^= 1;
    let refused = decode_record(&damaged, file_key(b"asked"));
    assert!(matches!(refused, Err(Error::Damaged { hash }) if hash == Digest::of(b"asked")));
}

#[test]
fn a_frame_that_expands_past_its_header_is_refused() {
    let bomb = zstd::bulk::compress(&vec![0; 32 << 20], 1).unwrap();
    let key = file_key(b"x");
    let (header, _) = encode_record(key, Codec::Zstd, bomb.len() as u32, 16 << 20);
    let record = [&header[..], &bomb].concat();
    assert!(decode_record(&record, key).is_err());
}

/// A record of `raw_len` bytes whose stored bytes are `frame`.
fn record_of(frame: &[u8], raw: &[u8]) -> (Vec<u8>, RecordKey) {
    let key = file_key(raw);
    let (header, _) = encode_record(key, Codec::Zstd, frame.len() as u32, raw.len() as u32);
    ([&header[..], frame].concat(), key)
}

#[test]
fn a_frame_is_one_frame_of_a_small_window_and_no_more() {
    let raw = b"value,".repeat(900_000);
    let good = compress_if_it_pays(&raw).unwrap();
    let (record, key) = record_of(&good, &raw);
    assert_eq!(*decode_record(&record, key).unwrap(), raw[..]);

    let skippable = [&0x184D_2A50u32.to_le_bytes()[..], &4u32.to_le_bytes(), b"skip"].concat();
    let half = raw.len() / 2;
    let halves = [zstd::bulk::compress(&raw[..half], 1), zstd::bulk::compress(&raw[half..], 1)];
    let two = halves.map(Result::unwrap).concat();
    let mut wide = zstd::bulk::Compressor::new(1).unwrap();
    wide.window_log(23).unwrap();
    let wide = wide.compress(&raw).unwrap();
    let mut dictionary = zstd::bulk::Compressor::with_dictionary(1, &raw[..100_000]).unwrap();
    let with_dictionary = dictionary.compress(&raw).unwrap();
    for (why, frame) in [
        ("bytes behind it", [&good[..], b"x"].concat()),
        ("a skippable frame before it", [&skippable[..], &good].concat()),
        ("a skippable frame behind it", [&good[..], &skippable].concat()),
        ("two frames", two),
        ("a window over 4 MiB", wide),
        ("a dictionary", with_dictionary),
        ("a byte less", good[..good.len() - 1].to_vec()),
        ("nothing", Vec::new()),
    ] {
        let (record, key) = record_of(&frame, &raw);
        assert!(decode_record(&record, key).is_err(), "{why}");
    }
    // Lengths of the header that are not the frame's.
    for len in [raw.len() - 1, raw.len() + 1] {
        let (header, _) = encode_record(key, Codec::Zstd, good.len() as u32, len as u32);
        assert!(decode_record(&[&header[..], &good].concat(), key).is_err());
    }
}

#[test]
fn a_pack_takes_no_record_that_readers_refuse() {
    let chunk = RecordKey { hash: Digest::of(b""), kind: RecordKind::Chunk };
    let mut writer = PackWriter::new(Vec::new(), [7; 16]).unwrap();
    assert!(writer.push(chunk, Codec::Raw, 0, b"").is_err(), "an empty chunk");
    assert!(writer.push(file_key(b"abc"), Codec::Raw, 2, b"abc").is_err(), "another length");
    assert!(writer.push(file_key(b"abc"), Codec::Zstd, 3, b"abc").is_err(), "a frame that saves nothing");
    let large = vec![0; MAX_RAW as usize + 1];
    assert!(writer.push(file_key(&large), Codec::Raw, MAX_RAW + 1, &large).is_err(), "over 16 MiB");
    assert!(writer.finish().is_err(), "no record");

    let mut writer = PackWriter::new(Vec::new(), [7; 16]).unwrap();
    writer.push(file_key(b"abc"), Codec::Raw, 3, b"abc").unwrap();
    writer.push(file_key(b"abc"), Codec::Raw, 3, b"abc").unwrap();
    assert!(writer.finish().is_err(), "a record twice");

    let mut writer = PackWriter::new(std::io::sink(), [7; 16]).unwrap();
    let mut records = 0u32;
    let refused = loop {
        let raw = records.to_le_bytes();
        match writer.push(file_key(&raw), Codec::Raw, 4, &raw) {
            Ok(()) => records += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, Error::Limit { limit: 65_536, .. }), "{refused}");
    assert_eq!(records, 65_536);
    let (sealed, _) = writer.finish().unwrap();
    assert_eq!(sealed.entries.len(), 65_536);

    let mut writer = PackWriter::new(std::io::sink(), [7; 16]).unwrap();
    let raw = vec![0; MAX_RAW as usize];
    let pushed = (0..4u8).map_while(|at| {
        let key = RecordKey { hash: Digest::of(&[at]), kind: RecordKind::File };
        writer.push(key, Codec::Raw, MAX_RAW, &raw).ok()
    });
    assert_eq!(pushed.count(), 2, "three would pass 48 MiB with their headers");
    assert!(writer.finish().unwrap().0.len <= MAX_PACK);
}

#[test]
fn several_segments_merge_into_one_that_finds_everything() {
    let raws: Vec<Vec<u8>> = (0..3000u32).map(|i| i.to_le_bytes().to_vec()).collect();
    let mut merged = SegmentBuilder::new();
    for part in raws.chunks(500) {
        let (sealed, _) = pack_of(part);
        let mut one = SegmentBuilder::new();
        one.add_pack(sealed.id, sealed.len, &sealed.entries);
        let (name, bytes) = one.build(0, (0, 0), [part[0][0]; 8]).unwrap().unwrap();
        merged.add_segment(&Segment::parse(bytes).unwrap());
        merged.supersede(name.id);
    }
    let mut found = 0;
    // Two halves by the first bit of the hash.
    for prefix in [0, 1 << 31] {
        let (_, bytes) = merged.build(1, (1, prefix), [9; 8]).unwrap().unwrap();
        let half = Segment::parse(bytes).unwrap();
        assert_eq!(half.superseded().count(), 6);
        found += raws.iter().filter(|raw| half.contains(file_key(raw))).count();
    }
    assert_eq!(found, raws.len());
}

/// The bytes of a segment with its checksums made to fit.
fn reseal(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.truncate(bytes.len() - FOOTER_LEN);
    let rows_at = 64 + 4 * ((1 << bytes[12]) + 1);
    bytes.extend(super::segment::footer_of(&bytes, rows_at, number(&bytes, 20), number(&bytes, 24)));
    bytes
}

fn number(bytes: &[u8], at: usize) -> usize {
    super::format::u32_at(bytes, at) as usize
}

#[test]
fn a_segment_that_breaks_one_rule_is_refused() {
    let mut builder = SegmentBuilder::new();
    for part in [0u32..50, 50..100] {
        let raws: Vec<Vec<u8>> = part.map(|i| i.to_le_bytes().to_vec()).collect();
        let (sealed, _) = pack_of(&raws);
        builder.add_pack(sealed.id, sealed.len, &sealed.entries);
    }
    builder.supersede(SegmentId([3; 24]));
    builder.supersede(SegmentId([4; 24]));
    let (_, good) = builder.build(0, (0, 0), [0; 8]).unwrap().unwrap();
    assert!(Segment::parse(reseal(good.clone())).is_ok());
    // 100 entries have 2 bits of fan-out, 5 numbers.
    let (rows, packs) = (64 + 20, 64 + 20 + 100 * 52);
    let names = packs + 2 * 40;
    type Damage<'d> = &'d dyn Fn(&mut Vec<u8>);
    let rules: [(&str, Damage<'_>); 15] = [
        ("reserved bytes of the header", &|bytes| bytes[14] = 1),
        ("the last reserved byte of the header", &|bytes| bytes[63] = 1),
        ("33 bits", &|bytes| bytes[11] = 33),
        ("a prefix longer than its bits", &|bytes| bytes[19] = 1),
        ("entries outside the prefix", &|bytes| bytes[11] = 1),
        ("a fan-out that is off by one", &|bytes| bytes[64 + 4] += 1),
        ("reserved bytes of an entry", &|bytes| bytes[rows + 51] = 1),
        ("a type that does not exist", &|bytes| bytes[rows + 48] = 6),
        ("a codec that does not exist", &|bytes| bytes[rows + 49] = 2),
        ("a pack that is not there", &|bytes| bytes[rows + 32] = 2),
        ("a pack without entries", &|bytes| (0..100).for_each(|at| bytes[rows + at * 52 + 32] = 0)),
        ("entries out of order", &|bytes| bytes[rows..rows + 104].rotate_left(52)),
        ("packs out of order", &|bytes| bytes[packs..names].rotate_left(40)),
        ("a pack over 48 MiB", &|bytes| bytes[packs + 35] = 4),
        ("superseded names out of order", &|bytes| bytes[names..names + 48].rotate_left(24)),
    ];
    for (rule, break_it) in rules {
        let mut bytes = good.clone();
        break_it(&mut bytes);
        assert!(Segment::parse(reseal(bytes)).is_err(), "{rule}");
    }
}

/// Reads `entries` as the table of a pack of `len` bytes, with a name that fits them.
fn read_as_table(entries: &[TableEntry], records_end: u64) -> Result<Vec<TableEntry>, Error> {
    let header = encode_header([7; 16]);
    let mut table = Vec::new();
    entries.iter().for_each(|entry| encode_entry(&mut table, entry));
    let id = PackId(Digest::of(&[&header[..], &table].concat()));
    let pack_len = records_end + (table.len() + TRAILER_LEN) as u64;
    let trailer = Trailer { count: entries.len() as u32, table_offset: records_end, id, pack_len };
    let trailer = read_trailer(&encode_trailer(&trailer), pack_len)?;
    read_table(&header, &table, &trailer)
}

#[test]
fn a_table_that_breaks_one_rule_is_refused() {
    let raws: Vec<Vec<u8>> = (0..9u32).map(|i| i.to_le_bytes().to_vec()).collect();
    let (sealed, _) = pack_of(&raws);
    let good = sealed.entries;
    let end = good.iter().map(TableEntry::end).max().unwrap();
    assert_eq!(read_as_table(&good, end).unwrap(), good);
    let first = good.iter().position(|entry| entry.offset == HEADER_LEN as u32).unwrap();
    let last = good.iter().position(|entry| entry.end() == end).unwrap();
    let without = |at: usize| [&good[..at], &good[at + 1..]].concat();
    let with = |at: usize, change: fn(&mut TableEntry)| {
        let mut entries = good.clone();
        change(&mut entries[at]);
        entries
    };
    let mut twice = good.clone();
    twice[1].key = twice[0].key;
    for (rule, entries, end) in [
        ("no record", vec![], HEADER_LEN as u64),
        ("a gap behind the header", without(first), end),
        ("a gap before the table", without(last), end),
        ("a gap between", without((0..9).find(|at| *at != first && *at != last).unwrap()), end),
        ("a record in the header", with(first, |entry| entry.offset -= 1), end),
        ("a record in the table", good.clone(), end - 1),
        ("records that overlap", with(last, |entry| entry.offset -= 1), end - 1),
        ("out of order", good.iter().rev().copied().collect(), end),
        ("one key twice", twice, end),
        ("over 48 MiB", good.clone(), MAX_PACK),
    ] {
        assert!(read_as_table(&entries, end).is_err(), "{rule}");
    }
}

#[test]
fn records_that_are_added_twice_stand_once_in_a_segment() {
    let (sealed, _) = pack_of(&[b"a".to_vec(), b"b".to_vec()]);
    let mut once = SegmentBuilder::new();
    once.add_pack(sealed.id, sealed.len, &sealed.entries);
    let (_, bytes) = once.build(0, (0, 0), [0; 8]).unwrap().unwrap();
    let mut twice = SegmentBuilder::new();
    twice.add_pack(sealed.id, sealed.len, &sealed.entries);
    twice.add_segment(&Segment::parse(bytes.clone()).unwrap());
    assert_eq!(twice.build(0, (0, 0), [0; 8]).unwrap().unwrap().1, bytes);
}

proptest! {
    #[test]
    fn packs_give_back_what_went_in_and_no_prefix_or_flip_passes(
        raws in proptest::collection::btree_set(proptest::collection::vec(any::<u8>(), 0..300), 1..40),
        cut in any::<prop::sample::Index>(), bit in 0u8..8
    ) {
        let raws: Vec<_> = raws.into_iter().collect();
        let (sealed, bytes) = pack_of(&raws);
        let (id, entries) = read_pack(&bytes).unwrap();
        prop_assert_eq!((id, &entries), (sealed.id, &sealed.entries));
        for raw in &raws {
            let entry = entries.iter().find(|entry| entry.key == file_key(raw)).unwrap();
            prop_assert_eq!(&*decode_record(&bytes[entry.offset as usize..], entry.key).unwrap(), &raw[..]);
        }
        let at = cut.index(bytes.len());
        prop_assert!(read_pack(&bytes[..at]).is_err());
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << bit;
        if let Ok((_, entries)) = read_pack(&flipped) {
            // The flip lies in a record: that one is refused, the others are right.
            for entry in entries {
                if let Ok(raw) = decode_record(&flipped[entry.offset as usize..], entry.key) {
                    prop_assert_eq!(file_key(&raw).hash, entry.key.hash);
                }
            }
        }
    }

    #[test]
    fn no_prefix_or_flip_of_a_segment_passes(
        count in 1u32..200, cut in any::<prop::sample::Index>(), bit in 0u8..8
    ) {
        let raws: Vec<Vec<u8>> = (0..count).map(|i| i.to_le_bytes().to_vec()).collect();
        let (sealed, _) = pack_of(&raws);
        let mut builder = SegmentBuilder::new();
        builder.add_pack(sealed.id, sealed.len, &sealed.entries);
        let (_, bytes) = builder.build(0, (0, 0), [0; 8]).unwrap().unwrap();
        let at = cut.index(bytes.len());
        prop_assert!(Segment::parse(bytes[..at].to_vec()).is_err());
        let mut flipped = bytes;
        flipped[at] ^= 1 << bit;
        prop_assert!(Segment::parse(flipped).is_err());
    }

    /// Behind right checksums anything may stand. What is taken then must be safe to use.
    #[test]
    fn no_sealed_segment_leads_out_of_bounds(
        count in 1u32..300, bits in 0u8..3, in_header in any::<bool>(), at in any::<prop::sample::Index>(),
        byte in prop_oneof![any::<u8>(), 0u8..3, (0u32..8).prop_map(|bit| 1 << bit)]
    ) {
        let raws: Vec<Vec<u8>> = (0..count).map(|i| i.to_le_bytes().to_vec()).collect();
        let mut builder = SegmentBuilder::new();
        for part in raws.chunks(100) {
            let (sealed, _) = pack_of(part);
            builder.add_pack(sealed.id, sealed.len, &sealed.entries);
        }
        builder.supersede(SegmentId([3; 24]));
        let Some((_, mut bytes)) = builder.build(0, (bits, 0), [0; 8]).unwrap() else { return Ok(()) };
        let footer_at = bytes.len() - FOOTER_LEN;
        bytes[at.index(if in_header { 64 } else { footer_at })] = byte;
        let (k, rows, packs) = (bytes[12], number(&bytes, 20), number(&bytes, 24));
        // Else the parts that the footer covers would not lie within the bytes.
        if k > 13 || 64 + 4 * ((1 << k) + 1) + rows * 52 + packs * 40 > footer_at {
            return Ok(());
        }
        let bytes = reseal(bytes);
        let Ok(segment) = Segment::parse(bytes) else { return Ok(()) };
        let mut last = None;
        for (key, place) in segment.iter() {
            prop_assert!(place.range().end <= place.pack_len && place.pack_len <= MAX_PACK);
            prop_assert!(segment.find(key).any(|found| found == place));
            prop_assert!(last <= Some(key));
            last = Some(key);
        }
    }

    #[test]
    fn no_sealed_table_leads_out_of_bounds(
        count in 1u32..60, at in any::<prop::sample::Index>(), byte in any::<u8>()
    ) {
        let raws: Vec<Vec<u8>> = (0..count).map(|i| i.to_le_bytes().to_vec()).collect();
        let (sealed, mut bytes) = pack_of(&raws);
        let end = bytes.len() - TRAILER_LEN;
        let trailer = read_trailer(&bytes[end..], sealed.len).unwrap();
        let table_at = trailer.table_offset as usize;
        bytes[table_at + at.index(end - table_at)] = byte;
        let parts = [&bytes[..HEADER_LEN], &bytes[table_at..end]].concat();
        let trailer = Trailer { id: PackId(Digest::of(&parts)), ..trailer };
        let Ok(entries) = read_table(&bytes, &bytes[table_at..end], &trailer) else { return Ok(()) };
        for entry in entries {
            prop_assert!(entry.end() <= trailer.table_offset);
            let _ = decode_record(&bytes[entry.offset as usize..], entry.key);
        }
    }
}
