//! What a stage may say, beyond commands, inputs and outputs: each with a pipeline that runs.

use serde_json::json;

use crate::support::{TestEnv, actions};

impl TestEnv {
    /// The lines of `log` since the last look.
    pub(super) fn take_log(&self) -> Vec<String> {
        let log = if self.exists("log") { self.read_text("log") } else { String::new() };
        self.write("log", "");
        log.lines().map(str::to_owned).collect()
    }
}

// DVC 76 K
#[test]
fn persistent_output_is_there_for_the_next_run() {
    let env = TestEnv::ready();
    env.write("in", "1\n");
    let pipeline = "stages:\n  s:\n    cmd: cat in >> model; cat in >> d/parts; cat in > other\n    deps: [in]\n    \
                    outs:\n    - model: {persist: true}\n    - d: {persist: true}\n    - other\n";
    env.write(
        "mlv.yaml",
        pipeline.replace("cat in >> model", "mkdir -p d; test ! -e other; cat in >> model"),
    );
    env.mlv(&["repro"]).success();
    assert_eq!(env.read_text("model"), "1\n");
    env.write("in", "2\n");
    env.mlv(&["repro"]).success();
    assert_eq!((env.read_text("model"), env.read_text("d/parts")), ("1\n2\n".into(), "1\n2\n".into()));
    env.mlv(&["repro"]).success();
    assert_eq!(env.read_text("model"), "1\n2\n");
    env.assert_sound();
}

// DVC 76 K: what it makes depends on what was there, so that inputs do not tell.
#[test]
fn persistent_outputs_are_not_brought_back_by_their_inputs() {
    let env = TestEnv::ready();
    env.write("in", "1\n");
    env.write(
        "mlv.yaml",
        "stages:\n  s: {cmd: cat in >> model, deps: [in], outs: [model: {persist: true}]}\n",
    );
    env.mlv(&["repro"]).success();
    env.remove("mlv.lock");
    assert_eq!(actions(&env.json(&["repro"])), ["run"]);
    assert_eq!(env.read_text("model"), "1\n1\n");
}

// DVC 76 K, R21
#[test]
fn failed_run_does_not_change_a_persistent_output() {
    let env = TestEnv::ready();
    env.write("in", "1\n");
    let pipeline =
        "stages:\n  s:\n    cmd: cat in >> model\n    deps: [in]\n    outs: [model: {persist: true}]\n";
    env.write("mlv.yaml", pipeline);
    // Links into the cache are made writable copies.
    env.mlv(&["config", "cache.type", "symlink"]).success();
    env.mlv(&["repro"]).success();
    env.mlv(&["checkout", "--relink"]).success();
    env.write("in", "2\n");
    env.write("mlv.yaml", pipeline.replace(">> model", ">> model; exit 3"));
    env.mlv(&["repro"]).code(8);
    assert_eq!(env.read_text("model"), "1\n");
    env.write("mlv.yaml", pipeline);
    env.mlv(&["repro"]).success();
    assert_eq!(env.read_text("model"), "1\n2\n");
    env.assert_sound();
}

#[test]
fn parameters_come_from_toml_and_python_too() {
    let env = TestEnv::ready();
    let pipeline = "stages:\n  s:\n    cmd: echo ran >> log\n    params:\n    - conf.toml: [train.lr]\n    - \
                    conf.py: [SEED, Train.layers]\n    - all.toml:\n    outs: [o]\n";
    env.write("mlv.yaml", pipeline.replace("echo ran", "touch o; echo ran"));
    let toml =
        |lr: &str, other: u32| env.write("conf.toml", format!("[train]\nlr = {lr}\nother = {other}\n"));
    let python = |seed: u32, local: u32| {
        let text = format!(
            "SEED = {seed}\nclass Train:\n    def __init__(self):\n        self.layers = [1]\n        x = {local}\n"
        );
        env.write("conf.py", text);
    };
    toml("0.5", 1);
    python(1, 1);
    env.write("all.toml", "a = 1\n");
    env.mlv(&["repro"]).success();
    env.commit("run");
    assert_eq!(env.take_log(), ["ran"]);
    toml("0.50", 2);
    python(1, 2);
    env.mlv(&["repro"]).success();
    assert_eq!(env.take_log(), Vec::<String>::new());
    for change in
        [&|| toml("0.25", 2) as _, &|| python(2, 2), &|| env.write("all.toml", "a = 2\n")] as [&dyn Fn(); 3]
    {
        change();
        env.mlv(&["repro"]).success();
        assert_eq!(env.take_log(), ["ran"]);
    }
    let document = env.json(&["params", "diff"]);
    assert_eq!(document["conf.toml"]["train.lr"], json!({"old": 0.5, "new": 0.25, "diff": -0.25}));
    assert_eq!(document["conf.py"]["SEED"], json!({"old": 1, "new": 2, "diff": 1}));
    env.write("conf.toml", "a = [\n");
    assert!(env.json_error(&["repro"], 4).1.to_string().contains("conf.toml:"));
}

