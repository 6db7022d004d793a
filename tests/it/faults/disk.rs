//! S1: errors of the disk at each step, and a disk that is full.

use super::scenario::{Unharmed, scenario};
use crate::support::{TestEnv, differences, files_below, random_bytes, skipped};

/// Fails the command at every step in turn; a failure is told, nothing is torn or lost, and the
/// command again comes to its end.
fn fail_at_every_step(name: &str, verb: &str, kind: &str) {
    let scenario = scenario(name);
    let unharmed = Unharmed::of(scenario);
    for step in 1..=unharmed.steps.len() {
        let env = unharmed.before.duplicate();
        let mut command = env.mlv_command();
        command.args(scenario.args).arg("--json").env("MLV_FAULT", format!("{verb}:{step}"));
        let output = env.run(&mut command);
        let place = format!("{name}, {verb} at step {step} of {:?}", unharmed.steps);
        assert!([0, 1, 9].contains(&output.exit_code()), "{place}: {output}");
        assert_eq!(unharmed.lost(&env), Vec::<String>::new(), "{place}: {output}");
        let mut torn = unharmed.torn(&env);
        // The lock may have the entry of the first stage alone.
        torn.retain(|line| name != "repro" || !line.contains(" mlv.lock "));
        assert_eq!(torn, Vec::<String>::new(), "{place}: {output}");
        if output.exit_code() == 0 {
            // What was left out was not needed, or was done in another way.
            assert_eq!(
                differences(&unharmed.after, &env.snapshot()),
                Vec::<String>::new(),
                "{place}: {output}"
            );
        } else if output.exit_code() == 9 {
            assert_eq!(output.error_kind(), kind, "{place}");
        }
        assert_eq!(env.mlv(&["fsck"]).exit_code(), 0, "{place}: fsck");
        if name == "remove" && !env.exists("d.mlv") {
            // With its pointer gone the target is known no more.
            continue;
        }
        let again = scenario.run(&env, &[]);
        assert_eq!(again.exit_code(), 0, "{place}: again: {again}");
        assert_eq!(unharmed.lost(&env), Vec::<String>::new(), "{place}: again");
        assert_eq!(differences(&unharmed.after, &env.snapshot()), Vec::<String>::new(), "{place}: again");
    }
}

// S1, R8, R23
#[test]
fn add_survives_an_error_of_the_disk_at_any_step() {
    fail_at_every_step("add", "eio", "io");
}

// S1, R8, R23
#[test]
fn add_survives_a_full_disk_at_any_step() {
    fail_at_every_step("add of many", "enospc", "no_space");
}

// S1, R2, R23
#[test]
fn checkout_survives_an_error_of_the_disk_at_any_step() {
    fail_at_every_step("checkout", "eio", "io");
}

// S1, R2, R23
#[test]
fn checkout_survives_a_full_disk_at_any_step() {
    fail_at_every_step("checkout", "enospc", "no_space");
}

// S1, R8, R23
#[test]
fn commit_survives_an_error_of_the_disk_at_any_step() {
    fail_at_every_step("commit", "eio", "io");
}

// S1, R8, R23
#[test]
fn commit_survives_a_full_disk_at_any_step() {
    fail_at_every_step("commit", "enospc", "no_space");
}

// S1, R2, R21, R23
#[test]
fn repro_survives_an_error_of_the_disk_at_any_step() {
    fail_at_every_step("repro", "eio", "io");
}

// S1, R2, R21, R23
#[test]
fn repro_survives_a_full_disk_at_any_step() {
    fail_at_every_step("repro", "enospc", "no_space");
}

// S1, R8, R23
#[test]
fn push_survives_an_error_of_the_disk_at_any_step() {
    fail_at_every_step("push", "eio", "io");
}

// S1, R8, R23
#[test]
fn push_survives_a_full_disk_at_any_step() {
    fail_at_every_step("push", "enospc", "no_space");
}

// S1, R7, R23
#[test]
fn gc_survives_an_error_of_the_disk_at_any_step() {
    fail_at_every_step("gc", "eio", "io");
}

