//! `--jobs`: as many threads as the user says, and the same result.

use crate::support::TestEnv;

/// The most threads that a command put to work at once, as its log says.
fn threads(env: &TestEnv, args: &[&str]) -> usize {
    let mut command = env.mlv_command();
    let output = env.run(command.args(args).env("MLV_LOG", "trace")).success();
    let log = output.stderr();
    let numbers = log.split("working threads=").skip(1).map(|rest| rest.split(' ').next().unwrap_or(rest));
    numbers.map(|number| number.parse().expect("a number")).max().unwrap_or(0)
}

fn project(files: usize) -> TestEnv {
    let env = TestEnv::shared();
    // Files of one pack are one thread's work.
    env.mlv(&["config", "cache.pack_below", "0"]).success();
    for file in 0..files {
        env.write(format!("d/{file:03}"), file.to_string());
    }
    env
}

#[test]
fn as_many_threads_as_asked_for() {
    for (jobs, wanted) in [("1", 1), ("3", 3)] {
        let env = project(80);
        assert_eq!(threads(&env, &["add", "-j", jobs, "d"]), wanted);
        env.remove("d");
        assert_eq!(threads(&env, &["checkout", "--jobs", jobs]), wanted);
        env.write("d/000", "new");
        env.remove(".mlv/index");
        assert_eq!(threads(&env, &["commit", "-j", jobs]), wanted);
        for command in ["fsck", "push", "fetch", "pull"] {
            assert!(threads(&env, &[command, "-j", jobs]) <= wanted, "{command}");
        }
    }
}

#[test]
fn the_setting_counts_where_no_flag_is_given() {
    let env = project(80);
    env.mlv(&["config", "core.checksum_jobs", "5"]).success();
    assert_eq!(threads(&env, &["add", "d"]), 5);
    env.remove("d");
    assert_eq!(threads(&env, &["checkout", "-j", "2"]), 2, "the flag wins");
}

#[test]
fn the_result_does_not_depend_on_the_threads() {
    let pointers = ["1", "7"].map(|jobs| {
        let env = project(80);
        env.mlv(&["add", "-j", jobs, "d"]).success();
        env.read("d.mlv")
    });
    assert_eq!(pointers[0], pointers[1]);
}

#[test]
fn a_number_of_threads_that_cannot_be_is_a_usage_error() {
    let env = project(1);
    for jobs in ["0", "-1", "many", "100000", ""] {
        let (kind, _) = env.json_error(&["add", &format!("--jobs={jobs}"), "d"], 2);
        assert_eq!(kind, "usage", "{jobs}");
    }
    assert!(!env.exists("d.mlv"));
}
