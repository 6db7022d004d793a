//! C1, C4: other processes and the user work in the same work tree at the same time.

use std::fs;
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::scenario::{Unharmed, contains, scenario};
use crate::support::{Rng, TestEnv, files_below, hash_of, seed};

// C1, R5
#[test]
fn eight_processes_at_once_complete_or_are_busy_and_nothing_is_lost() {
    let env = TestEnv::ready();
    env.write("base/a", "base");
    env.mlv(&["add", "base"]).success();
    env.commit("base");
    let seed = seed();
    let workers: Vec<_> = (0..8)
        .map(|at| {
            thread::spawn({
                let env = env.clone();
                move || work(&env, at, seed)
            })
        })
        .collect();
    for worker in workers {
        worker.join().expect("the worker ends well");
    }
    env.assert_sound();
    for at in 0..8 {
        for round in 0..6 {
            let (name, text) = (format!("f{at}-{round}"), format!("content {at} {round}"));
            assert_eq!(env.pointer(&format!("{name}.mlv")).hash, hash_of(text.as_bytes()));
            assert!(env.git_ignores(&name), "{name}");
            assert_eq!(env.read_text(&name), text);
        }
    }
    env.commit("all");
    env.assert_clean();
}

/// Adds six files, and looks at and repairs the project in between.
fn work(env: &TestEnv, at: u64, seed: u64) {
    let mut rng = Rng::new(seed ^ at);
    for round in 0..6 {
        let name = format!("f{at}-{round}");
        env.write(&name, format!("content {at} {round}"));
        let start = Instant::now();
        while env_run(env, &["add", &name]) == 6 {
            assert!(start.elapsed() < Duration::from_secs(60), "starved");
            thread::sleep(Duration::from_millis(20));
        }
        let other = *rng.pick(&[
            &["status"][..],
            &["checkout"],
            &["commit", "--force"],
            &["status", "--json"],
            &["fsck"],
        ]);
        env_run(env, other);
    }
}

// C3: on a file system whose locks do nothing, commands at once may undo each other's notes, never data.
#[test]
fn locks_that_always_succeed_cost_no_data() {
    let env = TestEnv::ready();
    let mutated =
        |args: &[&str]| env.run(env.mlv_command().args(args).env("MLV_MUTATE", "locks-always-succeed"));
    thread::scope(|scope| {
        for at in 0..8 {
            let mutated = &mutated;
            let env = &env;
            scope.spawn(move || {
                for round in 0..4 {
                    let name = format!("f{at}-{round}");
                    env.write(&name, format!("content {at} {round}"));
                    let _ = mutated(&["add", &name]);
                    let _ = mutated(if at % 2 == 0 { &["status"] } else { &["checkout"] });
                }
            });
        }
    });
    let names: Vec<String> =
        (0..8).flat_map(|at| (0..4).map(move |round| format!("f{at}-{round}"))).collect();
    for name in &names {
        let text = name[1..].replace('-', " ");
        let is_in_place = env.exists(name) && env.read_text(name) == format!("content {text}");
        assert!(is_in_place || env.has_rescued(format!("content {text}").as_bytes()), "{name}");
    }
    env.mlv(&["fsck"]).success();
    let mut add = vec!["add"];
    add.extend(names.iter().map(String::as_str));
    env.mlv(&add).success();
    env.commit("all");
    env.assert_clean();
}

// C3
#[test]
fn locks_that_always_fail_are_told_and_change_nothing() {
    let env = TestEnv::ready();
    env.write("a", "alpha");
    let before = env.snapshot();
    let output =
        env.run(env.mlv_command().args(["add", "a", "--no-wait"]).env("MLV_MUTATE", "locks-always-fail"));
    assert_eq!((output.exit_code(), env.snapshot()), (6, before), "{output}");
    env.mlv(&["add", "a"]).success();
}

fn env_run(env: &TestEnv, args: &[&str]) -> i32 {
    let output = env.mlv(args);
    assert!([0, 6].contains(&output.exit_code()), "{args:?}: {output}");
    output.exit_code()
}

/// A run of the scenario that stops before its `step`-th step; none if it ends before that.
fn stopped(env: &TestEnv, name: &str, step: usize, mutation: &str) -> Option<Child> {
    stop_at(env, scenario(name).args, step, mutation)
}

/// The same for any command.
pub(super) fn stop_at(env: &TestEnv, args: &[&str], step: usize, mutation: &str) -> Option<Child> {
    let mut command = env.mlv_command();
    command.args(args).env("MLV_FAULT", format!("stop:{step}")).env("MLV_MUTATE", mutation);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
    let start = Instant::now();
    // `PID (name) T ...`: stopped, by proc(5).
    let stat = format!("/proc/{}/stat", child.id());
    let is_stopped = || {
        let text = fs::read_to_string(&stat).unwrap_or_default();
        text.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T'))
    };
    while child.try_wait().expect("it can be asked").is_none() {
        if is_stopped() {
            return Some(child);
        }
        if start.elapsed() > Duration::from_secs(60) {
            child.kill().and_then(|()| child.wait()).expect("it runs");
            panic!("{args:?} neither ends nor stops at step {step}");
        }
        thread::sleep(Duration::from_millis(1));
    }
    None
}

pub(super) fn go_on(env: &TestEnv, mut child: Child) -> Option<i32> {
    env.run(env.command("kill").args(["-CONT", &child.id().to_string()])).success();
    child.wait().expect("it ends").code()
}