#[test]
fn plots_are_outputs() {
    let env = TestEnv::ready();
    env.write("mlv.yaml", "stages:\n  s:\n    cmd: echo 1 > p.csv; echo 2 > q.csv\n    plots:\n    - p.csv\n    - q.csv: {x: a, cache: false}\n");
    env.mlv(&["repro"]).success();
    assert!(env.git_ignores("p.csv") && !env.git_ignores("q.csv"));
    env.remove("p.csv");
    env.mlv(&["repro"]).success();
    assert_eq!(env.read_text("p.csv"), "1\n");
    assert!(!env.json_error(&["repro", "nosuch"], 2).0.is_empty());
}

#[test]
fn several_pipelines_of_one_repository_are_one_graph() {
    let env = TestEnv::ready();
    env.write(
        "mlv.yaml",
        "stages:\n  top: {cmd: cat sub/o > o; echo top >> log, deps: [sub/o], outs: [o]}\n",
    );
    env.write(
        "sub/mlv.yaml",
        "stages:\n  low: {cmd: cat in > o; echo low >> ../log, deps: [in], outs: [o]}\n",
    );
    env.write("sub/in", "1\n");
    env.write("apart/mlv.yaml", "stages:\n  top: {cmd: echo apart >> ../log; touch o, outs: [o]}\n");
    env.mlv(&["repro", "top"]).success();
    assert_eq!(env.take_log(), ["low", "top"]);
    env.mlv(&["repro", "apart/mlv.yaml:top"]).success();
    assert_eq!(env.take_log(), ["apart"]);
    assert!(env.exists("sub/mlv.lock") && env.exists("apart/mlv.lock"));
    env.write("sub/in", "2\n");
    env.mlv(&["repro"]).success();
    assert_eq!(env.take_log(), ["low", "top"]);
    env.at("sub").mlv(&["repro", "low"]).success();
    assert_eq!(env.take_log(), Vec::<String>::new());
}

#[test]
fn variables_are_part_of_what_makes_a_stage_up_to_date() {
    let env = TestEnv::ready();
    let pipeline = "stages:\n  s:\n    cmd: echo \"$GREETING $NAME\" > o; echo ran >> log\n    env: {GREETING: hello}\n    env_deps: [NAME]\n    outs: [o]\n";
    env.write("mlv.yaml", pipeline);
    let repro = |name: &str| {
        env.run(env.mlv_command().env("NAME", name).arg("repro")).success();
        env.take_log().len()
    };
    assert_eq!((repro("ada"), repro("ada")), (1, 0));
    assert_eq!(env.read_text("o"), "hello ada\n");
    // R12: a value may be a secret.
    assert!(!env.read_text("mlv.lock").contains("ada"), "{}", env.read_text("mlv.lock"));
    assert_eq!(env.json(&["status"])["stages"]["s"], json!([{"changed env": {"NAME": "modified"}}]));
    assert_eq!((repro("eve"), repro("eve")), (1, 0));
    env.write("mlv.yaml", pipeline.replace("hello", "hi"));
    assert_eq!((repro("eve"), repro("eve")), (1, 0));
    assert_eq!(env.read_text("o"), "hi eve\n");
    env.write("mlv.yaml", pipeline.replace("    cmd", "    shell: bash\n    cmd").replace("hello", "hi"));
    assert_eq!((repro("eve"), repro("eve")), (1, 0));
}

#[test]
fn pipes_under_sh_get_one_warning() {
    let env = TestEnv::ready();
    let stages = "stages:\n  a: {cmd: false | cat > o, outs: [o]}\n  b: {cmd: false | cat > p, outs: [p]}\n";
    env.write("mlv.yaml", stages);
    let output = env.mlv(&["repro"]).success();
    assert_eq!(output.stderr().matches("pipes commands").count(), 1, "{output}");
    env.write("mlv.yaml", format!("shell: bash\n{stages}"));
    let output = env.mlv(&["repro", "--keep-going"]).code(8);
    assert!(!output.stderr().contains("pipes commands"), "{output}");
}

