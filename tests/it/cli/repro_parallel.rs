//! `mlv repro` with several stages at once.

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{TestEnv, stage_actions};

/// Waits for a file, and fails if it does not come.
const MEET: &str = "meet() { touch here-$1; n=0; while [ ! -e here-$2 ]; do sleep 0.02; n=$((n+1)); [ $n -lt 900 ]; done; }; ";

/// `a` and `b`, each of which ends only once the other runs, and `c`, which reads what both make.
fn meeting() -> TestEnv {
    let env = TestEnv::ready();
    env.write(
        "mlv.yaml",
        format!(
            "stages:\n  \
             a: {{cmd: '{MEET} meet a b; echo a > a; echo a >> log', outs: [a]}}\n  \
             b: {{cmd: '{MEET} meet b a; echo b > b; echo b >> log', outs: [b]}}\n  \
             c: {{cmd: 'cat a b > c; echo c >> log', deps: [a, b], outs: [c]}}\n"
        ),
    );
    env
}

fn runs(env: &TestEnv) -> Vec<String> {
    let mut runs: Vec<String> = env.read_text("log").lines().map(str::to_owned).collect();
    runs.sort();
    runs
}

/// `started a`, `finished a`, … in the order in which they were told.
fn events(stderr: &str) -> Vec<String> {
    let objects = stderr.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let event = |object: Value| {
        let what = object["event"].as_str()?.strip_prefix("stage_")?.to_owned();
        (what != "output").then(|| format!("{what} {}", object["stage"].as_str().unwrap_or_default()))
    };
    objects.filter_map(event).collect()
}

fn place(events: &[String], event: &str) -> usize {
    events.iter().position(|one| one == event).unwrap_or_else(|| panic!("no {event} in {events:?}"))
}

#[test]
fn stages_that_do_not_build_on_each_other_run_at_once() {
    let env = meeting();
    let output = env.mlv(&["repro", "--jobs", "2", "--json"]).success();
    let events = events(&output.stderr());
    assert!(place(&events, "started b") < place(&events, "finished a"), "{events:?}");
    assert!(place(&events, "started a") < place(&events, "finished b"), "{events:?}");
    for above in ["finished a", "finished b"] {
        assert!(place(&events, above) < place(&events, "started c"), "{events:?}");
    }
    assert_eq!(env.read_text("c"), "a\nb\n");
    env.commit("run");
    env.mlv(&["repro"]).success();
    assert_eq!(runs(&env), ["a", "b", "c"]);
    env.assert_sound();
}

#[test]
fn one_job_is_one_stage_at_a_time_in_the_order_of_the_file() {
    let env = TestEnv::ready();
    let stages: String = ["x", "y", "z"]
        .iter()
        .map(|name| format!("  {name}: {{cmd: touch {name}, outs: [{name}]}}\n"))
        .collect();
    env.write("mlv.yaml", format!("stages:\n{stages}"));
    let output = env.mlv(&["repro", "-j", "1", "--json"]).success();
    let expected = ["started x", "finished x", "started y", "finished y", "started z", "finished z"];
    assert_eq!(events(&output.stderr()), expected);
    for wrong in ["0", "-1", "1025", "x"] {
        env.mlv(&["repro", "-j", wrong]).code(2);
    }
}

#[test]
fn report_and_lock_have_one_order_whatever_ends_first() {
    let stages = |slow: &str| {
        let command = |name: &str| {
            // The slow one waits until the shell of the other is gone.
            let wait = "while [ ! -s quick ] || kill -0 $(cat quick) 2>&-; do sleep 0.02; done; ";
            if name == slow { wait } else { "echo $$ > quick; " }
        };
        let stage = |name: &str| {
            format!("  {name}: {{cmd: '{}echo {name} > {name}', outs: [{name}]}}\n", command(name))
        };
        format!("stages:\n{}{}", stage("p"), stage("q"))
    };
    for slow in ["p", "q"] {
        let env = TestEnv::ready();
        env.write("mlv.yaml", stages(slow));
        let output = env.mlv(&["repro", "-j2", "--json"]).success();
        let events = events(&output.stderr());
        let quick = if slow == "p" { "q" } else { "p" };
        let (first, last) = (format!("finished {quick}"), format!("finished {slow}"));
        assert!(place(&events, &first) < place(&events, &last), "{events:?}");
        assert_eq!(stage_actions(&output.json()), ["p run", "q run"]);
        let lock = env.read_text("mlv.lock");
        assert!(lock.find("  p:\n") < lock.find("  q:\n"), "{lock}");
    }
}

#[test]
fn stage_that_runs_when_another_fails_is_finished_and_no_other_is_begun() {
    let env = TestEnv::ready();
    env.write(
        "mlv.yaml",
        "stages:\n  \
         bad: {cmd: 'while [ ! -e begun ]; do sleep 0.02; done; exit 3', outs: [x]}\n  \
         good: {cmd: 'touch begun; sleep 0.5; echo g > g', outs: [g]}\n  \
         later: {cmd: 'echo l > l', outs: [l]}\n",
    );
    let (_, document) = env.json_error(&["repro", "-j2"], 8);
    assert_eq!(stage_actions(&document), ["bad failed", "good run", "later not_run"]);
    assert!(env.exists("g") && !env.exists("l"));
    assert!(env.read_text("mlv.lock").contains("  good:\n"));
    env.assert_sound();
}

