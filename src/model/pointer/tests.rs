use super::*;
use crate::model::digest::{Digest, ObjectId, TreeId};

const FILE: &str = "\
version: 1
outs:
- path: train.csv
  hash: blake3:af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262
  size: 14445097
";

fn at(name: &str) -> RepoPath {
    RepoPath::parse(name).unwrap()
}

fn parse(text: &str) -> Result<Pointer, PointerError> {
    Pointer::parse(&at("data/train.csv.mlv"), text.as_bytes())
}

fn file_of(size: u64, executable: bool) -> ContentInfo {
    let id = ContentId::File(ObjectId(Digest::of(&size.to_le_bytes())));
    ContentInfo { id, size, nfiles: None, executable }
}

fn tree_of(size: u64, nfiles: u64) -> ContentInfo {
    let id = ContentId::Tree(TreeId(Digest::of(&size.to_le_bytes())));
    ContentInfo { id, size, nfiles: Some(nfiles), executable: false }
}

#[test]
fn canonical_text_round_trips() {
    let pointer = parse(FILE).unwrap();
    assert_eq!(pointer.path.as_str(), "data/train.csv");
    assert_eq!(pointer.content.size, 14445097);
    assert!(pointer.push && !pointer.pull_manual);
    assert_eq!(pointer.write(), FILE);
    for content in [tree_of(7, 3), file_of(9, true)] {
        let mut pointer = Pointer::new(at("data/a b"), content);
        pointer.remote = Some("s3".into());
        pointer.push = false;
        pointer.pull_manual = true;
        pointer.frozen = true;
        pointer.import = Some(Import::Repo {
            path: "x: y".into(),
            url: "https://example.org/r".into(),
            rev: Some("1".into()),
            rev_lock: None,
        });
        assert_eq!(Pointer::parse(&at("data/a b.mlv"), pointer.write().as_bytes()).unwrap(), pointer);
    }
}

#[test]
fn numbers_and_words_are_names_all_the_same() {
    for name in ["1", "null", "true", "no", "1e3", "0x10", "~", "a b", "é", "- x", "#x"] {
        let pointer = Pointer::new(at(name), file_of(1, false));
        let file = pointer_path(&pointer.path).unwrap();
        assert_eq!(Pointer::parse(&file, pointer.write().as_bytes()).unwrap().path.as_str(), name);
    }
}

#[test]
fn crlf_and_byte_order_mark_are_read() {
    let text = format!("\u{feff}{}", FILE.replace('\n', "\r\n"));
    assert_eq!(parse(&text).unwrap(), parse(FILE).unwrap());
}

#[test]
fn every_truncation_is_refused_or_says_the_same() {
    let executable = FILE.to_owned() + "  isexec: true\n";
    let whole = parse(&executable).unwrap();
    for end in 0..executable.len() {
        if let Ok(pointer) = parse(&executable[..end]) {
            // Only the cut between two lines goes unnoticed, where the rest is complete.
            assert_eq!(end, FILE.len());
            assert_eq!(pointer.content.id, whole.content.id);
        }
    }
}

#[test]
fn refusals_name_the_place_and_the_reason() {
    let refused = |from: &str, to: &str| {
        let text = FILE.replace(from, to);
        assert_ne!(text, FILE);
        parse(&text).unwrap_err().to_string()
    };
    insta::assert_snapshot!(refused("version: 1", "version: 99"), @"data/train.csv.mlv:1:10: this is version 99 of the pointer format; this mlv knows version 1");
    insta::assert_snapshot!(refused("size: 14445097", "size: -1"), @"data/train.csv.mlv:5:9: `size` must be a whole number from 0 to 2^63 - 1");
    insta::assert_snapshot!(refused("blake3:a", "blake3:"), @"data/train.csv.mlv:4:9: the hash is refused: a hash has 64 hex digits, this one 63");
    insta::assert_snapshot!(refused("path: train.csv", "path: ../train.csv"), @"data/train.csv.mlv:3:9: the path `../train.csv` is refused: a path has no part `.` or `..`");
    insta::assert_snapshot!(refused("path: train.csv", "path: x/train.csv"), @"data/train.csv.mlv:3:9: the path `x/train.csv` must be a single name; the folder is the pointer's own");
    insta::assert_snapshot!(refused("path: train.csv", "path: test.csv"), @"data/train.csv.mlv:3:9: the pointer of `test.csv` must be called `test.csv.mlv`");
    insta::assert_snapshot!(refused("  size", "  path: x\n  size"), @"data/train.csv.mlv:5:3: the key `path` stands here a second time");
    insta::assert_snapshot!(refused("  size", "  nfiles: 3\n  size"), @"data/train.csv.mlv:5:11: `nfiles` belongs to a directory only");
    insta::assert_snapshot!(refused("blake3:a", "blake3-tree:a"), @"data/train.csv.mlv:3:3: the key `nfiles` is missing");
    insta::assert_snapshot!(refused("  size: ", "  size:\t"), @"data/train.csv.mlv:5:8: a pointer has no tab characters");
    insta::assert_snapshot!(refused("version: 1", "<<<<<<< HEAD\nversion: 1\n=======\n>>>>>>> x"), @"data/train.csv.mlv:1:1: a conflict marker (possible merge conflict)");
    insta::assert_snapshot!(refused("- path", "- &a path"), @"data/train.csv.mlv:3:6: YAML anchors, aliases and merge keys are not allowed here");
    insta::assert_snapshot!(refused("outs:\n", "outs:\n- {}\n"), @"data/train.csv.mlv:3:3: a pointer has exactly one output, this one has 2");
}