#[test]
fn bash_reads_no_file_of_the_user_first() {
    let env = TestEnv::ready();
    env.write("first", "echo first >> log");
    env.write(
        "mlv.yaml",
        "stages:\n  s: {cmd: '[[ a == a ]] && echo ran >> log', shell: bash, outs: [log]}\n",
    );
    env.run(env.mlv_command().env("BASH_ENV", env.path().join("first")).arg("repro")).success();
    assert_eq!(env.read_text("log"), "ran\n");
}

#[test]
fn stage_that_fails_is_tried_again_from_the_same_start() {
    let env = TestEnv::ready();
    let pipeline = "stages:\n  s: {cmd: 'echo try >> log; test ! -e o; echo x > o; test $(wc -l < log) = 3', outs: [o], retries: 2}\n";
    env.write("mlv.yaml", pipeline);
    env.mlv(&["repro"]).success();
    assert_eq!(env.take_log().len(), 3);
    env.write("mlv.yaml", pipeline.replace("retries: 2", "retries: 1").replace("echo try", "echo other"));
    let document = env.json_error(&["repro"], 8).1;
    assert_eq!(env.take_log(), ["other", "other"]);
    assert!(!document.to_string().contains("trying again"), "{document}");
    assert_eq!(env.read_text("o"), "x\n");
    assert_eq!(env.rescued(), Vec::<String>::new());
}

#[test]
fn stage_that_takes_too_long_fails() {
    let env = TestEnv::ready();
    env.write("mlv.yaml", "stages:\n  s: {cmd: 'echo x > o; sleep 600', outs: [o], timeout: 300ms}\n");
    let (kind, document) = env.json_error(&["repro"], 8);
    assert_eq!(kind, "stage_failed");
    assert!(document["error"]["message"].as_str().is_some_and(|text| text.contains("300 ms")), "{document}");
    assert!(!env.exists("o"));
}

#[test]
fn needs_order_stages_without_data_between_them() {
    let env = TestEnv::ready();
    let stages = "stages:\n  last: {cmd: echo last >> log; touch l, needs: [first], outs: [l]}\n  first: {cmd: echo first >> log; touch f, outs: [f]}\n";
    env.write("mlv.yaml", stages);
    env.mlv(&["repro", "last"]).success();
    assert_eq!(env.take_log(), ["first", "last"]);
    env.write("mlv.yaml", stages.replace("touch f", "touch  f"));
    env.mlv(&["repro"]).success();
    assert_eq!(env.take_log(), ["first"]);
}

#[test]
fn stage_reads_all_that_a_group_makes() {
    let env = TestEnv::ready();
    let stages = "stages:\n  sum: {cmd: cat *.part > sum, deps: [{stage: part@*}], outs: [sum]}\n  part:\n    foreach: [a, b]\n    do: {cmd: 'echo ${item} > ${item}.part', outs: ['${item}.part']}\n";
    env.write("mlv.yaml", stages);
    env.mlv(&["repro"]).success();
    assert_eq!(env.read_text("sum"), "a\nb\n");
    assert!(env.read_text("mlv.lock").contains("- path: b.part\n"));
    env.write("mlv.yaml", stages.replace("[a, b]", "[a, b, c]"));
    env.mlv(&["repro"]).success();
    assert_eq!(env.read_text("sum"), "a\nb\nc\n");
}

#[test]
fn optional_output_is_kept_if_it_is_made() {
    let env = TestEnv::ready();
    env.write("in", "");
    let stages = "stages:\n  s: {cmd: 'touch o; if grep -q x in; then echo w > warnings; fi; echo ran >> log', deps: [in], outs: [o, warnings: {optional: true}]}\n";
    env.write("mlv.yaml", stages);
    env.mlv(&["repro"]).success();
    env.mlv(&["repro"]).success();
    assert_eq!(env.take_log(), ["ran"]);
    env.commit("none");
    env.mlv(&["status", "--exit-code"]).code(0);
    env.write("in", "x\n");
    env.mlv(&["repro"]).success();
    assert_eq!(env.read_text("warnings"), "w\n");
    env.remove("warnings");
    env.mlv(&["repro"]).success();
    assert_eq!((env.read_text("warnings"), env.take_log().len()), ("w\n".into(), 1));
    env.write("in", "");
    env.mlv(&["repro"]).success();
    assert!(!env.exists("warnings"));
    env.mlv(&["commit", "-f"]).success();
    env.assert_sound();
}
