//! `fsck --remote`: finds what a remote lost or holds damaged, and sends it again.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::{TestEnv, files_below, random_bytes, texts};

/// A large file, a small one, a directory; pushed.
fn pushed() -> TestEnv {
    let env = TestEnv::shared();
    env.write("large", random_bytes(3, 5 << 20));
    env.write("a", "alpha");
    for at in 0..70 {
        env.write(format!("d/{at}"), format!("file number {at}"));
    }
    env.mlv(&["add", "large", "a", "d"]).success();
    env.commit("data");
    env.mlv(&["push"]).success();
    env
}

/// The remote's files below `folder`, smallest first.
fn stored(env: &TestEnv, folder: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    files_below(&env.root().join("remote").join(folder), &mut found);
    found.sort_by_key(|path| fs::metadata(path).expect("it is there").len());
    found
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).expect("it is there");
    bytes[at] ^= 4;
    fs::remove_file(path).expect("it can be removed");
    fs::write(path, bytes).expect("it can be written");
}

// R4, R9
#[test]
fn sound_remote_is_read_as_far_as_asked() {
    let env = pushed();
    let before = crate::support::snapshot(&env.root().join("remote"), &[]);
    let lists = env.json(&["fsck", "--remote"]);
    assert_eq!((lists["packs_read"].as_u64(), lists["roots"].as_u64()), (Some(0), Some(3)), "{lists}");
    let all = env.json(&["fsck", "--remote", "storage", "--read-data"]);
    assert_eq!(all["packs_read"], all["packs"], "{all}");
    let size: u64 =
        stored(&env, "pk").iter().map(|path| fs::metadata(path).expect("it is there").len()).sum();
    assert_eq!(all["bytes_read"].as_u64(), Some(size));
    env.mlv(&["fsck", "--remote", "--read-data=1%"]).success();
    assert_eq!(crate::support::snapshot(&env.root().join("remote"), &[]), before, "a check writes nothing");
    for wrong in ["0%", "101%", "x"] {
        env.mlv(&["fsck", "--remote", &format!("--read-data={wrong}")]).code(2);
    }
    env.mlv(&["fsck", "--repair"]).code(2);
    env.mlv(&["fsck", "--remote", "nosuch"]).code(2);
}

// R4, R9: with every kind of object gone or damaged, the check says so, and the clone with the data mends it.
#[test]
fn what_is_lost_is_found_and_sent_again() {
    let base = pushed();
    for (what, break_it) in [
        (
            "a pack is gone",
            (|env| fs::remove_file(&stored(env, "pk")[0]).expect("it can be removed")) as fn(&TestEnv),
        ),
        ("a pack is cut", |env| {
            let pack = stored(env, "pk").pop().expect("a pack");
            let bytes = fs::read(&pack).expect("it is there");
            fs::remove_file(&pack).expect("it can be removed");
            fs::write(&pack, &bytes[..bytes.len() / 2]).expect("it can be written");
        }),
        ("bytes in a pack", |env| {
            let pack = stored(env, "pk").pop().expect("a pack");
            let middle = fs::metadata(&pack).expect("it is there").len() as usize / 2;
            flip(&pack, middle);
        }),
        ("the index is gone", |env| {
            stored(env, "ix").iter().for_each(|path| fs::remove_file(path).expect("it can be removed"))
        }),
        ("the index is damaged", |env| flip(&stored(env, "ix")[0], 400)),
    ] {
        let env = base.duplicate();
        break_it(&env);
        let fresh = env.clone_to("fresh");
        let (kind, document) = env.json_error(&["fsck", "--remote", "--read-data"], 5);
        assert_eq!(kind, "damaged", "{what}: {document}");
        // Who has no data can mend the index, and nothing else.
        let by_the_index = what.starts_with("the index");
        let code = fresh.mlv(&["fsck", "--remote", "--repair"]).exit_code();
        assert!(
            if by_the_index { code == 0 } else { code == 5 || what.starts_with("bytes") },
            "{what}: {code}"
        );
        let report = env.json(&["fsck", "--remote", "--read-data", "--repair"]);
        assert_eq!(report["sent"].as_u64() > Some(0), !by_the_index, "{what}: {report}");
        assert!(texts(&report["lost"]).is_empty(), "{what}: {report}");
        let is_told = report["damaged"].as_array().is_some_and(|damaged| !damaged.is_empty());
        assert!(!(by_the_index && is_told), "what was replaced serves nobody: {report}");
        env.mlv(&["fsck", "--remote", "--read-data"]).success();
        fresh.mlv(&["pull"]).success();
        assert_eq!(fresh.snapshot(), env.snapshot(), "{what}");
    }
}

