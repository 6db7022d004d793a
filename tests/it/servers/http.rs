//! A copy of a remote on a web server.

use std::path::Path;
use std::process::Command;

use crate::support::TestEnv;
use crate::support::http::{Answer, serve};
use crate::support::servers::Nginx;

/// Makes the list of a copy as docs/guides/remotes.md says.
pub(super) fn make_listing(folder: &Path) {
    let guide = include_str!("../../../docs/guides/remotes.md");
    let (_, rest) = guide.split_once("```sh\nfind").expect("the guide has the command");
    let script = format!("find{}", rest.split("```").next().expect("it ends"));
    let made = Command::new("sh").args(["-c", &script]).current_dir(folder).status();
    assert!(made.expect("sh runs").success());
}

#[test]
fn copy_on_a_web_server_is_pulled_and_never_pushed_to() {
    let Some(server) = Nginx::start() else { return };
    let env = TestEnv::ready();
    env.mlv(&["remote", "add", "-d", "folder", &server.path().display().to_string()]).success();
    env.write("a", "one");
    env.write("d/big", vec![7; 9_000_000]);
    env.mlv(&["add", "a", "d"]).success();
    env.commit("add data");
    env.mlv(&["push"]).success();
    let clone = env.clone_to("clone");
    clone.mlv(&["remote", "add", "-d", "web", &server.url()]).success();
    // R9: no list is not an empty one.
    let without = clone.mlv(&["pull"]).code(7);
    assert!(without.stderr().contains("make the list anew"), "{without}");
    make_listing(&server.path());
    clone.mlv(&["pull"]).success();
    assert_eq!(clone.snapshot(), env.snapshot());
    clone.write("a", "two");
    clone.mlv(&["add", "a"]).success();
    for push in [&["push"][..], &["push", "--dry-run"]] {
        let refused = clone.mlv(push).code(7);
        assert!(refused.stderr().contains("can only be read"), "{refused}");
        assert!(refused.stderr().contains("mlv push -r NAME"), "{refused}");
    }
    let tested = clone.mlv(&["remote", "test"]).success();
    assert!(tested.stdout().contains("no\twrite\t"), "{tested}");
    assert!(tested.stdout().contains("ok\trange\t"), "{tested}");
    // Nothing is there, and no push can ever make it.
    clone.mlv(&["remote", "add", "nowhere", &format!("{}/nowhere", server.url())]).success();
    let failed = clone.mlv(&["remote", "test", "nowhere"]).code(5);
    assert!(failed.stdout().contains("failed\tread"), "{failed}");
    assert!(failed.stderr().contains("hint: correct the URL: `mlv remote list`"), "{failed}");
}

/// A proxy or a network that wants a login answers every request.
#[test]
fn web_page_in_place_of_a_remote_is_no_damage() {
    let page = serve(|_| Answer { body: b"<html>Please log in</html>".to_vec(), ..Answer::new("200 OK") });
    let env = TestEnv::ready();
    env.mlv(&["remote", "add", "-d", "s3", "s3://data/x"]).success();
    let options = [("endpointurl", page.as_str()), ("access_key_id", "a"), ("secret_access_key", "b")];
    for (option, value) in options {
        env.mlv(&["remote", "modify", "--local", "s3", option, value]).success();
    }
    env.write("a", "one");
    env.mlv(&["add", "a"]).success();
    env.commit("add data");
    for args in [&["push"][..], &["fetch"], &["status", "-c"], &["gc", "--cloud"], &["remote", "test"]] {
        let failed = env.mlv(args).code(7);
        let text = failed.stderr();
        assert!(text.contains("the answer is a web page"), "{failed}");
        assert!(text.contains("endpointurl") && text.contains("HTTPS_PROXY"), "{failed}");
        assert!(!text.contains("delete"), "{failed}");
    }
}

#[test]
fn login_that_a_web_server_wants_is_asked_for() {
    let url = serve(|request| match request.header("authorization") {
        // `ada:word`
        "Basic YWRhOndvcmQ=" => Answer::new("404 Not Found"),
        _ => Answer::new("401 Unauthorized"),
    });
    let env = TestEnv::ready();
    env.mlv(&["remote", "add", "--local", "-d", "web", &url]).success();
    let refused = env.mlv(&["remote", "test"]).code(7);
    assert!(refused.to_string().contains("credentials: none: anonymous"), "{refused}");
    assert!(refused.stderr().contains("`mlv remote modify --local web user NAME`"), "{refused}");
    for (option, value) in [("user", "ada"), ("password", "word")] {
        env.mlv(&["remote", "modify", "--local", "web", option, value]).success();
    }
    let tested = env.mlv(&["remote", "test"]);
    let tested = tested.to_string();
    assert!(tested.contains("credentials: options of the remote") && !tested.contains("401"), "{tested}");
}