// S1, R7, R23
#[test]
fn gc_survives_a_full_disk_at_any_step() {
    fail_at_every_step("gc", "enospc", "no_space");
}

// S1, R2, R23
#[test]
fn pull_survives_an_error_of_the_disk_at_any_step() {
    fail_at_every_step("pull", "eio", "io");
}

// S1, R2, R23
#[test]
fn pull_survives_a_full_disk_at_any_step() {
    fail_at_every_step("pull", "enospc", "no_space");
}

// S1, R2, R23
#[test]
fn remove_survives_an_error_of_the_disk_at_any_step() {
    fail_at_every_step("remove", "eio", "io");
}

// S1, R2, R23
#[test]
fn remove_survives_a_full_disk_at_any_step() {
    fail_at_every_step("remove", "enospc", "no_space");
}

/// A small disk in a folder; gone when dropped.
struct SmallDisk {
    env: TestEnv,
}

impl SmallDisk {
    /// Mounts a tmpfs at `env`'s folder, which is empty; `None`, with the reason on stdout, where that is not allowed.
    ///
    /// `limits` are its options: `size=8m`, `nr_inodes=500`.
    fn mount(env: TestEnv, limits: &str) -> Option<SmallDisk> {
        let mut command = env.command("mount");
        command.args(["-t", "tmpfs", "-o", &format!("{limits},mode=0755"), "mlv-test"]).arg(env.path());
        match command.output() {
            Ok(output) if output.status.success() => Some(SmallDisk { env }),
            _ => {
                skipped("a small disk needs root and mount(2)");
                None
            }
        }
    }

    /// A project on a small disk of its own, as [`SmallDisk::mount`].
    fn with_project(limits: &str) -> Option<SmallDisk> {
        let disk = SmallDisk::mount(TestEnv::new(), limits)?;
        disk.env.git(&["init", "--quiet", "--initial-branch=main"]);
        disk.env.mlv(&["init"]).success();
        Some(disk)
    }

    /// Leaves only `free` bytes, in a file `filler`.
    fn fill_up_to(&self, free: u64) {
        let output = self.env.run(self.env.command("df").args(["--output=avail", "-B1", "."])).success();
        let space: u64 = output.stdout().lines().last().expect("a line").trim().parse().expect("a number");
        self.env.write("filler", vec![0; usize::try_from(space.saturating_sub(free)).expect("it is small")]);
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let outside = self.env.at(self.env.root());
        let _ = outside.command("umount").arg("-l").arg(self.env.path()).status();
    }
}

/// Free bytes at which a command is tried: so that it fails early, late, and in between.
const FREE: [u64; 7] = [0, 4 << 10, 64 << 10, 256 << 10, 700 << 10, 1200 << 10, 1900 << 10];

#[track_caller]
fn assert_full(env: &TestEnv, args: &[&str], place: &str) -> bool {
    let output = env.run(env.mlv_command().arg("--json").args(args));
    if output.exit_code() == 0 {
        return false;
    }
    assert_eq!(output.exit_code(), 9, "{place}: {output}");
    assert_eq!(output.error_kind(), "no_space", "{place}: {output}");
    true
}

// S1, R8, R23
#[test]
fn add_on_a_full_disk_leaves_nothing_half_and_works_once_there_is_space() {
    let Some(disk) = SmallDisk::with_project("size=8m") else { return };
    let env = disk.env.clone();
    let mut failures = 0;
    for free in FREE {
        let bytes = random_bytes(free, 1 << 20);
        env.write("big", &bytes);
        env.write("small/a", "a");
        disk.fill_up_to(free);
        failures += usize::from(assert_full(&env, &["add", "big", "small"], &format!("{free} bytes free")));
        if free == 256 << 10 {
            let said = env.mlv(&["add", "big"]).code(9).stderr();
            assert!(said.starts_with("error: there is no room in the cache for `big`\n"), "{said}");
        }
        env.remove("filler");
        assert_eq!(env.read("big"), bytes);
        env.assert_sound();
        env.mlv(&["add", "big", "small"]).success();
        env.assert_sound();
        for path in ["big.mlv", "small.mlv", ".mlv/cache"] {
            env.remove(path);
        }
    }
    assert!(failures >= 4, "only {failures} failures");
}