// R4: records that are good come out of a pack whose table or end is not, also without the data, and once.
#[test]
fn what_is_good_in_a_damaged_pack_is_copied() {
    let base = pushed();
    let cut = |env: &TestEnv| {
        let pack = stored(env, "pk").pop().expect("a pack");
        let bytes = fs::read(&pack).expect("it is there");
        fs::remove_file(&pack).expect("it can be removed");
        fs::write(&pack, &bytes[..bytes.len() - 9]).expect("it can be written");
    };
    let spoil_table = |env: &TestEnv| {
        let pack = stored(env, "pk").pop().expect("a pack");
        let len = fs::metadata(&pack).expect("it is there").len() as usize;
        flip(&pack, len - 100);
    };
    let spoil_start = |env: &TestEnv| flip(&stored(env, "pk").pop().expect("a pack"), 20);
    for (what, spoil, loses) in [
        ("its end", &cut as &dyn Fn(&TestEnv), true),
        ("its table", &spoil_table, false),
        ("its header", &spoil_start, false),
    ] {
        let env = base.duplicate();
        spoil(&env);
        let fresh = env.clone_to("fresh");
        let found = fresh.mlv(&["fsck", "--remote", "--read-data", "--json"]);
        assert_eq!(found.exit_code(), if loses { 5 } else { 0 }, "{what}: {found}");
        assert_eq!(found.json()["damaged"].as_array().map(Vec::len), Some(1), "{what}: {found}");
        let packs = stored(&env, "pk").len();
        let report = fresh.json(&["fsck", "--remote", "--read-data", "--repair"]);
        assert!(report["copied"].as_u64() > Some(1), "{what}: {report}");
        assert_eq!((report["sent"].as_u64(), stored(&env, "pk").len()), (Some(0), packs + 1), "{what}");
        let again = fresh.json(&["fsck", "--remote", "--read-data", "--repair"]);
        assert_eq!((again["copied"].as_u64(), stored(&env, "pk").len()), (Some(0), packs + 1), "{what}");
        // The damaged pack serves nobody now.
        fs::remove_file(env.root().join("remote").join(again["damaged"][0]["key"].as_str().expect("a key")))
            .expect("it can be removed");
        env.mlv(&["fsck", "--remote", "--read-data"]).success();
        fresh.mlv(&["pull"]).success();
        assert_eq!(fresh.snapshot(), env.snapshot(), "{what}");
    }
}

// R4: a push cannot see what is wrong inside of a pack; that the check told of it is enough.
#[test]
fn push_mends_what_a_check_found() {
    let env = pushed();
    let pack = stored(&env, "pk").pop().expect("a pack");
    // Hundreds of chunks.
    let mut bytes = fs::read(&pack).expect("it is there");
    let end = bytes.len() - 60_000;
    bytes[100..end].iter_mut().step_by(3_000).for_each(|byte| *byte ^= 4);
    fs::remove_file(&pack).expect("it can be removed");
    fs::write(&pack, bytes).expect("it can be written");
    let fresh = env.clone_to("fresh");
    let told = fresh.mlv(&["fsck", "--remote", "--read-data"]).code(5).stderr();
    assert!(told.contains("hint: run `mlv push` in a clone that has the data"), "{told}");
    // A line for the pack, not for each of its records.
    let lines = told.lines().filter(|line| line.starts_with("damaged ")).count();
    assert!(lines == 1 && told.contains(" records of it\n"), "{told}");
    assert!(env.json(&["push"])["chunks"].as_u64() > Some(200));
    env.mlv(&["fsck", "--remote", "--read-data"]).success();
    assert!(stored(&env, "gc").is_empty(), "notes that were answered");
    fresh.mlv(&["pull"]).success();
    assert_eq!(fresh.snapshot(), env.snapshot());
}

