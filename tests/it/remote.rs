//! R4, R8, R9, R15 with a folder remote: what is removed or damaged there never becomes a wrong
//! byte here, is told, and is healed by whoever still has the bytes; an interrupted push is
//! finished by the next.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::{TestEnv, files_below, random_bytes, skipped, texts};

/// One file of several chunks, a few loose ones, a directory; pushed.
fn pushed() -> TestEnv {
    let env = TestEnv::shared();
    env.write("large", random_bytes(5, 5 << 20));
    env.write("a", "alpha");
    for at in 0..70 {
        env.write(format!("d/{at}"), format!("file number {at}"));
    }
    env.mlv(&["add", "large", "a", "d"]).success();
    env.commit("data");
    env.mlv(&["push"]).success();
    env
}

/// The files of the remote, sorted.
fn stored(env: &TestEnv) -> Vec<PathBuf> {
    let mut found = Vec::new();
    files_below(&env.root().join("remote"), &mut found);
    found
}

fn cut(bytes: &[u8]) -> Option<Vec<u8>> {
    Some(bytes[..bytes.len() / 2].to_vec())
}

fn emptied(_: &[u8]) -> Option<Vec<u8>> {
    Some(Vec::new())
}

fn flipped_in_the_middle(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = bytes.to_vec();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    Some(bytes)
}

fn flipped_at_the_end(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = bytes.to_vec();
    let at = bytes.len() - 100.min(bytes.len());
    bytes[at] ^= 1;
    Some(bytes)
}

fn login_page(_: &[u8]) -> Option<Vec<u8>> {
    Some(b"<!DOCTYPE html><html><body>Sign in to continue</body></html>\n".to_vec())
}