// S1, R2, R23
#[test]
fn checkout_onto_a_full_disk_leaves_no_half_file_and_works_once_there_is_space() {
    let Some(disk) = SmallDisk::with_project("size=8m") else { return };
    let env = disk.env.clone();
    let cache = env.beside("cache").path().display().to_string();
    env.mlv(&["cache", "dir", "--local", &cache]).success();
    for at in 0..8 {
        env.write(format!("d/{at}"), random_bytes(at, 200_000));
    }
    env.mlv(&["add", "d"]).success();
    env.commit("data");
    let whole = env.snapshot();
    let mut failures = 0;
    for free in FREE {
        env.remove("d");
        disk.fill_up_to(free);
        failures += usize::from(assert_full(&env, &["checkout"], &format!("{free} bytes free")));
        env.remove("filler");
        let mut found = Vec::new();
        files_below(&env.path().join("d"), &mut found);
        for path in &found {
            let name: u64 =
                path.file_name().and_then(|name| name.to_str()?.parse().ok()).expect("no other name");
            assert_eq!(std::fs::read(path).expect("it is there"), random_bytes(name, 200_000));
        }
        env.mlv(&["checkout"]).success();
        assert_eq!(env.snapshot(), whole);
        env.assert_clean();
    }
    assert!(failures >= 4, "only {failures} failures");
}

// R2, R23: the space is looked at before the first file goes.
#[test]
fn checkout_that_does_not_fit_removes_nothing() {
    let Some(disk) = SmallDisk::with_project("size=8m") else { return };
    let env = disk.env.clone();
    let cache = env.beside("cache").path().display().to_string();
    env.mlv(&["cache", "dir", "--local", &cache]).success();
    for (name, size) in [("large", 300_000), ("small", 100_000)] {
        for at in 0..8 {
            env.write(format!("d/{name}-{at}"), random_bytes(at, size));
        }
        env.mlv(&["add", "d"]).success();
        env.commit(name);
        if name == "large" {
            env.remove("d");
        }
    }
    let before = env.snapshot_of("d");
    disk.fill_up_to(400 << 10);
    env.git(&["checkout", "--quiet", "HEAD~1", "--", "d.mlv"]);
    assert!(assert_full(&env, &["checkout"], "1.6 MB are missing"));
    assert_eq!(env.snapshot_of("d"), before);
    env.remove("filler");
    env.mlv(&["checkout"]).success();
    assert_eq!(env.read("d/large-3"), random_bytes(3, 300_000));
    assert!(!env.exists("d/small-3"));
}

// S1, R8, R23
#[test]
fn push_to_a_full_disk_fails_whole_and_is_finished_by_push() {
    let env = TestEnv::shared();
    let Some(disk) = SmallDisk::mount(env.beside("remote"), "size=4m") else { return };
    for at in 0..8 {
        env.write(format!("d/{at}"), random_bytes(at, 150_000));
    }
    env.mlv(&["add", "d"]).success();
    env.commit("data");
    let mut failures = 0;
    for free in FREE {
        disk.fill_up_to(free);
        failures += usize::from(assert_full(&env, &["push"], &format!("{free} bytes free")));
        disk.env.remove("filler");
        env.assert_sound();
    }
    assert!(failures >= 3, "only {failures} failures");
    env.mlv(&["push"]).success();
    let clone = env.clone_to("clone");
    clone.mlv(&["pull"]).success();
    assert_eq!(clone.snapshot(), env.snapshot());
}

// S1, R8, R23
#[test]
fn pull_onto_a_full_disk_leaves_no_half_file_and_is_finished_by_pull() {
    let env = TestEnv::shared();
    for at in 0..8 {
        env.write(format!("d/{at}"), random_bytes(at, 150_000));
    }
    env.mlv(&["add", "d"]).success();
    env.commit("data");
    env.mlv(&["push"]).success();
    let Some(disk) = SmallDisk::mount(env.beside("clone"), "size=8m") else { return };
    let clone = disk.env.clone();
    let from = env.path().display().to_string();
    clone.git(&["clone", "--quiet", &from, "."]);
    let mut failures = 0;
    for free in FREE {
        disk.fill_up_to(free);
        failures += usize::from(assert_full(&clone, &["pull"], &format!("{free} bytes free")));
        clone.remove("filler");
        clone.assert_sound();
    }
    assert!(failures >= 3, "only {failures} failures");
    clone.mlv(&["pull"]).success();
    assert_eq!(clone.snapshot(), env.snapshot());
}