// R14: what nobody needs cannot be missing.
#[test]
fn leftovers_of_a_push_that_was_cut_off_are_told_and_no_damage() {
    let env = pushed();
    let elsewhere = env.root().join("elsewhere");
    env.mlv(&["remote", "add", "elsewhere", &elsewhere.display().to_string()]).success();
    env.mlv(&["push", "-r", "elsewhere"]).success();
    let mut packs = Vec::new();
    files_below(&elsewhere.join("pk"), &mut packs);
    for pack in &packs {
        let to = env.root().join("remote").join(pack.strip_prefix(&elsewhere).expect("below it"));
        fs::create_dir_all(to.parent().expect("a folder")).expect("a folder");
        fs::copy(pack, to).expect("it can be written");
    }
    let report = env.json(&["fsck", "--remote"]);
    assert_eq!(report["unindexed"].as_u64(), Some(packs.len() as u64), "{report}");
    let text = env.mlv(&["fsck", "--remote"]).success();
    assert!(text.to_string().contains("`mlv gc -c` removes such"), "{text}");
}

#[test]
fn root_record_that_is_damaged_is_told() {
    let env = pushed();
    flip(&stored(&env, "rt")[0], 40);
    let (kind, document) = env.json_error(&["fsck", "--remote"], 5);
    assert_eq!(kind, "damaged", "{document}");
    assert!(document["damaged"][0]["key"].as_str().is_some_and(|key| key.starts_with("rt/")), "{document}");
    // The clone that wrote it says again what it needs; others cannot.
    let other = env.clone_to("other");
    let told = other.mlv(&["fsck", "--remote", "--repair"]).code(5).stderr();
    assert!(told.contains("hint: run `mlv fsck --remote --repair` in each clone"), "{told}");
    env.mlv(&["push"]).success();
    assert_eq!(env.json_error(&["gc", "-c", "--keep", "0d"], 7).0, "remote_invalid");
    env.mlv(&["fsck", "--remote", "--repair"]).success();
    let told = other.mlv(&["fsck", "--remote"]).success().stderr();
    assert!(!told.contains("What is damaged is not needed"), "{told}");
    // What it needed before may be what could not be read: both say so, and how long that is so.
    let waits = env.json(&["fsck", "--remote"])["unknown_before"][0].clone();
    let (key, day) = (waits["key"].as_str().expect("a key"), &waits["until"].as_str().expect("a time")[..10]);
    assert!(told.contains(&format!("`{key}` named is not known")) && told.contains(day), "{told}");
    let refused = env.mlv(&["gc", "-c"]).code(7).stderr();
    assert!(refused.contains(key) && refused.contains(&format!("counts until {day}")), "{refused}");
    assert!(!refused.contains("--repair"), "that is what was done: {refused}");
    assert_eq!(env.json(&["gc", "-c", "--keep", "0d"])["root_records"].as_u64(), Some(1));
    let clean = env.json(&["fsck", "--remote"]);
    assert!(clean["damaged"].as_array().is_some_and(Vec::is_empty), "{clean}");
}

