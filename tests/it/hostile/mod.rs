//! R3, R11, R13, R16: pointers, pipelines and locks from other people, one by one, in a project
//! that holds something good too. What is refused is refused with its name, quickly, without a
//! change to anything; and the good remains usable. What each parser makes of the files stands in
//! `fixtures/hostile/outcomes.snap`; here the commands are held to it.

mod made;

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::support::{Output, TestEnv, differences, snapshot, texts};

/// Runs a command that gets two seconds of a processor, and is killed where it wants more. How long it takes by
/// the clock is a matter of the machine's load.
const WITHIN_LIMIT: &str = "ulimit -t 2; exec \"$0\" \"$@\"";

/// A file of `fixtures/hostile`, and what its parser makes of it.
struct Case {
    name: String,
    bytes: Vec<u8>,
    outcome: String,
}

impl Case {
    fn is_refused(&self) -> bool {
        self.outcome.starts_with("refused: ")
    }
}

/// The cases of `kind`; there must be as many as the list of outcomes says, and at least `least`.
fn cases(kind: &str, least: usize) -> Vec<Case> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/hostile");
    let outcomes = fs::read_to_string(root.join("outcomes.snap")).expect("the list is there");
    let start = outcomes.find(&format!("\n{kind}: ")).expect("the list has this kind") + 1;
    let mut lines = outcomes[start..].lines();
    let count = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok());
    let extension = if kind == "pointer" { "mlv" } else { ["lock", "yaml"][usize::from(kind == "pipeline")] };
    let case = |line: &str| {
        let (name, outcome) = line.strip_prefix("  ")?.split_once(": ")?;
        let bytes = fs::read(root.join(kind).join(format!("{name}.{extension}"))).expect("the file is there");
        Some(Case { name: name.to_owned(), bytes, outcome: outcome.to_owned() })
    };
    let cases: Vec<Case> = lines.map_while(case).collect();
    assert_eq!(Some(cases.len()), count, "{kind}");
    let files = fs::read_dir(root.join(kind)).expect("the fixtures are there").count();
    assert!(files == cases.len() && files >= least, "{files} files of {kind}");
    cases
}

/// A project with `good` and `kept/file` in the cache; `good` is not in place.
struct Ground {
    env: TestEnv,
    before: String,
}

impl Ground {
    fn new() -> Ground {
        let env = TestEnv::ready();
        env.write("good", "good data");
        env.write("kept/file", "kept data");
        env.write("nothing", "");
        env.mlv(&["add", "good", "kept/file", "nothing"]).success();
        env.commit("data");
        env.remove("good");
        Ground::around(env)
    }

    /// The machine as it is now, which no command may change.
    fn around(env: TestEnv) -> Ground {
        let before = machine(&env);
        Ground { env, before }
    }

    /// Runs the command within the limit, and without a control character in what it prints.
    #[track_caller]
    fn run(&self, args: &[&str]) -> Output {
        let mut command = self.env.command("sh");
        let output = self.env.run(command.args(["-c", WITHIN_LIMIT, env!("CARGO_BIN_EXE_mlv")]).args(args));
        let is_wild = |byte: &u8| byte.is_ascii_control() && *byte != b'\n';
        assert!(!output.stdout_bytes().iter().chain(output.stderr_bytes()).any(is_wild), "{output}");
        let text = format!("{}{}", output.stdout(), output.stderr());
        assert!(!text.contains(['\u{202e}', '\u{9b}']) && !text.contains("panicked"), "{output}");
        output
    }

    /// `status` is refused for `file`, and still tells about `good`.
    #[track_caller]
    fn check_status(&self, file: &str, place: &str) -> Value {
        let output = self.run(&["status", "--json"]);
        assert_eq!(output.exit_code(), 4, "{place}: {output}");
        let document = output.json();
        let said = document["error"].to_string() + &document["failed"].to_string();
        assert!(said.contains(file), "{place}: {document}");
        self.check_deleted(&document, place);
        document
    }

    /// The document tells that `good` is not in place.
    #[track_caller]
    fn check_deleted(&self, document: &Value, place: &str) {
        let deleted = texts(&document["data"]["uncommitted"]["deleted"]);
        assert!(deleted.contains(&"good"), "{place}: {document}");
    }

