use super::*;
use crate::model::digest::{Digest, ObjectId, TreeId};
use crate::model::object::ContentId;
use crate::model::path::{PathError, check_output_name};
use crate::model::value::Value;

fn at(path: &str) -> RepoPath {
    RepoPath::parse(path).unwrap()
}

fn file_of(size: u64) -> ContentInfo {
    let id = ContentId::File(ObjectId(Digest::of(&size.to_le_bytes())));
    ContentInfo { id, size, nfiles: None, executable: false }
}

fn tree_of(size: u64, nfiles: u64) -> ContentInfo {
    let id = ContentId::Tree(TreeId(Digest::of(&size.to_le_bytes())));
    ContentInfo { id, size, nfiles: Some(nfiles), executable: false }
}

fn entry(command: Command) -> StageLock {
    let values = vec![("epochs".into(), Value::Int(2)), ("rate".into(), Value::Float(0.05))];
    StageLock {
        command,
        deps: vec![
            LockDep { path: at("data/train"), content: tree_of(9, 3) },
            LockDep { path: at("p/train.py"), content: ContentInfo { executable: true, ..file_of(3) } },
        ],
        params: vec![(at("p/params.yaml"), values)],
        outs: vec![LockOut {
            path: at("p/model.json"),
            content: file_of(5),
            cache: false,
            push: false,
            remote: Some("s3".into()),
        }],
        settings: Entries::new(),
        unknown: Vec::new(),
        sum: LockSum::Valid,
    }
}

fn lock_of(entries: Vec<(&str, StageLock)>) -> Lockfile {
    let stages = entries.into_iter().map(|(name, entry)| (name.into(), entry)).collect();
    Lockfile { stages, ..Lockfile::default() }
}

fn sample() -> Lockfile {
    let script = Command::Script("set -u\n\nif true; then\n  echo x: y # z\nfi\n".into());
    lock_of(vec![
        ("train", entry(Command::Script("python train.py --lr 0.1 > log".into()))),
        ("evaluate", entry(script)),
        ("list", entry(Command::List(vec!["a: b".into(), "c".into()]))),
    ])
}

fn parse(text: &str) -> Lockfile {
    Lockfile::parse(&at("p/mlv.lock"), text.as_bytes()).unwrap()
}

#[test]
fn text_is_canonical_and_read_by_both_readers() {
    let text = sample().write(&at("p/mlv.lock"));
    assert_eq!(text, include_str!("../../../fixtures/lock/v1/mlv.lock"));
    assert_eq!(fast::lockfile(&at("p/mlv.lock"), &text), Some(sample()));
    let root = load("mlv.lock", &text, Limits::LOCK).unwrap();
    assert_eq!(read::lockfile(&at("p/mlv.lock"), &text, &root), Ok(sample()));
}

#[test]
fn other_forms_of_the_same_text_mean_the_same() {
    let text = sample().write(&at("p/mlv.lock"));
    let commented = text.replace("    deps:", "    # inputs\n    deps:  # here");
    for other in [text.replace('\n', "\r\n"), format!("\u{feff}{text}"), format!("# x\n{text}"), commented] {
        assert_eq!(parse(&other), sample());
    }
    assert_eq!(parse("version: 1\nstages: {}\n"), Lockfile::default());
    assert_eq!(Lockfile::default().write(&at("mlv.lock")), "version: 1\nstages: {}\n");
}

#[test]
fn edited_entries_are_stale_and_stay_so_when_written_again() {
    let text = sample().write(&at("p/mlv.lock"));
    for (from, to) in [
        ("size: 5", "size: 6"),
        ("epochs: 2", "epochs: 3"),
        ("lr 0.1", "lr 0.2"),
        ("    sum: ", "    sum: f"),
    ] {
        let lock = parse(&text.replace(from, to));
        assert!(lock.stages["train"].is_stale(), "{from}");
        let again = parse(&lock.write(&at("p/mlv.lock")));
        assert_eq!(again, lock);
    }
    let without: String =
        text.lines().filter(|line| !line.contains("sum:")).map(|line| format!("{line}\n")).collect();
    let lock = parse(&without);
    assert!(lock.stages.values().all(StageLock::is_stale));
    assert_eq!(parse(&lock.write(&at("p/mlv.lock"))), lock);
}

