//! What stages print: while they run, and with `mlv logs` afterwards.

use crate::support::TestEnv;

fn project() -> TestEnv {
    let env = TestEnv::ready();
    env.write(
        "mlv.yaml",
        "stages:\n  \
         good: {cmd: 'echo one; echo two >&2; printf \"10\\r\\033[1m100\\033[0m\\n\"', outs: []}\n  \
         bad: {cmd: 'echo before; printf \"\\033]0;x\\007\"; exit 3'}\n  \
         never: {cmd: 'echo never', deps: [nothing]}\n",
    );
    env.mlv(&["repro", "-k"]).code(1);
    env
}

#[test]
fn lines_carry_the_name_of_their_stage() {
    let env = project();
    let output = env.mlv(&["repro", "good", "--force"]).success();
    let stderr = output.stderr();
    let lines: Vec<&str> = stderr.lines().filter(|line| line.contains(" | ")).collect();
    assert_eq!(lines, ["good | one", "good | two", "good | 100"]);
}

#[test]
fn output_of_the_last_run_is_kept_also_of_a_failure() {
    let env = project();
    assert_eq!(env.mlv(&["logs", "good"]).success().stdout(), "one\ntwo\n100\n");
    assert_eq!(env.mlv(&["logs", "good", "--lines", "1"]).success().stdout(), "100\n");
    let bad = env.mlv(&["logs", "bad"]).success();
    assert_eq!(bad.stdout(), "before\n\\x1b]0;x\\x07\n");
    let document = env.json(&["logs", "good"]);
    assert_eq!(document["stages"][0]["lines"][1], "two");
    let file = document["stages"][0]["log"].as_str().expect("a path").to_owned();
    assert_eq!(document["stages"][0]["lines"][2], "\u{1b}[1m100\u{1b}[0m", "programs get what was printed");
    assert_eq!(env.read_text(file), "one\ntwo\n10\r\u{1b}[1m100\u{1b}[0m\n");
    env.write("mlv.yaml", "stages:\n  good: {cmd: echo three}\n");
    env.mlv(&["repro"]).success();
    assert_eq!(env.mlv(&["logs", "good"]).success().stdout(), "three\n");
}

#[test]
fn stage_that_never_ran_and_one_that_is_none_are_told_apart() {
    let env = project();
    let (kind, document) = env.json_error(&["logs", "good", "never"], 5);
    assert_eq!((kind.as_str(), document["stages"].as_array().map(Vec::len)), ("not_found", Some(1)));
    assert_eq!(env.json_error(&["logs", "nobody"], 2).0, "no_such_target");
    env.mlv(&["logs"]).code(2);
    let several = env.mlv(&["logs", "good", "bad"]).success();
    assert!(several.stdout().starts_with("bad | before\n"), "{several}");
}
