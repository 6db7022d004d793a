//! A project just before a command, and what must hold whatever becomes of the command.

use std::collections::BTreeSet;
use std::fs;

use crate::support::{Output, TestEnv, files_below};

/// A command, and how the machine looks just before it.
pub(super) struct Scenario {
    pub(super) name: &'static str,
    pub(super) args: &'static [&'static str],
    /// Makes the machine; the command runs in the folder that is returned.
    pub(super) prepare: fn() -> TestEnv,
}

/// Every command that changes something.
pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario { name: "init", args: &["init"], prepare: || TestEnv::in_git() },
    Scenario { name: "add", args: &["add", "a", "d", "new"], prepare: edited },
    Scenario { name: "add of many", args: &["add", "many"], prepare: many },
    Scenario { name: "commit", args: &["commit", "--force"], prepare: edited },
    Scenario { name: "checkout", args: &["checkout", "--force"], prepare: at_other_commit },
    Scenario { name: "checkout of many", args: &["checkout", "many"], prepare: many_gone },
    Scenario { name: "checkout over kinds", args: &["checkout"], prepare: at_other_kinds },
    Scenario { name: "rescue restore", args: &["rescue", "restore"], prepare: displaced },
    Scenario {
        name: "rescue restore by force",
        args: &["rescue", "restore", "--force", FIRST],
        prepare: displaced_and_edited,
    },
    Scenario { name: "resolve", args: &["resolve", "--ours"], prepare: in_conflict },
    Scenario { name: "push", args: &["push"], prepare: unpushed },
    Scenario { name: "gc", args: &["gc", "-c", "-w", "--now", "--keep", "0d"], prepare: pushed_again },
    Scenario { name: "fetch", args: &["fetch"], prepare: behind },
    Scenario { name: "remote rename", args: &["remote", "rename", "keep", "archive"], prepare: kept_apart },
    Scenario { name: "pull", args: &["pull", "--force"], prepare: behind },
    Scenario { name: "repro", args: &["repro"], prepare: stale },
    Scenario { name: "repro of two", args: &["repro", "--jobs", "2"], prepare: stale_side_by_side },
    Scenario { name: "verify", args: &["verify"], prepare: recorded },
    Scenario { name: "remove", args: &["remove", "d"], prepare: edited },
    Scenario { name: "remove with data", args: &["remove", "--outs", "d"], prepare: edited },
];

/// Stands for the name of the first operation in rescue: the last one may be the command's own.
const FIRST: &str = "FIRST";

/// The scenario of this name.
pub(super) fn scenario(name: &str) -> &'static Scenario {
    SCENARIOS.iter().find(|scenario| scenario.name == name).expect("it is in the list")
}

/// Version 1 of `a` and `d`, committed and pushed.
fn base() -> TestEnv {
    let env = TestEnv::shared();
    env.write("a", "alpha, version 1");
    env.write("d/1", "first, version 1");
    env.write("d/2", "second, version 1");
    env.write("d/sub/run", "third, version 1");
    env.chmod("d/sub/run", 0o755);
    env.at("d/empty");
    env.symlink("sub/run", "d/link");
    env.mlv(&["add", "a", "d"]).success();
    env.commit("version 1");
    env.mlv(&["push"]).success();
    env
}

fn edited() -> TestEnv {
    let env = base();
    env.write("a", "alpha, version 2");
    env.write("d/1", "first, version 2");
    env.remove("d/2");
    env.write("d/4", "fourth, version 2");
    env.chmod("d/sub/run", 0o644);
    env.write("new", "new, version 2");
    env
}

fn many() -> TestEnv {
    let env = base();
    for at in 0..80 {
        env.write(format!("many/{at}"), format!("small file number {at}."));
    }
    env
}

/// Enough files for a folder that is put into place as a whole.
fn many_gone() -> TestEnv {
    let env = base();
    for at in 0..18 {
        env.write(format!("many/deep/{at}"), format!("small file number {at}."));
    }
    env.mlv(&["add", "many"]).success();
    env.commit("many");
    env.remove("many");
    env
}

