//! `mlv repro --keep-failed`.

use crate::support::TestEnv;

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
