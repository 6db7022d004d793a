//! What is no file of a fixture: links, pipes, twins, and files that are too large to keep.

use std::fs;

use super::Ground;
use crate::support::{TestEnv, texts};

const NOTHING: &str = "blake3:af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262";

fn pointer(name: &str) -> String {
    format!("version: 1\nouts:\n- path: {name}\n  hash: {NOTHING}\n  size: 0\n")
}

// R3, R13
#[test]
fn pipe_as_a_pointer_does_not_hang() {
    let base = Ground::new();
    let path = base.env.path().join("data.mlv").display().to_string();
    assert!(base.env.command("mkfifo").arg(&path).status().expect("mkfifo runs").success());
    let output = base.run(&["status", "--json"]);
    assert!([0, 4].contains(&output.exit_code()), "{output}");
    assert!(texts(&output.json()["data"]["uncommitted"]["deleted"]).contains(&"good"), "{output}");
    base.run(&["checkout", "good"]).success();
    let output = base.run(&["checkout", "data"]);
    assert!([2, 4].contains(&output.exit_code()), "{output}");
}

// R3
#[test]
fn link_or_folder_as_a_pointer_is_not_followed() {
    let base = Ground::new();
    let outside = base.env.beside("outside");
    outside.write("data.mlv", pointer("data"));
    base.env.symlink("../outside/data.mlv", "data.mlv");
    base.env.at("folder.mlv");
    let ground = Ground::around(base.env.clone());
    let output = ground.run(&["checkout"]);
    assert!([0, 4].contains(&output.exit_code()), "{output}");
    assert!(!ground.env.exists("data"));
    ground.check_rest("link as a pointer");
}

// R3: a link among the parents is an error, even one that points inside.
#[test]
fn nothing_is_written_below_a_linked_folder() {
    for target in ["../outside", "real"] {
        let base = Ground::new();
        base.env.beside("outside").write("data.mlv", pointer("data"));
        base.env.write("real/data.mlv", pointer("data"));
        base.env.symlink(target, "linked");
        base.env.commit("a link");
        let ground = Ground::around(base.env.clone());
        let output = ground.run(&["checkout", "linked/data"]);
        assert!([2, 4].contains(&output.exit_code()), "{output}");
        let output = ground.run(&["add", "linked/data.mlv", "linked/x"]);
        assert!([2, 4].contains(&output.exit_code()), "{output}");
        assert!(!ground.env.exists("real/data"));
        ground.check_rest(target);
    }
}

// R2, R3: what stands at an output's place and is none of mlv's is not written through.
#[test]
fn output_that_is_a_link_of_the_user_is_not_written_through() {
    for is_hard in [false, true] {
        let base = Ground::new();
        let outside = base.env.beside("outside");
        outside.write("thesis", "mine");
        base.env.write("data.mlv", pointer("data"));
        if is_hard {
            fs::hard_link(outside.path().join("thesis"), base.env.path().join("data")).expect("a link");
        } else {
            base.env.symlink("../outside/thesis", "data");
        }
        let ground = Ground::around(base.env.clone());
        let output = ground.run(&["checkout"]);
        assert_ne!(output.exit_code(), 0, "{output}");
        assert_eq!(outside.read_text("thesis"), "mine");
        let _ = ground.run(&["checkout", "--force"]);
        assert_eq!(outside.read_text("thesis"), "mine");
        assert!(!is_hard || ground.env.exists("data"));
    }
}

#[test]
fn outputs_that_nest_or_are_twins_are_refused_and_the_rest_is_usable() {
    let nested = pointer("inner").replace("version: 1\n", "version: 1\nwdir: d\n");
    let sets = [
        [("d.mlv", pointer("d")), ("inner.mlv", nested)],
        [("Data.mlv", pointer("Data")), ("data.mlv", pointer("data"))],
        [("caf\u{e9}.mlv", pointer("caf\u{e9}")), ("cafe\u{301}.mlv", pointer("cafe\u{301}"))],
    ];
    for set in sets {
        let base = Ground::new();
        for (file, text) in &set {
            base.env.write(file, text);
        }
        let ground = Ground::around(base.env.clone());
        ground.check_status(&set[1].0[..3], set[1].0);
        assert_eq!(ground.run(&["checkout"]).exit_code(), 4);
        ground.check_rest(set[0].0);
    }
}

