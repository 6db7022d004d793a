//! R7, C2: clones that push and clones that collect, at once, on one remote, without any grace.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::support::proxy::Proxy;
use crate::support::servers::Moto;
use crate::support::{Rng, TestEnv, seed};

/// Whether to go on, given how many pushes and sweeps there were.
type GoesOn<'a> = &'a (dyn Fn(u64, u64) -> bool + Sync);

#[derive(Default)]
struct Done {
    pushes: AtomicU64,
    /// Pushes that gave up and were repeated.
    repeated: AtomicU64,
    sweeps: AtomicU64,
    /// Collections that refused, since a push was under way.
    refused: AtomicU64,
    deleted: AtomicU64,
    is_over: AtomicBool,
}

/// Some of a few contents, so that clones push what others have pushed, or have just let go.
fn edit(clone: &TestEnv, random: &mut Rng) {
    for name in ["a", "d/1", "d/2", "d/3"] {
        let content = random.below(5);
        clone.write(name, vec![b'a' + content as u8; 2000 + content]);
    }
    let large = random.below(3);
    clone.write("large", crate::support::random_bytes(large as u64, 4_400_000));
    clone.mlv(&["add", "a", "d", "large"]).success();
}

/// Pushes until it succeeds: a collector may be faster a few times, a connection may break.
fn push(clone: &TestEnv, done: &Done) {
    for _ in 0..20 {
        let output = clone.mlv(&["push"]);
        match output.exit_code() {
            0 => {
                done.pushes.fetch_add(1, Ordering::Relaxed);
                return;
            }
            7 => drop(done.repeated.fetch_add(1, Ordering::Relaxed)),
            _ => panic!("{output}"),
        }
    }
    panic!("no push came through");
}

fn collect(clone: &TestEnv, done: &Done) {
    let mut command = clone.mlv_command();
    command.args(["--json", "gc", "--cloud", "--now", "--keep", "0d"]);
    let output = clone.run(&mut command);
    match output.exit_code() {
        0 => {
            let deleted = output.json()["deleted"].as_array().map_or(0, Vec::len);
            done.sweeps.fetch_add(1, Ordering::Relaxed);
            done.deleted.fetch_add(deleted as u64, Ordering::Relaxed);
        }
        5 | 7 => drop(done.refused.fetch_add(1, Ordering::Relaxed)),
        _ => panic!("{output}"),
    }
}

/// Two clones push, two collect, while `goes_on`; what each pushed last can be fetched in the end, and the
/// remote is sound.
fn run(clones: [&TestEnv; 4], number: u64, goes_on: GoesOn<'_>) -> Done {
    let done = Done::default();
    std::thread::scope(|scope| {
        for (at, clone) in (0..).zip(&clones[..2]) {
            let done = &done;
            scope.spawn(move || {
                let mut random = Rng::new(number + at);
                while goes_on(done.pushes.load(Ordering::Relaxed), done.sweeps.load(Ordering::Relaxed)) {
                    edit(clone, &mut random);
                    push(clone, done);
                }
                done.is_over.store(true, Ordering::Relaxed);
            });
        }
        for clone in &clones[2..] {
            let done = &done;
            scope.spawn(move || {
                while !done.is_over.load(Ordering::Relaxed) {
                    collect(clone, done);
                }
            });
        }
    });
    clones[2].mlv(&["fsck", "--remote", "--read-data"]).success();
    for clone in &clones[..2] {
        let before = clone.snapshot();
        clone.lose_cache();
        for name in ["a", "d", "large"] {
            clone.remove(name);
        }
        clone.mlv(&["pull"]).success();
        assert_eq!(clone.snapshot(), before, "seed {number}");
    }
    done
}

// R7, C2
#[test]
fn clones_that_push_and_collect_at_once_lose_nothing() {
    let env = TestEnv::shared();
    let clones = ["one", "two", "three", "four"].map(|name| env.clone_to(name));
    let number = seed();
    let done = run(clones.each_ref(), number, &|pushes, sweeps| pushes < 16 || sweeps < 6);
    assert!(done.deleted.load(Ordering::Relaxed) > 0, "seed {number}: nothing was collected");
}

// R7, C2, N1: ten minutes, or as many seconds as MLV_TEST_SECONDS says:
// cargo nextest run --run-ignored only a_lossy_line
#[test]
#[ignore = "takes ten minutes"]
fn clones_on_a_lossy_line_to_s3_lose_nothing_in_ten_minutes() {
    let Some(moto) = Moto::start() else { return };
    let number = seed();
    let proxy = Proxy::start(moto.server.port, Rng::new(number));
    let env = TestEnv::ready();
    moto.add_remote(&env);
    let url = format!("http://127.0.0.1:{}", proxy.port);
    env.mlv(&["remote", "modify", "s3", "endpointurl", &url]).success();
    env.commit("name a remote");
    let clones = ["one", "two", "three", "four"].map(|name| env.clone_to(name));
    clones.iter().for_each(|clone| moto.log_in(clone, &moto.users[0]));
    let seconds = std::env::var("MLV_TEST_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(600);
    let end = Instant::now() + Duration::from_secs(seconds);
    let done = run(clones.each_ref(), number, &|_, _| Instant::now() < end);
    let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    println!(
        "seed {number}: {} pushes ({} repeated), {} sweeps ({} refused), {} packs deleted, {} connections harmed",
        count(&done.pushes),
        count(&done.repeated),
        count(&done.sweeps),
        count(&done.refused),
        count(&done.deleted),
        proxy.harmed()
    );
    if seconds >= 600 {
        assert!(count(&done.pushes) >= 200 && count(&done.sweeps) >= 50, "too few to say anything");
    }
}
