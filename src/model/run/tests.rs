use super::*;
use crate::model::lockfile::LockDep;
use crate::model::stage::{Out, ParamDep, ParamKeys, Shell};

fn at(path: &str) -> RepoPath {
    RepoPath::parse(path).unwrap()
}

fn info(text: &str) -> ContentInfo {
    let id = ContentId::File(Digest::of(text.as_bytes()).into());
    ContentInfo { id, size: text.len() as u64, nfiles: None, executable: false }
}

fn out(path: &str) -> Out {
    Out {
        path: at(path),
        cache: true,
        push: true,
        remote: None,
        optional: false,
        persist: false,
        role: Role::Data,
        notes: Default::default(),
    }
}

fn stage() -> Stage {
    Stage {
        name: "s".into(),
        places: Default::default(),
        command: Command::Script("cp in out".into()),
        wdir: RepoPath::root(),
        patterns: Vec::new(),
        deps: vec![at("in")],
        params: vec![ParamDep { file: at("params.yaml"), keys: ParamKeys::All }],
        outs: vec![out("may"), out("out")],
        frozen: false,
        always_changed: false,
        desc: None,
        shell: Shell::Sh,
        env: Vec::new(),
        env_deps: Vec::new(),
        timeout: None,
        retries: 0,
        needs: Vec::new(),
        resources: Vec::new(),
    }
}

fn entry(stage: &Stage, value: Value) -> StageLock {
    let deps = stage.deps.iter().map(|path| LockDep { path: path.clone(), content: info("in") });
    let params = stage.params.iter().map(|wanted| (wanted.file.clone(), vec![("p".into(), value.clone())]));
    StageLock::new(stage.command.clone(), deps.collect(), params.collect(), Vec::new())
        .with_settings(stage.settings(|_| None))
}

fn key(stage: &Stage) -> RunKey {
    RunInputs::of(stage, &entry(stage, Value::Int(1))).unwrap().key()
}

fn record() -> RunRecord {
    let outs = vec![(at("out"), info("out"))];
    let facts = RunFacts {
        kind: "run".into(),
        start: "2026-11-21T10:15:00Z".into(),
        millis: 12,
        host: "h".into(),
        os: "linux".into(),
        arch: "x86_64".into(),
        mlv: "0.1.0".into(),
        commit: None,
        differed: None,
        log: Some(Digest::of(b"log").to_string()),
    };
    RunRecord { outs, facts }
}

#[test]
fn first_line_is_as_the_format_says() {
    let inputs = RunInputs::of(&stage(), &entry(&stage(), Value::Float(2.0))).unwrap();
    insta::assert_snapshot!(inputs.0, @r#"{"version":1,"cmd":["cp in out"],"wdir":"","deps":[{"path":"in","hash":"blake3:626e44fe9ac32fd65c92a919689b6fc6488abd2cc07a85d54f775ac1c2b10890"}],"params":{"params.yaml":{"p":2}},"settings":{},"outs":["may","out"]}"#);
}

#[test]
fn key_changes_with_every_input_and_with_nothing_else() {
    type Change = fn(&mut Stage);
    let changes: [(&str, Change); 7] = [
        ("command", |stage| stage.command = Command::Script("cp in out ".into())),
        ("folder", |stage| stage.wdir = RepoPath::parse("sub").unwrap()),
        ("dependency", |stage| stage.deps.push(RepoPath::parse("x").unwrap())),
        ("output", |stage| drop(stage.outs.pop())),
        ("shell", |stage| stage.shell = Shell::Bash),
        ("variable", |stage| stage.env.push(("A".into(), "1".into()))),
        ("variable that is read", |stage| stage.env_deps.push("A".into())),
    ];
    for (name, change) in changes {
        let mut changed = stage();
        change(&mut changed);
        assert_ne!(key(&changed), key(&stage()), "{name}");
    }
    let mut same = stage();
    (same.retries, same.desc, same.resources) = (3, Some("why".into()), vec![("gpu".into(), 1)]);
    same.outs[0].push = false;
    assert_eq!(key(&same), key(&stage()));
    let of = |value: Value| RunInputs::of(&stage(), &entry(&stage(), value)).unwrap().key();
    assert_eq!(of(Value::Float(2.0)), of(Value::Int(2)));
    assert_ne!(of(Value::Float(2.5)), of(Value::Int(2)));
    assert_ne!(of(Value::Text("2".into())), of(Value::Int(2)));
    assert_ne!(of(Value::Int(i128::MAX)), of(Value::Int(i128::MAX - 1)));
    let map = |keys: [&str; 2]| Value::Map(keys.map(|key| (key.into(), Value::Null)).into());
    assert_eq!(of(map(["a", "b"])), of(map(["b", "a"])));
}

#[test]
fn what_depends_on_more_than_it_declares_is_not_for_reuse() {
    type Change = fn(&mut Stage);
    let changes: [Change; 5] = [
        |stage| stage.always_changed = true,
        |stage| stage.frozen = true,
        |stage| stage.outs.clear(),
        |stage| stage.outs[0].persist = true,
        |stage| stage.outs[0].cache = false,
    ];
    for change in changes {
        let mut changed = stage();
        change(&mut changed);
        assert_eq!(RunInputs::of(&changed, &entry(&changed, Value::Null)), None);
    }
    let mut without_inputs = stage();
    (without_inputs.deps, without_inputs.params) = (Vec::new(), Vec::new());
    assert!(!is_reusable(&without_inputs));
    let mut metric = stage();
    (metric.outs[0].cache, metric.outs[0].role) = (false, Role::Metric);
    assert!(is_reusable(&metric));
}

#[test]
fn records_come_back_and_damaged_ones_do_not() {
    let inputs = RunInputs::of(&stage(), &entry(&stage(), Value::Int(1))).unwrap();
    let bytes = record().write(&inputs);
    assert_eq!(RunRecord::parse(&bytes), Some(record()));
    for at in 0..bytes.len() {
        assert_eq!(RunRecord::parse(&bytes[..at]), None, "{at}");
        let mut damaged = bytes.clone();
        damaged[at] ^= 1;
        assert_eq!(RunRecord::parse(&damaged), None, "{at}");
    }
}

#[test]
fn record_serves_a_stage_that_declares_what_it_made() {
    let made = |record: RunRecord, stage: &Stage| {
        record.lock_outs(stage).map(|outs| outs.iter().map(|out| out.path.to_string()).collect::<Vec<_>>())
    };
    assert_eq!(made(record(), &stage()), None, "`may` is missing");
    let mut optional = stage();
    optional.outs[0].optional = true;
    assert_eq!(made(record(), &optional), Some(vec!["out".to_owned()]));
    optional.outs.pop();
    assert_eq!(made(record(), &optional), None, "`out` is not declared");
}
