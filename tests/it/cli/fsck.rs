//! `mlv fsck`: every pointer, object and file is what it says.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::support::{TestEnv, files_below, random_bytes};

/// Two files by themselves, and a directory; one after the other, so that each is few and goes into
/// the cache as files, except for the hundred small ones, which go into a pack.
fn project() -> TestEnv {
    let env = TestEnv::ready();
    env.write("a", "one");
    env.write("large", random_bytes(3, 300_000));
    env.mlv(&["add", "a", "large"]).success();
    for at in 0..100 {
        env.write(format!("d/{at}"), random_bytes(at, 500));
    }
    env.mlv(&["add", "d"]).success();
    env.write("e/f", "few");
    env.mlv(&["add", "e"]).success();
    env.commit("data");
    env
}

fn flip(path: &Path) {
    let mut bytes = fs::read(path).expect("it is there");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::set_permissions(path, fs::Permissions::from_mode(0o644)).expect("its mode");
    fs::write(path, bytes).expect("it can be written");
}

#[test]
fn sound_project_is_exit_0_and_nothing_changes() {
    let env = project();
    let before = env.snapshot_of(".");
    let output = env.mlv(&["fsck"]).success();
    assert!(!format!("{}{}", output.stdout(), output.stderr()).is_empty());
    assert_eq!(env.snapshot_of("."), before);
    TestEnv::ready().assert_sound();
}

// R4: each file of the cache with one bit flipped is found.
#[test]
fn one_flipped_bit_anywhere_in_the_cache_is_found() {
    let env = project();
    let mut stored = Vec::new();
    for kind in ["objects", "pages", "pk", "ix"] {
        files_below(&env.path().join(".mlv/cache").join(kind), &mut stored);
    }
    assert!(stored.len() >= 6, "{stored:?}");
    for path in stored {
        let good = fs::read(&path).expect("it is there");
        flip(&path);
        let place = path.display();
        if path.components().any(|part| part.as_os_str() == "ix") {
            // R10: an index is made again from what it is about.
            assert_eq!(env.json(&["fsck"])["adopted"], 1, "{place}");
            continue;
        }
        let (kind, document) = env.json_error(&["fsck"], 5);
        assert_eq!(kind, "damaged", "{place}: {document}");
        assert!(!document["failed"].as_array().expect("a list").is_empty(), "{document}");
        if path.exists() {
            fs::write(&path, good).expect("it can be written");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o444)).expect("its mode");
        }
        // What was taken out of use comes back from the work tree.
        env.mlv(&["commit", "--force"]).success();
        env.assert_sound();
    }
}

#[test]
fn objects_that_are_missing_are_listed_by_path() {
    let env = project();
    for object in env.loose_objects() {
        if fs::read(&object).is_ok_and(|bytes| bytes == b"one") {
            fs::remove_file(object).expect("it can be removed");
        }
    }
    // Not to have something is no damage.
    assert_eq!(env.json(&["fsck"])["not_downloaded"], serde_json::json!(["a"]));
}

// What was never downloaded is no damage.
#[test]
fn fresh_clone_is_sound() {
    let env = TestEnv::shared();
    env.write("a", "one");
    env.mlv(&["add", "a"]).success();
    env.commit("data");
    env.mlv(&["push"]).success();
    let clone = env.clone_to("clone");
    clone.assert_sound();
    clone.mlv(&["pull"]).success();
    clone.assert_sound();
}

#[test]
fn pointers_that_cannot_be_read_are_found() {
    let env = project();
    env.write("bad.mlv", "version: 1\nouts:\n- path: bad\n  hash: blake3:123\n  size: 1\n");
    let (_, document) = env.json_error(&["fsck"], 4);
    assert!(document.to_string().contains("bad.mlv"), "{document}");
}

#[test]
fn size_and_count_of_a_pointer_are_checked() {
    let env = project();
    let text = env.read_text("d.mlv");
    env.write("d.mlv", text.replace("nfiles: 100", "nfiles: 99"));
    assert_ne!(env.mlv(&["fsck"]).exit_code(), 0);
    env.write("d.mlv", &text);
    env.assert_sound();
    let text = env.read_text("a.mlv");
    env.write("a.mlv", text.replace("size: 3", "size: 4"));
    assert_ne!(env.mlv(&["fsck"]).exit_code(), 0);
}

// A pack whose segment is lost is invisible until it is adopted.
#[test]
fn pack_without_its_segment_is_adopted() {
    let env = project();
    let mut segments = Vec::new();
    files_below(&env.path().join(".mlv/cache/ix"), &mut segments);
    assert!(!segments.is_empty());
    for segment in segments {
        fs::remove_file(segment).expect("it can be removed");
    }
    let wanted = env.snapshot();
    env.remove("d");
    assert_eq!(env.json(&["fsck"])["adopted"], 1);
    env.mlv(&["checkout"]).success();
    assert_eq!(env.snapshot(), wanted);
    env.assert_sound();
}

#[test]
fn work_tree_is_read_and_changes_are_told_apart_from_damage() {
    let env = project();
    // Stamps of files that were just written prove nothing; those of a checkout are believed.
    env.remove("d");
    env.mlv(&["checkout"]).success();
    let document = env.json(&["fsck"]);
    assert!(document["files"].as_u64() >= Some(100), "{document}");
    assert_eq!(document["changed"], serde_json::json!([]));
    env.chmod("a", 0o644);
    env.write("a", "two");
    assert_eq!(env.json(&["fsck"])["changed"], serde_json::json!(["a"]));
    let said = env.mlv(&["fsck"]).success().stderr();
    assert!(said.contains("changed in the work tree: 1 output, first `a` (mlv status)"), "{said}");
}
