//! The workflows of docs/guides/ci: they fit their public schemas, and their scripts do what the guide
//! says, on a clone of a bare repository with a folder as the remote.

use std::path::{Path, PathBuf};
use std::process::Command;

use mlv::model::path::RepoPath;
use mlv::model::value::Value;
use mlv::model::values;

use crate::support::{Output, TestEnv, servers};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/guides/ci")
}

fn text_of(name: &str) -> String {
    std::fs::read_to_string(folder().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn yaml(name: &str) -> Value {
    let file = RepoPath::parse(name).expect("a path");
    values::read(&file, text_of(name).as_bytes()).unwrap_or_else(|error| panic!("{error}"))
}

fn get<'v>(value: &'v Value, path: &[&str]) -> &'v Value {
    path.iter().fold(value, |value, key| value.get(key).unwrap_or_else(|| panic!("no `{key}` in {value}")))
}

fn items(value: &Value) -> &[Value] {
    let Value::List(items) = value else { panic!("no list: {value}") };
    items
}

fn text(value: &Value) -> String {
    let Value::Text(text) = value else { panic!("no text: {value}") };
    text.to_string()
}

/// The scripts of a job of GitHub's, step by step. What a pull request chooses reaches them by variables
/// only: an expression in a script is filled in before the shell reads it.
fn github(name: &str, job: &str) -> Vec<String> {
    let workflow = yaml(name);
    let steps = items(get(&workflow, &["jobs", job, "steps"]));
    let scripts: Vec<String> = steps.iter().filter_map(|step| step.get("run").map(text)).collect();
    assert!(scripts.iter().all(|script| !script.contains("${{")), "{name}");
    scripts
}

fn gitlab(job: &str) -> Vec<String> {
    items(get(&yaml("gitlab-ci.yml"), &[job, "script"])).iter().map(text).collect()
}

/// The scripts of the Jenkinsfile, in order.
fn jenkins() -> Vec<String> {
    let file = text_of("Jenkinsfile");
    let mut scripts = Vec::new();
    let mut rest = file.as_str();
    while let Some(at) = rest.find(" sh '") {
        rest = &rest[at + " sh '".len()..];
        let (open, end) = if rest.starts_with("''") { (2, "'''") } else { (0, "'") };
        let (script, after) = rest[open..].split_once(end).expect("a string ends");
        scripts.push(script.to_owned());
        rest = after;
    }
    scripts
}

/// A bare repository `origin.git` and the folder `remote` beside it. `main` has a run; `feature` has another
/// parameter that nobody ran with, and `done` one that somebody ran with, without its lock.
fn origin() -> TestEnv {
    let env = TestEnv::shared();
    env.write("data", "1\n2\n3\n");
    env.write("params.yaml", "scale: 1\n");
    env.write(
        "mlv.yaml",
        "stages:\n  train:\n    cmd: cat data params.yaml > model; sed 's/scale/loss/' params.yaml > metrics.yaml\n    \
         deps: [data]\n    params: [scale]\n    outs: [model]\n    metrics: [metrics.yaml: {cache: false}]\n",
    );
    env.mlv(&["add", "data"]).success();
    env.mlv(&["repro"]).success();
    env.mlv(&["push"]).success();
    env.commit("main");
    for (branch, scale) in [("done", 2), ("feature", 3)] {
        env.git(&["checkout", "--quiet", "-b", branch, "main"]);
        env.write("params.yaml", format!("scale: {scale}\n"));
        if branch == "done" {
            env.mlv(&["repro"]).success();
            env.mlv(&["push"]).success();
            env.git(&["checkout", "--quiet", "--", "mlv.lock", "metrics.yaml"]);
        }
        env.git(&["commit", "--quiet", "--message", branch, "params.yaml"]);
    }
    let bare = env.root().join("origin.git").display().to_string();
    env.git(&["clone", "--quiet", "--bare", ".", &bare]);
    env.git(&["-C", &bare, "config", "receive.advertisePushOptions", "true"]);
    env
}

/// What a CI system checks out of `branch`, without data.
fn checkout(env: &TestEnv, branch: &str, name: &str) -> TestEnv {
    let bare = env.beside("origin.git");
    let clone = bare.clone_to(name);
    clone.git(&["checkout", "--quiet", "--detach", &format!("origin/{branch}")]);
    clone
}

