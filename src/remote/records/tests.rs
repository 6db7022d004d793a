use proptest::prelude::*;

use super::*;
use crate::remote::backend::Key;
use crate::remote::names::{CollectionName, ProjectId, RootRecordName};

fn sample_record() -> RootRecord {
    let tree = "caffcf5cc9a872aa13670b07f7b2d9ee30d15977de9919fda6838c4ea111a331";
    let file = "8e4c7c1b99dbfd50e7a95185fead5ee1448fa904a2fdd778eaf5f2dbfd629a99";
    RootRecord {
        client: ClientId(0x0011_2233_4455_66ff),
        seq: 7,
        project: ProjectId(0x0f0f_0f0f_0f0f_0f0f_0f0f_0f0f_0f0f_0f0f),
        commits: vec![CommitName::parse(&"ab".repeat(20)).expect("hex")],
        roots: vec![
            Root::Tree { id: tree.parse().expect("hex"), size: 0, nfiles: 0 },
            Root::File { id: file.parse().expect("hex"), size: 6 },
        ],
    }
}

// The texts and keys are those of the golden vectors, made by an independent implementation.
const ROOT_TEXT: &str = concat!(
    "{\"version\":1,\"client\":\"00112233445566ff\",\"seq\":7,\"project\":\"0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f\",",
    "\"commits\":[\"abababababababababababababababababababab\"]}\n",
    "{\"hash\":\"blake3-tree:caffcf5cc9a872aa13670b07f7b2d9ee30d15977de9919fda6838c4ea111a331\",\"size\":0,\"nfiles\":0}\n",
    "{\"hash\":\"blake3:8e4c7c1b99dbfd50e7a95185fead5ee1448fa904a2fdd778eaf5f2dbfd629a99\",\"size\":6}\n",
);
const ROOT_KEY: &str = "rt/00112233445566ff-0000000000000007-805dda004e88a2a3";
const MARK_TEXT: &str = concat!(
    "{\"version\":1,\"client\":\"00112233445566ff\",\"packs\":1}\n",
    "2752952fd31639b31805e8790265a4aad8e47638d9c24586efbc4de3e9ef9a59\n",
);
const MARK_KEY: &str = "gc/m-1d4cf23668b88e9d4bfda14bf38b71680202020202020202";

#[test]
fn golden_root_record() {
    let record = sample_record();
    assert_eq!(String::from_utf8(record.encode()).expect("text"), ROOT_TEXT);
    let name = RootRecord::name(record.client, 7, ROOT_TEXT.as_bytes());
    assert_eq!(name.key().as_str(), ROOT_KEY);
    assert_eq!(RootRecord::decode_named(name, ROOT_TEXT.as_bytes()), Ok(record));
    let other = RootRecordName { seq: 8, ..name };
    assert!(RootRecord::decode_named(other, ROOT_TEXT.as_bytes()).is_err());
}

// A proxy, a login, an endpoint that is another server's: nothing of the remote's own is to be deleted.
#[test]
fn web_pages_in_place_of_the_format_are_told_apart_from_damage() {
    for page in ["<!DOCTYPE html><html>Sign in</html>", "\n <html>", "\u{feff}<?xml version='1.0'?><Error/>"]
    {
        let error = RemoteFormat::decode(page.as_bytes()).expect_err("no format");
        assert_eq!(error, RecordError::WebPage { what: RecordType::Format });
        let hints = error.hints();
        assert!(hints.iter().all(|hint| !hint.text.contains("delete")), "{hints:?}");
        assert!(hints[0].text.contains("endpointurl") && hints[0].text.contains("proxy"), "{hints:?}");
    }
    let damaged = RemoteFormat::decode(b"{\"format\":1,").expect_err("cut off");
    assert!(matches!(damaged, RecordError::Malformed { .. }), "{damaged}");
}

#[test]
fn golden_mark() {
    let pack = "2752952fd31639b31805e8790265a4aad8e47638d9c24586efbc4de3e9ef9a59".parse().expect("hex");
    let mark = Mark { client: ClientId(0x0011_2233_4455_66ff), packs: vec![pack, pack] };
    assert_eq!(String::from_utf8(mark.encode()).expect("text"), MARK_TEXT);
    let name = Mark::name(MARK_TEXT.as_bytes(), Nonce(0x0202_0202_0202_0202));
    assert_eq!(name.key().as_str(), MARK_KEY);
    let key = Key::parse(MARK_KEY).expect("a key");
    assert_eq!(CollectionName::parse(&key), Some(CollectionName::Mark(name)));
    let read = Mark::decode_named(name, MARK_TEXT.as_bytes()).expect("reads back");
    assert_eq!(read.packs, [pack]);
}

