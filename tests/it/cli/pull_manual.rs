//! `pull: manual`: an output that comes by name only stops no command that does not name it.

use crate::support::TestEnv;

/// `d` and `other`, pushed; `d` comes by name only. A colleague's clone has both, and a newer `d` of the
/// colleague's came here with git.
fn newer_came() -> (TestEnv, TestEnv) {
    let env = TestEnv::shared();
    env.write("d/1", "one");
    env.write("other", "other");
    env.mlv(&["add", "d", "other"]).success();
    let pointer = env.read_text("d.mlv");
    env.write("d.mlv", format!("{pointer}  pull: manual\n"));
    env.commit("data");
    env.mlv(&["push"]).success();
    let colleague = env.clone_to("colleague");
    colleague.mlv(&["pull"]).success();
    assert!(colleague.exists("other") && !colleague.exists("d"));
    colleague.mlv(&["pull", "d"]).success();
    colleague.write("d/2", "two");
    colleague.mlv(&["add", "d"]).success();
    colleague.commit("more data");
    colleague.mlv(&["push"]).success();
    env.git(&["pull", "--quiet", "../colleague"]);
    (env, colleague)
}

#[test]
fn newer_version_stays_away_until_it_is_named() {
    let (env, _) = newer_came();
    let remedy = "hint: mlv pull d\n";
    for args in [&["pull"][..], &["checkout"], &["pull", "--dry-run"], &["pull", "--allow-missing"]] {
        let said = env.mlv(args).success().stderr();
        assert!(said.contains("`d` is left as it is") && said.contains(remedy), "{args:?}: {said}");
        assert!(!said.contains("up to date"), "{args:?}: {said}");
    }
    assert_eq!(env.json(&["checkout"])["by_hand"], serde_json::json!(["d"]));
    assert_eq!(env.json(&["pull"])["checked_out"]["by_hand"], serde_json::json!(["d"]));
    assert!(!env.exists("d/2"));
    let said = env.mlv(&["status"]).success().stdout();
    assert!(said.contains("not downloaded: d/ (pull: manual, mlv pull d)"), "{said}");
    env.mlv(&["pull", "d"]).success();
    assert_eq!(env.read_text("d/2"), "two");
    env.assert_clean();
}

// All or nothing: its list of files and a part of them are here, and it still stays of one commit.
#[test]
fn output_is_not_brought_in_part() {
    let (env, _) = newer_came();
    env.mlv(&["fetch", "d"]).success();
    let object =
        env.loose_objects().into_iter().find(|path| std::fs::read(path).is_ok_and(|it| it == b"two"));
    std::fs::remove_file(object.expect("an object of its own")).expect("it can be removed");
    env.write("d/1", "an edit that is in nobody's way");
    let said = env.mlv(&["checkout"]).success().stderr();
    assert!(said.contains("`d` is left as it is"), "{said}");
    assert!(!env.exists("d/2"));
    // Who names it is told.
    assert_eq!(env.json_error(&["checkout", "d"], 2).0, "would_overwrite");
}

#[test]
fn what_was_deleted_by_hand_comes_back_and_what_was_never_here_does_not() {
    let (env, colleague) = newer_came();
    env.mlv(&["pull", "d"]).success();
    env.remove("d");
    let said = env.mlv(&["status"]).success().stdout();
    assert!(said.contains("mlv checkout brings it back"), "{said}");
    env.mlv(&["checkout"]).success();
    env.assert_clean();
    let third = colleague.clone_to("third");
    third.mlv(&["pull"]).success();
    third.mlv(&["fetch", "d"]).success();
    third.mlv(&["checkout"]).success();
    assert!(!third.exists("d"));
    let said = third.mlv(&["status"]).success().stdout();
    assert!(said.contains("d/: not checked out, in the cache (pull: manual, mlv pull d)"), "{said}");
}