/// Runs a script as the CI system does, with `mlv` and stand-ins for its own programs in PATH.
fn run(clone: &TestEnv, shell: &[&str], script: &str, variables: &[(&str, &str)]) -> Output {
    let programs = clone.beside("programs");
    if !programs.exists("mlv") {
        programs.symlink(env!("CARGO_BIN_EXE_mlv"), "mlv");
        programs.write("gh", "#!/bin/sh\nprintf '%s ' \"$@\" > ../comment\n");
        programs.chmod("gh", 0o755);
    }
    let path = format!("{}:{}", programs.path().display(), std::env::var("PATH").expect("a PATH"));
    // Scripts write to /tmp, which tests share.
    let tmp = clone.beside("tmp").path().display().to_string();
    let script = script.replace("/tmp/", &format!("{tmp}/"));
    let mut command: Command = clone.command(shell[0]);
    command.args(&shell[1..]).arg(script).env("PATH", path).env("CI", "true");
    command.env("GITHUB_WORKSPACE", clone.path()).env("GITHUB_STEP_SUMMARY", format!("{tmp}/summary"));
    command.envs(variables.iter().copied());
    clone.run(&mut command)
}

const BASH: &[&str] = &["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c"];

/// What `branch` of the origin has after a workflow: the run is committed and its data can be pulled.
#[track_caller]
fn assert_delivered(env: &TestEnv, branch: &str, scale: u32) {
    let after = checkout(env, branch, "after");
    assert_eq!(after.read_text("metrics.yaml"), format!("loss: {scale}\n"));
    after.mlv(&["status", "--only", "pipeline", "--exit-code"]).success();
    after.mlv(&["pull"]).success();
    assert_eq!(after.read_text("model"), format!("1\n2\n3\nscale: {scale}\n"));
    assert_eq!(after.git(&["log", "-1", "--format=%s %an"]), "Run the pipeline Ada");
    assert_eq!(after.git(&["status", "--short"]), "");
}

#[test]
fn github_verifies_a_pull_request_without_data_or_secrets() {
    let env = origin();
    let variables = [("GITHUB_BASE_REF", "main")];
    let clone = checkout(&env, "feature", "checkout");
    // Nothing can be fetched, as from a fork.
    std::fs::remove_dir_all(env.root().join("remote")).expect("the remote");
    let mut steps = github("github-verify.yml", "verify");
    let last = steps.pop().expect("a step");
    for step in &steps {
        run(&clone, BASH, step, &variables).success();
    }
    run(&clone, BASH, &last, &variables).code(1);
    let summary = clone.beside("tmp").read_text("summary");
    assert!(summary.contains("| params.yaml | scale | 1 | 3 |"), "{summary}");
    assert!(summary.contains("| train | stale | changed deps: params.yaml |"), "{summary}");
    assert!(!clone.exists("data") && !clone.exists("model"));
    let fine = checkout(&env, "main", "fine");
    run(&fine, BASH, &last, &variables).success();
}

#[test]
fn github_runs_what_is_stale_and_commits_it_back() {
    let env = origin();
    let variables = [
        ("GITHUB_BASE_REF", "main"),
        ("GITHUB_HEAD_REF", "feature"),
        ("MLV_CORE_AUTOSTAGE", "true"),
        ("PULL_REQUEST", "7"),
    ];
    let workflow = yaml("github-repro.yml");
    assert_eq!(text(get(&workflow, &["jobs", "repro", "env", "MLV_CORE_AUTOSTAGE"])), "true");
    let clone = checkout(&env, "feature", "checkout");
    for step in github("github-repro.yml", "repro") {
        run(&clone, BASH, &step, &variables).success();
    }
    let report = clone.beside("tmp").read_text("report.md");
    assert!(report.contains("| metrics.yaml | loss | 1 | 3 | 2 |"), "{report}");
    assert!(report.contains("1 run, 0 restored, 0 skipped, 0 stale"), "{report}");
    assert_eq!(clone.beside("tmp").read_text("summary"), report);
    assert!(clone.beside(".").read_text("comment").starts_with("pr comment 7 "));
    assert_delivered(&env, "feature", 3);
    // A second time nothing is left to do, and nothing is committed.
    let again = checkout(&env, "feature", "again");
    let before = again.git(&["rev-parse", "origin/feature"]);
    for step in github("github-repro.yml", "repro") {
        run(&again, BASH, &step, &variables).success();
    }
    assert_eq!(
        again.git(&["ls-remote", "origin", "refs/heads/feature"]).split_once('\t').map(|(id, _)| id),
        Some(&*before)
    );
}

