//! Waiting for other processes, and being told to stop.

use std::fs::File;
use std::io::Read;
use std::process::{Child, Stdio};
use std::time::Duration;

use crate::support::{Output, TestEnv};

/// Holds the lock that a change of the settings needs.
fn hold(env: &TestEnv) -> File {
    env.mlv(&["config", "core.jobs", "1"]).success();
    let path = env.path().join(".mlv/config.lock");
    let file = File::options().write(true).open(path).expect("the lock was made");
    file.lock().expect("nobody holds it");
    file
}

fn start(env: &TestEnv, args: &[&str]) -> Child {
    let mut command = env.mlv_command();
    command.args(args).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().expect("it starts")
}

fn signal(env: &TestEnv, child: &Child, name: &str) {
    env.run(env.command("kill").args(["-s", name, &child.id().to_string()])).success();
}

fn end(env: &TestEnv, child: Child) -> Output {
    env.output(child.wait_with_output().expect("it ends"))
}

/// Waits until the child waits; returns the line in which it says so.
fn until_it_waits(child: &mut Child) -> String {
    let pipe = child.stderr.as_mut().expect("it is piped");
    // Not buffered: what comes behind the line is for whoever reads the rest.
    #[expect(clippy::unbuffered_bytes)]
    let bytes = pipe.bytes().map(|byte| byte.expect("the child writes")).take_while(|byte| *byte != b'\n');
    String::from_utf8(bytes.collect()).expect("text")
}

#[test]
fn who_waits_says_for_whom_and_goes_on() {
    let env = TestEnv::ready();
    let held = hold(&env);
    let mut child = start(&env, &["config", "core.jobs", "2"]);
    let said = until_it_waits(&mut child);
    assert!(said.starts_with("waiting for pid "), "{said}");
    drop(held);
    let output = end(&env, child).success();
    assert!(output.stderr().starts_with("Changed `core.jobs`"), "{output}");
}

// R5: exit 6 naming the other.
#[test]
fn who_does_not_wait_is_busy_at_once() {
    let env = TestEnv::ready();
    let _held = hold(&env);
    // Whoever waits never gets this one.
    let output = env.mlv(&["config", "core.jobs", "2", "--no-wait", "--json"]).code(6);
    assert!(!output.stderr().contains("waiting"), "{output}");
    assert_eq!(output.error_kind(), "busy");
    assert_eq!(output.json()["error"]["retry"], true);
}

#[test]
fn first_signal_ends_the_operation_in_order() {
    let env = TestEnv::ready();
    let _held = hold(&env);
    for name in ["INT", "TERM"] {
        let mut child = start(&env, &["config", "core.jobs", "2", "--json"]);
        until_it_waits(&mut child);
        signal(&env, &child, name);
        let output = end(&env, child).code(130);
        assert_eq!(output.error_kind(), "interrupted");
    }
}

#[test]
fn second_signal_kills_the_command_of_a_stage_and_the_outputs_are_what_they_were() {
    let env = TestEnv::ready();
    env.write("in", "1");
    env.write("mlv.yaml", "stages:\n  s:\n    cmd: cp in out\n    deps: [in]\n    outs: [out]\n");
    env.mlv(&["repro"]).success();
    // A command that does not let itself be stopped: the first signal waits for it to end.
    let stubborn = "trap '' INT TERM; touch started; for i in $(seq 600); do sleep 0.1; done";
    env.write(
        "mlv.yaml",
        format!("stages:\n  s:\n    cmd: \"{stubborn}\"\n    deps: [in]\n    outs: [out]\n"),
    );
    let mut child = start(&env, &["repro"]);
    while !env.exists("started") {
        std::thread::sleep(Duration::from_millis(20));
    }
    signal(&env, &child, "INT");
    std::thread::sleep(Duration::from_millis(500));
    assert!(child.try_wait().expect("a child").is_none(), "the first only asks");
    signal(&env, &child, "INT");
    end(&env, child).code(130);
    assert_eq!(env.read_text("out"), "1");
}

#[test]
fn remote_that_does_not_answer_is_told() {
    let env = TestEnv::tracked();
    // Connections are taken by the system, and nobody answers.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/x", listener.local_addr().expect("it is bound"));
    env.mlv(&["remote", "add", "-d", "far", &url]).success();
    env.remove(".mlv/cache");
    env.remove("a");
    let mut child = start(&env, &["pull"]);
    assert_eq!(until_it_waits(&mut child), "waiting for the remote `far`");
    child.kill().expect("it still asks");
    child.wait().expect("it ends");
}
