//! What counts as a stage's dependency.

use crate::support::TestEnv;

/// A stage that reads the folder `dd`, in which `l` leads to `target`.
fn linked(target: &str) -> TestEnv {
    let env = TestEnv::ready();
    env.write("real.txt", "1\n");
    env.write("dd/sub/file", "1\n");
    env.symlink(target, "dd/l");
    env.write(
        "mlv.yaml",
        "stages:\n  s:\n    cmd: cat dd/l dd/sub/file > out\n    deps: [dd]\n    outs: [out]\n",
    );
    env
}

// R21: the hash of a link is that of its text; what it leads to would change unseen.
#[test]
fn link_that_leads_out_of_a_dependency_is_refused() {
    for target in ["../real.txt", "/etc/hostname", "sub/../../real.txt"] {
        let env = linked(target);
        let (kind, document) = env.json_error(&["repro"], 8);
        assert_eq!(kind, "stage_invalid", "{document}");
        assert!(document.to_string().contains("dd/l"), "{document}");
        assert!(!env.exists("out") && !env.exists("mlv.lock"));
        // The remedy that is named.
        env.write(".mlvignore", "/dd/l\n");
        let pipeline = env.read_text("mlv.yaml").replace("[dd]", "[dd, real.txt]");
        env.write("mlv.yaml", pipeline);
        if target == "../real.txt" {
            env.mlv(&["repro"]).success();
            env.write("real.txt", "2\n");
            env.mlv(&["repro"]).success();
            assert_eq!(env.read_text("out"), "2\n1\n");
        }
    }
}

// What a link leads to inside of the dependency is part of its hash, chains of links included.
#[test]
fn link_that_stays_inside_a_dependency_is_followed_by_its_hash() {
    let env = linked("sub/other");
    env.symlink("file", "dd/sub/other");
    env.mlv(&["repro"]).success();
    env.write("dd/sub/file", "2\n");
    env.mlv(&["repro"]).success();
    assert_eq!(env.read_text("out"), "2\n2\n");
}

// `folder/..` is not the folder above where `folder` is a link.
#[test]
fn link_that_leads_out_by_another_link_is_refused() {
    let env = linked("sub/up/../real.txt");
    env.symlink("..", "dd/sub/up");
    env.json_error(&["repro"], 8);
    let (kind, _) = env.json_error(&["add", "dd"], 4);
    assert_eq!(kind, "unsafe_path");
    // A part of a tracked folder is looked at from the folder.
    env.remove("dd/l");
    env.mlv(&["add", "dd"]).success();
    env.symlink("../l", "dd/sub/down");
    env.mlv(&["add", "dd/sub"]).success();
    env.symlink("../../real.txt", "dd/sub/out");
    env.json_error(&["add", "dd/sub"], 4);
}
