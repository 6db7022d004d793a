//! Times what git holds as text: pointers, pipelines, lock files.
//!
//! `cargo bench --bench text`. A no-op `repro` over 200 stages has 20 ms for everything.

use divan::Bencher;
use divan::counter::BytesCount;
use mlv::model::digest::{Digest, ObjectId};
use mlv::model::lockfile::{LockDep, LockOut, Lockfile, StageLock};
use mlv::model::object::{ContentId, ContentInfo};
use mlv::model::path::RepoPath;
use mlv::model::pointer::Pointer;
use mlv::model::stage::Command;
use mlv::pipeline::graph::Graph;
use mlv::pipeline::parse::parse;
use mlv::pipeline::template::NoValues;

fn main() {
    divan::main();
}

const STAGES: [usize; 2] = [200, 2000];

fn at(path: &str) -> RepoPath {
    RepoPath::parse(path).expect("a plain path")
}

fn file_of(text: &str) -> ContentInfo {
    let id = ContentId::File(ObjectId(Digest::of(text.as_bytes())));
    ContentInfo { id, size: text.len() as u64, nfiles: None, executable: false }
}

/// What stage `index` of a chain reads.
fn input(index: usize) -> String {
    if index == 0 { "in.txt".into() } else { format!("o{:04}.txt", index - 1) }
}

/// A chain of stages that each read what the one before made.
fn pipeline(stages: usize) -> String {
    let stage = |index: usize| {
        format!(
            "  s{index:04}:\n    cmd: echo s{index:04} > o{index:04}.txt\n    deps:\n    - {}\n    outs:\n    - o{index:04}.txt\n",
            input(index)
        )
    };
    std::iter::once("stages:\n".to_owned()).chain((0..stages).map(stage)).collect()
}

fn lock(stages: usize) -> Lockfile {
    let mut lock = Lockfile::default();
    for index in 0..stages {
        let (dep, out) = (input(index), format!("o{index:04}.txt"));
        let command = Command::Script(format!("echo s{index:04} > {out}").into());
        let dep = LockDep { path: at(&dep), content: file_of(&dep) };
        let made = LockOut { path: at(&out), content: file_of(&out), cache: true, push: true, remote: None };
        lock.stages.insert(
            format!("s{index:04}").into(),
            StageLock::new(command, vec![dep], Vec::new(), vec![made]),
        );
    }
    lock
}

mod pointers {
    use super::*;

    #[divan::bench]
    fn update(bencher: Bencher<'_, '_>) {
        let file = at("data/train.csv.mlv");
        let text = Pointer::new(at("data/train.csv"), file_of("old")).write();
        let new = file_of("something new");
        bencher.bench_local(|| Pointer::update(&file, text.as_bytes(), &new).expect("a good pointer"));
    }
}

mod locks {
    use super::*;

    #[divan::bench(args = STAGES)]
    fn write(bencher: Bencher<'_, '_>, stages: usize) {
        let lock = lock(stages);
        bencher.bench_local(|| lock.write(&at("mlv.lock")));
    }

    #[divan::bench(args = STAGES)]
    fn parse(bencher: Bencher<'_, '_>, stages: usize) {
        let text = lock(stages).write(&at("mlv.lock"));
        let read = || Lockfile::parse(&at("mlv.lock"), text.as_bytes()).expect("our own text");
        bencher.counter(BytesCount::of_str(&text)).bench_local(read);
    }

    /// A comment is enough to leave the canonical form.
    #[divan::bench(args = STAGES)]
    fn parse_edited(bencher: Bencher<'_, '_>, stages: usize) {
        let text = format!("# edited\n{}", lock(stages).write(&at("mlv.lock")));
        let read = || Lockfile::parse(&at("mlv.lock"), text.as_bytes()).expect("nearly our own text");
        bencher.counter(BytesCount::of_str(&text)).bench_local(read);
    }
}

mod pipelines {
    use super::*;

    #[divan::bench(args = STAGES)]
    fn read(bencher: Bencher<'_, '_>, stages: usize) {
        let text = pipeline(stages);
        let read = || parse(&at("mlv.yaml"), text.as_bytes(), &NoValues).expect("a good pipeline");
        bencher.counter(BytesCount::of_str(&text)).bench_local(read);
    }

    #[divan::bench(args = STAGES)]
    fn graph(bencher: Bencher<'_, '_>, stages: usize) {
        let pipeline =
            parse(&at("mlv.yaml"), pipeline(stages).as_bytes(), &NoValues).expect("a good pipeline");
        bencher
            .with_inputs(|| vec![pipeline.clone()])
            .bench_local_values(|pipelines| Graph::build(pipelines).expect("a chain"));
    }
}
