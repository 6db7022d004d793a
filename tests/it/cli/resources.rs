//! `resources` of stages, and `mlv repro --resources`.

use crate::support::TestEnv;

/// `count` stages that each take one `gpu`, and fail if another has the same one at that time.
fn sharing(count: usize) -> TestEnv {
    let env = TestEnv::ready();
    let stages: String = (0..count)
        .map(|number| {
            format!(
                "  s{number}:\n    cmd: >-\n      mkdir held-$MLV_GPU; sleep 0.05; rmdir held-$MLV_GPU;\n      \
                 echo \"$MLV_GPU $CUDA_VISIBLE_DEVICES\" > o{number}\n    \
                 resources: {{gpu: 1}}\n    outs: [o{number}]\n"
            )
        })
        .collect();
    env.write("mlv.yaml", format!("stages:\n{stages}"));
    env
}

#[test]
fn stages_never_hold_one_index_at_once() {
    let env = sharing(8);
    env.mlv(&["repro", "-j8", "--resources", "gpu=3,5"]).success();
    for number in 0..8 {
        let given = env.read_text(format!("o{number}"));
        assert!(["3 3\n", "5 5\n"].contains(&given.as_str()), "{given}");
    }
    env.commit("run");
    // What is up to date needs nothing.
    env.mlv(&["repro"]).success();
    env.assert_sound();
}

#[test]
fn stages_that_get_what_they_need_run_at_once() {
    let env = TestEnv::ready();
    let meet = |own: &str, other: &str| {
        format!(
            "echo $MLV_GPU > g{own}; n=0; while [ ! -e g{other} ]; do sleep 0.02; n=$((n+1)); [ $n -lt 900 ]; done"
        )
    };
    env.write(
        "mlv.yaml",
        format!(
            "stages:\n  a: {{cmd: '{}', resources: {{gpu: 1}}, outs: [ga]}}\n  b: {{cmd: '{}', resources: {{gpu: 2}}, outs: [gb]}}\n",
            meet("a", "b"),
            meet("b", "a")
        ),
    );
    env.mlv(&["repro", "-j2", "--resources", "gpu=3"]).success();
    assert_eq!((env.read_text("ga"), env.read_text("gb")), ("0\n".into(), "1,2\n".into()));
}

#[test]
fn what_nothing_provides_is_refused_before_anything_runs() {
    let env = TestEnv::ready();
    env.write("in", "1");
    env.write(
        "mlv.yaml",
        "stages:\n  a: {cmd: 'cp in a; echo a >> log', deps: [in], outs: [a]}\n  \
         b: {cmd: 'cp a b; echo b >> log', deps: [a], outs: [b], resources: {gpu: 2}}\n",
    );
    for args in [&["repro"][..], &["repro", "--resources", "gpu=1"], &["repro", "--resources", "cpu=8"]] {
        let (kind, document) = env.json_error(args, 2);
        assert_eq!(kind, "usage", "{document}");
        assert!(document.to_string().contains("--resources gpu=2"), "{document}");
        assert_eq!(env.take_log(), Vec::<String>::new());
    }
    env.mlv(&["repro", "--dry-run"]).success();
    env.mlv(&["repro", "a"]).success();
    env.mlv(&["repro", "--resources", "gpu=2"]).success();
    assert_eq!(env.take_log(), ["a", "b"]);
    // `b` waits for what `a` makes, and would need it.
    env.write("in", "2");
    env.mlv(&["repro"]).code(2);
    assert_eq!(env.take_log(), Vec::<String>::new());
    for wrong in ["gpu", "gpu=x", "GPU=1", "root=1", "gpu=1,1"] {
        env.mlv(&["repro", "--resources", wrong]).code(2);
    }
}

#[test]
fn another_run_does_not_hand_out_what_this_one_holds() {
    let env = TestEnv::ready();
    env.write(
        "mlv.yaml",
        "stages:\n  a: {cmd: 'touch started; until [ -e go ]; do sleep 0.02; done; touch a', outs: [a], resources: {gpu: 1}}\n  \
         b: {cmd: 'echo $MLV_GPU > b', outs: [b], resources: {gpu: 1}}\n",
    );
    let mut first =
        env.mlv_command().args(["repro", "a", "--resources", "gpu=1"]).spawn().expect("it starts");
    env.wait_for("started");
    let output = env.mlv(&["repro", "b", "--resources", "gpu=1", "--no-wait"]).code(6);
    assert!(!env.exists("b"), "{output}");
    env.mlv(&["repro", "b", "--resources", "gpu=0,1", "--no-wait"]).success();
    assert_eq!(env.read_text("b"), "1\n");
    env.write("go", "");
    assert!(first.wait().expect("it ends").success());
}

#[test]
fn retry_keeps_what_the_stage_holds() {
    let env = TestEnv::ready();
    env.write(
        "mlv.yaml",
        "stages:\n  s: {cmd: 'echo $MLV_GPU >> log; touch o; test $(wc -l < log) = 3', outs: [o], resources: {gpu: 1}, retries: 3}\n",
    );
    env.mlv(&["repro", "--resources", "gpu=7,"]).success();
    assert_eq!(env.take_log(), ["7", "7", "7"]);
}

#[test]
fn one_hint_names_all_that_is_lacking_and_works() {
    let env = TestEnv::ready();
    env.write(
        "mlv.yaml",
        "stages:\n  a: {cmd: touch a, outs: [a], resources: {gpu: 1, lic: 1}}\n  b: {cmd: touch b, outs: [b], resources: {lic: 3}}\n",
    );
    for given in [&["repro"][..], &["repro", "--resources", "gpu=2,5"]] {
        let gpu = if given.len() == 1 { "1" } else { "2,5" };
        let output = env.mlv(given).code(2);
        let options = format!("--resources gpu={gpu} --resources lic=3");
        assert!(output.stderr().contains(&format!("the same again with {options}\n")), "{output}");
    }
    env.mlv(&["repro", "--resources", "gpu=1", "--resources", "lic=3"]).success();
}
