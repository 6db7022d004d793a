//! Data on another file system than `.mlv`: nothing can be moved aside by a rename there.

use std::path::PathBuf;
use std::process::Command;

use crate::support::{TestEnv, files_below};

/// A file system of its own, mounted into the work tree, unmounted at the end.
struct Mounted(PathBuf);

impl Mounted {
    /// Nothing where this user may not mount.
    fn at(env: &TestEnv, folder: &str) -> Option<Mounted> {
        let path = env.at(folder).path().to_path_buf();
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=16m", "tmpfs"]).arg(&path).output();
        mounted.is_ok_and(|output| output.status.success()).then_some(Mounted(path))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

/// The unfinished pieces that lie about in mlv's folder and in the mounted one.
fn leftovers(env: &TestEnv) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in [".mlv/tmp", ".mlv/runs"] {
        files_below(&env.path().join(folder), &mut found);
    }
    found
}

// R2: what is displaced is copied, compared and then removed.
#[test]
fn displaced_data_is_in_rescue_and_comes_back() {
    let env = TestEnv::ready();
    let Some(_mounted) = Mounted::at(&env, "disk") else { return };
    env.write("disk/d/a", "recorded");
    env.write("disk/d/run", vec![7; 300_000]);
    env.chmod("disk/d/run", 0o755);
    env.mlv(&["add", "disk/d"]).success();
    env.assert_recorded();
    env.write("disk/d/a", "my edit");
    env.write("disk/d/run", "my script");
    env.mlv(&["checkout"]).code(2);
    env.mlv(&["checkout", "--force"]).success();
    assert_eq!((env.read_text("disk/d/a"), env.read("disk/d/run")), ("recorded".into(), vec![7; 300_000]));
    assert!(env.has_rescued(b"my edit") && env.has_rescued(b"my script"));
    let operations = env.json(&["rescue", "list"]);
    let operation = operations["operations"][0]["name"].as_str().expect("a name").to_owned();
    env.mlv(&["rescue", "restore", "--force", &operation, "disk/d/a"]).success();
    assert_eq!(env.read_text("disk/d/a"), "my edit");
    env.write("disk/d/a", "another edit");
    env.mlv(&["remove", "--outs", "disk/d"]).success();
    assert!(!env.exists("disk/d") && env.has_rescued(b"another edit"));
    assert_eq!(leftovers(&env), Vec::<PathBuf>::new());
}

// R1, R2: a file that is replaced has a hidden name for a moment.
#[test]
fn a_command_killed_while_it_replaces_a_file_hides_nothing() {
    let env = TestEnv::ready();
    let Some(_mounted) = Mounted::at(&env, "disk") else { return };
    env.write("disk/d/a", "recorded");
    env.mlv(&["add", "disk/d"]).success();
    let mut steps = 0;
    for step in 1.. {
        let edit = format!("edit number {step}.");
        env.write("disk/d/a", &edit);
        let mut command = env.mlv_command();
        command.args(["checkout", "--force"]).env("MLV_FAULT", format!("kill:{step}"));
        let output = env.run(&mut command);
        let _ = env.mlv(&["status"]);
        let names = env.snapshot_of("disk");
        assert!(!names.contains(".mlv-tmp-"), "killed at step {step}: {names}");
        let is_here = env.read_text("disk/d/a") == edit;
        assert!(is_here || env.has_rescued(edit.as_bytes()), "killed at step {step}");
        assert!(leftovers_of_operations(&env) == 0, "killed at step {step}");
        env.mlv(&["checkout", "--force"]).success();
        assert_eq!(env.read_text("disk/d/a"), "recorded");
        steps = step;
        if output.exit_code() == 0 {
            break;
        }
    }
    assert!(steps > 20, "only {steps} steps");
}

fn leftovers_of_operations(env: &TestEnv) -> usize {
    std::fs::read_dir(env.path().join(".mlv/ops")).map_or(0, Iterator::count)
}

// R21: outputs are set aside by copying, and come back when the stage fails.
#[test]
fn outputs_of_a_failed_stage_come_back() {
    let env = TestEnv::ready();
    let Some(_mounted) = Mounted::at(&env, "disk") else { return };
    let pipeline = |command: &str| {
        format!("stages:\n  s:\n    cmd: {command}\n    deps: [in]\n    outs: [disk/file, disk/folder]\n")
    };
    let good = "mkdir disk/folder && cp in disk/file && cp in disk/folder/x && ln -s x disk/folder/link";
    env.write("in", "1");
    env.write("mlv.yaml", pipeline(good));
    env.mlv(&["repro"]).success();
    let before = env.snapshot_of("disk");
    env.write("mlv.yaml", pipeline("test ! -e disk/file && echo torn > disk/file && exit 3"));
    env.mlv(&["repro"]).code(8);
    assert_eq!(env.snapshot_of("disk"), before);
    assert_eq!(env.rescued(), Vec::<String>::new(), "what the command had made is nobody's");
    env.write("disk/folder/x", "by hand");
    env.write("mlv.yaml", pipeline(good));
    env.write("in", "2");
    env.mlv(&["repro"]).success();
    assert_eq!((env.read_text("disk/file"), env.read_text("disk/folder/x")), ("2".into(), "2".into()));
    assert!(env.has_rescued(b"by hand"));
    assert_eq!(leftovers(&env), Vec::<PathBuf>::new());
    env.assert_sound();
}
