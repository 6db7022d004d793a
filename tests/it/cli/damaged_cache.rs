//! A cache that a failing disk or a crash of the machine has spoilt: what only it was to save is not
//! deleted (R2, R8), and what is wrong with it is told.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::support::{TestEnv, actions, files_below, random_bytes};

const FIRST: &[u8] = b"the first version";
const SECOND: &[u8] = b"the second version";

fn overwrite(path: &Path, bytes: &[u8]) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o644)).expect("its mode");
    fs::write(path, bytes).expect("it can be written");
}

fn object(env: &TestEnv, bytes: &[u8]) -> PathBuf {
    let is_it = |path: &PathBuf| fs::read(path).is_ok_and(|found| found == bytes);
    env.loose_objects().into_iter().find(is_it).expect("an object of its own")
}

fn pack(env: &TestEnv) -> PathBuf {
    let mut packs = Vec::new();
    files_below(&env.path().join(".mlv/cache/pk"), &mut packs);
    assert_eq!(packs.len(), 1);
    packs.remove(0)
}

/// Two versions of `a` and of `d/x`; the first one is checked out in git, the second in the work tree.
fn two_versions() -> TestEnv {
    let env = TestEnv::ready();
    for bytes in [FIRST, SECOND] {
        env.write("a", bytes);
        env.write("d/x", [bytes, b" in d"].concat());
        env.mlv(&["add", "a", "d"]).success();
        env.commit("data");
    }
    env.git(&["checkout", "--quiet", "HEAD~1"]);
    env
}

// R2, R4
#[test]
fn file_whose_object_is_damaged_is_not_deleted_by_checkout() {
    let env = two_versions();
    let damaged = object(&env, SECOND);
    overwrite(&damaged, b"the secund version");
    env.mlv(&["checkout"]).success();
    assert_eq!(env.read("a"), FIRST);
    assert!(env.has_rescued(SECOND), "{:?}", env.rescued());
    assert_eq!(env.rescued().len(), 1, "the object of `d/x` is right: {:?}", env.rescued());
    assert!(!damaged.exists(), "put aside");
}

// R2: the same where the file only goes.
#[test]
fn file_whose_object_is_damaged_is_not_deleted_when_it_is_tracked_no_more() {
    let env = TestEnv::ready();
    env.write("d/x", FIRST);
    env.mlv(&["add", "d"]).success();
    env.commit("first");
    env.write("d/y", SECOND);
    env.mlv(&["add", "d"]).success();
    env.commit("second");
    env.git(&["checkout", "--quiet", "HEAD~1"]);
    overwrite(&object(&env, SECOND), b"the secund version");
    env.mlv(&["checkout"]).success();
    assert!(!env.exists("d/y") && env.has_rescued(SECOND), "{:?}", env.rescued());
}

/// A stage whose output was edited, and a cache with a damaged object of that edit.
fn edited_output() -> TestEnv {
    let env = TestEnv::ready();
    env.write("mlv.yaml", "stages:\n  make:\n    cmd: echo made > out\n    outs: [out]\n");
    env.write("copy", SECOND);
    env.mlv(&["add", "copy"]).success();
    env.mlv(&["repro"]).success();
    env.remove("out");
    env.write("out", SECOND);
    overwrite(&object(&env, SECOND), b"the secund version");
    env
}

// R2: an output that a new run replaces.
#[test]
fn output_whose_object_is_damaged_is_not_deleted_by_repro() {
    let env = edited_output();
    env.mlv(&["repro", "--force"]).success();
    assert_eq!(env.read("out"), b"made\n");
    assert!(env.has_rescued(SECOND), "{:?}", env.rescued());
}

// R2: a file in the way of what comes back from rescue.
#[test]
fn file_whose_object_is_damaged_is_in_the_way_of_a_restore() {
    let env = TestEnv::ready();
    env.write("a", FIRST);
    env.mlv(&["add", "a"]).success();
    env.write("a", b"an edit");
    env.mlv(&["checkout", "--force"]).success();
    env.write("a", SECOND);
    env.mlv(&["add", "a"]).success();
    overwrite(&object(&env, SECOND), b"the secund version");
    assert_eq!(env.json_error(&["rescue", "restore"], 2).0, "would_overwrite");
    assert_eq!(env.read("a"), SECOND);
}

// That the tests above notice when nothing is verified.
#[test]
fn without_the_check_the_file_would_be_lost() {
    let run = |env: TestEnv, args: &[&str]| {
        let mut command = env.mlv_command();
        env.run(command.args(args).env("MLV_MUTATE", "saved-check")).success();
        assert!(!env.has_rescued(SECOND));
    };
    let env = two_versions();
    overwrite(&object(&env, SECOND), b"the secund version");
    run(env, &["checkout"]);
    run(edited_output(), &["repro", "--force"]);
}