// S1, R21, R23: the command has no room, or the cache has none for what it made.
#[test]
fn stage_on_a_full_disk_leaves_the_outputs_of_before_and_runs_once_there_is_space() {
    let Some(disk) = SmallDisk::with_project("size=8m") else { return };
    let env = disk.env.clone();
    env.write("mlv.yaml", "stages:\n  s: {cmd: cat in > out, deps: [in], outs: [out]}\n");
    env.write("in", random_bytes(0, 600_000));
    env.mlv(&["repro"]).success();
    env.commit("one");
    let before = env.read("out");
    let mut codes = Vec::new();
    for free in FREE {
        env.write("in", random_bytes(free + 1, 600_000));
        disk.fill_up_to(free);
        let output = env.run(env.mlv_command().args(["repro", "--json"]));
        codes.push(output.exit_code());
        env.remove("filler");
        if output.exit_code() == 0 {
            assert_eq!(env.read("out"), env.read("in"), "{free} bytes free");
        } else {
            let kind = if output.exit_code() == 8 { "stage_failed" } else { "no_space" };
            assert_eq!(output.error_kind(), kind, "{free} bytes free: {output}");
            assert_eq!(env.read("out"), before, "{free} bytes free: {output}");
        }
        assert_eq!(env.mlv(&["fsck"]).exit_code(), 0, "{free} bytes free");
        env.mlv(&["repro"]).success();
        assert_eq!(env.read("out"), env.read("in"), "{free} bytes free");
        // As it was before.
        env.git(&["checkout", "--quiet", "--", "mlv.lock"]);
        env.mlv(&["checkout", "--force"]).success();
        env.mlv(&["rescue", "drop", "--all"]).success();
        assert_eq!(env.read("out"), before);
    }
    assert!(codes.contains(&8) && codes.contains(&9), "the command has no room, then the cache: {codes:?}");
}

// S1, R2, R23: a disk that has bytes, but no room for another file.
#[test]
fn checkout_without_free_inodes_leaves_no_half_file_and_works_once_there_are_some() {
    let Some(disk) = SmallDisk::with_project("size=16m,nr_inodes=600") else { return };
    let env = disk.env.clone();
    let cache = env.beside("cache").path().display().to_string();
    env.mlv(&["cache", "dir", "--local", &cache]).success();
    for at in 0..150 {
        env.write(format!("d/{}/{at}", at % 7), format!("file number {at}"));
    }
    env.mlv(&["add", "d"]).success();
    env.commit("data");
    let whole = env.snapshot();
    let mut failures = 0;
    for free in [0, 1, 5, 20, 100, 155, 170] {
        env.remove("d");
        let folder = env.path().join("fillers");
        std::fs::create_dir(&folder).expect("a new folder");
        let made = (0..).take_while(|at| std::fs::write(folder.join(at.to_string()), "").is_ok()).count();
        for at in 0..free.min(made) {
            env.remove(format!("fillers/{at}"));
        }
        let place = format!("{free} inodes free");
        failures += usize::from(assert_full(&env, &["checkout"], &place));
        env.remove("fillers");
        let mut found = Vec::new();
        files_below(&env.path().join("d"), &mut found);
        for path in &found {
            let name = path.file_name().and_then(|name| name.to_str()).expect("a plain name");
            let text = std::fs::read_to_string(path).expect("it is there");
            assert_eq!(text, format!("file number {name}"), "{place}");
        }
        env.mlv(&["checkout"]).success();
        assert_eq!(env.snapshot(), whole, "{place}");
        env.assert_clean();
    }
    assert!(failures >= 4, "only {failures} failures");
}