// DVC 67 K
#[test]
fn ignored_errors_stop_nothing_and_are_told() {
    let env = TestEnv::ready();
    env.write(
        "mlv.yaml",
        "stages:\n  \
         bad: {cmd: 'exit 3', outs: [x]}\n  \
         below: {cmd: 'cat x > y', deps: [x], outs: [y]}\n  \
         free: {cmd: 'echo f > f', outs: [f]}\n",
    );
    let output = env.mlv(&["repro", "--ignore-errors"]).success();
    assert!(output.stderr().contains("exited with 3"), "{output}");
    assert_eq!(env.read_text("f"), "f\n");
    let document = env.json(&["repro", "--ignore-errors"]);
    assert_eq!(stage_actions(&document), ["bad failed", "below failed", "free skipped"]);
    env.mlv(&["repro", "--ignore-errors", "--keep-going"]).code(2);
}

// DVC 83 F, R5: neither could end if it did not leave the other stage to the other run.
#[test]
fn two_runs_share_the_stages() {
    let env = meeting();
    let start = || env.mlv_command().args(["repro", "-j1"]).spawn().expect("it starts");
    let mut both: Vec<Child> = (0..2).map(|_| start()).collect();
    for run in &mut both {
        assert!(run.wait().expect("it ends").success());
    }
    assert_eq!(runs(&env), ["a", "b", "c"]);
    env.mlv(&["repro"]).success();
    assert_eq!(runs(&env), ["a", "b", "c"]);
    env.assert_sound();
}

/// `a` and `b` with outputs of before, run anew by commands that run until they are ended.
fn endless(prelude: &str) -> (TestEnv, Child) {
    let env = TestEnv::ready();
    let stages = |command: &str| {
        let stage =
            |name: &str| format!("  {name}: {{cmd: '{}', outs: [{name}]}}\n", command.replace('@', name));
        format!("stages:\n{}{}", stage("a"), stage("b"))
    };
    env.write("mlv.yaml", stages("echo old > @"));
    env.mlv(&["repro"]).success();
    env.commit("run");
    let command = format!("{prelude}echo torn > @; echo $$ > pid-@; while :; do sleep 0.1; done");
    env.write("mlv.yaml", stages(&command));
    let mut repro = env.mlv_command();
    repro.args(["repro", "-j2"]).stdout(Stdio::null()).stderr(Stdio::null());
    let running = repro.spawn().expect("it starts");
    env.wait_for("pid-a");
    env.wait_for("pid-b");
    (env, running)
}

fn signal(env: &TestEnv, child: &Child, signal: &str) {
    let pid = child.id().to_string();
    assert!(env.command("kill").args(["-s", signal, &pid]).status().expect("kill runs").success());
}

fn check_as_before(env: &TestEnv) {
    for name in ["a", "b"] {
        assert_eq!(env.read_text(name), "old\n");
        assert_eq!(env.rescued(), Vec::<String>::new());
        let pid = env.read_text(format!("pid-{name}"));
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
        assert!(stat.is_empty() || stat.contains(") Z"), "{name} goes on: {stat}");
    }
    assert!(!env.read_text("mlv.lock").contains("torn"));
    env.assert_sound();
}

// K2, R21
#[test]
fn interrupt_ends_all_commands_that_run() {
    // A terminal that goes away says so with the second.
    for name in ["INT", "HUP", "TERM"] {
        let (env, mut running) = endless("");
        signal(&env, &running, name);
        assert_eq!(running.wait().expect("it ends").code(), Some(130));
        check_as_before(&env);
    }
}

// K2, R21: so do `timeout`, which signals the process and then its group, and runners of CI.
#[test]
fn signals_that_come_together_are_one() {
    let (env, mut running) = endless("");
    for name in ["INT", "TERM", "HUP"] {
        signal(&env, &running, name);
    }
    assert_eq!(running.wait().expect("it ends").code(), Some(130));
    check_as_before(&env);
}

#[test]
fn run_under_nohup_outlives_its_terminal() {
    let env = TestEnv::ready();
    env.write("mlv.yaml", "stages:\n  s: {cmd: 'kill -HUP $PPID; sleep 0.3; echo s > s', outs: [s]}\n");
    env.run(env.command("nohup").args([env!("CARGO_BIN_EXE_mlv"), "repro"])).success();
    assert_eq!(env.read_text("s"), "s\n");
}

// K2, R21: they would have five seconds.
#[test]
fn second_interrupt_kills_what_does_not_heed_the_first() {
    let (env, mut running) = endless("trap \"touch heard-@\" TERM; ");
    signal(&env, &running, "INT");
    env.wait_for("heard-a");
    env.wait_for("heard-b");
    // What comes at once counts as the first.
    std::thread::sleep(Duration::from_millis(600));
    signal(&env, &running, "INT");
    let second = Instant::now();
    assert_eq!(running.wait().expect("it ends").code(), Some(130));
    assert!(second.elapsed() < Duration::from_secs(4), "{:?}", second.elapsed());
    check_as_before(&env);
}