// R2: an object that a crash cut short saves nothing.
#[test]
fn file_whose_object_was_cut_short_is_unsaved_and_stored_anew() {
    let env = two_versions();
    overwrite(&object(&env, SECOND), b"");
    assert_eq!(env.json_error(&["checkout"], 2).0, "would_overwrite");
    assert_eq!(env.read("a"), SECOND);
    env.git(&["checkout", "--quiet", "main"]);
    env.mlv(&["add", "a"]).success();
    env.assert_sound();
    env.remove("a");
    env.mlv(&["checkout"]).success();
    assert_eq!(env.read("a"), SECOND);
}

/// A hundred small files, in one pack.
fn packed() -> TestEnv {
    let env = TestEnv::ready();
    for at in 0..100 {
        env.write(format!("d/{at}"), random_bytes(at, 500));
    }
    env.mlv(&["add", "d"]).success();
    env.commit("data");
    env
}

// R8, R10
#[test]
fn pack_of_zeroes_is_damage_and_what_it_held_is_stored_anew() {
    for is_checked_first in [false, true] {
        let env = packed();
        let before = env.snapshot();
        let pack = pack(&env);
        overwrite(&pack, &vec![0; fs::read(&pack).expect("it is there").len()]);
        if is_checked_first {
            let (kind, document) = env.json_error(&["fsck"], 5);
            assert_eq!(kind, "damaged", "{document}");
            assert_eq!(document["broken"].as_array().map(Vec::len), Some(1), "{document}");
            assert_eq!(document["damaged"].as_array().map(Vec::len), Some(101), "{document}");
        }
        env.mlv(&["add", "d"]).success();
        env.remove("d");
        env.mlv(&["checkout"]).success();
        assert_eq!(env.snapshot(), before);
        // Whether before or after, what is broken is told once.
        assert_eq!(env.mlv(&["fsck"]).exit_code(), if is_checked_first { 0 } else { 5 });
        env.assert_sound();
    }
}

// R1: what can be read of a pack is not given up.
#[test]
fn records_of_a_pack_without_its_table_are_saved() {
    // The end of the pack, or its table, which the ends do not show.
    for damage in [40, 100] {
        let env = packed();
        let pack = pack(&env);
        let mut bytes = fs::read(&pack).expect("it is there");
        let at = bytes.len() - damage;
        bytes[at] ^= 1;
        // And one record, so that only the index tells where the next one is.
        bytes[64 + 20] ^= 1;
        overwrite(&pack, &bytes);
        let (_, document) = env.json_error(&["fsck"], 5);
        assert_eq!(document["damaged"].as_array().map(Vec::len), Some(1), "{document}");
        let mut set_aside = Vec::new();
        files_below(&env.path().join(".mlv/cache/bad"), &mut set_aside);
        assert!(set_aside.iter().any(|path| fs::read(path).is_ok_and(|found| found == bytes)), "kept");
        let before = env.snapshot();
        env.mlv(&["commit", "--force"]).success();
        env.assert_sound();
        env.remove("d");
        env.mlv(&["checkout"]).success();
        assert_eq!(env.snapshot(), before);
    }
}

// R14: damage is told until it is mended, not only the first time.
#[test]
fn fsck_tells_of_damage_until_the_data_is_back() {
    let loose = TestEnv::ready();
    loose.write("d", FIRST);
    loose.mlv(&["add", "d"]).success();
    overwrite(&object(&loose, FIRST), b"the furst version");
    let small = packed();
    let pack = pack(&small);
    let mut bytes = fs::read(&pack).expect("it is there");
    bytes[64 + 60] ^= 1;
    overwrite(&pack, &bytes);
    for env in [loose, small] {
        for look in 1..=3 {
            let (kind, document) = env.json_error(&["fsck"], 5);
            assert_eq!(
                (&*kind, &document["affected"]),
                ("damaged", &serde_json::json!(["d"])),
                "look {look}"
            );
        }
        env.mlv(&["commit"]).success();
        env.mlv(&["fsck"]).success();
    }
}

