//! Empty folders in what stages read: git carries none, so no clone may depend on one.

use crate::support::TestEnv;

/// A stage that reads `src`, which git keeps, and one for what matches in it; both ran, and all is shared.
fn reading_src() -> TestEnv {
    let env = TestEnv::shared();
    env.write("src/a.py", "a");
    env.write("src/old/b.py", "b");
    env.write(".gitignore", "__pycache__/\n");
    env.write(
        "mlv.yaml",
        "stages:\n  a: {cmd: cat src/a.py > o, deps: [src], outs: [o]}\n  b: {cmd: echo > p, deps: ['src/*'], outs: [p]}\n",
    );
    env.mlv(&["repro"]).success();
    env.commit("one");
    env
}

// What git leaves of a package that is removed: python's own files, or nothing at all.
#[test]
fn leftovers_of_a_folder_make_nothing_stale_in_a_clone() {
    let env = reading_src();
    env.write("src/old/__pycache__/b.pyc", "compiled");
    std::fs::create_dir_all(env.path().join("src/new/deeper")).expect("folders");
    env.git(&["rm", "--quiet", "src/old/b.py"]);
    env.mlv(&["repro"]).success();
    env.commit("two");
    env.mlv(&["push"]).success();
    assert!(env.exists("src/old/__pycache__"));
    let clone = env.clone_to("colleague");
    assert!(!clone.exists("src/old"));
    clone.mlv(&["status", "--only", "pipeline", "--exit-code"]).code(0);
    let said = clone.mlv(&["repro", "--pull"]).success().stderr();
    assert!(said.contains("`a` restored") && said.contains("`b` restored"), "{said}");
    clone.assert_clean();
    env.assert_clean();
    for place in [&env, &clone] {
        place.mlv(&["verify", "a", "b"]).success();
    }
}

// Theirs come back with a checkout, so they count.
#[test]
fn empty_folders_of_data_count() {
    let env = TestEnv::shared();
    env.write("all/data/1", "one");
    std::fs::create_dir_all(env.path().join("all/data/empty")).expect("folders");
    env.mlv(&["add", "all/data"]).success();
    env.write("mlv.yaml", "stages:\n  a: {cmd: ls all > o, deps: [all], outs: [o]}\n");
    env.mlv(&["repro"]).success();
    env.commit("one");
    env.mlv(&["push"]).success();
    env.mlv(&["verify", "a"]).success();
    let clone = env.clone_to("colleague");
    clone.mlv(&["pull"]).success();
    clone.assert_clean();
    env.remove("all/data/empty");
    assert!(env.status()["stages"]["a"].to_string().contains("modified"), "{}", env.status());
}
