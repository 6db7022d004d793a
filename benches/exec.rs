//! Times what running a stage's command costs over its shell: `cargo bench --bench exec`.

use std::path::Path;
use std::process::Command as Process;

use divan::Bencher;
use mlv::model::stage::{Command, Shell};
use mlv::pipeline::exec::{End, ExecOptions, Execution, run};
use mlv::report::NoReport;

fn main() {
    divan::main();
}

const SCRIPT: &str = "echo x > /dev/null";

/// The shell by itself: the floor.
#[divan::bench]
fn bare_shell(bencher: Bencher) {
    bencher.bench_local(|| Process::new("/bin/sh").args(["-e", "-c", SCRIPT]).status().expect("a shell"));
}

#[divan::bench]
fn stage(bencher: Bencher) {
    let command = Command::Script(SCRIPT.into());
    let (folder, root) = (Path::new("/"), Path::new("/"));
    let execution = Execution {
        stage: "s",
        command: &command,
        folder,
        root,
        run: "r",
        shell: Shell::Sh,
        env: &[],
        timeout: None,
    };
    bencher.bench_local(|| {
        let end = run(&execution, &mut Vec::new(), &NoReport, ExecOptions::default()).expect("a shell");
        assert_eq!(end, End::Success);
    });
}
