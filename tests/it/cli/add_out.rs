//! `add --out`: a copy of what lies outside the repository.

use crate::support::TestEnv;

// DVC 24: an external path is refused without `-o`, and copied in with it.
#[test]
fn external_path_is_copied_in() {
    let env = TestEnv::ready();
    let outside = env.beside("outside");
    outside.write("f", "bytes");
    outside.write("d/sub/x", "x");
    let (_, error) = env.json_error(&["add", "../outside/f"], 4);
    assert!(error["error"]["hints"].to_string().contains("-o"), "{error}");
    env.mlv(&["add", "-o", "mine", "../outside/f"]).success();
    assert_eq!(env.read_text("mine"), "bytes");
    assert!(env.exists("mine.mlv"));
    env.mlv(&["add", "--out", "folder", outside.path().join("d").to_str().unwrap()]).success();
    assert_eq!(env.read_text("folder/sub/x"), "x");
    assert!(outside.exists("d/sub/x"));
    env.write("taken", "keep");
    env.mlv(&["add", "-o", "taken", "../outside/f"]).code(2);
    assert_eq!(env.read_text("taken"), "keep");
}

#[test]
fn dry_run_says_what_would_be_copied_and_copies_nothing() {
    let env = TestEnv::ready();
    let outside = env.beside("outside");
    outside.write("d/sub/x", "xyz");
    outside.write("d/y", "1");
    let before = env.snapshot_of(".");
    let promised = env.json(&["add", "--dry-run", "-o", "new", "../outside/d"]);
    assert_eq!(env.snapshot_of("."), before);
    let done = env.json(&["add", "-o", "new", "../outside/d"]);
    for field in ["path", "pointer", "state", "size", "nfiles", "changes"] {
        assert_eq!(promised["outputs"][0][field], done["outputs"][0][field], "{field}");
    }
    assert_eq!(promised["dry_run"], true);
}

#[test]
fn what_is_refused_leaves_no_copy() {
    let env = TestEnv::ready();
    let outside = env.beside("outside");
    outside.write("f", "bytes");
    outside.write("links/a", "1");
    outside.symlink("/etc/passwd", "links/out");
    env.write(".gitignore", "*.mlv\n");
    env.mlv(&["add", "-o", "ignored", "../outside/f"]).code(2);
    assert!(!env.exists("ignored"), "refused before it is copied");
    env.remove(".gitignore");
    env.mlv(&["add", "-o", "new", "../outside/links"]).code(4);
    assert!(!env.exists("new") && !env.exists("new.mlv"), "refused when it was looked at");
    env.mlv(&["add", "-o", "new", ".."]).code(2);
    env.mlv(&["add", "-o", "../new", "../outside/f"]).code(4);
    env.mlv(&["add", "-o", "new", "../outside/f", "../outside/links"]).code(2);
    env.mlv(&["add", "-o", "new", "../outside/nosuch"]).code(5);
    assert!(!env.exists("new"));
}

#[test]
fn a_copy_into_a_tracked_folder_is_an_entry_of_it() {
    let env = TestEnv::ready();
    env.beside("outside").write("f", "bytes");
    env.write("d/a", "1");
    env.mlv(&["add", "d"]).success();
    env.mlv(&["add", "-o", "d/f", "../outside/f"]).success();
    assert_eq!((env.read_text("d/f"), env.pointer("d.mlv").nfiles), ("bytes".into(), Some(2)));
    env.assert_recorded();
}

#[test]
fn a_copy_that_is_stopped_is_gone() {
    let env = TestEnv::ready();
    let outside = env.beside("outside");
    // Sparse, and long enough to copy for a signal to come in between.
    let file = std::fs::File::create(outside.path().join("huge")).expect("a file");
    file.set_len(2 << 30).expect("a sparse file");
    let mut child =
        env.mlv_command().args(["add", "-o", "new", "../outside/huge"]).spawn().expect("it starts");
    let drafts = || {
        let found = std::fs::read_dir(env.path().join(".mlv/tmp")).into_iter().flatten().flatten();
        found.filter(|entry| entry.path().is_dir()).count()
    };
    while drafts() == 0 {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    env.run(env.command("kill").args(["-s", "INT", &child.id().to_string()])).success();
    assert_eq!(child.wait().expect("it ends").code(), Some(130));
    assert!(!env.exists("new") && !env.exists("new.mlv"));
    assert_eq!(drafts(), 0, "nothing of it is left");
}