/// What may become of an object of the remote; none means that it is gone.
type Harm = (&'static str, fn(&[u8]) -> Option<Vec<u8>>);

const HARMS: &[Harm] = &[
    ("removed", |_| None),
    ("cut", cut),
    ("emptied", emptied),
    ("flipped in the middle", flipped_in_the_middle),
    ("flipped at the end", flipped_at_the_end),
    ("a login page", login_page),
];

fn harm(path: &Path, how: fn(&[u8]) -> Option<Vec<u8>>) {
    let bytes = fs::read(path).expect("it is there");
    // The remote's files are read-only: replaced, not written to.
    fs::remove_file(path).expect("it can be removed");
    if let Some(bytes) = how(&bytes) {
        fs::write(path, bytes).expect("it can be written");
    }
}

/// Every file of the clone is right or not there; returns how many are not there.
fn missing(env: &TestEnv, clone: &TestEnv, place: &str) -> usize {
    let mut files = Vec::new();
    files_below(env.path(), &mut files);
    let mut missing = 0;
    for path in files {
        let relative = path.strip_prefix(env.path()).expect("it is below");
        if relative.starts_with(".git") || relative.starts_with(".mlv") {
            continue;
        }
        match fs::read(clone.path().join(relative)) {
            Ok(bytes) => {
                assert!(bytes == fs::read(&path).expect("it is there"), "{place}: {}", relative.display())
            }
            Err(_) => missing += 1,
        }
    }
    missing
}

// O1, R4, R9
#[test]
fn harmed_remote_object_never_becomes_a_wrong_byte_and_push_heals_it() {
    let base = pushed();
    let count = stored(&base).len();
    assert!(count >= 4, "{:?}", stored(&base));
    let mut losses = 0;
    for at in 0..count {
        for (what, how) in HARMS {
            let env = base.duplicate();
            let path = stored(&env).remove(at);
            let place = format!("{} {what}", path.display());
            harm(&path, *how);
            let clone = env.clone_to("clone");
            let output = clone.run(clone.mlv_command().args(["pull", "--json"]));
            let lost = missing(&env, &clone, &place);
            match output.exit_code() {
                0 => assert_eq!(lost, 0, "{place}: {output}"),
                // 1: some of it is damaged and some not there.
                1 | 5 | 7 => {
                    assert!(lost > 0, "{place}: {output}");
                    losses += 1;
                    let document = output.json();
                    let is_all =
                        document["error"]["path"].as_str().is_some_and(|path| path.ends_with("remote"));
                    assert!(is_all || !texts(&document["failed"]).is_empty(), "{place}: {output}");
                }
                _ => panic!("{place}: {output}"),
            }
            clone.mlv(&["fsck"]).success();
            if output.exit_code() == 7 {
                // The remote's own description is harmed: nothing is written to such a remote.
                continue;
            }
            // DVC 44 F: a push from where the data is repairs the hole.
            let output = env.mlv(&["push"]);
            assert_eq!(output.exit_code(), 0, "{place}: {output}");
            let output = clone.mlv(&["pull"]);
            assert_eq!(output.exit_code(), 0, "{place}, after a push: {output}");
            assert_eq!(clone.snapshot(), env.snapshot(), "{place}");
        }
    }
    assert!(losses > 0, "nothing that was harmed mattered");
}

// O1: an object of the remote in the place of another.
#[test]
fn remote_object_under_the_name_of_another_is_not_believed() {
    let base = pushed();
    base.write("more", random_bytes(9, 2 << 20));
    base.mlv(&["add", "more"]).success();
    base.commit("more");
    base.mlv(&["push"]).success();
    let packs: Vec<PathBuf> =
        stored(&base).into_iter().filter(|path| path.to_string_lossy().contains("/pk/")).collect();
    assert!(packs.len() >= 2, "{packs:?}");
    let relative = |path: &PathBuf| path.strip_prefix(base.root()).expect("it is below").to_owned();
    for (from, to) in [(0, 1), (1, 0)] {
        let env = base.duplicate();
        let (from, to) = (env.root().join(relative(&packs[from])), env.root().join(relative(&packs[to])));
        fs::remove_file(&to).expect("it can be removed");
        fs::copy(from, &to).expect("it can be written");
        let clone = env.clone_to("clone");
        let output = clone.mlv(&["pull"]);
        // Some of it is damaged and some is not there: two kinds, or one.
        assert!([1, 5].contains(&output.exit_code()), "{output}");
        assert!(missing(&env, &clone, "swapped packs") > 0);
        env.mlv(&["push"]).success();
        clone.mlv(&["pull"]).success();
        assert_eq!(clone.snapshot(), env.snapshot());
    }
}

// R9: a remote that is not there is no empty remote.
#[test]
fn remote_that_is_gone_is_an_error_and_no_absence() {
    let env = pushed();
    let clone = env.clone_to("clone");
    fs::rename(env.root().join("remote"), env.root().join("moved")).expect("it can be moved");
    let output = clone.mlv(&["pull", "--json"]);
    assert!([5, 7].contains(&output.exit_code()), "{output}");
    fs::rename(env.root().join("moved"), env.root().join("remote")).expect("it can be moved");
    clone.mlv(&["pull"]).success();
}

// R9: foreign files in the remote's folder are nobody's.
#[test]
fn foreign_files_in_the_remote_are_left_alone() {
    let env = pushed();
    let remote = env.beside("remote");
    remote.write("README.txt", "ours");
    remote.write("pk/00/not-a-pack", "x");
    remote.write("ix/nonsense", "x");
    remote.write("rt/zzz", "x");
    remote.write("pk/.DS_Store", "x");
    env.write("more", "m");
    env.mlv(&["add", "more"]).success();
    env.commit("more");
    env.mlv(&["push"]).success();
    let clone = env.clone_to("clone");
    clone.mlv(&["pull"]).success();
    assert_eq!(clone.snapshot(), env.snapshot());
    assert!(remote.exists("README.txt") && remote.exists("ix/nonsense") && remote.exists("pk/00/not-a-pack"));
}

// R19: a format of the future is refused before any change.
#[test]
fn remote_of_a_later_format_is_refused_before_any_change() {
    let env = pushed();
    let marker = env.root().join("remote/mlv-remote");
    let text = fs::read_to_string(&marker).expect("the remote says what it is");
    let edits = [
        ("\"format\":1", "\"format\":2"),
        ("\"read\":[]", "\"read\":[\"sealed\"]"),
        ("\"hash\":\"blake3\"", "\"hash\":\"md5\""),
    ];
    for (old, new) in edits {
        assert!(text.contains(old), "{text}");
        fs::remove_file(&marker).expect("it can be removed");
        fs::write(&marker, text.replace(old, new)).expect("it can be written");
        env.write("more", new);
        env.mlv(&["add", "more"]).success();
        let before = env.snapshot_of(env.root().join("remote"));
        for command in ["push", "fetch", "pull"] {
            let clone = env.clone_to(&format!("clone-{command}-{}", new.len()));
            let output = clone.mlv(&[command]);
            assert!([4, 7].contains(&output.exit_code()), "{new}: {command}: {output}");
        }
        let output = env.mlv(&["push"]);
        assert!([4, 7].contains(&output.exit_code()), "{new}: {output}");
        assert_eq!(env.snapshot_of(env.root().join("remote")), before);
    }
}

// R5, R8: clones that push to one remote at once.
#[test]
fn clones_that_push_at_once_all_succeed() {
    let env = pushed();
    let clones: Vec<TestEnv> = (0..4).map(|at| env.clone_to(&format!("clone{at}"))).collect();
    let pushers: Vec<_> = clones
        .iter()
        .cloned()
        .enumerate()
        .map(|(at, clone)| {
            std::thread::spawn(move || {
                clone.write("mine", random_bytes(at as u64, 100_000));
                clone.write("shared", random_bytes(99, 100_000));
                clone.mlv(&["add", "mine", "shared"]).success();
                clone.commit("mine");
                clone.mlv(&["push"]).success();
            })
        })
        .collect();
    for pusher in pushers {
        pusher.join().expect("it succeeds");
    }
    for (at, clone) in clones.iter().enumerate() {
        let fresh = clone.clone_to(&format!("fresh{at}"));
        fresh.mlv(&["pull"]).success();
        assert_eq!(fresh.read("mine"), random_bytes(at as u64, 100_000));
        assert_eq!(fresh.read("shared"), random_bytes(99, 100_000));
    }
}

// R15: what an interrupted push sent is used by the next.
#[test]
fn push_after_an_interrupted_push_sends_only_the_rest() {
    let base = TestEnv::shared();
    base.write("large", random_bytes(7, 6 << 20));
    base.mlv(&["add", "large"]).success();
    base.commit("data");
    let mut reused = 0;
    for step in 1.. {
        let env = base.duplicate();
        let output = env.run(env.mlv_command().arg("push").env("MLV_FAULT", format!("kill:{step}")));
        if output.exit_code() == 0 {
            break;
        }
        assert_eq!(output.exit_code(), 137, "step {step}: {output}");
        let there = stored(&env).iter().any(|path| path.to_string_lossy().contains("/ix/"));
        let report = env.json(&["push"]);
        if there {
            assert_eq!(report["packs"], 0, "step {step}: {report}");
            reused += 1;
        }
        let clone = env.clone_to("clone");
        clone.mlv(&["pull"]).success();
        assert_eq!(clone.read("large"), env.read("large"), "step {step}");
    }
    assert!(reused > 0, "no step lies after the index segment");
}

// R15
#[test]
fn fetch_after_an_interrupted_fetch_completes() {
    let env = pushed();
    let clone = env.clone_to("clone");
    // Threads make the number of steps vary: every second one of the first hundred.
    for step in (1..100).step_by(2) {
        let other = clone.duplicate();
        let output = other.run(other.mlv_command().arg("fetch").env("MLV_FAULT", format!("kill:{step}")));
        if output.exit_code() == 0 {
            assert!(step > 10, "fetch has only {step} steps");
            return;
        }
        assert_eq!(output.exit_code(), 137, "step {step}: {output}");
        other.assert_sound();
        other.mlv(&["fetch"]).success();
        fs::remove_dir_all(other.root().join("remote")).expect("it is there");
        other.mlv(&["checkout"]).success();
        assert_eq!(other.snapshot(), env.snapshot(), "step {step}");
    }
}

// R18, R23: reading needs no right to write.
#[test]
fn remote_that_cannot_be_written_serves_for_reading() {
    let env = pushed();
    let run = |program: &str, args: &[&str]| env.run(env.command(program).args(args)).exit_code();
    let remote = env.root().join("remote").display().to_string();
    assert_eq!(run("chmod", &["-R", "a-w", &remote]), 0);
    // Root may write whatever the mode says, unless it gives that right up.
    let without_right = ["--bounding-set=-dac_override", "--inh-caps=-all"];
    let new = format!("{remote}/new");
    let is_refused = |code: i32| code == 1 && !Path::new(&new).exists();
    let is_plain = is_refused(run("touch", &[&new]));
    if !is_plain {
        fs::remove_file(&new).expect("root could write");
        if !is_refused(run("setpriv", &[&without_right[..], &["touch", &new]].concat())) {
            skipped("root needs setpriv(1) to be refused by a mode");
            return;
        }
    }
    let before = env.snapshot_of(&remote);
    let clone = env.clone_to("clone");
    let mlv = |args: &[&str]| {
        let mut command = if is_plain { clone.mlv_command() } else { clone.command("setpriv") };
        if !is_plain {
            command.args(without_right).arg(env!("CARGO_BIN_EXE_mlv"));
        }
        clone.run(command.args(args))
    };
    mlv(&["pull"]).success();
    assert_eq!(clone.snapshot(), env.snapshot());
    clone.write("a", "new");
    mlv(&["add", "a"]).success();
    assert_ne!(mlv(&["push"]).exit_code(), 0);
    assert_eq!(env.snapshot_of(&remote), before);
    assert_eq!(run("chmod", &["-R", "u+w", &remote]), 0);
}
