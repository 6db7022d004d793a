//! `--json`: one document on stdout, whatever happens.

use serde_json::json;

use crate::support::TestEnv;

#[test]
fn every_outcome_is_one_document_and_a_line() {
    let env = TestEnv::in_git();
    let check = |args: &[&str], code: i32| {
        let output = env.mlv(args).code(code);
        let text = output.stdout();
        assert!(text.ends_with('\n') && text.lines().count() == 1, "{args:?}: {text:?}");
        output.json()
    };
    check(&["--json", "root"], 3);
    check(&["--json", "init"], 0);
    check(&["root", "--json"], 0);
    check(&["--json"], 2);
    check(&["--json", "remote"], 2);
    check(&["remote", "add", "--json"], 2);
    check(&["--json", "remote", "default"], 2);
    env.write(".mlv/config.toml", "[core\n");
    let document = check(&["--json", "root"], 2);
    assert_eq!(document["error"]["kind"], "config");
    assert_eq!(document["failed"], json!([]));
}

#[test]
fn warnings_are_objects_on_stderr() {
    let env = TestEnv::ready();
    let text = env.read_text(".mlv/config.toml");
    env.write(".mlv/config.toml", format!("{text}nosuch = 1\n"));
    let output = env.mlv(&["root", "--json"]).success();
    let line: serde_json::Value = serde_json::from_str(output.stderr().trim()).expect("one object");
    assert_eq!(line["event"], "warning");
    assert!(line["message"].as_str().is_some_and(|message| message.contains("nosuch")), "{line}");
}

#[test]
fn quiet_and_json_go_together() {
    let env = TestEnv::ready();
    let text = env.read_text(".mlv/config.toml");
    env.write(".mlv/config.toml", format!("{text}nosuch = 1\n"));
    let output = env.mlv(&["root", "--json", "--quiet"]).success();
    assert_eq!(output.stderr(), "");
    assert_eq!(output.json()["relative"], ".");
}
