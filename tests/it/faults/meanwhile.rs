//! What others do while a command is under way stays: files that the user puts into its folders, and
//! what another command has noted.

use super::race::{go_on, stop_at};
use crate::support::TestEnv;

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
