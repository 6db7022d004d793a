//! A team on a server that they reach by SSH.

use crate::support::TestEnv;
use crate::support::servers::Sshd;

fn on(server: &Sshd) -> TestEnv {
    let env = TestEnv::ready();
    env.mlv(&["remote", "add", "-d", "server", &server.url("remote")]).success();
    env.mlv(&["remote", "modify", "--local", "server", "ssh_command", &server.ssh()]).success();
    env.write("a", "one");
    env.write("d/1", "first");
    env.write("d/big", vec![7; 9_000_000]);
    env.mlv(&["add", "a", "d"]).success();
    env.commit("add data");
    env
}

#[test]
fn what_one_clone_pushes_by_ssh_another_pulls() {
    let Some(server) = Sshd::start() else { return };
    let env = on(&server);
    env.mlv(&["push"]).success();
    let clone = env.clone_to("clone");
    clone.mlv(&["remote", "modify", "--local", "server", "ssh_command", &server.ssh()]).success();
    clone.mlv(&["pull"]).success();
    assert_eq!(clone.snapshot(), env.snapshot());
    // The layout is that of a folder remote: whoever mounts the disk needs no server.
    let mounted = env.clone_to("mounted");
    let folder = server.path("remote").display().to_string();
    mounted.mlv(&["remote", "add", "--local", "-d", "disk", &folder]).success();
    mounted.mlv(&["pull"]).success();
    assert_eq!(mounted.snapshot(), env.snapshot());
    env.mlv(&["remote", "test"]).success();
}

#[test]
fn refused_login_says_what_ssh_says() {
    let Some(server) = Sshd::start() else { return };
    let env = on(&server);
    server.lock_out();
    let refused = env.mlv(&["push"]).code(7);
    assert!(refused.stderr().contains("Permission denied (publickey)"), "{refused}");
    assert!(refused.stderr().contains("`ssh-add`"), "{refused}");
    let json = env.mlv(&["push", "--json"]).code(7);
    assert_eq!(json.error_kind(), "access_denied");
}

// It is no data that is missing.
#[test]
fn folder_that_cannot_be_made_is_told_as_that() {
    let Some(server) = Sshd::start() else { return };
    let env = on(&server);
    std::fs::write(server.path("file"), "no folder").expect("it can be written");
    env.mlv(&["remote", "modify", "server", "url", &server.url("file/below")]).success();
    let refused = env.mlv(&["push"]).code(7);
    assert!(refused.stderr().contains("hint: the folder cannot be made there"), "{refused}");
}

#[test]
fn server_that_nobody_vouches_for_is_refused() {
    let Some(server) = Sshd::start() else { return };
    let env = on(&server);
    server.forget();
    let refused = env.mlv(&["push"]).code(7);
    assert!(refused.stderr().contains("Host key verification failed"), "{refused}");
    assert!(refused.stderr().contains("accept the host's key"), "{refused}");
    assert!(!refused.stderr().contains("certificate"), "{refused}");
}
