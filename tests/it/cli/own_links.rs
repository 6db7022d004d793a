//! `cache.type = symlink`: what is written through a link, and links that lead nowhere.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use crate::support::TestEnv;

/// `d` of three files and the file `f`, recorded, pushed and linked by symlinks.
fn linked_by_symlinks() -> TestEnv {
    let env = TestEnv::ready();
    for name in ["1", "2", "3"] {
        env.write(format!("d/{name}"), name);
    }
    env.write("f", "single");
    env.mlv(&["add", "d", "f"]).success();
    env.mlv(&["config", "cache.type", "symlink"]).success();
    env.add_remote();
    env.commit("one");
    env.mlv(&["checkout", "--relink"]).success();
    env.mlv(&["push"]).success();
    let is_link = |path: &str| fs::symlink_metadata(env.path().join(path)).expect("a file").is_symlink();
    assert!(is_link("f") && is_link("d/1"));
    env
}

/// Writes through a link, as root or an editor does that lifts the write protection.
fn write_through(env: &TestEnv, path: &str, bytes: &str) {
    let object = env.path().join(path).canonicalize().expect("a file");
    fs::set_permissions(&object, fs::Permissions::from_mode(0o644)).expect("a file");
    fs::write(&object, bytes).expect("a file");
}

// R4, R8: what was written through a link is read, and recorded as what it is.
#[test]
fn what_was_written_through_a_symlink_is_recorded_as_what_it_is() {
    for (one, single) in [("longer", "another length"), ("x", "SINGLE")] {
        let env = linked_by_symlinks();
        write_through(&env, "d/1", one);
        write_through(&env, "f", single);
        assert_eq!(env.uncommitted()["modified"], json!(["d/1", "f"]));
        env.mlv(&["add", "d", "f"]).success();
        env.commit("two");
        env.mlv(&["push"]).success();
        let other = env.clone_to(&format!("other-{}", one.len()));
        other.mlv(&["pull"]).success();
        assert_eq!(
            (other.read("d/1"), other.read("f")),
            (one.as_bytes().to_vec(), single.as_bytes().to_vec())
        );
        // The old contents are gone here, and come again.
        env.git(&["checkout", "--quiet", "HEAD~1"]);
        env.mlv(&["pull"]).success();
        assert_eq!((env.read("d/1"), env.read("f")), (b"1".to_vec(), b"single".to_vec()));
        env.git(&["checkout", "--quiet", "main"]);
        env.mlv(&["checkout"]).success();
        assert_eq!((env.read("d/1"), env.read("f")), (one.as_bytes().to_vec(), single.as_bytes().to_vec()));
    }
}

// R1: a check puts the object aside to which the link leads; the bytes are nowhere else.
#[test]
fn what_was_written_through_a_symlink_survives_a_check() {
    let env = linked_by_symlinks();
    write_through(&env, "f", "SINGLE");
    env.mlv(&["fsck"]).code(5);
    assert_eq!(env.uncommitted()["modified"], json!(["f"]));
    env.mlv(&["checkout"]).code(2);
    env.mlv(&["add", "f"]).success();
    env.mlv(&["checkout"]).success();
    assert_eq!(env.read("f"), b"SINGLE");
    env.mlv(&["fsck"]).success();
}

// Links that lead nowhere hold nothing of the user's.
#[test]
fn links_of_a_project_that_moved_are_put_right() {
    let env = linked_by_symlinks();
    let moved = env.beside("elsewhere");
    fs::remove_dir(moved.path()).unwrap();
    fs::rename(env.path(), moved.path()).unwrap();
    assert_eq!(moved.uncommitted(), json!({"deleted": ["d/1", "d/2", "d/3", "f"]}));
    let (kind, document) = moved.json_error(&["add", "f"], 5);
    assert_eq!(kind, "not_downloaded");
    assert!(document.to_string().contains("mlv checkout f"), "{document}");
    moved.mlv(&["checkout"]).success();
    assert_eq!((moved.read("d/1"), moved.read("f")), (b"1".to_vec(), b"single".to_vec()));
    moved.assert_clean();
    assert_eq!(moved.rescued(), [""; 0]);
}
