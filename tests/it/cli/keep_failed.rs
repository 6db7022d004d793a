//! `mlv repro --keep-failed`.

use crate::support::{TestEnv, files_below};

const FAILED: &str = ".mlv/tmp/failed/s/";

#[test]
fn what_a_failed_command_made_is_kept_and_the_outputs_are_those_of_before() {
    let env = TestEnv::ready();
    env.write("in", "1");
    let pipeline = "stages:\n  s: {cmd: 'mkdir d; cp in d/f', deps: [in], outs: [d, o: {optional: true}]}\n";
    env.write("mlv.yaml", pipeline);
    env.mlv(&["repro"]).success();
    env.write("in", "2");
    env.write("mlv.yaml", pipeline.replace("cp in d/f", "cp in d/f; echo half > o; exit 3"));
    let (_, document) = env.json_error(&["repro", "--keep-failed"], 8);
    assert_eq!(document["stages"][0]["partial_outputs"], ".mlv/tmp/failed/s");
    assert_eq!((env.read_text("d/f"), env.exists("o")), ("1".into(), false));
    let kept = |path: &str| env.read_text(format!("{FAILED}{path}"));
    assert_eq!((kept("d/f"), kept("o")), ("2".into(), "half\n".into()));
    // The next failure takes its place.
    env.write("mlv.yaml", pipeline.replace("cp in d/f", "exit 4"));
    let output = env.mlv(&["repro", "--keep-failed"]).code(8);
    assert!(output.to_string().contains(".mlv/tmp/failed/s"), "{output}");
    assert!(env.exists(format!("{FAILED}d")) && !env.exists(format!("{FAILED}d/f")));
    assert!(!env.exists(format!("{FAILED}o")));
    env.mlv(&["repro", "--keep-failed"]).code(8);
    assert_eq!(env.read_text("d/f"), "1");
    env.assert_sound();
}

#[test]
fn command_that_made_nothing_leaves_nothing() {
    let env = TestEnv::ready();
    env.write("mlv.yaml", "stages:\n  s: {cmd: 'exit 3', outs: [o]}\n");
    let (_, document) = env.json_error(&["repro", "--keep-failed"], 8);
    assert!(document["stages"][0].get("partial_outputs").is_none(), "{document}");
}

// What a command made until it failed is nobody's: ten failures of a training take no more than one.
#[test]
fn what_a_failed_command_made_goes_without_the_flag() {
    for end in ["exit 3", "kill -9 $$", "sleep 60"] {
        let env = TestEnv::ready();
        env.write("mlv.yaml", "stages:\n  s: {cmd: 'mkdir d; echo good > d/f', outs: [d], timeout: 500ms}\n");
        env.mlv(&["repro"]).success();
        env.write("d/f", "by hand");
        env.write(
            "mlv.yaml",
            env.read_text("mlv.yaml").replace("echo good > d/f", &format!("echo half > d/f; {end}")),
        );
        for _ in 0..2 {
            let output = env.mlv(&["repro"]).code(8);
            assert!(!output.stderr().contains("rescue"), "{output}");
        }
        assert_eq!(env.read_text("d/f"), "by hand");
        let mut left = Vec::new();
        files_below(&env.path().join(".mlv"), &mut left);
        left.retain(|path| std::fs::read(path).is_ok_and(|bytes| bytes == b"half\n"));
        assert_eq!(left, Vec::<std::path::PathBuf>::new());
    }
}

// R2: what stood there before goes to rescue where it is replaced, whatever failed in between.
#[test]
fn what_was_there_before_a_failure_goes_to_rescue_when_it_is_replaced() {
    let env = TestEnv::ready();
    env.write("mlv.yaml", "stages:\n  s: {cmd: 'echo new > o; test -e go', outs: [o]}\n");
    env.write("o", "by hand");
    env.mlv(&["repro"]).code(8);
    assert_eq!(env.read_text("o"), "by hand");
    env.write("go", "");
    env.mlv(&["repro"]).success();
    assert_eq!(env.read_text("o"), "new\n");
    assert!(env.has_rescued(b"by hand"));
}

// A command that ended well has made something, whether it can be recorded or not.
#[test]
fn what_a_command_made_that_ended_well_goes_to_rescue_when_it_cannot_be_taken() {
    let env = TestEnv::ready();
    env.write("mlv.yaml", "stages:\n  s: {cmd: 'echo days > o', outs: [o, misspelt]}\n");
    env.mlv(&["repro"]).code(8);
    assert!(!env.exists("o") && env.has_rescued(b"days\n"));
}