fn unpushed() -> TestEnv {
    let env = edited();
    env.mlv(&["add", "a", "d", "new"]).success();
    env.commit("version 2");
    env
}

/// Version 2 is pushed too, so that a part of what version 1 needs can go.
fn pushed_again() -> TestEnv {
    let env = unpushed();
    env.mlv(&["push"]).success();
    env
}

fn at_other_commit() -> TestEnv {
    let env = unpushed();
    env.git(&["checkout", "--quiet", "HEAD~1"]);
    env.write("d/1", "first, edited and never added");
    env.write("d/mine", "mine, never added");
    env
}

/// At the commit in which everything is of the other kind; nothing is edited.
fn at_other_kinds() -> TestEnv {
    let env = base();
    let folder = |path: &str| {
        env.write(format!("{path}/1"), format!("first of {path}"));
        env.write(format!("{path}/sub/2"), format!("second of {path}"));
        env.at(format!("{path}/empty/deeper"));
    };
    let file = |path: &str| env.write(path, format!("{path}, a file"));
    let record = |message: &str| {
        env.mlv(&["add", "was-folder", "was-file", "was-empty", "was-small", "d"]).success();
        env.commit(message);
    };
    folder("was-folder");
    file("was-file");
    env.at("was-empty/deeper");
    file("was-small");
    folder("d/was-folder");
    file("d/was-file");
    env.at("d/empty-before/deeper/still");
    record("before");
    for path in ["was-folder", "was-file", "was-empty", "was-small"] {
        env.mlv(&["remove", "--outs", path]).success();
    }
    ["d/was-folder", "d/was-file", "d/empty-before"].iter().for_each(|path| env.remove(path));
    file("was-folder");
    folder("was-file");
    file("was-empty");
    env.at("was-small");
    file("d/was-folder");
    folder("d/was-file");
    env.at("d/empty-after/deeper/still");
    record("after");
    env.git(&["checkout", "--quiet", "HEAD~1"]);
    env.mlv(&["checkout"]).success();
    env.git(&["checkout", "--quiet", "main"]);
    env
}

/// What was edited lies in rescue; one of the files has a folder at its place then.
fn displaced() -> TestEnv {
    let env = base();
    env.write("a", "alpha, edited and never added");
    env.write("d/1", "first, edited and never added");
    env.remove("d/2");
    env.write("d/2/deeper", "a file where none is recorded");
    env.write("d/sub/run", "third, edited and never added");
    env.mlv(&["checkout", "--force"]).success();
    env
}

/// The same, edited once more, so that this has to make room.
fn displaced_and_edited() -> TestEnv {
    let env = displaced();
    let name = env.json(&["rescue", "list"])["operations"][0]["name"].clone();
    env.beside("notes").write(FIRST, name.as_str().expect("a name"));
    env.write("a", "alpha, edited once more");
    env.write("d/2", "second, edited at the place of a folder");
    env.remove("d/sub/run");
    env.write("d/sub/run/deeper", "a file at the place of one that comes back");
    env
}

/// Two branches changed `d` and what a stage made of it, in a merge by git.
fn in_conflict() -> TestEnv {
    let env = base();
    env.write("mlv.yaml", "stages:\n  s: {cmd: cat d/1 > out, deps: [d], outs: [out]}\n");
    let version = |text: &str| {
        env.write("d/1", format!("first, {text}"));
        env.mlv(&["add", "d"]).success();
        env.mlv(&["repro"]).success();
        env.commit(text);
    };
    version("before both");
    env.git(&["checkout", "--quiet", "-b", "side"]);
    version("of theirs");
    env.git(&["checkout", "--quiet", "main"]);
    env.mlv(&["checkout"]).success();
    version("of ours");
    let merge = env.git_and_mlv(&["merge", "--no-edit", "side"]);
    assert_eq!(merge.exit_code(), 1, "{merge}");
    env
}

