use std::collections::BTreeMap;
use std::convert::Infallible;

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::model::digest::{Domain, TreeId};

type Pages = BTreeMap<TreeId, Vec<u8>>;

fn vectors() -> Value {
    serde_json::from_str(include_str!("../../../fixtures/formats/formats.json")).unwrap()
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn build(entries: &[TreeEntry]) -> Result<(TreeSummary, Pages), BuildError<Infallible>> {
    let mut pages = Pages::new();
    let mut sink = |id, page: &[u8]| {
        pages.insert(id, page.to_vec());
        Ok(())
    };
    let mut builder = TreeBuilder::new(&mut sink);
    for entry in entries {
        builder.push(entry)?;
    }
    let summary = builder.finish()?;
    Ok((summary, pages))
}

fn loader(pages: &Pages) -> impl FnMut(TreeId) -> Result<Vec<u8>, String> {
    |id| pages.get(&id).cloned().ok_or(format!("no page {id}"))
}

fn entry(path: &str, kind: EntryKind, text: &[u8]) -> TreeEntry {
    let (size, hash) = match kind {
        EntryKind::EmptyDir => (0, Digest::ZERO),
        _ => (text.len() as u64, Digest::of(text)),
    };
    TreeEntry { path: path.into(), kind, size, hash }
}

fn from_vector(value: &Value) -> TreeEntry {
    let kind = EntryKind::from_byte(value["kind"].as_u64().unwrap() as u8).unwrap();
    let path = value["path"].as_str().unwrap();
    if kind == EntryKind::EmptyDir {
        return entry(&format!("{}/", path.trim_end_matches('/')), kind, b"");
    }
    TreeEntry {
        path: path.into(),
        kind,
        size: value["size"].as_u64().unwrap(),
        hash: value["hash"].as_str().unwrap().parse().unwrap(),
    }
}

fn formula(title: &str) -> Vec<TreeEntry> {
    let mut entries: Vec<_> = if title.starts_with("5,000") {
        (0..5000u64)
            .map(|i| TreeEntry {
                path: format!("d{:02}/f{:08x}.bin", i % 37, (i * 2_654_435_761) % (1 << 32)).into(),
                kind: if i % 10 == 0 { EntryKind::Executable } else { EntryKind::File },
                size: i * i % 1_000_003,
                hash: Digest::of(i.to_string().as_bytes()),
            })
            .collect()
    } else {
        (0..4500u64)
            .map(|i| TreeEntry {
                path: format!("{i:05}{}/y", format!("/{}", "x".repeat(250)).repeat(15)).into(),
                kind: EntryKind::File,
                size: i,
                hash: Digest::of(i.to_string().as_bytes()),
            })
            .collect()
    };
    entries.sort_by(|a, b| a.path.cmp(&b.path));
    entries
}

#[test]
fn golden_trees_have_the_same_pages_byte_for_byte() {
    let vectors = vectors();
    let trees = vectors["trees"].as_array().unwrap();
    assert!(trees.len() >= 13);
    for tree in trees {
        let title = tree["title"].as_str().unwrap();
        let mut entries: Vec<_> = match tree["entries"].as_array() {
            Some(list) => list.iter().map(from_vector).collect(),
            None => formula(title),
        };
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        let (summary, pages) = build(&entries).unwrap();
        assert_eq!(summary.id.to_string(), tree["root"].as_str().unwrap(), "{title}");
        assert_eq!(summary.nfiles, tree["pointer"]["nfiles"].as_u64().unwrap(), "{title}");
        assert_eq!(summary.size, tree["pointer"]["size"].as_u64().unwrap(), "{title}");
        let expected = tree["pages"].as_array().unwrap();
        assert_eq!(pages.len(), expected.len(), "{title}");
        for page in expected {
            let id = TreeId(page["hash"].as_str().unwrap().parse().unwrap());
            let bytes = &pages[&id];
            assert_eq!(bytes.len() as u64, page["length"].as_u64().unwrap(), "{title}");
            if let Some(text) = page["bytes"].as_str() {
                assert_eq!(*bytes, hex(text), "{title}");
            }
        }
        assert_eq!(read_all(summary.id, &mut loader(&pages)).unwrap(), entries, "{title}");
    }
}

#[test]
fn golden_refusals_are_refused() {
    let vectors = vectors();
    for page in vectors["refused_pages"].as_array().unwrap() {
        let bytes = hex(page["bytes"].as_str().unwrap());
        assert!(decode_page(&bytes).is_err(), "{}", page["why"]);
    }
    for set in vectors["refused_entry_sets"].as_array().unwrap() {
        let entries: Vec<_> = set
            .as_array()
            .unwrap()
            .iter()
            .map(|path| path.as_str().unwrap())
            .map(|path| {
                let kind = if path.ends_with('/') { EntryKind::EmptyDir } else { EntryKind::File };
                entry(path, kind, b"x")
            })
            .collect();
        assert!(build(&entries).is_err(), "{set}");
    }
    for path in vectors["refused_paths"].as_array().unwrap() {
        let path = path.as_str().unwrap();
        assert!(build(&[entry(path, EntryKind::File, b"x")]).is_err(), "{path:?}");
        assert!(crate::model::path::RepoPath::parse(path).is_err(), "{path:?}");
    }
}

fn arbitrary_entries() -> impl Strategy<Value = Vec<TreeEntry>> {
    // Few letters, so that prefixes, order around the slash and shared parts come up all the time.
    let part = prop_oneof!["[ab]{1,3}", "[ab][-.0 ][ab]", "[aé]{1,2}", Just("b".repeat(200))];
    let path = proptest::collection::vec(part, 1..4).prop_map(|parts| parts.join("/"));
    proptest::collection::vec((path, 0u8..4, any::<u16>()), 0..400).prop_map(|list| {
        let mut kept: Vec<TreeEntry> = Vec::new();
        let mut by_path = BTreeMap::new();
        for (path, kind, size) in list {
            by_path.insert(path, (EntryKind::from_byte(kind).unwrap(), size));
        }
        let paths: Vec<String> = by_path.keys().cloned().collect();
        for (path, (kind, size)) in by_path {
            let folder = format!("{path}/");
            if paths.iter().any(|other| other.starts_with(&folder)) {
                continue;
            }
            let text = vec![b'x'; usize::from(size % 90) + 1];
            let stored = if kind == EntryKind::EmptyDir { folder } else { path };
            kept.push(entry(&stored, kind, &text));
        }
        kept.sort_by(|a, b| a.path.cmp(&b.path));
        kept
    })
}

proptest! {
    #[test]
    fn entries_survive_and_order_of_arrival_does_not_matter(entries in arbitrary_entries()) {
        let (summary, pages) = build(&entries).unwrap();
        prop_assert_eq!(&read_all(summary.id, &mut loader(&pages)).unwrap(), &entries);
        prop_assert_eq!(page_ids(summary.id, &mut loader(&pages)).unwrap().len(), pages.len());
        for entry in entries.iter().step_by(7) {
            let hit = find(summary.id, &entry.path, &mut loader(&pages)).unwrap();
            prop_assert_eq!(hit.as_ref(), Some(entry));
        }
        let below = read_below(summary.id, "a", &mut loader(&pages)).unwrap();
        let expected: Vec<_> =
            entries.iter().filter(|e| &*e.path == "a" || e.path.starts_with("a/")).cloned().collect();
        prop_assert_eq!(below, expected);
    }

    #[test]
    fn diff_applied_to_the_old_tree_gives_the_new_one(old in arbitrary_entries(), new in arbitrary_entries()) {
        let (a, mut pages) = build(&old).unwrap();
        let (b, more) = build(&new).unwrap();
        pages.extend(more);
        let mut state: BTreeMap<_, _> = old.iter().map(|e| (e.path.clone(), e.clone())).collect();
        let mut last: Option<Box<str>> = None;
        diff(a.id, b.id, &mut loader(&pages), &mut |change| {
            let path = change.old.as_ref().or(change.new.as_ref()).unwrap().path.clone();
            assert!(last.as_ref().is_none_or(|last| *last < path), "changes are in order");
            last = Some(path.clone());
            assert_eq!(state.remove(&path), change.old);
            if let Some(new) = change.new {
                state.insert(path, new);
            }
            Ok(())
        }).unwrap();
        prop_assert_eq!(state.into_values().collect::<Vec<_>>(), new);
    }

    #[test]
    fn any_prefix_or_flipped_bit_of_a_page_is_refused_or_another_page(
        entries in arbitrary_entries(), cut in any::<prop::sample::Index>(), bit in 0u8..8
    ) {
        let (summary, pages) = build(&entries).unwrap();
        let page = &pages[&summary.id];
        let at = cut.index(page.len());
        prop_assert!(decode_page(&page[..at]).is_err());
        let mut flipped = page.clone();
        flipped[at] ^= 1 << bit;
        // The name no longer fits, which is what readers check first. Should it be made to fit: what is
        // taken has one spelling only, so two names never stand for the same entries.
        prop_assert_ne!(Digest::of_domain(Domain::TreePage, &flipped), summary.id.digest());
        if let Ok(page) = decode_page(&flipped) {
            prop_assert_eq!(encode(&page), flipped);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Edits of a directory of many pages: found exactly, at the price of the pages that they touch.
    #[test]
    fn a_few_edits_of_many_entries_are_found_in_a_few_pages(
        edits in proptest::collection::btree_map(0usize..5000, 0u8..3, 1..12)
    ) {
        let old = formula("5,000");
        let mut new: BTreeMap<Box<str>, TreeEntry> =
            old.iter().map(|entry| (entry.path.clone(), entry.clone())).collect();
        let mut expected = BTreeMap::new();
        for (&at, edit) in &edits {
            let mut before = Some(old[at].clone());
            let mut after = old[at].clone();
            match edit {
                0 => after.size += 1,
                1 => {
                    after.path = format!("{}-new", after.path).into();
                    before = None;
                }
                _ => {
                    new.remove(&after.path);
                    expected.insert(after.path, (before, None));
                    continue;
                }
            }
            new.insert(after.path.clone(), after.clone());
            expected.insert(after.path.clone(), (before, Some(after)));
        }
        let new: Vec<_> = new.into_values().collect();
        let (a, mut pages) = build(&old).unwrap();
        let (b, more) = build(&new).unwrap();
        let fresh = more.keys().filter(|id| !pages.contains_key(id)).count();
        // An edit rewrites its leaf and, where it was or becomes the end of one, the leaf behind.
        prop_assert!(fresh <= 1 + 2 * edits.len(), "{} fresh pages for {} edits", fresh, edits.len());
        pages.extend(more);
        let (mut loads, mut found) = (0, BTreeMap::new());
        let mut load = |id| {
            loads += 1;
            pages.get(&id).cloned().ok_or(())
        };
        diff(a.id, b.id, &mut load, &mut |TreeChange { old, new }| {
            let path = old.as_ref().or(new.as_ref()).unwrap().path.clone();
            found.insert(path, (old, new));
            Ok(())
        }).unwrap();
        prop_assert_eq!(found, expected);
        prop_assert!(loads <= 2 + 4 * edits.len(), "{} pages loaded for {} edits", loads, edits.len());
    }
}

fn encode(page: &Page) -> Vec<u8> {
    let mut out = Vec::new();
    page::put_header(&mut out, page.level());
    match page {
        Page::Leaf(entries) => {
            let mut last: &[u8] = b"";
            for entry in entries {
                page::put_leaf_entry(&mut out, common(last, entry.path.as_bytes()), entry);
                last = entry.path.as_bytes();
            }
            page::set_count(&mut out, entries.len() as u32);
        }
        Page::Inner { children, .. } => {
            children.iter().for_each(|child| page::put_child(&mut out, child));
            page::set_count(&mut out, children.len() as u32);
        }
    }
    out
}

#[test]
fn one_changed_entry_of_many_rewrites_two_pages_and_diff_loads_few() {
    let mut entries = formula("5,000");
    let (old, mut pages) = build(&entries).unwrap();
    entries[2500].size += 1;
    let (new, more) = build(&entries).unwrap();
    let fresh = more.keys().filter(|id| !pages.contains_key(id)).count();
    assert_eq!(fresh, 2, "the leaf and the root");
    pages.extend(more);
    let mut loads = 0;
    let mut changes = 0;
    diff(
        old.id,
        new.id,
        &mut |id| {
            loads += 1;
            pages.get(&id).cloned().ok_or(())
        },
        &mut |_| {
            changes += 1;
            Ok(())
        },
    )
    .unwrap();
    assert_eq!((changes, loads), (1, 4));
}

#[test]
fn a_page_that_does_not_fit_its_parent_is_refused() {
    let entries = formula("5,000");
    let (summary, pages) = build(&entries).unwrap();
    let Page::Inner { children, .. } = decode_page(&pages[&summary.id]).unwrap() else { panic!() };
    // The second leaf stands in for the first: valid bytes, wrong place.
    let mut swapped = pages.clone();
    swapped.insert(children[0].id, pages[&children[1].id].clone());
    assert!(matches!(
        read_all(summary.id, &mut loader(&swapped)),
        Err(TreeError::Misfit { page }) if page == children[0].id
    ));
}

/// A tree of two leaves with these paths, and an inner page that says of them what `tell` lets it.
fn two_leaves(first: &[&str], second: &[&str], tell: fn(&mut Child)) -> (TreeId, Pages) {
    let mut pages = Pages::new();
    let mut add = |page: &Page| {
        let bytes = encode(page);
        let id = TreeId(Digest::of_domain(Domain::TreePage, &bytes));
        pages.insert(id, bytes);
        id
    };
    let mut children = [first, second].map(|paths| {
        let kind = |path: &str| if path.ends_with('/') { EntryKind::EmptyDir } else { EntryKind::File };
        let leaf = Page::Leaf(paths.iter().map(|path| entry(path, kind(path), b"x")).collect());
        let (entries, files, bytes) = leaf.sums().unwrap();
        Child { first: paths[0].into(), id: add(&leaf), entries, files, bytes }
    });
    tell(&mut children[1]);
    let root = add(&Page::Inner { level: 1, children: children.to_vec() });
    (root, pages)
}

fn is_misfit<T>(read: Result<T, TreeError<String>>) -> bool {
    matches!(read, Err(TreeError::Misfit { .. }))
}

#[test]
fn what_a_page_says_of_those_below_is_checked() {
    let lies: [fn(&mut Child); 5] = [
        |child| child.first = "b.".into(),
        |child| child.entries += 1,
        |child| child.files += 1,
        |child| child.bytes -= 1,
        |child| child.entries -= 1,
    ];
    for (at, lie) in lies.into_iter().enumerate() {
        let (root, pages) = two_leaves(&["a"], &["b", "c", "d/"], lie);
        assert!(is_misfit(read_all(root, &mut loader(&pages))), "lie {at}");
        assert!(is_misfit(find(root, "c", &mut loader(&pages))), "lie {at}");
    }
    let (root, pages) = two_leaves(&["a"], &["b", "c", "d/"], |_| {});
    assert!(find(root, "c", &mut loader(&pages)).unwrap().is_some());
}

#[test]
fn order_is_checked_from_page_to_page() {
    let (root, pages) = two_leaves(&["a", "a-x"], &["a.b", "b/"], |_| {});
    assert_eq!(read_all(root, &mut loader(&pages)).unwrap().len(), 4);
    for (first, second) in [
        // `a` is a folder of `a/c`, and they are no neighbours.
        (&["a", "a-x"][..], &["a.b", "a/c"][..]),
        (&["a/"], &["a/c"]),
        // The second page starts behind the first page's start, and before its end.
        (&["a", "c"], &["b", "d"]),
        (&["a", "b"], &["b", "c"]),
    ] {
        let (root, mut pages) = two_leaves(first, second, |_| {});
        assert!(is_misfit(read_all(root, &mut loader(&pages))), "{second:?}");
        let (empty, more) = build(&[]).unwrap();
        pages.extend(more);
        let diffed = diff(root, empty.id, &mut loader(&pages), &mut |_| Ok(()));
        assert!(is_misfit(diffed), "{second:?}");
    }
}
