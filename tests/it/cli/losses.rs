//! What is gone is told: a remote, a cache, a list of files.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::http::{Answer, Request, serve};
use crate::support::{TestEnv, files_below, random_bytes, texts};

fn pushed() -> TestEnv {
    let env = TestEnv::shared();
    env.write("a", "alpha");
    env.write("d/1", "first");
    env.write("d/2", "second");
    env.mlv(&["add", "a", "d"]).success();
    env.commit("data");
    env.mlv(&["push"]).success();
    env
}

// R8, R9: a share that is not mounted is no empty remote.
#[test]
fn remote_that_vanished_is_missed_and_not_made_anew() {
    let env = pushed();
    fs::rename(env.root().join("remote"), env.root().join("elsewhere")).expect("it can be moved");
    for again in [&["push"][..], &["push", "--dry-run"]] {
        let (kind, document) = env.json_error(again, 5);
        assert_eq!(kind, "not_found", "{document}");
        assert!(document.to_string().contains("mounted"), "{document}");
        assert!(!env.beside("remote").exists("mlv-remote"));
    }
    fs::create_dir_all(env.root().join("remote")).expect("an empty mount point");
    env.mlv(&["push"]).code(5);
    env.mlv(&["push", "--create"]).success();
    let clone = env.clone_to("clone");
    clone.mlv(&["pull"]).success();
    assert_eq!(clone.snapshot(), env.snapshot());
}

// Rule 1: the dry run says what the run would do, also where the remote lost what this clone sent.
#[test]
fn dry_run_of_push_looks_at_the_remote() {
    let env = pushed();
    let mut packs = Vec::new();
    files_below(&env.root().join("remote/pk"), &mut packs);
    packs.iter().for_each(|pack| fs::remove_file(pack).expect("it can be removed"));
    let promised = env.json(&["push", "--dry-run"])["remotes"][0]["would_send"]["objects"].clone();
    assert_eq!(env.json(&["push"])["objects"], promised);
    assert!(promised.as_u64() > Some(0));
}

// R14: one remote that cannot be used keeps no other from being served.
#[test]
fn remote_that_fails_does_not_hide_what_went_to_others() {
    let env = pushed();
    let other = env.beside("other").path().display().to_string();
    env.mlv(&["remote", "add", "other", &other]).success();
    env.write("b", "beta");
    env.mlv(&["add", "b"]).success();
    env.write("b.mlv", env.read_text("b.mlv") + "  remote: other\n");
    env.write("a", "alpha 2");
    env.mlv(&["add", "a"]).success();
    fs::remove_dir_all(env.root().join("other")).expect("it can be removed");
    fs::write(env.root().join("other"), "no folder").expect("it can be written");
    let output = env.run(env.mlv_command().args(["push", "--json"]));
    let document = output.json();
    assert_ne!(output.exit_code(), 0, "{document}");
    assert_eq!(document["remotes"][0]["remote"], "storage", "{document}");
    assert_eq!(texts(&document["failed"]), ["b"], "{document}");
}

// R14: a work tree with the only copy is not "up to date".
#[test]
fn cache_that_is_gone_is_told_of_directories_too() {
    let env = pushed();
    env.remove(".mlv/cache");
    let status = env.json(&["status"]);
    assert_eq!(texts(&status["data"]["not_in_cache"]), ["a", "d/"], "{status}");
    env.mlv(&["status", "--exit-code"]).code(1);
    env.mlv(&["commit", "--force"]).success();
    env.assert_clean();
    env.mlv(&["fsck"]).success();
}

#[test]
fn directory_that_git_brought_in_another_version_is_to_be_pulled() {
    let env = pushed();
    let clone = env.clone_to("clone");
    clone.mlv(&["pull"]).success();
    env.write("d/3", "third");
    env.mlv(&["add", "d"]).success();
    env.commit("more");
    env.mlv(&["push"]).success();
    clone.git(&["pull", "--quiet"]);
    let output = clone.mlv(&["status"]).success();
    assert!(output.stdout().contains("(mlv pull):\n  not downloaded: d/"), "{output}");
    assert!(!output.stdout().contains("mlv add"), "{output}");
    clone.mlv(&["pull"]).success();
    clone.assert_clean();
}

