//! Any tree goes through add, push, a fresh clone and pull, or is refused at `add`.

mod tree;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::thread;

use crate::support::{Rng, TestEnv, differences, seed};
use tree::RandomTree;

const PROJECTS: u64 = 10;
const TREES: usize = 50;

/// The name of the output with this number: as strange as the rule for outputs allows.
fn output_name(at: usize) -> String {
    let names = [
        "plain",
        "with space",
        "-dash",
        "it's",
        "caf\u{e9}",
        "\u{4e2d}\u{6587}",
        "#hash",
        "a.b",
        "UPPER",
        "[x]",
    ];
    format!("{} {at}", names[at % names.len()])
}

/// One project with `TREES` random directories; returns how many of them have several pages.
fn check_project(seed: u64) -> usize {
    let mut rng = Rng::new(seed);
    let env = TestEnv::shared();
    let mut trees: Vec<RandomTree> = (0..TREES).map(|at| RandomTree::new(&mut rng, at % 8 == 0)).collect();
    let names: Vec<String> = (0..TREES).map(output_name).collect();
    for (name, tree) in names.iter().zip(&trees) {
        tree.write(&env.path().join(name));
    }
    let mut add = vec!["add", "--"];
    add.extend(names.iter().map(String::as_str));
    env.mlv(&add).success();
    for (name, tree) in names.iter().zip(&trees) {
        check_pointer(&env, name, tree);
    }
    env.commit("add");
    env.assert_clean();
    env.mlv(&["push"]).success();
    let clone = env.clone_to("clone");
    clone.mlv(&["pull"]).success();
    assert_same(&env, &clone);

    // A second version over the first, in both directions.
    let first = env.snapshot();
    for (name, tree) in names.iter().zip(&mut trees).step_by(5) {
        tree.change(&mut rng);
        env.remove(name);
        tree.write(&env.path().join(name));
    }
    env.mlv(&["commit", "--force"]).success();
    for (name, tree) in names.iter().zip(&trees) {
        check_pointer(&env, name, tree);
    }
    env.commit("change");
    env.mlv(&["push"]).success();
    clone.git(&["pull", "--quiet"]);
    clone.mlv(&["pull"]).success();
    assert_same(&env, &clone);
    env.assert_sound();
    clone.assert_sound();
    clone.git(&["checkout", "--quiet", "HEAD~1"]);
    clone.mlv(&["checkout"]).success();
    assert_eq!(differences(&first, &clone.snapshot()), Vec::<String>::new());
    trees.iter().filter(|tree| tree.summary().pages > 1).count()
}

/// The pointer says what the model says.
fn check_pointer(env: &TestEnv, name: &str, tree: &RandomTree) {
    let (summary, pointer) = (tree.summary(), env.pointer(&format!("{name}.mlv")));
    assert_eq!(pointer.hash, format!("blake3-tree:{}", summary.id), "{name}");
    assert_eq!((pointer.nfiles, pointer.size), (Some(summary.nfiles), summary.size), "{name}");
}

fn assert_same(env: &TestEnv, clone: &TestEnv) {
    let (here, there) = (env.snapshot(), clone.snapshot());
    assert_eq!(differences(&here, &there), Vec::<String>::new());
    clone.assert_clean();
}

#[test]
fn every_tree_comes_back_from_the_remote_as_it_was() {
    let seed = seed();
    let run = |half: u64| -> usize {
        (0..PROJECTS).filter(|at| at % 2 == half).map(|at| check_project(seed.wrapping_add(at))).sum()
    };
    let across = thread::scope(|scope| {
        let other = scope.spawn(|| run(1));
        run(0) + other.join().expect("the other half passes")
    });
    let all = PROJECTS as usize * TREES;
    assert!(across * 10 >= all, "{across} of {all} trees have several pages");
}

/// What is refused, and how it is made below the directory `d`.
type Refused = (&'static str, fn(&Path));

const REFUSED: &[Refused] = &[
    ("line feed", |d| fs::write(d.join("a\nb"), "").expect("a file")),
    ("escape", |d| fs::write(d.join("\x1b[31m"), "").expect("a file")),
    ("delete", |d| fs::write(d.join("a\x7f"), "").expect("a file")),
    ("C1 control", |d| fs::write(d.join("a\u{9b}"), "").expect("a file")),
    ("backslash", |d| fs::write(d.join("a\\b"), "").expect("a file")),
    ("not UTF-8", |d| fs::write(d.join(crate::support::os(b"a\xff")), "").expect("a file")),
    (".GIT", |d| fs::create_dir_all(d.join(".GIT/hooks")).expect("a folder")),
    (".git with a mark", |d| fs::write(d.join(".g\u{200c}it"), "").expect("a file")),
    (".git with a dot", |d| fs::write(d.join(".git."), "").expect("a file")),
    ("git~1", |d| fs::write(d.join("git~1"), "").expect("a file")),
    (".MLV", |d| fs::write(d.join(".MLV"), "").expect("a file")),
    ("absolute link", |d| symlink("/etc/passwd", d.join("link")).expect("a link")),
    ("leaving link", |d| symlink("x/../../out", d.join("link")).expect("a link")),
    ("link to a link", |d| {
        symlink("a", d.join("b")).expect("a link");
        symlink("b", d.join("c")).expect("a link");
    }),
    ("link through a link", |d| {
        symlink("real", d.join("b")).expect("a link");
        symlink("b/x", d.join("c")).expect("a link");
    }),
    ("129 folders", |d| fs::create_dir_all(d.join("x/".repeat(129))).expect("folders")),
];

// R17, R3
#[test]
fn tree_that_cannot_come_back_is_refused_with_its_name_and_nothing_is_written() {
    for (what, make) in REFUSED {
        let env = TestEnv::ready();
        env.write("d/good", "fine");
        make(&env.path().join("d"));
        let before = env.snapshot();
        let (_, document) = env.json_error(&["add", "d"], 4);
        let path = document["error"]["path"].as_str().expect("it is about a path");
        assert!(path == "d" || path.contains("d/"), "{what}: {document}");
        assert_eq!(env.snapshot(), before, "{what}");
        // The rest of the project goes on.
        env.write("other", "x");
        env.mlv(&["add", "other"]).success();
    }
}

// R17
#[test]
fn fifo_and_socket_are_no_data() {
    let env = TestEnv::ready();
    env.write("d/good", "fine");
    let fifo = env.path().join("d/pipe").display().to_string();
    assert!(env.command("mkfifo").arg(&fifo).status().expect("mkfifo runs").success());
    let _socket = std::os::unix::net::UnixListener::bind(env.path().join("d/socket")).expect("a socket");
    let output = env.mlv(&["add", "d"]);
    assert!([0, 4].contains(&output.exit_code()), "{output}");
    assert!(format!("{}{}", output.stdout(), output.stderr()).contains("pipe"), "{output}");
    env.mlv(&["add", "d/pipe"]).code(4);
}

// R17
#[test]
fn portable_names_are_asked_for_by_configuration() {
    let env = TestEnv::ready();
    env.write("d/a:b", "x");
    env.write("d/CON", "x");
    env.mlv(&["config", "core.names", "portable"]).success();
    let (_, document) = env.json_error(&["add", "d"], 4);
    assert!(document.to_string().contains("d/"), "{document}");
    env.remove("d/a:b");
    env.remove("d/CON");
    env.write("d/Twin", "1");
    env.write("d/twin", "2");
    env.mlv(&["add", "d"]).code(4);
    env.mlv(&["config", "core.names", "unix"]).success();
    env.mlv(&["add", "d"]).success();
}
