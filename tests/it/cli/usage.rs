//! What is the same for every command: help, version, usage errors, pipes, escapes.

use std::fs::OpenOptions;
use std::process::Stdio;

use serde_json::json;

use crate::support::{TestEnv, os};

#[test]
fn version_is_one_line_outside_of_any_repository() {
    let env = TestEnv::new();
    let expected = format!("mlv {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(env.mlv(&["--version"]).success().stdout(), expected);
    assert_eq!(env.mlv(&["-V"]).success().stdout(), expected);
}

#[test]
fn version_tells_scripts_which_json_forms_it_has() {
    let env = TestEnv::new();
    let document = env.mlv(&["version", "--json"]).success().json();
    assert_eq!(document["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(document["json"], 1);
    assert_eq!(env.mlv(&["--version", "--json"]).success().json(), document);
}

#[test]
fn usage_errors_are_exit_2_with_hints() {
    let env = TestEnv::new();
    insta::assert_snapshot!(env.mlv(&["vesion"]).code(2), @r"
    --- stderr
    error: unrecognized subcommand 'vesion'
    hint: a similar subcommand exists: 'version'
    hint: `mlv --help` lists the arguments and examples
    [exit 2]
    ");
    insta::assert_snapshot!(env.mlv(&["version", "--jsn"]).code(2), @r"
    --- stderr
    error: unexpected argument '--jsn' found
    hint: a similar argument exists: '--json'
    hint: `mlv version --help` lists the arguments and examples
    [exit 2]
    ");
    insta::assert_snapshot!(env.mlv(&[]).code(2), @r"
    --- stderr
    error: a command is missing
    hint: `mlv --help` lists the arguments and examples
    [exit 2]
    ");
}

#[test]
fn usage_errors_are_documents_with_json() {
    let env = TestEnv::new();
    let output = env.mlv(&["--json", "no-such-command"]).code(2);
    assert_eq!(
        output.json(),
        json!({
            "error": {
                "kind": "usage",
                "message": "unrecognized subcommand 'no-such-command'",
                "path": null,
                "hints": ["`mlv --help` lists the arguments and examples"],
                "retry": false,
            },
            "failed": [],
        })
    );
    assert_eq!(output.stderr(), "");
    // After `--` it is a target and no flag.
    assert_eq!(env.mlv(&["no-such-command", "--", "--json"]).code(2).stdout(), "");
}

#[test]
fn folder_of_cd_must_be_there() {
    let env = TestEnv::new();
    let output = env.mlv(&["--cd", "nowhere", "version"]).code(2);
    insta::assert_snapshot!(output, @r"
    --- stderr
    error: cannot change to the folder given with `--cd`: `nowhere`
    cause: No such file or directory (os error 2)
    [exit 2]
    ");
    env.write("sub/file", "");
    env.mlv(&["--cd", "sub", "version"]).success();
    assert_eq!(env.mlv(&["--json", "--cd", "nowhere", "version"]).code(2).error_kind(), "usage");
}

// R16: arguments come back in messages; no byte of them steers the terminal.
#[test]
fn arguments_in_messages_are_escaped() {
    let env = TestEnv::new();
    let hostile = "a\x1b[31mb\u{202e}c\u{9b}d\ne";
    let text = env.mlv(&["--cd", hostile, "version"]).code(2).stderr();
    assert!(text.contains("`a\\x1b[31mb\\u{202e}c\\u{9b}d\\ne`\n"), "{text}");

    let output = env.mlv(&["--json", "--cd", hostile, "version"]).code(2);
    assert!(!output.stdout().contains(['\x1b', '\u{202e}', '\u{9b}']), "{output}");
    assert_eq!(output.error_kind(), "usage");

    // The parser of arguments has messages of its own.
    let output = env.mlv(&[hostile]).code(2);
    assert!(!output.stderr().contains(['\x1b', '\u{202e}', '\u{9b}']), "{output}");
    let output = env.mlv_os(&[os(b"--cd"), os(b"x\xff\x1b\ny"), os(b"version")]).code(2);
    assert!(!output.stderr_bytes().contains(&0x1b) && !output.stderr_bytes().contains(&0xff), "{output}");
}

#[test]
fn help_has_examples_and_exit_codes_for_every_command() {
    let env = TestEnv::new();
    let manual = mlv::cli::help::commands_md();
    let mut commands = 0;
    for line in manual.lines() {
        let Some(command) = line.strip_prefix("### `").and_then(|rest| rest.strip_suffix('`')) else {
            continue;
        };
        let mut args: Vec<&str> = command.split(' ').skip(1).collect();
        args.push("--help");
        let text = env.mlv(&args).success().stdout();
        if text.contains(" <COMMAND>\n") {
            continue;
        }
        assert!(text.contains("\nExamples:\n  mlv "), "no examples: {command}");
        assert!(text.contains("\nExit codes:\n    0  done\n"), "no exit codes: {command}");
        commands += 1;
    }
    assert!(commands > 0);
}

#[test]
fn colours_are_only_for_terminals_unless_asked_for() {
    let env = TestEnv::new();
    assert!(!env.mlv(&["x"]).code(2).stderr().contains('\x1b'));
    let failing = ["--cd", "nowhere", "version"];
    let mut command = env.mlv_command();
    let output = env.run(command.args(failing).arg("--color=always")).code(2);
    assert!(output.stderr().starts_with("\x1b[31merror\x1b[0m: "), "{output}");
}

#[test]
fn closed_pipe_is_no_failure() {
    let env = TestEnv::new();
    let script = r#""$1" version | true; exit "${PIPESTATUS[0]}""#;
    for _ in 0..10 {
        let mut shell = env.command("bash");
        shell.args(["-c", script, "bash", env!("CARGO_BIN_EXE_mlv")]);
        let output = env.run(&mut shell).success();
        assert_eq!(output.stderr(), "");
    }
}

// R14: data that did not arrive is not success.
#[test]
fn full_disk_behind_stdout_is_a_failure() {
    let env = TestEnv::new();
    let full = OpenOptions::new().write(true).open("/dev/full").expect("Linux has /dev/full");
    let mut command = env.mlv_command();
    let child = command.arg("version").stdout(full).stderr(Stdio::piped()).spawn().expect("it starts");
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(9));
    assert_eq!(
        String::from_utf8_lossy(&output.stderr),
        "error: cannot write to stdout\ncause: No space left on device (os error 28)\n"
    );
}