// The list of files comes from the remote that the output belongs to.
#[test]
fn add_in_a_fresh_clone_asks_the_remote_of_the_output() {
    let env = TestEnv::shared();
    let other = env.beside("other").path().display().to_string();
    env.mlv(&["remote", "add", "other", &other]).success();
    env.write("d/1", "first");
    env.write("d/2", "second");
    env.mlv(&["add", "d"]).success();
    env.write("d.mlv", env.read_text("d.mlv") + "  remote: other\n");
    env.commit("data");
    env.mlv(&["push"]).success();
    let clone = env.clone_to("clone");
    clone.write("d/3", "third");
    clone.mlv(&["add", "d"]).success();
    assert_eq!(clone.pointer("d.mlv").nfiles, Some(3));
}

#[test]
fn pull_that_is_refused_names_itself() {
    let env = pushed();
    let clone = env.clone_to("clone");
    clone.write("a", "mine");
    let (_, document) = clone.json_error(&["pull"], 2);
    assert!(document.to_string().contains("mlv pull --force a"), "{document}");
}

// Rule 1: what a collector deleted does not come, though the catalogue goes on to name it.
#[test]
fn dry_run_of_fetch_says_what_can_be_had() {
    let env = TestEnv::shared();
    env.write("large", random_bytes(3, 5 << 20));
    env.mlv(&["add", "large"]).success();
    env.mlv(&["push"]).success();
    let mut first = Vec::new();
    files_below(&env.root().join("remote/pk"), &mut first);
    env.write("a", "alpha");
    env.write("d/1", "first");
    env.mlv(&["add", "a", "d"]).success();
    env.mlv(&["push"]).success();
    env.mlv(&["remote", "add", "second", "../second"]).success();
    env.mlv(&["push", "-r", "second"]).success();
    env.commit("data");
    let clone = env.clone_to("clone");
    let whole = clone.json(&["fetch", "--dry-run"]);
    assert_eq!(whole["would_fetch"]["objects"].as_u64(), Some(3), "{whole}");
    // The format, the index (a list and two segments), a page of the folder; then both lists and a recipe.
    assert!(whole["requests"].as_u64() <= Some(8), "{whole}");
    // Its recipe stays, in the pack of the second push; its chunks go.
    first.iter().for_each(|pack| fs::remove_file(pack).expect("it can be removed"));
    let dry = &["fetch", "--dry-run", "-r", "storage"];
    let (kind, document) = clone.json_error(dry, 5);
    assert_eq!((kind.as_str(), texts(&document["failed"])), ("not_found", vec!["large"]), "{document}");
    assert_eq!(document["would_fetch"]["objects"].as_u64(), Some(2), "{document}");
    let told = clone.mlv(dry).code(5).stderr();
    assert!(told.contains("the remote `storage` no longer holds the data of `large`"), "{told}");
    // What another remote has can be had.
    assert_eq!(clone.json(&["fetch", "--dry-run"])["would_fetch"]["objects"].as_u64(), Some(3));
    let (_, fetched) = clone.json_error(&["fetch", "-r", "storage"], 5);
    assert_eq!(texts(&fetched["failed"]), ["large"], "{fetched}");
    let rest = clone.json(&["fetch", "--dry-run"]);
    assert_eq!(rest["would_fetch"]["objects"].as_u64(), Some(1), "{rest}");
    fs::remove_dir_all(env.root().join("second/pk")).expect("it is there");
    clone.json_error(&["fetch", "--dry-run"], 5);
    // A list of files that is gone is told as that.
    fs::remove_dir_all(env.root().join("remote/pk")).expect("it is there");
    let fresh = env.clone_to("fresh");
    let told = fresh.mlv(&["fetch", "--dry-run", "d"]).code(5).stderr();
    assert!(told.contains("no longer holds the data of `d`"), "{told}");
}

/// A store that asks to come back later; counts how often it is asked.
fn busy(env: &TestEnv, name: &str) -> Arc<AtomicUsize> {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let url = serve(move |_: &Request| {
        count.fetch_add(1, Ordering::SeqCst);
        Answer::new("503 Service Unavailable")
    });
    env.mlv(&["remote", "add", name, "s3://data/x"]).success();
    for (option, value) in [("endpointurl", url.as_str()), ("access_key_id", "x"), ("secret_access_key", "x")]
    {
        env.mlv(&["remote", "modify", "--local", name, option, value]).success();
    }
    asked
}

// R14: who cannot be reached keeps nobody waiting while another can be asked, in the order of the configuration.
#[test]
fn other_remotes_are_asked_in_order_and_without_waiting() {
    let env = pushed();
    let asked = busy(&env, "z-busy");
    env.mlv(&["remote", "add", "second", "../second"]).success();
    env.mlv(&["push", "-r", "second"]).success();
    fs::remove_dir_all(env.root().join("remote/pk")).expect("it is there");
    env.remove(".mlv/cache");
    let fetched = env.mlv(&["fetch"]).success();
    assert!(fetched.stderr().contains(" came from `second`"), "{fetched}");
    assert_eq!(asked.load(Ordering::SeqCst), 1, "first, and once");
}