#[test]
fn merges_of_two_sides_by_git_are_stale_where_both_changed() {
    // One side changed the script, the other the data: git takes both.
    let mut ours = entry(Command::Script("a".into()));
    let text = lock_of(vec![("s", ours.clone())]).write(&at("p/mlv.lock"));
    ours.outs[0].content = file_of(77);
    let sum = |text: &str| text.lines().last().unwrap().to_owned();
    let ours = lock_of(vec![("s", ours)]).write(&at("p/mlv.lock"));
    let merged = ours.replace("cmd: a", "cmd: b").replace(&sum(&ours), &sum(&text));
    assert!(parse(&merged).stages["s"].is_stale());
}

#[test]
fn bad_entries_leave_the_others_usable() {
    let text = sample().write(&at("p/mlv.lock"));
    for (from, to, expected) in [
        ("path: model.json", "path: ../../x", ResolveError::Outside),
        ("path: model.json", "path: /etc/passwd", ResolveError::Absolute),
        ("path: model.json", "path: .git/hooks/x", ResolveError::Path(PathError::Reserved)),
        ("path: model.json", "path: mlv.yaml", ResolveError::Path(PathError::OwnFile)),
        ("path: ../data/train", "path: ../../../x", ResolveError::Outside),
    ] {
        let (before, after) = text.split_at(text.find("  train:").unwrap());
        let lock = parse(&format!("{before}{}", after.replace(from, to)));
        assert_eq!(lock.stages.keys().map(|name| &**name).collect::<Vec<_>>(), ["evaluate", "list"]);
        let error = &lock.refused["train"].error;
        assert_eq!(lock.refused.len(), 1);
        assert!(matches!(&error.problem, LockProblem::Path { reason, .. } if *reason == expected), "{error}");
    }
    let lock = parse(&text.replace("  list:", "  --force:"));
    assert!(matches!(lock.refused["--force"].error.problem, LockProblem::Name { .. }));
}

#[test]
fn refused_entries_are_kept_until_their_stage_runs() {
    // R19: another algorithm may be what a newer mlv writes.
    let text = sample().write(&at("p/mlv.lock")).replace("hash: blake3:7", "hash: sha256:7");
    let lock = parse(&text);
    assert_eq!((lock.stages.len(), lock.refused.len()), (0, 3));
    let again = lock.write(&at("p/mlv.lock"));
    assert!(again.contains("sha256:7"));
    let mut back = parse(&again);
    assert_eq!(back.refused.len(), 3);
    assert_eq!(back.write(&at("p/mlv.lock")), again);
    back.apply(BTreeMap::from([("train".into(), Some(entry(Command::Script("x".into()))))]));
    assert_eq!((back.stages.len(), back.refused.len()), (1, 2));
    let mixed = parse(&back.write(&at("p/mlv.lock")));
    assert_eq!((mixed.stages, mixed.refused.len()), (back.stages, 2));
}

#[test]
fn unknown_keys_of_a_newer_mlv_are_kept() {
    let text = "version: 1\nstages:\n  a:\n    cmd: x\n    later: {B: 1}\nfuture: [1]\n";
    let lock = parse(text);
    assert_eq!(lock.stages["a"].unknown.len(), 1);
    assert_eq!(parse(&lock.write(&at("p/mlv.lock"))), lock);
}

#[test]
fn whole_file_refusals_name_the_line() {
    let error = |text: &str| Lockfile::parse(&at("mlv.lock"), text.as_bytes()).unwrap_err().to_string();
    insta::assert_snapshot!(error("version: 2\n"), @"mlv.lock:1:10: this is version 2 of the lock format; this mlv knows version 1");
    insta::assert_snapshot!(error("version: 1\nstages: []\n"), @"mlv.lock:2:9: `stages` must be a map");
    insta::assert_snapshot!(error("version: 1\nstages:\n  a:\n<<<<<<< HEAD\n    cmd: x\n=======\n    cmd: y\n>>>>>>> b\n"), @"mlv.lock:4:1: a conflict marker (possible merge conflict)");
}

#[test]
fn updates_replace_add_and_remove_by_name() {
    let mut lock = sample();
    let new = entry(Command::Script("new".into()));
    lock.apply(BTreeMap::from([
        ("train".into(), Some(new.clone())),
        ("list".into(), None),
        ("x".into(), Some(new)),
    ]));
    assert_eq!(lock.stages.keys().map(|name| &**name).collect::<Vec<_>>(), ["evaluate", "train", "x"]);
    assert_eq!(lock.stages["train"].command, Command::Script("new".into()));
    lock.retain(|name| name != "x");
    assert_eq!(lock.stages.len(), 2);
}