#[test]
fn remote_format_is_canonical_and_features_close_operations() {
    let plain = RemoteFormat::new(RepoId(0xab));
    let text = "{\"format\":1,\"repo_id\":\"000000000000000000000000000000ab\",\"hash\":\"blake3\",\"read\":[],\"write\":[],\"gc\":[]}\n";
    assert_eq!(String::from_utf8(plain.encode()).expect("text"), text);
    assert_eq!(RemoteFormat::decode(text.as_bytes()), Ok(plain.clone()));
    for class in [Operation::Read, Operation::Write, Operation::Gc] {
        assert_eq!(plain.permit(class), Ok(()));
    }
    let newer = RemoteFormat { write: vec!["locks".into()], ..plain };
    let newer = RemoteFormat::decode(&newer.encode()).expect("a feature is no damage");
    assert_eq!(newer.permit(Operation::Read), Ok(()));
    for class in [Operation::Write, Operation::Gc] {
        let error = newer.permit(class).expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::UnsupportedVersion);
    }
    let future = text.replace("\"format\":1", "\"format\":2");
    assert!(matches!(RemoteFormat::decode(future.as_bytes()), Err(RecordError::Version { found: 2, .. })));
    let sha = text.replace("blake3", "sha256");
    assert!(RemoteFormat::decode(sha.as_bytes()).is_err());
    let html = b"<html>please log in</html>";
    assert!(matches!(RemoteFormat::decode(html), Err(RecordError::WebPage { .. })));
}

#[test]
fn other_spellings_are_refused() {
    let malformed = |text: String| match RootRecord::decode(text.as_bytes()) {
        Err(RecordError::Malformed { line, .. }) => line,
        other => panic!("{text}: {other:?}"),
    };
    assert_eq!(malformed(ROOT_TEXT.replace("\"seq\":7", "\"seq\": 7")), 1);
    assert_eq!(malformed(ROOT_TEXT.replace("\"seq\":7", "\"seq\":7.0")), 1);
    assert_eq!(malformed(ROOT_TEXT.replace("blake3-tree:", "blake3:")), 2);
    assert_eq!(malformed(ROOT_TEXT.replace("\"size\":6", "\"size\":-6")), 3);
    assert_eq!(malformed(ROOT_TEXT.replace("\"size\":6}", "\"size\":6,\"x\":1}")), 3);
    assert_eq!(malformed(ROOT_TEXT.trim_end().to_owned()), 3);
    assert_eq!(malformed(format!("{ROOT_TEXT}{ROOT_TEXT}")), 4);
    let mut lines: Vec<&str> = ROOT_TEXT.split_inclusive('\n').collect();
    lines.swap(1, 2);
    assert_eq!(malformed(lines.concat()), 2);
    assert_eq!(malformed(String::new()), 1);
    assert!(Mark::decode(MARK_TEXT.replace("\"packs\":1", "\"packs\":2").as_bytes()).is_err());
}

#[test]
fn a_longer_text_than_the_limit_is_not_parsed() {
    let long = vec![b' '; MAX_FORMAT as usize + 1];
    assert!(matches!(RemoteFormat::decode(&long), Err(RecordError::TooLong { .. })));
}

fn root() -> impl Strategy<Value = Root> {
    let digest = any::<[u8; 32]>().prop_map(Digest::from_bytes);
    (digest, 0..3u8, any::<u64>(), any::<u64>()).prop_map(|(digest, kind, size, nfiles)| match kind {
        0 => Root::File { id: digest.into(), size },
        1 => Root::Tree { id: digest.into(), size, nfiles },
        _ => Root::Run(digest.into()),
    })
}

proptest! {
    #[test]
    fn records_round_trip_whatever_the_order(roots in prop::collection::vec(root(), 0..20), seq: u64, client: u64) {
        let record = RootRecord { client: ClientId(client), seq, project: ProjectId(1), commits: Vec::new(), roots };
        let bytes = record.encode();
        let read = RootRecord::decode(&bytes).expect("own bytes");
        prop_assert_eq!(read.encode(), bytes);
        let (mut a, mut b) = (record.roots, read.roots);
        a.sort();
        a.dedup();
        b.sort();
        prop_assert_eq!(a, b);
    }

    #[test]
    fn no_prefix_and_no_flipped_bit_passes_for_the_named_record(cut in 0..ROOT_TEXT.len(), bit in 0..8u32) {
        let name = RootRecord::name(ClientId(0x0011_2233_4455_66ff), 7, ROOT_TEXT.as_bytes());
        prop_assert!(RootRecord::decode_named(name, &ROOT_TEXT.as_bytes()[..cut]).is_err());
        let mut flipped = ROOT_TEXT.as_bytes().to_vec();
        flipped[cut] ^= 1 << bit;
        prop_assert!(RootRecord::decode_named(name, &flipped).is_err());
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
        let _ = RootRecord::decode(&bytes);
        let _ = Mark::decode(&bytes);
        let _ = RemoteFormat::decode(&bytes);
    }
}
