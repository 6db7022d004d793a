//! `mlv ls`.

use serde_json::{Value, json};

use crate::support::TestEnv;

fn pushed() -> TestEnv {
    let env = TestEnv::shared();
    env.write("a", "one");
    env.write("more/d/1", "first");
    env.write("more/d/sub/2", "second");
    env.chmod("more/d/sub/2", 0o755);
    env.at("more/d/empty");
    env.mlv(&["add", "a", "more/d"]).success();
    env.commit("one");
    env.git(&["tag", "v1"]);
    env.write("more/d/new", "third!");
    env.mlv(&["add", "more/d"]).success();
    env.commit("two");
    env.mlv(&["push", "-A"]).success();
    env
}

fn lines(env: &TestEnv, args: &[&str]) -> Vec<String> {
    env.mlv(&[&["ls"], args].concat()).success().stdout().lines().map(str::to_owned).collect()
}

#[test]
fn lists_names_and_files_at_any_revision_without_the_data() {
    let env = pushed();
    let clone = env.clone_to("clone");
    let before = clone.snapshot();
    assert_eq!(lines(&clone, &[]), ["a", "more/"]);
    assert_eq!(lines(&clone, &["more"]), ["d/"]);
    assert_eq!(lines(&clone, &["more/d"]), ["1", "empty/", "new", "sub/"]);
    assert_eq!(lines(&clone, &["more/d", "--rev", "v1"]), ["1", "empty/", "sub/"]);
    assert_eq!(lines(&clone, &["more/d/sub"]), ["2"]);
    assert_eq!(lines(&clone, &["more/d/sub/2"]), ["2"]);
    assert_eq!(lines(&clone, &["-R"]), ["a", "more/d/1", "more/d/empty/", "more/d/new", "more/d/sub/2"]);
    assert_eq!(clone.snapshot(), before);
    assert_eq!(lines(&clone.at("more"), &[]), ["d/"]);
    assert_eq!(lines(&clone.at("more"), &[".."]), ["a", "more/"]);
}

#[test]
fn names_of_outputs_need_no_remote() {
    let env = pushed();
    let clone = env.clone_to("clone");
    clone.remove(clone.root().join("remote"));
    assert_eq!(lines(&clone, &["more"]), ["d/"]);
    clone.mlv(&["ls", "more/d"]).code(5);
    assert_eq!(lines(&env, &["more/d/sub"]), ["2"]);
}

// DVC's form.
#[test]
fn rows_tell_what_each_path_is() {
    let env = pushed();
    let rows = env.json(&["ls"]);
    let hash = &env.pointer("a.mlv").hash;
    assert_eq!(
        rows,
        json!([
            {"path": "a", "isout": true, "isdir": false, "isexec": false, "size": 3, "hash": hash},
            {"path": "more", "isout": false, "isdir": true, "isexec": false, "size": 17, "hash": Value::Null},
        ])
    );
    let directory = env.json(&["ls", "more"])[0].clone();
    assert_eq!((&directory["isout"], &directory["isdir"]), (&json!(true), &json!(true)));
    assert_eq!(directory["hash"], json!(env.pointer("more/d.mlv").hash));
    let inside = env.json(&["ls", "more/d/sub"])[0].clone();
    assert_eq!((&inside["isexec"], &inside["size"]), (&json!(true), &json!(6)));
    assert_eq!(env.json(&["ls", "more/d"])[1]["isdir"], true);
    assert_eq!(lines(&env, &["a", "--size", "--show-hash"]), [format!("       3 B  {hash:77}  a")]);
}

#[test]
fn nothing_tracked_is_said_and_nothing_there_is_an_error() {
    let env = TestEnv::ready();
    assert!(env.mlv(&["ls"]).success().stderr().contains("Nothing is tracked here."));
    assert_eq!(env.json(&["ls"]), json!([]));
    let env = pushed();
    for path in ["nosuch", "more/d/nosuch", "a/below"] {
        let (kind, document) = env.json_error(&["ls", path], 2);
        assert_eq!(kind, "no_such_target", "{document}");
    }
    assert_eq!(env.json_error(&["ls", "--rev", "nosuch"], 2).0, "no_such_revision");
}

/// One pointer that cannot be read does not hide the others.
#[test]
fn bad_pointer_is_told_and_the_rest_is_listed() {
    let env = pushed();
    env.write("bad.mlv", "no pointer");
    let listed = env.mlv(&["ls"]).code(4);
    assert_eq!(listed.stdout(), "a\nmore/\n");
    assert!(listed.stderr().contains("bad.mlv"), "{listed}");
}