mod random {
    use proptest::prelude::*;

    use super::*;

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            any::<i64>().prop_map(|int| Value::Int(int.into())),
            any::<f64>()
                .prop_filter("NaN is not equal to itself", |float| !float.is_nan())
                .prop_map(Value::Float),
            any::<String>().prop_map(|text| Value::Text(text.into())),
        ];
        leaf.prop_recursive(3, 8, 3, |inner| {
            let keys = proptest::collection::btree_map(".{0,6}", inner.clone(), 0..3);
            prop_oneof![
                proptest::collection::vec(inner, 0..3).prop_map(Value::List),
                keys.prop_map(|map| Value::Map(
                    map.into_iter().map(|(key, value)| (key.into(), value)).collect()
                )),
            ]
        })
    }

    prop_compose! {
        fn any_entry()(
            script in "[ -~\n\t\u{e9}\u{85}]{0,40}",
            list in proptest::option::of(proptest::collection::vec(".{0,10}", 0..3)),
            paths in proptest::collection::btree_set("[a-z #:'\"\u{e9}-][a-z0-9 #:]{0,5}x", 0..4),
            params in proptest::collection::btree_map(".{1,6}", value(), 0..4),
            (size, executable, cache, push) in any::<(u32, bool, bool, bool)>(),
        ) -> StageLock {
            let deps = paths.iter().map(|path| LockDep { path: at(path), content: file_of(size.into()) });
            let outs = paths.iter().filter(|path| check_output_name(&at(path)).is_ok()).map(|path| LockOut {
                path: at("p").join(&at(path)),
                content: ContentInfo { executable, ..file_of(size.into()) },
                cache,
                push,
                remote: None,
            });
            let params = params.into_iter().map(|(key, value)| (key.into(), value)).collect();
            StageLock {
                command: match list {
                    Some(list) => Command::List(list.into_iter().map(Into::into).collect()),
                    None => Command::Script(script.into()),
                },
                deps: deps.collect(),
                params: vec![(at("params.yaml"), params)],
                outs: outs.collect(),
                settings: Entries::new(),
                unknown: Vec::new(),
                sum: LockSum::Valid,
            }
        }
    }

    proptest! {
        #[test]
        fn any_lock_is_read_as_it_was_written_by_both_readers(one in any_entry(), two in any_entry()) {
            let lock = lock_of(vec![("one", one), ("two@x: #", two)]);
            let file = at("p/mlv.lock");
            let text = lock.write(&file);
            let fast = fast::lockfile(&file, &text);
            prop_assert_eq!(fast.as_ref(), Some(&lock), "{}", text);
            let root = load("mlv.lock", &text, Limits::LOCK).unwrap();
            prop_assert_eq!(read::lockfile(&file, &text, &root), Ok(lock));
        }

        #[test]
        fn readers_agree_on_any_damage(one in any_entry(), place: prop::sample::Index, with in "[ -~\n]{0,3}") {
            let file = at("p/mlv.lock");
            let mut text = lock_of(vec![("one", one)]).write(&file);
            let mut offset = place.index(text.len());
            while !text.is_char_boundary(offset) {
                offset -= 1;
            }
            text.insert_str(offset, &with);
            // Recomputed, so that the sum does not hide what the readers make of the text.
            let body = text.split_once("stages:\n").and_then(|(_, rest)| rest.rsplit_once("    sum: "));
            if let Some((body, _)) = body {
                text = format!("version: 1\nstages:\n{body}    sum: {}\n", write::sum(body));
            }
            if let Some(fast) = fast::lockfile(&file, &text) {
                let slow = load("mlv.lock", &text, Limits::LOCK).map(|root| read::lockfile(&file, &text, &root));
                let mut slow = slow.unwrap().unwrap();
                // The text may be one that mlv would have written otherwise.
                for entry in slow.stages.values_mut() {
                    entry.sum = LockSum::Valid;
                }
                prop_assert_eq!(fast, slow, "{}", text);
            }
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let _ = Lockfile::parse(&at("mlv.lock"), &bytes);
        }
    }
}
