//! Outputs with `persist`: a run goes on from what the lock records, wherever it is.

use crate::support::TestEnv;

/// A stage whose output grows by what `in` says, run with 1 and 2, committed and pushed.
fn growing() -> TestEnv {
    let env = TestEnv::ready();
    env.add_remote();
    env.write(
        "mlv.yaml",
        "stages: {a: {cmd: 'mkdir -p ck; cat in >> ck/log', deps: [in], outs: [ck: {persist: true}]}}\n",
    );
    for text in ["1", "2"] {
        env.write("in", text);
        env.mlv(&["repro"]).success();
    }
    env.commit("1 and 2");
    env.mlv(&["push"]).success();
    env
}

#[test]
fn run_in_a_clone_goes_on_from_what_the_lock_records() {
    let env = growing();
    let clone = env.clone_to("clone");
    clone.write("in", "3");
    let lock = clone.read("mlv.lock");
    let (kind, document) = clone.json_error(&["repro"], 5);
    assert_eq!(kind, "not_downloaded", "{document}");
    assert_eq!((clone.exists("ck"), clone.read("mlv.lock")), (false, lock));
    clone.mlv(&["repro", "--pull"]).success();
    assert_eq!(clone.read_text("ck/log"), "123");
}

#[test]
fn run_goes_on_from_the_state_of_its_own_branch() {
    let env = growing();
    env.git(&["checkout", "--quiet", "-b", "other"]);
    env.write("in", "9");
    env.mlv(&["repro"]).success();
    env.commit("9");
    env.git(&["checkout", "--quiet", "main"]);
    env.write("in", "5");
    env.mlv(&["repro"]).success();
    assert_eq!(env.read_text("ck/log"), "125");
    assert_eq!(env.rescued(), [""; 0]);
}

#[test]
fn run_takes_what_the_user_made_of_it_and_tells_what_was_deleted() {
    let env = growing();
    env.write("ck/log", "edited ");
    env.write("in", "3");
    env.mlv(&["repro"]).success();
    assert_eq!(env.read_text("ck/log"), "edited 3");
    env.remove("ck");
    env.write("in", "4");
    let said = env.mlv(&["repro"]).success().stderr();
    assert!(said.contains("warning: `ck` was deleted here: stage `a` begins without it"), "{said}");
    assert_eq!(env.read_text("ck/log"), "4");
}

/// [`growing`] with one file for each input: three of them.
fn three_files() -> TestEnv {
    let env = TestEnv::ready();
    env.add_remote();
    env.write(
        "mlv.yaml",
        "stages: {a: {cmd: 'mkdir -p ck; cp in ck/$(cat in)', deps: [in], outs: [ck: {persist: true}]}}\n",
    );
    for text in ["1", "2", "3"] {
        env.write("in", text);
        env.mlv(&["repro"]).success();
    }
    env.commit("1, 2 and 3");
    env.mlv(&["push"]).success();
    env
}

#[test]
fn what_was_never_downloaded_of_it_is_not_recorded_as_deleted() {
    let env = three_files();
    let clone = env.clone_to("clone");
    clone.mlv(&["pull", "ck/1"]).success();
    clone.write("in", "4");
    for command in [&["repro", "--dry-run"][..], &["repro"]] {
        let (kind, document) = clone.json_error(command, 5);
        assert_eq!((kind.as_str(), &document["error"]["path"]), ("not_downloaded", &"ck".into()));
        assert_eq!(document["error"]["hints"][0], "mlv pull ck");
    }
    clone.mlv(&["repro", "--pull"]).success();
    assert_eq!(clone.mlv(&["ls", "ck"]).success().stdout(), "1\n2\n3\n4\n");
}

#[test]
fn what_is_here_of_it_and_was_edited_stays_beside_what_comes() {
    let env = three_files();
    let clone = env.clone_to("clone");
    clone.mlv(&["pull", "ck/1", "ck/2"]).success();
    clone.write("ck/1", "edited");
    clone.remove("ck/2");
    clone.write("in", "4");
    clone.mlv(&["repro", "--pull"]).success();
    assert_eq!(clone.mlv(&["ls", "ck"]).success().stdout(), "1\n3\n4\n");
    assert_eq!(clone.read_text("ck/1"), "edited");
}
