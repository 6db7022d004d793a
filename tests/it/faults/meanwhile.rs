//! What others do while a command is under way stays: files that the user puts into its folders, and
//! what another command has noted.

use std::fs;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use super::race::{go_on, stop_at};
use crate::support::{TestEnv, differences};

// R2: what fails takes its own copy away and nothing else.
#[test]
fn files_put_into_the_copy_of_add_out_stay_when_it_fails() {
    let before = TestEnv::ready();
    let outside = before.beside("outside");
    outside.write("links/a", "1");
    outside.write("links/b/c", "2");
    // Refused when all is copied.
    outside.symlink("/etc/passwd", "links/out");
    let args = ["add", "--out", "new", "../outside/links"];
    let (mut met, mut step) = (0, 1);
    loop {
        let env = before.duplicate();
        let Some(child) = stop_at(&env, &args, step, "") else { break };
        let is_under_way = env.exists("new");
        let is_in_the_way = is_under_way && !env.exists("new/b");
        if is_under_way {
            env.write("new/mine", "mine");
        }
        if is_in_the_way {
            env.write("new/b/c", "mine too");
        }
        let code = go_on(&env, child);
        assert!(matches!(code, Some(2 | 4)), "step {step}: {code:?}");
        assert!(!env.exists("new/a") && !env.exists("new.mlv"), "step {step}: the copy is gone");
        if is_under_way {
            met += 1;
            assert_eq!(env.read_text("new/mine"), "mine", "step {step}");
        }
        match is_in_the_way {
            true => assert_eq!(env.read_text("new/b/c"), "mine too", "step {step}"),
            false => assert!(!env.exists("new/b"), "step {step}: the copy is gone"),
        }
        step += 1;
    }
    assert!(met > 3, "only {met} steps");
}

/// A command brings one part while another one, stopped before its first change to the work tree,
/// brings the other: both are known to be here, so that a file that is removed then is a deletion.
#[test]
fn parts_that_are_brought_at_once_are_both_known_to_be_here() {
    let env = TestEnv::ready();
    env.write("d/1", "first");
    env.write("d/2", "second");
    env.mlv(&["add", "d"]).success();
    env.commit("data");
    env.remove("d");
    env.remove(".mlv/here");
    let args = ["checkout", "d/1"];
    let steps = env.root().join("steps");
    let rehearsal = env.duplicate();
    let mut command = rehearsal.mlv_command();
    rehearsal.run(command.args(args).env("MLV_FAULT", format!("count:{}", steps.display()))).success();
    let steps = std::fs::read_to_string(steps).expect("the steps were counted");
    let makes = steps.lines().zip(1usize..).filter(|(line, _)| line.ends_with("mkdir"));
    let (_, makes_folder) = makes.last().expect("`d` is made");
    let child = stop_at(&env, &args, makes_folder, "").expect("it comes that far");
    assert!(!env.exists("d") && env.read_text(".mlv/here").contains("underway"));
    env.mlv(&["checkout", "d/2"]).success();
    assert_eq!(go_on(&env, child), Some(0));
    env.remove("d/2");
    env.mlv(&["add", "d"]).success();
    assert_eq!(env.pointer("d.mlv").nfiles, Some(1), "the other one was deleted");
}

/// A project whose directory has changes in two entries, and a third that is to go.
fn changed_in_two_places() -> TestEnv {
    let env = TestEnv::ready();
    for name in ["1", "2", "3"] {
        env.write(format!("d/{name}"), name);
    }
    env.mlv(&["add", "d"]).success();
    env.commit("data");
    env.write("d/1", "first, edited");
    env.write("d/2", "second, edited");
    env
}

/// Runs `first` and stops it before its `step`-th step, and `second` meanwhile, as far as it comes by
/// itself: it may have to wait. Both must succeed. False if there is no such step.
fn meanwhile(env: &TestEnv, first: &[&str], step: usize, mutation: &str, second: &[&str]) -> bool {
    let Some(child) = stop_at(env, first, step, mutation) else { return false };
    let mut second = env.mlv_command().args(second).stderr(Stdio::null()).spawn().expect("it starts");
    for _ in 0..100 {
        if second.try_wait().expect("it can be asked").is_some() {
            break;
        }
        thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(go_on(env, child), Some(0), "{first:?}, step {step}");
    assert!(second.wait().expect("it ends").success(), "{first:?}, step {step}");
    true
}

/// Records `d/2` while `args` is stopped at each of its steps; the number of these, and of those at
/// which what either did was lost.
fn record_meanwhile(args: &[&str], mutation: &str) -> (usize, usize) {
    let before = changed_in_two_places();
    let (mut met, mut lost) = (0, 0);
    for step in 1.. {
        let env = before.duplicate();
        if !meanwhile(&env, args, step, mutation, &["add", "d/2"]) {
            break;
        }
        met += 1;
        let changes = env.json(&["data", "status", "--granular"])["uncommitted"].clone();
        lost += usize::from(changes.as_object().is_some_and(|changes| !changes.is_empty()));
    }
    (met, lost)
}

// R5, R14: what one command records in a directory, another one does not take back.
#[test]
fn recordings_of_parts_of_one_directory_at_once_are_all_kept() {
    for args in [&["add", "d/1"][..], &["add", "d"], &["commit", "d"]] {
        let (met, lost) = record_meanwhile(args, "");
        assert!(met > 5 && lost == 0, "{args:?}: {lost} of {met}");
    }
    let (_, lost) = record_meanwhile(&["add", "d/1"], "pointer-base");
    assert!(lost > 0, "without the look under the lock");
}

// R5: of two that bring the same, both succeed.
#[test]
fn checkouts_of_the_same_at_once_both_succeed() {
    for count in [3, 18] {
        let before = TestEnv::ready();
        for at in 0..count {
            before.write(format!("d/deep/{at}"), format!("small file number {at}"));
        }
        before.write("single", "1");
        before.mlv(&["add", "d", "single"]).success();
        before.commit("data");
        let whole = before.snapshot();
        before.remove("d");
        before.remove("single");
        let mut met = 0;
        for step in 1.. {
            let env = before.duplicate();
            if !meanwhile(&env, &["checkout"], step, "", &["checkout"]) {
                break;
            }
            met += 1;
            assert_eq!(differences(&whole, &env.snapshot()), Vec::<String>::new(), "step {step}");
            env.mlv(&["status", "--exit-code"]).success();
            assert_eq!(env.mlv(&["rescue", "list", "--json"]).json()["operations"], serde_json::json!([]));
        }
        assert!(met > 5, "only {met} steps");
    }
}

// C4
#[test]
fn files_that_come_and_go_stop_no_command() {
    let env = TestEnv::tracked();
    let is_over = AtomicBool::new(false);
    let write = |at: u32| fs::write(env.path().join(format!("d/.tmp{at}")), "t").unwrap();
    let outputs: Vec<String> = thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                (0..8).for_each(write);
                (0..8).for_each(|at| fs::remove_file(env.path().join(format!("d/.tmp{at}"))).unwrap());
            }
        });
        let look = [["status", "-v"], ["diff", "-v"], ["checkout", "d"], ["fsck", "-v"]].repeat(10);
        let record = [["add", "d"], ["commit", "d"]].repeat(5);
        let run = |args: &[&str; 2]| env.mlv(args);
        // 6: it is written to while it is read.
        let failed =
            look.iter().chain(&record).map(run).filter(|output| ![0, 6].contains(&output.exit_code()));
        let failed = failed.map(|output| output.to_string()).collect();
        is_over.store(true, Ordering::Relaxed);
        failed
    });
    assert_eq!(outputs, Vec::<String>::new());
}