#[test]
fn wdir_moves_the_folder_and_stays_inside() {
    let with = |wdir: &str| {
        let text = FILE.replace("version: 1\n", &format!("version: 1\nwdir: {wdir}\n"));
        Pointer::parse(&at("meta/any-name.mlv"), text.as_bytes()).map(|pointer| pointer.path.to_string())
    };
    assert_eq!(with("../data").unwrap(), "data/train.csv");
    assert_eq!(with(".").unwrap(), "meta/train.csv");
    for outside in ["../..", "/tmp", ".git", "..\\x"] {
        assert!(with(outside).is_err(), "{outside}");
    }
}

#[test]
fn update_keeps_comments_unknown_keys_and_order() {
    let text = "\
# where this comes from
version: 1
desc: \"first: delivery\"   # keep
outs:
- path: train.csv   # the name
  meta: {a: [1, 2], b: x}
  size: 1 # bytes
  hash: blake3:af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262
  future: key
# the end
";
    let content = file_of(22, true);
    let new = Pointer::update(&at("data/train.csv.mlv"), text.as_bytes(), &content).unwrap();
    let new = String::from_utf8(new).unwrap();
    let expected = text.replace("size: 1 # bytes\n", "size: 22 # bytes\n  isexec: true\n").replace(
        "blake3:af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262",
        &content.id.to_string(),
    );
    assert_eq!(new, expected);
    let back = Pointer::update(&at("data/train.csv.mlv"), new.as_bytes(), &file_of(22, false)).unwrap();
    assert_eq!(String::from_utf8(back).unwrap(), expected.replace("  isexec: true\n", ""));
}

#[test]
fn update_turns_a_file_into_a_directory_in_any_style() {
    let hash = "blake3:af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262";
    let styles = [
        FILE.to_owned(),
        format!("{{version: 1, outs: [{{path: train.csv, hash: '{hash}', size: 1}}]}}\n"),
        format!("version: 1\nouts:\n- isexec: true\n  path: \"train.csv\"\n  size: 1\n  hash: {hash}\n"),
        format!(
            "version: 1\nouts:\n-\n    size: 1\n    hash: \"{hash}\" # x\n    isexec: true\n    path: train.csv\n"
        ),
        format!(
            "outs:\n  - path: train.csv\n    hash: {hash}\n    size: 1\n    isexec: false\nversion: 1\r\n"
        ),
        format!("outs: [{{isexec: true, path: train.csv, hash: '{hash}', size: 1}}]\nversion: 1\n"),
    ];
    for text in styles {
        let file = at("train.csv.mlv");
        let tree = Pointer::update(&file, text.as_bytes(), &tree_of(5, 2)).unwrap();
        assert_eq!(Pointer::parse(&file, &tree).unwrap().content, tree_of(5, 2), "{text}");
        let back = Pointer::update(&file, &tree, &file_of(8, true)).unwrap();
        assert_eq!(Pointer::parse(&file, &back).unwrap().content, file_of(8, true), "{text}");
    }
}

#[test]
fn update_without_a_difference_gives_the_same_bytes() {
    let text = FILE.replace('\n', "\r\n");
    let content = parse(&text).unwrap().content;
    let same = Pointer::update(&at("data/train.csv.mlv"), text.as_bytes(), &content).unwrap();
    assert_eq!(same, text.as_bytes());
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
        let _ = Pointer::parse(&at("x.mlv"), &bytes);
    }

    #[test]
    fn any_damage_is_read_or_refused(at_byte in 0..FILE.len(), with: u8) {
        let mut bytes = FILE.as_bytes().to_vec();
        bytes[at_byte] = with;
        let _ = Pointer::parse(&at("data/train.csv.mlv"), &bytes);
        let _ = Pointer::update(&at("data/train.csv.mlv"), &bytes, &tree_of(3, 1));
    }
}

#[test]
fn golden_pointers_are_written_byte_for_byte() {
    for (name, text) in [
        ("file.csv.mlv", include_str!("../../../fixtures/pointer/v1/file.csv.mlv")),
        ("dir.mlv", include_str!("../../../fixtures/pointer/v1/dir.mlv")),
        ("run.mlv", include_str!("../../../fixtures/pointer/v1/run.mlv")),
    ] {
        assert_eq!(Pointer::parse(&at(name), text.as_bytes()).unwrap().write(), text);
    }
}