// R9: packs that nobody needs are not sound, but a remote that lost its records.
#[test]
fn remote_without_records_is_no_sound_one() {
    let env = pushed();
    stored(&env, "rt").iter().for_each(|path| fs::remove_file(path).expect("it can be removed"));
    insta::assert_snapshot!(env.mlv(&["fsck", "--remote"]).code(5).stderr().lines().skip(1).collect::<Vec<_>>().join("\n"), @r"
    error: what clones may need of `storage` is not known
    hint: run `mlv push` in every clone
    ");
    env.mlv(&["fsck", "--remote", "--repair"]).success();
    assert_eq!(stored(&env, "rt").len(), 1);
    env.mlv(&["gc", "-c"]).success();
}

// R10: an index that is gone costs a look into the packs, also for who has no data.
#[test]
fn lost_index_is_found_again_in_the_packs() {
    let env = pushed();
    let fresh = env.clone_to("fresh");
    stored(&env, "ix").iter().for_each(|path| fs::remove_file(path).expect("it can be removed"));
    let (_, document) = env.json_error(&["fsck", "--remote"], 5);
    let hints = document["error"]["hints"].to_string();
    assert!(hints.contains("run `mlv fsck --remote --repair`"), "{document}");
    fresh.mlv(&["pull"]).success();
    assert_eq!(fresh.snapshot(), env.snapshot());
    env.mlv(&["fsck", "--remote", "--read-data"]).success();
}

// R4, R14: what one remote lost comes from another that has it.
#[test]
fn what_one_remote_lost_comes_from_another() {
    let base = pushed();
    let _ = base.beside("second");
    base.mlv(&["remote", "add", "second", "../second"]).success();
    base.mlv(&["remote", "add", "nowhere", "../nowhere"]).success();
    base.mlv(&["push", "-r", "second"]).success();
    base.commit("two remotes");
    for damage in ["gone", "flipped"] {
        let env = base.duplicate();
        let fresh = env.clone_to("fresh");
        for pack in stored(&env, "pk") {
            let middle = fs::metadata(&pack).expect("it is there").len() as usize / 2;
            match damage {
                "gone" => fs::remove_file(pack).expect("it can be removed"),
                _ => flip(&pack, middle),
            }
        }
        assert_eq!(
            fresh.mlv(&["pull", "-r", "storage"]).exit_code(),
            5,
            "{damage}: only the named one is asked"
        );
        let pulled = fresh.mlv(&["pull"]).success().stderr();
        assert!(pulled.contains("warning: not all is on `storage` or sound there: "), "{pulled}");
        assert!(pulled.contains(" came from `second`"), "{pulled}");
        assert_eq!(fresh.snapshot(), env.snapshot(), "{damage}");
        // It has the bytes now, and heals the first.
        fresh.mlv(&["push"]).success();
        env.mlv(&["fsck", "--remote"]).success();
    }
    let env = base.duplicate();
    let fresh = env.clone_to("fresh");
    for name in ["remote", "second"] {
        fs::remove_dir_all(env.root().join(name).join("pk")).expect("it is there");
    }
    let failed = fresh.mlv(&["pull", "a"]).code(5).stderr();
    assert!(failed.starts_with("error: the remote `storage` no longer holds the data of `a`"), "{failed}");
}

// R10: the file that says that this is a remote is written again, and nothing is sent for it.
#[test]
fn format_that_was_lost_is_written_again() {
    for damage in ["", "{"] {
        let env = pushed();
        let format = env.root().join("remote/mlv-remote");
        fs::remove_file(&format).expect("it is there");
        if !damage.is_empty() {
            fs::write(&format, damage).expect("it can be written");
            let refused = env.mlv(&["push"]).code(7).stderr();
            assert!(refused.contains("or delete it there, and run `mlv push`"), "{refused}");
            fs::remove_file(&format).expect("it is there");
        }
        let status = env.mlv(&["status", "-c", "--exit-code"]).success().stderr();
        assert!(status.contains("warning: `mlv-remote` is gone from"), "{status}");
        assert_eq!(env.json(&["push"])["packs"].as_u64(), Some(0));
        let fresh = env.clone_to("fresh");
        fresh.mlv(&["pull"]).success();
        assert_eq!(fresh.snapshot(), env.snapshot());
    }
}

// R9: which packs go is not known; the message names the mark.
#[test]
fn damaged_mark_is_named_with_what_to_do() {
    let env = pushed();
    let name = format!("gc/m-{:032x}{:016x}", 1, 1);
    let path = env.root().join("remote").join(&name);
    fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    fs::write(&path, "no mark").expect("it can be written");
    let refused = env.mlv(&["push"]).code(7).stderr();
    assert!(refused.contains(&name) && refused.contains("when no `mlv gc` runs"), "{refused}");
    // A check names it beside what else is wrong, and writes nothing while it is there.
    let pack = stored(&env, "pk").pop().expect("a pack");
    let bytes = fs::read(&pack).expect("it is there");
    fs::remove_file(&pack).expect("it can be removed");
    let before = crate::support::snapshot(&env.root().join("remote"), &[]);
    let checked = env.mlv(&["fsck", "--remote", "--repair"]);
    let told = checked.stderr();
    assert!(![0, 2].contains(&checked.exit_code()) && told.contains(&name), "{checked}");
    assert!(told.contains("has lost the data of"), "{checked}");
    assert_eq!(crate::support::snapshot(&env.root().join("remote"), &[]), before);
    fs::write(&pack, bytes).expect("it can be written");
    fs::remove_file(&path).expect("it is there");
    env.mlv(&["push"]).success();
}

// What another commit needs and nobody has any more is named by its hash.
#[test]
fn loss_of_what_an_old_commit_needs_is_told() {
    let env = pushed();
    env.write("a", "version 2");
    env.mlv(&["add", "a"]).success();
    env.commit("version 2");
    let first = stored(&env, "pk");
    env.mlv(&["push"]).success();
    let other = env.clone_to("other");
    for pack in first {
        fs::remove_file(pack).expect("it can be removed");
    }
    let (_, document) = other.json_error(&["fsck", "--remote"], 5);
    assert!(texts(&document["lost"]).contains(&"large"), "{document}");
    assert!(texts(&document["lost"]).iter().any(|name| name.starts_with("blake3:")), "{document}");
}

// R4, R10: the packs alone are enough.
#[test]
fn index_is_made_again_from_the_packs() {
    for damage in [false, true] {
        let env = pushed();
        let before = stored(&env, "ix").len() as u64;
        if damage {
            stored(&env, "ix").iter().for_each(|path| flip(path, 400));
            env.mlv(&["gc", "-c"]).code(5);
        }
        let planned = env.json(&["remote", "reindex", "--dry-run"]);
        assert_eq!(stored(&env, "ix").len() as u64, before);
        let report = env.json(&["remote", "reindex", "storage"]);
        assert_eq!((&report["records"], report["replaced"].as_u64()), (&planned["records"], Some(before)));
        let fresh = env.clone_to("fresh");
        fresh.mlv(&["pull"]).success();
        assert_eq!(fresh.snapshot(), env.snapshot());
        env.mlv(&["fsck", "--remote", "--read-data"]).success();
        env.mlv(&["gc", "-c"]).success();
    }
    let env = pushed();
    env.mlv(&["remote", "reindex", "nosuch"]).code(2);
    let pack = &stored(&env, "pk")[0];
    flip(pack, fs::metadata(pack).expect("it is there").len() as usize - 100);
    // The records tell what its table said.
    let report = env.json(&["remote", "reindex"]);
    assert!(texts(&report["unreadable"]).is_empty() && report["replaced"].as_u64() > Some(0), "{report}");
    flip(pack, 20);
    let report = env.json(&["remote", "reindex"]);
    assert_eq!((texts(&report["unreadable"]).len(), report["replaced"].as_u64()), (1, Some(0)), "{report}");
}