/// Edits of the user, made while the command stands before each of its steps, that are gone
/// after it: neither in place, nor in the cache, nor in rescue.
fn lost_edits(name: &str, path: &str, mutation: &str) -> Vec<String> {
    let unharmed = Unharmed::of(scenario(name));
    let mut lost = Vec::new();
    for step in 1..=unharmed.steps.len() {
        let env = unharmed.before.duplicate();
        let Some(child) = stopped(&env, name, step, mutation) else { continue };
        let edit = format!("edited while {name} was at step {step}");
        // As editors do: a new file renamed over the old one.
        env.write("editor.tmp", &edit);
        let is_saved = fs::rename(env.path().join("editor.tmp"), env.path().join(path)).is_ok();
        let code = go_on(&env, child);
        assert!(code.is_some_and(|code| [0, 1, 2, 6, 8].contains(&code)), "{name} at step {step}: {code:?}");
        let mut files = Vec::new();
        files_below(env.path(), &mut files);
        let is_there =
            files.iter().any(|file| fs::read(file).is_ok_and(|bytes| contains(&bytes, edit.as_bytes())));
        if is_saved && !is_there {
            lost.push(edit);
        }
        lost.extend(unharmed.lost(&env));
        if mutation.is_empty() {
            env.assert_sound();
        }
    }
    lost
}

// C4, R2
#[test]
fn file_that_is_edited_while_checkout_runs_is_in_place_or_in_rescue() {
    assert_eq!(lost_edits("checkout", "a", ""), Vec::<String>::new());
    assert_eq!(lost_edits("checkout", "d/4", ""), Vec::<String>::new());
}

// C4, R2
#[test]
fn file_that_is_edited_while_pull_runs_is_in_place_or_in_rescue() {
    assert_eq!(lost_edits("pull", "a", ""), Vec::<String>::new());
}

// C4, R2, R21: an input that changed meanwhile is not what the recorded outputs were made of.
#[test]
fn input_that_is_edited_while_repro_runs_stays_and_the_next_run_uses_it() {
    let unharmed = Unharmed::of(scenario("repro"));
    for step in 1..=unharmed.steps.len() {
        let env = unharmed.before.duplicate();
        let Some(child) = stopped(&env, "repro", step, "") else { continue };
        let edit = format!("edited at step {step}");
        env.write("in", &edit);
        let code = go_on(&env, child);
        assert!(code.is_some_and(|code| [0, 6, 8].contains(&code)), "step {step}: {code:?}");
        assert_eq!(env.read_text("in"), edit);
        env.mlv(&["repro"]).success();
        assert_eq!(env.read_text("out/f"), format!("{edit} through one\n through two\n"), "step {step}");
        assert!(env.has_rescued(b"output, edited by hand"), "step {step}");
        env.assert_sound();
    }
}

// The mutation of R2: without the look at what was displaced, the edit is lost and the oracle says so.
#[test]
fn displaced_file_that_is_not_looked_at_again_is_noticed() {
    assert_ne!(lost_edits("checkout", "a", "displaced-check"), Vec::<String>::new());
}

/// Adds a file that changes while it is read, at each step; returns the contents recorded that
/// the file never had.
fn torn_contents(mutation: &str) -> Vec<usize> {
    let (old, new) = (vec![b'o'; 3 << 20], vec![b'n'; 3 << 20]);
    let mut torn = Vec::new();
    let before = TestEnv::ready();
    before.write("new", &old);
    before.write("a", "a");
    before.write("d/1", "1");
    for step in 1.. {
        let env = before.duplicate();
        let Some(child) = stopped(&env, "add", step, mutation) else { return torn };
        // In place, and back to front: a reader that is half-way sees both.
        fs::write(env.path().join("new"), &new).expect("it is there");
        let code = go_on(&env, child);
        assert!(code.is_some_and(|code| [0, 1, 6].contains(&code)), "step {step}: {code:?}");
        if env.exists("new.mlv") && ![hash_of(&old), hash_of(&new)].contains(&env.pointer("new.mlv").hash) {
            torn.push(step);
        }
        // What a later command sees is the file as it is now.
        if env.exists("new.mlv") && env.pointer("new.mlv").hash == hash_of(&old) {
            assert!(env.status().to_string().contains("\"new\""), "step {step}: the change went unnoticed");
        }
        env.assert_sound();
    }
    torn
}

// C4, R4
#[test]
fn file_that_changes_while_it_is_added_is_recorded_whole_or_not_at_all() {
    assert_eq!(torn_contents(""), Vec::<usize>::new());
}

// The mutation of it.
#[test]
fn file_that_is_not_looked_at_again_after_reading_is_noticed() {
    assert_ne!(torn_contents("ingest-recheck"), Vec::<usize>::new());
}

// The mutation of R4: without the check on the way out wrong bytes come into the work tree.
#[test]
fn object_that_is_not_verified_on_the_way_out_is_noticed() {
    let wrong = |mutation: &str| {
        let env = TestEnv::ready();
        env.write("a", "true bytes");
        env.mlv(&["add", "a"]).success();
        let object = env.loose_objects().remove(0);
        fs::remove_file(&object).expect("it can be removed");
        fs::write(&object, "wrong byte").expect("it can be written");
        env.remove("a");
        let output = env.run(env.mlv_command().arg("checkout").env("MLV_MUTATE", mutation));
        (output.exit_code(), env.exists("a"))
    };
    assert_eq!(wrong(""), (5, false));
    assert_eq!(wrong("materialize-verify"), (0, true));
}