// R4: the next source is tried, at once.
#[test]
fn pull_gets_past_damage_of_the_cache() {
    for count in [5, 100] {
        let env = TestEnv::shared();
        for at in 0..count {
            env.write(format!("d/{at}"), format!("the content of file number {at}"));
        }
        env.mlv(&["add", "d"]).success();
        env.commit("data");
        env.mlv(&["push"]).success();
        let whole = env.snapshot();
        env.remove("d");
        // Every record, the list of files among them.
        let mut folders =
            ["objects", "pages", "pk"].map(|name| env.path().join(".mlv/cache").join(name)).to_vec();
        let mut damaged = 0;
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).into_iter().flatten() {
                let path = entry.expect("an entry").path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let mut bytes = std::fs::read(&path).expect("a record");
                let middle = bytes.len() / 2;
                bytes[middle] ^= 1;
                overwrite(&path, &bytes);
                damaged += 1;
            }
        }
        assert!(damaged > 0);
        env.mlv(&["pull"]).success();
        assert_eq!(env.snapshot(), whole, "{count} files");
        env.assert_sound();
    }
}

/// Cuts every object of its own short, as a crash of the machine or a full disk does.
fn cut_objects(env: &TestEnv) {
    let objects = env.loose_objects();
    assert!(!objects.is_empty());
    objects.iter().for_each(|object| overwrite(object, b""));
}

// R4, R10, R15: the length tells, and the lock is not to blame.
#[test]
fn object_that_was_cut_short_is_made_again() {
    for has_lock in [true, false] {
        let env = TestEnv::ready();
        env.write("in", FIRST);
        env.write("mlv.yaml", "stages:\n  s: {cmd: cp in out, deps: [in], outs: [out]}\n");
        env.mlv(&["repro"]).success();
        env.remove("out");
        if !has_lock {
            env.remove("mlv.lock");
        }
        cut_objects(&env);
        let output = env.run(env.mlv_command().args(["repro", "--json"])).success();
        assert!(output.stderr().contains("cannot be brought back"), "{output}");
        assert_eq!(actions(&output.json()), ["run"]);
        assert_eq!(env.read("out"), FIRST);
        env.mlv(&["fsck"]).success();
        env.assert_recorded();
    }
}

// R4, R15
#[test]
fn object_that_was_cut_short_comes_from_the_remote() {
    for command in [&["pull"][..], &["fetch"], &["repro", "--pull"]] {
        let env = TestEnv::shared();
        env.write("in", FIRST);
        env.write("mlv.yaml", "stages:\n  s: {cmd: cp in out; echo ran >> log, deps: [in], outs: [out]}\n");
        env.mlv(&["repro"]).success();
        env.commit("run");
        env.mlv(&["push"]).success();
        env.remove("out");
        cut_objects(&env);
        env.mlv(command).success();
        env.mlv(&["checkout"]).success();
        assert_eq!((env.read("out"), env.read_text("log")), (FIRST.to_vec(), "ran\n".into()), "{command:?}");
        env.mlv(&["fsck"]).success();
    }
}

// R10: without another source it is said to be missing, each time.
#[test]
fn object_that_was_cut_short_is_missing_where_nothing_gives_it() {
    let env = TestEnv::ready();
    env.write("a", FIRST);
    env.mlv(&["add", "a"]).success();
    env.remove("a");
    cut_objects(&env);
    for _ in 0..2 {
        assert_eq!(env.json_error(&["checkout"], 5).0, "not_downloaded");
    }
    env.write("a", FIRST);
    env.mlv(&["add", "a"]).success();
    env.mlv(&["fsck"]).success();
}

// R4: a pointer that says another size than its contents have is still refused.
#[test]
fn size_that_is_wrong_in_the_pointer_is_told() {
    let env = TestEnv::ready();
    env.write("a", FIRST);
    env.mlv(&["add", "a"]).success();
    let pointer = env.read_text("a.mlv");
    env.write("a.mlv", pointer.replace(&format!("size: {}", FIRST.len()), "size: 3"));
    assert_ne!(env.read_text("a.mlv"), pointer);
    env.remove("a");
    let (kind, document) = env.json_error(&["checkout"], 5);
    assert_eq!(kind, "damaged", "{document}");
    assert_eq!(env.loose_objects().len(), 1, "what the cache has is right");
}

#[test]
fn stage_whose_list_of_files_was_cut_short_runs() {
    let env = TestEnv::ready();
    env.write("in", FIRST);
    env.write("mlv.yaml", "stages:\n  s: {cmd: 'mkdir d; cp in d/x', deps: [in], outs: [d]}\n");
    env.mlv(&["repro"]).success();
    env.remove("d");
    let mut pages = Vec::new();
    files_below(&env.path().join(".mlv/cache/pages"), &mut pages);
    assert_eq!(pages.len(), 1);
    overwrite(&pages[0], b"");
    assert_eq!(actions(&env.json(&["repro"])), ["run"]);
    assert_eq!(env.read("d/x"), FIRST);
}
