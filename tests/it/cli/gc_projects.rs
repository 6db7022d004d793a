//! `gc --cloud`: what other projects pushed, and what is pinned.

use std::fs;

use serde_json::Value;

use super::gc::{AT_ONCE, age, assert_whole, count, pushed_twice, stored};
use crate::support::{TestEnv, random_bytes, snapshot};

// R7: a project that this run knows nothing of.
#[test]
fn what_another_project_pushed_stays_for_ever() {
    let env = pushed_twice();
    let other = env.beside("other");
    other.git(&["init", "--quiet", "--template=", "--initial-branch=main"]);
    other.mlv(&["init"]).success();
    other.add_remote();
    other.write("b", "of another project");
    other.mlv(&["add", "b"]).success();
    other.commit("data");
    other.mlv(&["push"]).success();
    ["pk", "ix", "rt"].iter().for_each(|folder| age(&env, folder, 400));
    env.mlv(&["push"]).success();
    env.mlv(&[AT_ONCE, &["-w"]].concat()).success();
    fs::remove_dir_all(other.path().join(".mlv/cache")).expect("it has a cache");
    other.remove("b");
    other.mlv(&["pull"]).success();
    assert_whole(&env);
}

/// A project of its own beside `env`, on the same remote; and its id.
fn with_other_project(env: &TestEnv) -> (TestEnv, String) {
    let other = env.beside("other");
    other.git(&["init", "--quiet", "--template=", "--initial-branch=main"]);
    other.mlv(&["init"]).success();
    other.add_remote();
    other.write("b", random_bytes(9, 5000));
    other.mlv(&["add", "b"]).success();
    other.commit("data");
    other.mlv(&["push"]).success();
    let config = other.read_text(".mlv/config.toml");
    let id = config.lines().find_map(|line| line.strip_prefix("id = \"")?.strip_suffix('"'));
    let id = id.expect("a project has an id").to_owned();
    (other, id)
}

// R7: until somebody says that it is to be forgotten, and 30 days more; by the store's clock.
#[test]
fn a_forgotten_project_counts_for_30_days_and_again_when_it_pushes() {
    let base = pushed_twice();
    let (_, id) = with_other_project(&base);
    let own = base.read_text(".mlv/config.toml");
    let own = own.lines().find_map(|line| line.strip_prefix("id = \"")?.strip_suffix('"')).expect("an id");
    let before = snapshot(&base.root().join("remote"), &[]);
    let forget = |env: &TestEnv, id: &str| env.json(&[AT_ONCE, &["--forget-project", id]].concat());
    assert_eq!(base.json_error(&["gc", "-c", "--forget-project", own], 2).0, "usage");
    let (kind, refused) = base.json_error(&["gc", "-c", "--forget-project", "0f"], 2);
    assert_eq!(kind, "no_such_target");
    assert!(refused["error"]["hints"][0].as_str().is_some_and(|hint| hint.contains(&id)), "{refused}");
    let planned = base.mlv(&["gc", "-c", "--dry-run", "--forget-project", &id]).success();
    assert!(planned.stdout().contains(&format!("keep\t{id}\t1 output of 1 clone")), "{planned}");
    assert!(planned.stderr().contains("Would forget 1 output of 1 clone of project"), "{planned}");
    assert_eq!(snapshot(&base.root().join("remote"), &[]), before);

    for pushes_again in [false, true] {
        let env = base.duplicate();
        let other = env.beside("other");
        let report = forget(&env, &id);
        assert_eq!(report["forgotten"]["kept_days"].as_u64(), Some(30), "{report}");
        assert!(report["forgotten"]["bytes"].as_u64() >= Some(5000), "{report}");
        assert_eq!(count(&report, "deleted"), 0, "{report}");
        ["rt", "pk", "ix"].iter().for_each(|folder| age(&env, folder, 60));
        age(&env, "gc", 29);
        let report = env.json(AT_ONCE);
        assert_eq!((count(&report, "deleted"), stored(&env, "gc").len()), (0, 1), "{report}");
        assert_eq!(report["projects"][0]["forgotten_in_days"].as_u64(), Some(1), "{report}");
        if pushes_again {
            other.write("c", "one more");
            other.mlv(&["add", "c"]).success();
            other.mlv(&["push"]).success();
        }
        age(&env, "gc", 31);
        env.mlv(&["push"]).success();
        let report = env.json(AT_ONCE);
        assert_eq!(count(&report, "deleted") > 0, !pushes_again, "{report}");
        assert!(stored(&env, "gc").is_empty(), "it is over, or was taken back: {report}");
        fs::remove_dir_all(other.path().join(".mlv/cache")).expect("it has a cache");
        other.remove("b");
        assert_eq!(other.mlv(&["pull", "b"]).exit_code(), if pushes_again { 0 } else { 5 });
        assert_whole(&env);
    }
}