// R13
#[test]
fn files_over_their_limit_are_refused_in_time() {
    let large: [(&str, Vec<u8>); 7] = [
        ("data.mlv", (pointer("data") + &"# x\n".repeat(300_000)).into_bytes()),
        ("data.mlv", vec![b'['; 900_000]),
        ("mlv.yaml", format!("stages: {}", "[".repeat(100_000)).into_bytes()),
        ("mlv.yaml", "# x\n".repeat(2_200_000).into_bytes()),
        ("mlv.yaml", ("stages:\n".to_owned() + &"  ? [".repeat(50_000)).into_bytes()),
        ("mlv.lock", vec![b'#'; 65 << 20]),
        ("mlv.lock", format!("version: 1\nstages: {}", "{a: ".repeat(100_000)).into_bytes()),
    ];
    for (name, bytes) in large {
        let base = Ground::new();
        if name == "mlv.lock" {
            base.env.write("mlv.yaml", "stages:\n  a:\n    cmd: echo x > p\n    outs: [p]\n");
        }
        base.env.write(name, bytes);
        base.check_status(name, name);
        assert_eq!(base.run(&["checkout", "good"]).exit_code(), 0, "{name}");
    }
}

// R13: memory does not follow the input.
#[test]
fn hostile_files_do_not_take_memory() {
    for (name, text) in [
        ("data.mlv", format!("version: 1\nx: {}\n", "[".repeat(900_000))),
        (
            "mlv.yaml",
            fs::read_to_string(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/fixtures/hostile/pipeline/alias-bomb.yaml"
            ))
            .expect("it is there"),
        ),
    ] {
        let base = Ground::new();
        base.env.write(name, text);
        let limited = format!("ulimit -v {}; exec \"$0\" status", 600 << 10);
        let output = base.env.run(base.env.command("bash").args(["-c", &limited, env!("CARGO_BIN_EXE_mlv")]));
        assert_eq!(output.exit_code(), 4, "{name}: {output}");
    }
}

// R11: no code from data: none of these commands starts what repository or pointer name.
#[test]
fn no_command_but_repro_runs_what_the_repository_names() {
    let env = TestEnv::shared();
    env.write("a", "1");
    env.mlv(&["add", "a"]).success();
    env.write("mlv.yaml", "stages:\n  s:\n    cmd: touch pwned\n    deps: [a]\n");
    for (key, value) in
        [("core.fsmonitor", "touch pwned"), ("core.hooksPath", "hooks"), ("core.pager", "touch pwned")]
    {
        env.git(&["config", key, value]);
    }
    for program in ["git", "sh", "mlv", "hooks/post-checkout", "hooks/pre-push"] {
        env.write(program, "#!/bin/sh\ntouch pwned\n");
        env.chmod(program, 0o755);
    }
    env.write(".gitattributes", "* filter=evil diff=evil\n");
    env.git(&["config", "filter.evil.clean", "touch pwned; cat"]);
    let _ = std::fs::remove_file(env.path().join("pwned"));
    for args in [
        &["status"][..],
        &["diff"],
        &["add", "a"],
        &["checkout"],
        &["push"],
        &["fetch"],
        &["pull"],
        &["fsck"],
        &["repro", "--dry-run"],
    ] {
        let output = env.run(env.mlv_command().args(args).env("SHELL", "./sh").env("PAGER", "touch pwned"));
        assert_eq!(output.exit_code(), 0, "{output}");
        assert!(!env.exists("pwned"), "{args:?} ran something");
    }
}
