//! `checkout --relink`, and `diff` where the cache is lost.

use crate::support::TestEnv;

// DVC 51: a change of `cache.type` does nothing by itself; `--relink` puts the files in place again.
#[test]
fn relink_takes_up_a_change_of_the_link_type() {
    let env = TestEnv::ready();
    env.write("big", vec![7; 2 << 20]);
    env.mlv(&["add", "big"]).success();
    env.mlv(&["config", "cache.type", "symlink"]).success();
    let is_link = || std::fs::symlink_metadata(env.path().join("big")).unwrap().is_symlink();
    env.mlv(&["checkout"]).success();
    assert!(!is_link());
    env.mlv(&["checkout", "--relink"]).success();
    assert!(is_link());
    env.mlv(&["config", "cache.type", "copy"]).success();
    env.mlv(&["checkout", "--relink"]).success();
    assert!(!is_link());
    assert_eq!(env.read("big"), vec![7; 2 << 20]);
}

// DVC 59: what is neither here nor in the cache is named.
#[test]
fn what_is_lost_is_not_in_the_cache() {
    let env = TestEnv::ready();
    env.write("a", "bytes");
    env.mlv(&["add", "a"]).success();
    env.commit("add a");
    env.remove(".mlv/cache");
    env.remove("a");
    let diff = env.json(&["diff"]);
    assert_eq!(diff["not in cache"][0]["path"], "a", "{diff}");
    assert_eq!(diff["deleted"][0]["path"], "a", "{diff}");
}
