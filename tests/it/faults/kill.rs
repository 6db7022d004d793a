//! K1: each command is killed at each of its steps.

use super::scenario::{Scenario, Unharmed, scenario};
use crate::support::{TestEnv, differences};

/// Kills the command at every step; each time nothing is lost or torn, the project is sound at
/// once, and the same command again comes to the same end.
fn kill_at_every_step(name: &str, at_least: usize) {
    let scenario = scenario(name);
    let unharmed = Unharmed::of(scenario);
    assert!(unharmed.steps.len() >= at_least, "{name} has only the steps {:?}", unharmed.steps);
    let visited = each_kill(scenario, &unharmed, &mut |env, place| {
        if !name.starts_with("repro") {
            // A stage writes its outputs in place; the command again puts them right.
            assert_eq!(unharmed.torn(env), Vec::<String>::new(), "{place}");
        }
        if ["checkout", "checkout of many", "checkout over kinds", "pull"].contains(&name) {
            assert_eq!(unharmed.foreign(env), Vec::<String>::new(), "{place}");
        }
        check_sound(env, scenario, place);
        finish(env, scenario, &unharmed, place);
        if name == "checkout over kinds" {
            // Nothing was edited: all that went is saved.
            let operations = env.json(&["rescue", "list"])["operations"].clone();
            assert_eq!(operations, serde_json::json!([]), "{place}");
        }
    });
    assert!(visited + 5 >= unharmed.steps.len(), "{name}: only {visited} of {:?}", unharmed.steps);
}

/// Kills the command at its first step, its second, and so on until it ends before that step, and
/// calls `check` each time; returns the number of steps. Threads make it vary a little.
fn each_kill(scenario: &Scenario, unharmed: &Unharmed, check: &mut dyn FnMut(&TestEnv, &str)) -> usize {
    for step in 1.. {
        let env = unharmed.before.duplicate();
        let output = scenario.run(&env, &[("MLV_FAULT", &format!("kill:{step}"))]);
        if output.exit_code() == 0 {
            return step - 1;
        }
        let place = format!("{}, killed at step {step} of {:?}", scenario.name, unharmed.steps);
        assert_eq!(output.exit_code(), 137, "{place}: {output}");
        assert_eq!(unharmed.lost(&env), Vec::<String>::new(), "{place}");
        check(&env, &place);
    }
    unreachable!("every command has an end")
}

fn check_sound(env: &TestEnv, scenario: &Scenario, place: &str) {
    if !["init", "resolve"].contains(&scenario.name) {
        let output = env.mlv(&["fsck"]);
        assert_eq!(output.exit_code(), 0, "{place}: fsck: {output}");
        let output = env.mlv(&["status"]);
        assert_eq!(output.exit_code(), 0, "{place}: status: {output}");
    }
}

fn finish(env: &TestEnv, scenario: &Scenario, unharmed: &Unharmed, place: &str) {
    let output = scenario.run(env, &[]);
    let may_be_done = ["init", "rescue restore", "rescue restore by force", "remote rename", "resolve"];
    let is_done = may_be_done.contains(&scenario.name) && output.exit_code() == 2;
    assert!(output.exit_code() == 0 || is_done, "{place}: again: {output}");
    assert_eq!(unharmed.lost(env), Vec::<String>::new(), "{place}: again");
    assert_eq!(differences(&unharmed.after, &env.snapshot()), Vec::<String>::new(), "{place}: again");
    assert_eq!(env.mlv(&["fsck"]).exit_code(), 0, "{place}: fsck after it");
    if scenario.name == "gc" {
        // What was killed before its index was written is in nobody's way.
        env.mlv(&["fsck", "--remote", "--read-data", "--repair"]).success();
    }
    if scenario.name == "remote rename" {
        let said = env.mlv(&["remote", "list"]).success().stdout();
        assert!(said.starts_with("archive\t../keep\t(default)\n"), "{place}: {said}");
        assert_eq!(env.mlv(&["config", "remote.archive.jobs"]).success().stdout().trim(), "2", "{place}");
        let report = env.json(&["push"]);
        assert_eq!(report["packs"].as_u64(), Some(0), "{place}: nothing is sent again: {report}");
    }
    if scenario.name == "fetch" {
        // All is here: nothing is asked of the remote any more.
        env.remove(env.root().join("remote"));
        env.mlv(&["checkout", "--force"]).success();
        assert_eq!(env.read_text("d/1"), "first, version 2", "{place}");
    }
    if ["push", "gc"].contains(&scenario.name) {
        let clone = env.clone_to("fresh");
        clone.mlv(&["pull"]).success();
        assert_eq!(clone.snapshot(), unharmed.after, "{place}: a fresh clone");
    }
}

// K1, R1, R15
#[test]
fn init_killed_anywhere_is_finished_by_init() {
    kill_at_every_step("init", 8);
}

// K1, R1, R2, R15
#[test]
fn add_killed_anywhere_loses_nothing_and_is_finished_by_add() {
    kill_at_every_step("add", 15);
}

