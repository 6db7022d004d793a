//! `mlv cat`.

use std::fs;
use std::process::Stdio;

use crate::support::{TestEnv, files_below, random_bytes};

/// `big` (two versions) and `d/a`, `d/b`: pushed; `v1` is the older commit.
fn pushed() -> (TestEnv, Vec<u8>, Vec<u8>) {
    let env = TestEnv::shared();
    let old = random_bytes(1, 6_000_000);
    let mut new = old.clone();
    new[3_000_000..3_000_004].copy_from_slice(b"edit");
    env.write("big", &old);
    env.write("d/a", "one");
    env.write("d/b", "two");
    env.mlv(&["add", "big", "d"]).success();
    env.commit("one");
    env.git(&["tag", "v1"]);
    env.write("big", &new);
    env.write("d/a", "ONE");
    env.mlv(&["add", "big", "d"]).success();
    env.commit("two");
    env.mlv(&["push", "-A"]).success();
    (env, old, new)
}

#[test]
fn clone_that_pulled_nothing_reads_any_version_and_stays_as_it_is() {
    let (env, old, new) = pushed();
    let clone = env.clone_to("clone");
    let before = clone.snapshot();
    assert!(clone.mlv(&["cat", "big"]).success().stdout_bytes() == new);
    assert!(clone.mlv(&["cat", "big", "--rev", "v1"]).success().stdout_bytes() == old);
    assert_eq!(clone.mlv(&["cat", "d/a", "--rev", "v1"]).success().stdout_bytes(), b"one");
    assert_eq!(clone.mlv(&["cat", "d/a"]).success().stdout_bytes(), b"ONE");
    assert_eq!(clone.snapshot(), before);
    assert_eq!(clone.loose_objects().len(), 0, "large files are not stored");
}

#[test]
fn a_part_comes_from_the_cache_and_from_the_remote_alike() {
    let (env, _, new) = pushed();
    let clone = env.clone_to("clone");
    let last = &new[new.len() - 8..];
    for here in [&env, &clone] {
        let edit = here.mlv(&["cat", "big", "--offset", "3000000", "--length", "4"]).success();
        assert_eq!(edit.stdout_bytes(), b"edit");
        assert_eq!(here.mlv(&["cat", "big", "--offset", "-8"]).success().stdout_bytes(), last);
        assert_eq!(here.mlv(&["cat", "big", "--offset", "6000000"]).success().stdout_bytes(), b"");
        assert_eq!(here.mlv(&["cat", "d/b", "--offset", "1", "--length", "99"]).success().stdout(), "wo");
        assert_eq!(here.json_error(&["cat", "big", "--offset", "6000001"], 2).0, "usage");
    }
}

#[test]
fn json_tells_what_the_file_is() {
    let (env, ..) = pushed();
    let clone = env.clone_to("clone");
    let told = |env: &TestEnv| env.json(&["cat", "big", "--offset", "-10", "--length", "4"]);
    let document = told(&clone);
    assert_eq!(document["hash"].as_str().expect("a hash"), env.pointer("big.mlv").hash);
    assert_eq!((&document["offset"], &document["length"]), (&5_999_990.into(), &4.into()));
    assert_eq!((&document["size"], &document["cached"]), (&6_000_000.into(), &false.into()));
    assert_eq!(told(&env)["cached"], true);
}

#[test]
fn what_is_no_file_is_refused() {
    let (env, ..) = pushed();
    for (path, kind) in [("d", "usage"), (".", "usage"), ("x", "no_such_target"), ("d/x", "no_such_target")] {
        assert_eq!(env.json_error(&["cat", path], 2).0, kind, "{path}");
    }
    assert_eq!(env.json_error(&["cat", "big/x"], 2).0, "no_such_target");
    assert_eq!(env.json_error(&["cat", "big", "--rev", "nosuch"], 2).0, "no_such_revision");
    assert_eq!(env.json_error(&["cat", "../outside"], 4).0, "unsafe_path");
}

/// R4: damage in the cache is not printed where the remote has the file.
#[test]
fn damaged_object_in_the_cache_is_passed_over() {
    let (env, _, new) = pushed();
    let mut objects = env.loose_objects();
    objects.retain(|path| fs::read(path).is_ok_and(|bytes| bytes == new));
    env.chmod(&objects[0], 0o644);
    let mut bytes = new.clone();
    bytes[0] ^= 1;
    fs::write(&objects[0], bytes).expect("it can be written");
    assert!(env.mlv(&["cat", "big"]).success().stdout_bytes() == new);
}

#[test]
fn damage_on_the_remote_is_told() {
    let (env, ..) = pushed();
    let mut packs = Vec::new();
    files_below(&env.root().join("remote/pk"), &mut packs);
    assert!(!packs.is_empty());
    for pack in packs {
        env.chmod(&pack, 0o644);
        fs::write(&pack, b"").expect("it can be written");
    }
    let clone = env.clone_to("clone");
    let refused = clone.mlv(&["cat", "big"]).code(5);
    assert!(refused.stdout_bytes().is_empty(), "{refused}");
    assert!(refused.stderr().contains("damaged on the remote `storage`"), "{refused}");
}

/// A reader that has seen enough ends it well.
#[test]
fn closed_pipe_is_no_failure() {
    let (env, ..) = pushed();
    let clone = env.clone_to("clone");
    let mut command = clone.mlv_command();
    command.args(["cat", "big"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    drop(child.stdout.take());
    let ended = child.wait_with_output().expect("it ends");
    assert_eq!((ended.status.code(), String::from_utf8_lossy(&ended.stderr)), (Some(0), "".into()));
}

#[test]
fn pipeline_file_is_gits_to_show() {
    let env = TestEnv::ready();
    env.write("mlv.yaml", "stages:\n  s:\n    cmd: echo 1 > o\n    outs: [o]\n");
    env.mlv(&["repro"]).success();
    let said = env.mlv(&["cat", "mlv.yaml"]).code(2).stderr();
    assert!(said.contains("mlv does not keep the data of `mlv.yaml`"), "{said}");
}