// While nobody else has it, it is worth to wait; once in a command.
#[test]
fn last_hope_is_asked_patiently_and_once() {
    let env = TestEnv::shared();
    env.mlv(&["remote", "add", "second", "../second"]).success();
    for (file, remote) in [("a", "storage"), ("b", "second")] {
        env.write(file, file);
        env.mlv(&["add", file]).success();
        env.write(
            format!("{file}.mlv"),
            env.read_text(format!("{file}.mlv")) + &format!("  remote: {remote}\n"),
        );
    }
    env.mlv(&["push"]).success();
    let asked = busy(&env, "busy");
    for remote in ["remote", "second"] {
        fs::remove_dir_all(env.root().join(remote).join("pk")).expect("it is there");
    }
    env.remove(".mlv/cache");
    let failed = env.mlv(&["fetch"]).code(5);
    assert!(failed.stderr().contains("`busy`, which may have what is missing, was not asked"), "{failed}");
    // At once; then with all patience; and not again for the other output.
    assert_eq!(asked.load(Ordering::SeqCst), 1 + 6, "{failed}");
}

/// What each remote gave, as the report has it.
fn rows(document: &serde_json::Value) -> Vec<(String, u64)> {
    let row = |row: &serde_json::Value| {
        let count = &row["would_fetch"]["objects"];
        let count = if count.is_null() { &row["files"] } else { count };
        (row["remote"].as_str().expect("a name").to_owned(), count.as_u64().expect("a number"))
    };
    document["remotes"].as_array().expect("rows").iter().map(row).collect()
}

// R14
#[test]
fn fetch_tells_what_each_remote_gave() {
    let env = pushed();
    env.mlv(&["remote", "add", "second", "../second"]).success();
    env.write("b", "beta");
    env.mlv(&["add", "b"]).success();
    env.write("b.mlv", env.read_text("b.mlv") + "  remote: second\n");
    env.mlv(&["push"]).success();
    env.commit("two remotes");
    let each = [("storage".to_owned(), 3), ("second".to_owned(), 1)];
    let clone = env.clone_to("clone");
    assert_eq!(rows(&clone.json(&["fetch", "--dry-run"])), each);
    assert_eq!(rows(&clone.json(&["fetch"])), each);
    let pulled = env.clone_to("other").mlv(&["pull"]).success().to_string();
    for line in ["Fetched 3 files (16 bytes) from `storage`", "Fetched 1 file (4 bytes) from `second`"] {
        let start = line.split(" (").next().expect("a start");
        let end = line.rsplit(") ").next().expect("an end");
        assert!(pulled.lines().any(|told| told.contains(start) && told.contains(end)), "{line}: {pulled}");
    }
    // What came from elsewhere is not told of the one that lost it.
    env.mlv(&["push", "b", "-r", "second"]).success();
    fs::remove_dir_all(env.root().join("remote/pk")).expect("it is there");
    env.write("b.mlv", env.read_text("b.mlv").replace("  remote: second\n", ""));
    env.commit("one remote");
    let fetched = env.clone_to("third").json(&["fetch", "b"]);
    assert_eq!(rows(&fetched), [("storage".to_owned(), 0), ("second".to_owned(), 1)]);
}

// R14: a share is not mounted; what another remote has whole comes from there.
#[test]
fn remote_that_is_gone_is_stood_in_for() {
    let env = pushed();
    env.mlv(&["remote", "add", "second", "../second"]).success();
    env.mlv(&["push", "-r", "second"]).success();
    env.commit("two remotes");
    fs::rename(env.root().join("remote"), env.root().join("elsewhere")).expect("it can be moved");
    let clone = env.clone_to("clone");
    clone.mlv(&["pull", "-r", "storage"]).code(5);
    let pulled = clone.mlv(&["pull"]).success().to_string();
    assert!(pulled.contains("`storage` cannot be used, and all came from other remotes"), "{pulled}");
    assert_eq!(clone.snapshot(), env.snapshot());
    fs::remove_dir_all(env.root().join("second/pk")).expect("it is there");
    let failed = env.clone_to("fresh").mlv(&["pull"]).code(5).stderr();
    assert!(failed.contains("holds no mlv remote"), "{failed}");
}