// K1, R1, R2, R15
#[test]
fn add_of_many_files_killed_anywhere_is_finished_by_add() {
    kill_at_every_step("add of many", 10);
}

// K1, R1, R2, R15
#[test]
fn commit_killed_anywhere_loses_nothing_and_is_finished_by_commit() {
    kill_at_every_step("commit", 15);
}

// K1, R1, R2, R15
#[test]
fn checkout_killed_anywhere_loses_nothing_and_is_finished_by_checkout() {
    kill_at_every_step("checkout", 10);
}

// K1, R1, R2, R15
#[test]
fn checkout_of_a_new_folder_killed_anywhere_is_finished_by_checkout() {
    kill_at_every_step("checkout of many", 40);
}

// K1, R1, R2, R15: nothing was edited, so that nothing is the user's to keep but what is recorded.
#[test]
fn checkout_over_changes_of_kind_killed_anywhere_is_finished_by_checkout() {
    kill_at_every_step("checkout over kinds", 40);
}

// K1, R1, R2, R15
#[test]
fn rescue_restore_killed_anywhere_loses_nothing_and_is_finished_by_rescue_restore() {
    kill_at_every_step("rescue restore", 10);
}

// K1, R1, R2, R15: what makes room is in rescue itself.
#[test]
fn rescue_restore_by_force_killed_anywhere_loses_nothing_and_is_finished_by_rescue_restore() {
    kill_at_every_step("rescue restore by force", 15);
}

// K1, R1, R15: a file in conflict has both sides or one, and what is resolved is not asked again.
#[test]
fn resolve_killed_anywhere_is_finished_by_resolve() {
    kill_at_every_step("resolve", 4);
}

// K1, R1, R15
#[test]
fn push_killed_anywhere_is_finished_by_push() {
    kill_at_every_step("push", 10);
}

// K1, R1, R7, R15
#[test]
fn gc_killed_anywhere_loses_nothing_and_is_finished_by_gc() {
    kill_at_every_step("gc", 10);
}

// K1, R1, R15
#[test]
fn fetch_killed_anywhere_is_finished_by_fetch() {
    kill_at_every_step("fetch", 10);
}

// K1, R1, R15
#[test]
fn remote_rename_killed_anywhere_is_finished_by_remote_rename() {
    kill_at_every_step("remote rename", 8);
}

// K1, R1, R2, R15
#[test]
fn pull_killed_anywhere_loses_nothing_and_is_finished_by_pull() {
    kill_at_every_step("pull", 15);
}

// K1, R1, R2, R15, R21
#[test]
fn repro_killed_anywhere_loses_nothing_and_is_finished_by_repro() {
    kill_at_every_step("repro", 15);
}

// K1, R1, R2, R15, R21
#[test]
fn repro_of_two_stages_at_once_killed_anywhere_loses_nothing_and_is_finished_by_repro() {
    kill_at_every_step("repro of two", 20);
}

// K1, R1, R2, R15: the next command, whichever it is, takes the clean work tree away.
#[test]
fn verify_killed_anywhere_leaves_nothing_and_is_finished_by_verify() {
    kill_at_every_step("verify", 20);
    let scenario = scenario("verify");
    let unharmed = Unharmed::of(scenario);
    for step in [unharmed.steps.len() / 2, unharmed.steps.len() - 4] {
        let env = unharmed.before.duplicate();
        scenario.run(&env, &[("MLV_FAULT", &format!("kill:{step}"))]).code(137);
        let operations = || std::fs::read_dir(env.path().join(".mlv/ops")).expect("it is there").count();
        assert_eq!(operations(), 1);
        env.mlv(&["root"]).success();
        env.assert_clean();
        assert_eq!(operations(), 0);
    }
}

// K1, R1, R2, R15
#[test]
fn remove_killed_anywhere_keeps_the_data_in_place() {
    let scenario = scenario("remove");
    let unharmed = Unharmed::of(scenario);
    each_kill(scenario, &unharmed, &mut |env, place| {
        assert_eq!(unharmed.torn(env), Vec::<String>::new(), "{place}");
        check_sound(env, scenario, place);
        if env.exists("d.mlv") {
            scenario.run(env, &[]).success();
        } else {
            // What was to stay is not taken for something that a pointer of another commit put there.
            env.mlv(&["checkout", "--force"]).success();
            assert!(env.exists("d/1") && env.exists("d/sub/run"), "{place}");
        }
        env.mlv(&["fsck"]).success();
    });
}

// K1, R1, R2, R15
#[test]
fn remove_with_data_killed_anywhere_loses_nothing() {
    let scenario = scenario("remove with data");
    let unharmed = Unharmed::of(scenario);
    each_kill(scenario, &unharmed, &mut |env, place| {
        assert_eq!(unharmed.torn(env), Vec::<String>::new(), "{place}");
        check_sound(env, scenario, place);
        // With its pointer gone the target is known no more; what is left of it is checkout's.
        if env.exists("d.mlv") {
            scenario.run(env, &[]).success();
        }
        env.mlv(&["fsck"]).success();
    });
}
