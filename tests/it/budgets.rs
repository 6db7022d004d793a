//! How many system calls commands make: exact whatever else the machine does, unlike time
//! (docs/performance.md, "System calls").

use crate::faults::has_strace;
use crate::support::{TestEnv, random_bytes};

/// Calls that a command may make besides those for each file.
const START: u64 = 300;
const FILES: u64 = 1_000;
/// How often threads wait for each other is a matter of the machine's load; and the standard library
/// looks at a descriptor before it closes it where it was built with assertions, as tests are.
const NOT_COUNTED: [&str; 3] = ["futex", "sched_yield", "fcntl"];

/// Runs mlv under strace; returns how many system calls it made, all threads together.
fn calls(env: &TestEnv, args: &[&str]) -> u64 {
    let table = env.root().join("calls").display().to_string();
    let mut command = env.command("strace");
    command.args(["-f", "-c", "-o", &table, env!("CARGO_BIN_EXE_mlv")]).args(args);
    env.run(&mut command).success();
    let table = env.read_text(table);
    // Lines `% time, seconds, usecs/call, calls, [errors,] name` between two rules.
    let lines = table.lines().skip_while(|line| !line.starts_with('-')).skip(1);
    let counts = lines.take_while(|line| !line.starts_with('-')).filter_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let is_counted = !NOT_COUNTED.contains(fields.last()?);
        is_counted.then(|| fields.get(3)?.parse::<u64>().ok()).flatten()
    });
    let sum = counts.sum();
    assert!(sum > 20, "no table of strace: {table}");
    sum
}

/// Checks that a command makes no more calls than so many tenths for each of the thousand files.
fn check(env: &TestEnv, args: &[&str], tenths: u64) {
    let (found, most) = (calls(env, args), tenths * FILES / 10 + START);
    assert!(found <= most, "{args:?}: {found} system calls for {FILES} files, at most {most}");
}

fn data(env: &TestEnv) {
    for at in 0..FILES {
        env.write(format!("data/{}/{at}", at % 10), random_bytes(at, 2_000));
    }
    // What changed within a tick of the file system's clock before it was hashed is hashed again.
    std::thread::sleep(std::time::Duration::from_millis(50));
}

#[test]
fn an_empty_project_takes_few_calls() {
    if has_strace() {
        check(&TestEnv::ready(), &["status"], 0);
        check(&TestEnv::new(), &["--version"], 0);
    }
}

#[test]
fn each_file_of_a_directory_takes_few_calls() {
    if !has_strace() {
        return;
    }
    let env = TestEnv::shared();
    data(&env);
    check(&env, &["add", "data"], 80);
    check(&env, &["status"], 13);
    env.remove("data");
    check(&env, &["checkout"], 50);
    check(&env, &["status"], 13);
    check(&env, &["push"], 10);
    check(&env, &["push"], 1);
    env.commit("data");
    // A fetch stores packs; what comes to it is a checkout.
    check(&env.clone_to("clone"), &["pull"], 50);
}

#[test]
fn ten_changed_files_take_calls_of_their_own_only() {
    if !has_strace() {
        return;
    }
    let env = TestEnv::shared();
    data(&env);
    env.mlv(&["add", "data"]).success();
    env.mlv(&["push"]).success();
    for at in 0..10 {
        env.write(format!("data/{at}/{at}"), random_bytes(FILES + at, 2_000));
    }
    check(&env, &["status"], 14);
    check(&env, &["add", "data"], 17);
    check(&env, &["push"], 5);
}
