//! `checkout --relink`, and `diff` where the cache is lost.

use serde_json::json;

use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use crate::support::{TestEnv, texts};

// DVC 51: a change of `cache.type` does nothing by itself; `--relink` puts the files in place again.
#[test]
fn relink_takes_up_a_change_of_the_link_type() {
    let env = TestEnv::ready();
    env.write("big", vec![7; 2 << 20]);
    env.mlv(&["add", "big"]).success();
    env.mlv(&["config", "cache.type", "symlink"]).success();
    let is_link = || std::fs::symlink_metadata(env.path().join("big")).unwrap().is_symlink();
    env.mlv(&["checkout"]).success();
    assert!(!is_link());
    env.mlv(&["checkout", "--relink"]).success();
    assert!(is_link());
    env.mlv(&["config", "cache.type", "copy"]).success();
    env.mlv(&["checkout", "--relink"]).success();
    assert!(!is_link());
    assert_eq!(env.read("big"), vec![7; 2 << 20]);
}

#[test]
fn relinked_files_are_listed_as_such_and_right_ones_are_left_alone() {
    let env = TestEnv::ready();
    env.mlv(&["config", "cache.pack_below", "8"]).success();
    env.write("d/big", "more than eight bytes");
    env.write("d/run", "more than eight bytes, executable");
    env.chmod("d/run", 0o755);
    for small in 0..100 {
        env.write(format!("d/small/{small}"), format!("{small}"));
    }
    env.mlv(&["add", "d"]).success();
    env.mlv(&["config", "cache.type", "copy"]).success();
    for kind in ["hardlink", "symlink", "copy"] {
        env.mlv(&["config", "cache.type", kind]).success();
        let promised = env.json(&["checkout", "--relink", "--dry-run"]);
        assert_eq!(promised["outputs"][0]["modified"], json!([]), "{kind}");
        let done = env.json(&["checkout", "--relink"]);
        // What is executable or packed is a copy, whatever the type.
        assert_eq!(done["outputs"][0]["relinked"], json!(["d/big"]), "{kind}: {done}");
        assert_eq!((&done["outputs"][0]["modified"], &done["files"]), (&json!([]), &json!(1)), "{kind}");
        // R2: what leads into the cache is no byte of the user's.
        assert_eq!((&done["rescued"], env.rescued().len()), (&json!([]), 0), "{kind}: {done}");
        let again = env.mlv(&["checkout", "--relink"]).success();
        assert_eq!(
            (again.stdout(), again.stderr()),
            ("".into(), "Everything up to date.\n".into()),
            "{kind}"
        );
        env.assert_sound();
    }
    env.mlv(&["config", "cache.type", "symlink"]).success();
    let text = env.mlv(&["checkout", "--relink"]).success();
    assert_eq!(text.stdout(), "L  d/big\n");
    assert!(text.stderr().starts_with("Relinked 1 file (21 B)"), "{text}");
}

// R2
#[test]
fn links_into_the_cache_that_give_way_need_no_rescue() {
    let env = TestEnv::ready();
    env.mlv(&["config", "cache.type", "symlink"]).success();
    env.mlv(&["config", "cache.pack_below", "8"]).success();
    let version = |text: &str| {
        env.write("d/kept", "the same in both versions");
        env.write("d/changed", format!("more than eight bytes: {text}"));
        env.write(format!("d/{text}"), format!("only in this version: {text}"));
        env.mlv(&["add", "d"]).success();
        env.mlv(&["checkout", "--relink"]).success();
        env.commit(text);
    };
    version("one");
    env.remove("d");
    version("two");
    assert!(env.path().join("d/two").is_symlink());
    env.git(&["checkout", "--quiet", "HEAD~1"]);
    let done = env.json(&["checkout"]);
    assert_eq!(
        (&done["rescued"], &done["outputs"][0]["modified"], &done["outputs"][0]["deleted"]),
        (&json!([]), &json!(["d/changed"]), &json!(["d/two"])),
    );
    assert_eq!(env.rescued().len(), 0);
    assert_eq!(env.read_text("d/changed"), "more than eight bytes: one");
}

#[test]
fn a_mode_that_differs_is_no_matter_of_links() {
    let env = TestEnv::ready();
    env.write("a", "1");
    env.mlv(&["add", "a"]).success();
    env.chmod("a", 0o755);
    let done = env.json(&["checkout", "--relink", "--force"]);
    assert_eq!(done["outputs"][0]["modified"], json!(["a"]));
    assert!(!env.snapshot().contains("755"), "{}", env.snapshot());
}

// DVC 59: what is neither here nor in the cache is named.
#[test]
fn what_is_lost_is_not_in_the_cache() {
    let env = TestEnv::ready();
    env.write("a", "bytes");
    env.mlv(&["add", "a"]).success();
    env.commit("add a");
    env.remove(".mlv/cache");
    env.remove("a");
    let diff = env.json(&["diff"]);
    assert_eq!(diff["not in cache"][0]["path"], "a", "{diff}");
    assert_eq!(diff["deleted"][0]["path"], "a", "{diff}");
}

// DVC 52 F: links are read-only, and bytes that were written through one are found, not handed on.
#[test]
fn bytes_written_through_a_link_are_found_and_healed() {
    let env = TestEnv::ready();
    let right = vec![7; 2 << 20];
    env.mlv(&["config", "cache.type", "hardlink"]).success();
    env.write("big", &right);
    env.mlv(&["add", "big"]).success();
    env.mlv(&["checkout", "--relink"]).success();
    env.commit("big");
    let found = std::fs::metadata(env.path().join("big")).expect("it is there");
    assert_eq!((found.permissions().mode() & 0o777, found.nlink()), (0o444, 2));
    env.chmod("big", 0o644);
    let mut open = std::fs::OpenOptions::new().append(true).open(env.path().join("big")).expect("it opens");
    open.write_all(b"more").expect("it can be written");
    assert_eq!(texts(&env.status()["data"]["uncommitted"]["modified"]), ["big"]);
    env.mlv(&["fsck"]).code(5);
    // Damaged data is never put in place of the user's, which stay.
    env.mlv(&["checkout", "--force", "big"]).code(5);
    assert_eq!(env.read("big").len(), right.len() + 4);
    // With the right bytes back, the cache has them again.
    env.remove("big");
    env.write("big", &right);
    env.mlv(&["add", "big"]).success();
    env.mlv(&["fsck"]).success();
    env.remove("big");
    env.mlv(&["checkout"]).success();
    assert_eq!(env.read("big"), right);
}