    /// Nothing but `good` changed on the machine, and `good` can be had.
    #[track_caller]
    fn check_rest(&self, place: &str) {
        if !self.env.exists("good") {
            self.run(&["checkout", "good"]).success();
        }
        assert_eq!(self.env.read_text("good"), "good data", "{place}");
        self.env.remove("good");
        assert_eq!(differences(&self.before, &machine(&self.env)), Vec::<String>::new(), "{place}");
    }
}

/// Everything on the machine but what lies in `.mlv`, except its configuration.
fn machine(env: &TestEnv) -> String {
    let folders = ["cache", "leases", "logs", "ops", "rescue", "tmp"];
    let files = ["here", "index", "config.lock", "here.lock", "meta.lock", "times", "last-repro"];
    let hidden = [&folders[..], &files].concat();
    snapshot(env.root(), &hidden)
}

// R3, R13, R16
#[test]
fn hostile_pointers_are_refused_and_the_rest_is_usable() {
    let base = Ground::new();
    for case in cases("pointer", 110) {
        let place = case.name.as_str();
        base.env.write("p/x.mlv", &case.bytes);
        let ground = Ground::around(base.env.clone());
        if case.is_refused() {
            ground.check_status("p/x.mlv", place);
        } else {
            // Right in form, but no content has this hash and this size.
            ground.check_deleted(&ground.run(&["status", "--json"]).json(), place);
        }
        for args in [&["checkout"][..], &["checkout", "--force", "p/x.mlv"]] {
            let output = ground.run(args);
            let expected: &[i32] = if case.is_refused() { &[4] } else { &[4, 5] };
            assert!(expected.contains(&output.exit_code()), "{place}: {args:?}: {output}");
            assert!(output.stderr().contains("p/x"), "{place}: {output}");
        }
        ground.check_rest(place);
    }
}

// R3, R11, R13, R16
#[test]
fn hostile_pipelines_are_refused_and_the_rest_is_usable() {
    let base = Ground::new();
    for case in cases("pipeline", 110) {
        let place = case.name.as_str();
        base.env.write("p/mlv.yaml", &case.bytes);
        let ground = Ground::around(base.env.clone());
        if case.is_refused() {
            ground.check_status("p/mlv.yaml", place);
            for args in [&["repro", "--dry-run"][..], &["repro", "-P"], &["--cd", "p", "repro"]] {
                let output = ground.run(args);
                assert_eq!(output.exit_code(), 4, "{place}: {args:?}: {output}");
                assert!(output.stderr().contains("mlv.yaml"), "{place}: {output}");
            }
        } else {
            let output = ground.run(&["status", "--json"]);
            assert_eq!(output.exit_code(), 0, "{place}: {output}");
            ground.check_deleted(&output.json(), place);
            let output = ground.run(&["repro", "--dry-run"]);
            assert_ne!(output.exit_code(), 4, "{place}: {output}");
        }
        ground.check_rest(place);
    }
}

// R3, R13, R16, R21
#[test]
fn hostile_locks_are_refused_or_stale_and_the_rest_is_usable() {
    let base = Ground::new();
    base.env.write("p/mlv.yaml", "stages:\n  good:\n    cmd: echo x > model\n    outs: [model]\n");
    for case in cases("lock", 70) {
        let place = case.name.as_str();
        base.env.write("p/mlv.lock", &case.bytes);
        let ground = Ground::around(base.env.clone());
        if case.is_refused() {
            ground.check_status("p/mlv.lock", place);
            let output = ground.run(&["repro", "--dry-run"]);
            assert_eq!(output.exit_code(), 4, "{place}: {output}");
            assert!(output.stderr().contains("mlv.lock"), "{place}: {output}");
            ground.check_rest(place);
            continue;
        }
        // An entry that cannot be used is told; its stage runs, and the entry goes.
        let output = ground.run(&["status", "--json"]);
        let expected = if case.outcome.contains("; entry refused: ") { 4 } else { 0 };
        assert_eq!(output.exit_code(), expected, "{place}: {output}");
        ground.check_deleted(&output.json(), place);
        ground.check_rest(place);
        let output = ground.run(&["repro", "good"]);
        assert_eq!(output.exit_code(), 0, "{place}: {output}");
        assert_eq!(ground.env.read_text("p/model"), "x\n", "{place}");
        for path in ["p/model", "p/mlv.lock", "p/.gitignore"] {
            ground.env.remove(path);
        }
        ground.env.write("p/mlv.lock", &case.bytes);
        ground.check_rest(place);
    }
}