// R7: a pin keeps what it names until it is taken away.
#[test]
fn what_is_pinned_stays_until_it_is_unpinned() {
    let env = pushed_twice();
    insta::assert_snapshot!(env.mlv(&["remote", "pin"]).success(), @r"
    --- stderr
    Nothing is pinned on `storage`.
    hint: mlv remote pin REVISION
    ");
    env.mlv(&["remote", "pin", "HEAD~1", "--dry-run"]).success();
    assert!(texts_of(&env.json(&["remote", "pin"])["pins"]).is_empty());
    let made = env.json(&["remote", "pin", "HEAD~1"]);
    let id = made["made"][0]["id"].as_str().expect("an id").to_owned();
    let again = env.json(&["remote", "pin", "HEAD~1"]);
    assert_eq!((count(&again, "made"), again["known"][0]["id"].as_str()), (0, Some(&*id)), "{again}");
    let listed = env.json(&["remote", "pin"]);
    assert_eq!(texts_of(&listed["pins"]), [&*id]);
    assert_eq!(
        listed["pins"][0]["commits"][0].as_str(),
        Some(&*env.git(&["rev-parse", "HEAD~1"])),
        "{listed}"
    );
    ["rt", "pk", "ix"].iter().for_each(|folder| age(&env, folder, 400));
    env.mlv(&["push"]).success();
    // Of no project: another one, on the same remote, does not age it either.
    let (other, _) = with_other_project(&env);
    other.mlv(&[AT_ONCE, &["-w"]].concat()).success();
    let report = env.json(&[AT_ONCE, &["-w"]].concat());
    assert_eq!(report["pins"].as_u64(), Some(1), "{report}");
    let clone = env.clone_to("clone");
    clone.git(&["checkout", "--quiet", "HEAD~1"]);
    clone.mlv(&["pull"]).success();

    assert_eq!(clone.json_error(&["remote", "unpin", "HEAD", "nosuch"], 2).0, "no_such_target");
    assert_eq!(clone.json_error(&["remote", "pin", "nosuch"], 2).0, "no_such_revision");
    clone.mlv(&["remote", "unpin", "HEAD", "--dry-run"]).success();
    assert_eq!(clone.json(&["remote", "unpin", "HEAD"])["removed"][0]["id"].as_str(), Some(&*id));
    assert!(texts_of(&env.json(&["remote", "pin"])["pins"]).is_empty());
    assert!(count(&env.json(&[AT_ONCE, &["-w"]].concat()), "deleted") > 0);
    // What a remote lacks is sent with the pin; nothing to pin is no pin.
    let sent = env.json(&["remote", "pin", "HEAD~1"]);
    assert_eq!(count(&sent, "made"), 1, "{sent}");
    clone.remove("a");
    clone.mlv(&["pull"]).success();
    let first = env.git(&["rev-list", "--max-parents=0", "HEAD"]);
    assert_eq!(env.json_error(&["remote", "pin", &first], 2).0, "no_such_target");
    env.mlv(&["fsck", "--remote", "--read-data"]).success();
}

fn texts_of(pins: &Value) -> Vec<&str> {
    pins.as_array().expect("a list").iter().map(|pin| pin["id"].as_str().expect("an id")).collect()
}