#[test]
fn what_a_laptop_ran_is_restored_not_run() {
    let env = origin();
    let clone = checkout(&env, "done", "checkout");
    let variables = [
        ("GITHUB_BASE_REF", "main"),
        ("GITHUB_HEAD_REF", "done"),
        ("MLV_CORE_AUTOSTAGE", "true"),
        ("PULL_REQUEST", "8"),
    ];
    for step in github("github-repro.yml", "repro") {
        run(&clone, BASH, &step, &variables).success();
    }
    let report = clone.beside("tmp").read_text("report.md");
    assert!(report.contains("| train | restored |"), "{report}");
    assert!(report.contains("0 run, 1 restored, 0 skipped, 0 stale"), "{report}");
    assert_delivered(&env, "done", 2);
}

#[test]
fn gitlab_verifies_and_runs() {
    let env = origin();
    let clone = checkout(&env, "feature", "checkout");
    let base = clone.git(&["rev-parse", "origin/main"]);
    let url = env.root().join("origin.git").display().to_string();
    let cache = clone.path().join(".cache/mlv").display().to_string();
    let mut variables = vec![
        ("CI_MERGE_REQUEST_DIFF_BASE_SHA", &*base),
        ("CI_MERGE_REQUEST_SOURCE_BRANCH_NAME", "feature"),
        ("PUSH_URL", &*url),
    ];
    // One shell runs all lines of a job.
    let verify = run(&clone, BASH, &gitlab("verify").join("\n"), &variables).code(1);
    assert!(verify.stdout().contains("| train | stale | changed deps: params.yaml |"), "{verify}");
    variables.extend([("MLV_CORE_AUTOSTAGE", "true"), ("MLV_CACHE_DIR", &*cache)]);
    run(&clone, BASH, &gitlab("repro").join("\n"), &variables).success();
    let report = clone.read_text("report.md");
    assert!(report.contains("| metrics.yaml | loss | 1 | 3 | 2 |"), "{report}");
    assert_delivered(&env, "feature", 3);
}

#[test]
fn jenkins_verifies_and_runs() {
    let env = origin();
    let clone = checkout(&env, "feature", "checkout");
    let variables = [
        ("BASE", "main"),
        ("BRANCH", "feature"),
        ("MLV_CORE_AUTOSTAGE", "true"),
        ("AWS_USR", "u"),
        ("AWS_PSW", "p"),
    ];
    let scripts = jenkins();
    let [report, status, repro] = &scripts[..] else { panic!("three scripts: {scripts:?}") };
    let sh = ["sh", "-xe", "-c"];
    run(&clone, &sh, report, &variables).success();
    run(&clone, &sh, status, &variables).code(1);
    run(&clone, &sh, repro, &variables).success();
    let report = clone.read_text("report.md");
    assert!(report.contains("1 run, 0 restored, 0 skipped, 0 stale"), "{report}");
    assert_delivered(&env, "feature", 3);
}

/// There is no public schema of the Jenkinsfile; that its blocks end is all that is looked at here.
#[test]
fn blocks_of_the_jenkinsfile_end() {
    let file = text_of("Jenkinsfile");
    let mut code = file.clone();
    for script in jenkins() {
        code = code.replace(&script, "");
    }
    let lines = code.lines().map(|line| line.split("//").next().unwrap_or_default());
    let mut depth = 0_i32;
    for c in lines.flat_map(str::chars) {
        depth += i32::from(matches!(c, '{' | '(' | '[')) - i32::from(matches!(c, '}' | ')' | ']'));
        assert!(depth >= 0, "closed too often");
    }
    assert_eq!((depth, code.matches('\'').count() % 2), (0, 0));
    assert_eq!(jenkins().len(), 3);
}

#[test]
fn workflows_fit_their_schemas() {
    let Some(program) = servers::check_jsonschema() else { return };
    let env = TestEnv::new();
    let check = |schema: &str, file: &Path| {
        let mut command = env.command(program.to_str().expect("our paths are text"));
        env.run(command.args(["--builtin-schema", schema]).arg(file))
    };
    for name in ["github-verify.yml", "github-repro.yml"] {
        check("vendor.github-workflows", &folder().join(name)).success();
    }
    check("vendor.gitlab-ci", &folder().join("gitlab-ci.yml")).success();
    // It does refuse what does not fit.
    let wrong = text_of("github-verify.yml").replace("runs-on:", "runs_on:");
    env.write("wrong.yml", wrong);
    check("vendor.github-workflows", &env.path().join("wrong.yml")).code(1);
    env.write(
        "wrong-gitlab.yml",
        text_of("gitlab-ci.yml").replace("    when: always", "    when: sometimes"),
    );
    check("vendor.gitlab-ci", &env.path().join("wrong-gitlab.yml")).code(1);
}