fn behind() -> TestEnv {
    let env = unpushed();
    env.git(&["checkout", "--quiet", "-b", "old", "HEAD~1"]);
    let clone = env.clone_to("clone");
    clone.mlv(&["pull"]).success();
    env.git(&["checkout", "--quiet", "main"]);
    env.mlv(&["push"]).success();
    clone.git(&["checkout", "--quiet", "main"]);
    clone.write("d/1", "first, edited and never added");
    clone
}

/// A remote that a pointer and a stage name, with an option of this clone's own, and the default.
fn kept_apart() -> TestEnv {
    let env = base();
    env.mlv(&["remote", "add", "-d", "keep", "../keep"]).success();
    env.mlv(&["remote", "modify", "--local", "keep", "jobs", "2"]).success();
    env.write("a.mlv", env.read_text("a.mlv") + "  remote: keep\n");
    let stage = "# >>> of the user\nstages:\n  s: {cmd: cp a out, deps: [a], outs: [out: {remote: keep}]}\n";
    env.write("mlv.yaml", stage);
    env.mlv(&["repro"]).success();
    env.mlv(&["push"]).success();
    env.commit("kept apart");
    env
}

fn stale() -> TestEnv {
    let env = TestEnv::ready();
    env.write("in", "input, version 1");
    let stages = "stages:\n  one:\n    cmd: cat in > mid; echo ' through one' >> mid\n    deps: [in]\n    outs: [mid]\n  \
                  two:\n    cmd: mkdir out; cat mid > out/f; echo ' through two' >> out/f\n    deps: [mid]\n    outs: [out]\n";
    env.write("mlv.yaml", stages);
    env.mlv(&["repro"]).success();
    env.commit("version 1");
    env.write("in", "input, version 2");
    env.write("out/f", "output, edited by hand");
    env
}

/// A stage that has run, of data that is tracked and of a file of git's.
fn recorded() -> TestEnv {
    let env = base();
    env.write("script", "cat a d/1 > out/f; cp d/2 out");
    env.write("mlv.yaml", "stages:\n  s: {cmd: 'mkdir out; sh script', deps: [a, d], outs: [out]}\n");
    env.mlv(&["repro"]).success();
    env.commit("version 1");
    env
}

/// Two stages that read one file; each waits until the other runs, so both are open at once.
fn stale_side_by_side() -> TestEnv {
    let env = TestEnv::ready();
    env.write("in", "input, version 1");
    let stage = |name: &str, other: &str, make: &str| {
        // The other may never come: this run may be one that is killed before.
        let meet = format!(
            "touch .mlv/tmp/at-{name}; n=0; while [ ! -e .mlv/tmp/at-{other} ] && [ $n -lt 20 ]; do sleep 0.01; n=$((n+1)); done"
        );
        format!("  {name}:\n    cmd: {meet}; {make}\n    deps: [in]\n    outs: [out-{name}]\n")
    };
    let left = stage("left", "right", "cat in > out-left; echo ' on the left' >> out-left");
    let right =
        stage("right", "left", "mkdir out-right; cat in > out-right/f; echo ' on the right' >> out-right/f");
    env.write("mlv.yaml", format!("stages:\n{left}{right}"));
    env.mlv(&["repro", "--jobs", "2"]).success();
    env.commit("version 1");
    env.remove(".mlv/tmp/at-left");
    env.remove(".mlv/tmp/at-right");
    env.write("in", "input, version 2");
    env.write("out-left", "output on the left, edited by hand");
    env.write("out-right/f", "output on the right, edited by hand");
    env
}

impl Scenario {
    /// Runs the command with these variables set.
    pub(super) fn run(&self, env: &TestEnv, variables: &[(&str, &str)]) -> Output {
        env.run(env.mlv_command().args(self.arguments(env)).envs(variables.iter().copied()))
    }

    /// The arguments as they are in `env`.
    pub(super) fn arguments(&self, env: &TestEnv) -> Vec<String> {
        let text = |arg: &&str| match *arg {
            FIRST => env.beside("notes").read_text(FIRST),
            arg => arg.to_owned(),
        };
        self.args.iter().map(text).collect()
    }
}

