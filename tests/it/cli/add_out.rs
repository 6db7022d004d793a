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