/// A machine before and after the command did its work unharmed.
pub(super) struct Unharmed {
    pub(super) before: TestEnv,
    /// The work tree before, line by line.
    lines_before: BTreeSet<String>,
    /// Contents of all files of the user before.
    contents: Vec<Vec<u8>>,
    pub(super) after: String,
    lines_after: BTreeSet<String>,
    /// The steps of the command, in order.
    pub(super) steps: Vec<String>,
}

impl Unharmed {
    /// Runs the command once on a copy of the machine.
    pub(super) fn of(scenario: &Scenario) -> Unharmed {
        let before = (scenario.prepare)();
        let env = before.duplicate();
        let log = env.root().join("steps").display().to_string();
        scenario.run(&env, &[("MLV_FAULT", &format!("count:{log}"))]).success();
        let steps = fs::read_to_string(&log).expect("the command has steps");
        let steps = steps.lines().filter_map(|line| line.split_once(' ').map(|(_, step)| step.to_owned()));
        let (was, after) = (before.snapshot(), env.snapshot());
        Unharmed {
            contents: user_contents(&before),
            lines_before: was.lines().map(str::to_owned).collect(),
            lines_after: after.lines().map(str::to_owned).collect(),
            after,
            steps: steps.collect(),
            before,
        }
    }

    /// What is lost of the contents before the command. They may be anywhere: in the work tree,
    /// the cache (whose packs are not compressed), or rescue.
    pub(super) fn lost(&self, env: &TestEnv) -> Vec<String> {
        let mut files = Vec::new();
        files_below(env.path(), &mut files);
        let stored: Vec<Vec<u8>> = files.iter().filter_map(|path| fs::read(path).ok()).collect();
        let is_lost = |bytes: &&Vec<u8>| !stored.iter().any(|file| contains(file, bytes));
        self.contents
            .iter()
            .filter(is_lost)
            .map(|bytes| String::from_utf8_lossy(bytes).into_owned())
            .collect()
    }

    /// What lies in rescue that no file of the user was before.
    pub(super) fn foreign(&self, env: &TestEnv) -> Vec<String> {
        let listed = env.json(&["rescue", "list"]);
        let mut foreign = Vec::new();
        for operation in listed["operations"].as_array().expect("a list") {
            let name = operation["name"].as_str().expect("a name");
            for file in operation["files"].as_array().expect("a list") {
                let stored = file["stored"].as_str().expect("a path");
                let bytes = env.read(format!(".mlv/rescue/{name}/{stored}"));
                if !self.contents.contains(&bytes) {
                    foreign.push(String::from_utf8_lossy(&bytes).into_owned());
                }
            }
        }
        foreign
    }

    /// What stands in the work tree that is neither of before nor of after.
    pub(super) fn torn(&self, env: &TestEnv) -> Vec<String> {
        let now = env.snapshot();
        let is_known = |line: &&str| self.lines_before.contains(*line) || self.lines_after.contains(*line);
        now.lines().filter(|line| !is_known(line)).map(str::to_owned).collect()
    }
}

/// The contents of all files of the user that are not git's to keep.
fn user_contents(env: &TestEnv) -> Vec<Vec<u8>> {
    let mut files = Vec::new();
    files_below(env.path(), &mut files);
    let inside = |path: &std::path::Path, name: &str| path.components().any(|part| part.as_os_str() == name);
    let is_data = |path: &&std::path::PathBuf| !inside(path, ".git") && !inside(path, ".mlv");
    let read = files
        .iter()
        .filter(is_data)
        .filter(|path| !path.is_symlink())
        .map(|path| fs::read(path).expect("it is there"));
    let is_mlvs = |bytes: &[u8]| {
        [&b"# >>>"[..], b"version: ", b"<<<<<<< ours\nversion: "].iter().any(|begin| bytes.starts_with(begin))
    };
    read.filter(|bytes| bytes.len() > 4 && !is_mlvs(bytes)).collect()
}

pub(super) fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}
