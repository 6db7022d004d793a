use super::update::Encoder;
use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::time::Duration;

const OLD: i64 = 1_000_000_000_000;

fn stamp(seed: u64) -> FileStamp {
    FileStamp {
        dev: 1,
        inode: seed,
        size: seed * 3,
        mtime_ns: OLD + seed as i64,
        ctime_ns: OLD + 7,
        nlink: 1,
        kind: FileKind::File,
        mode_x: seed.is_multiple_of(2),
    }
}

fn hash(seed: u64) -> Digest {
    Digest::of(&seed.to_le_bytes())
}

fn index() -> RepoPath {
    "index".parse().unwrap()
}

fn saved(dir: &Dir, old: &StatIndex, puts: &[(&str, u64)]) -> StatIndex {
    let mut update = StatIndexUpdate::new();
    for (path, seed) in puts {
        update.put("", path, &stamp(*seed), hash(*seed));
    }
    update.save(old, dir, &index()).unwrap();
    StatIndex::load(dir, &index())
}

fn home() -> (tempfile::TempDir, Dir) {
    let home = tempfile::tempdir().unwrap();
    let dir = Dir::open(home.path()).unwrap();
    (home, dir)
}

#[test]
fn a_hit_needs_every_part_of_the_stamp() {
    let (_home, dir) = home();
    let index = saved(&dir, &StatIndex::default(), &[("a/b", 1), ("a", 2)]);
    assert_eq!(index.lookup("a/b", &stamp(1)), Some(hash(1)));
    assert_eq!(index.lookup("a", &stamp(2)), Some(hash(2)));
    assert_eq!(index.lookup("a/c", &stamp(1)), None);
    let changed: [fn(&mut FileStamp); 6] = [
        |stamp| stamp.inode += 1,
        |stamp| stamp.size += 1,
        |stamp| stamp.mtime_ns += 1,
        |stamp| stamp.ctime_ns += 1,
        |stamp| stamp.mode_x = !stamp.mode_x,
        |stamp| stamp.kind = FileKind::Symlink,
    ];
    for change in changed {
        let mut other = stamp(1);
        change(&mut other);
        assert_eq!(index.lookup("a/b", &other), None);
    }
    let mut linked = stamp(1);
    (linked.nlink, linked.ctime_ns, linked.dev) = (2, 5, 9);
    assert_eq!(index.lookup("a/b", &linked), Some(hash(1)), "links change the ctime, reboots the device");
}

/// A file whose last change is not safely before the index's writing is read again.
#[test]
fn racy_entries_are_not_trusted_and_not_carried_over() {
    let (home, dir) = home();
    let mut racy = stamp(1);
    racy.mtime_ns = now_ns() + 3_600_000_000_000;
    let mut update = StatIndexUpdate::new();
    update.put("", "future", &racy, hash(1));
    update.put("", "past", &stamp(2), hash(2));
    update.save(&StatIndex::default(), &dir, &index()).unwrap();
    let first = StatIndex::load(&dir, &index());
    assert_eq!(first.lookup("future", &racy), None);
    assert_eq!(first.lookup("past", &stamp(2)), Some(hash(2)));
    let later = saved(&dir, &first, &[("x", 3)]);
    assert_eq!(later.len(), 2, "the racy one is gone");
    // Whole seconds: a coarse clock, two seconds are needed.
    let file = std::fs::File::options().write(true).open(home.path().join("index")).unwrap();
    file.set_modified(UNIX_EPOCH + Duration::from_nanos(OLD as u64 + 2_000_000_000)).unwrap();
    assert_eq!(StatIndex::load(&dir, &index()).lookup("past", &stamp(2)), None);
}

#[test]
fn what_was_just_written_is_trusted_at_once() {
    let (home, dir) = home();
    std::fs::write(home.path().join("file"), "x").unwrap();
    let (_, stamp) = dir.open_file_stamped(&"file".parse().unwrap()).unwrap();
    let mut update = StatIndexUpdate::new();
    update.put("", "file", &stamp, hash(1));
    update.save(&StatIndex::default(), &dir, &index()).unwrap();
    if fs::stamp::granularity_ns(&dir) == fs::stamp::FINE_NS {
        assert_eq!(StatIndex::load(&dir, &index()).lookup("file", &stamp), Some(hash(1)));
    }
    assert!(!is_settled(&stamp, stamp.mtime_ns + 10_000_000, fs::stamp::FINE_NS));
    assert!(is_settled(&stamp, stamp.ctime_ns.max(stamp.mtime_ns) + 20_000_001, fs::stamp::FINE_NS));
}

/// R10: damage anywhere makes it empty, never wrong.
#[test]
fn damage_anywhere_makes_it_empty() {
    let (_home, dir) = home();
    let paths: Vec<String> = (0..200).map(|number| format!("d/{number:04}")).collect();
    let puts: Vec<_> = paths.iter().map(|path| (path.as_str(), 1)).collect();
    let good = saved(&dir, &StatIndex::default(), &puts).bytes;
    assert_eq!(StatIndex::parse(good.clone()).unwrap().len(), 200);
    for cut in (0..good.len()).step_by(7) {
        assert!(StatIndex::parse(good[..cut].to_vec()).is_none(), "cut at {cut}");
    }
    for at in (0..good.len()).step_by(11) {
        let mut bad = good.clone();
        bad[at] ^= 0x10;
        assert!(StatIndex::parse(bad).is_none(), "flip at {at}");
    }
    assert!(StatIndex::load(&dir, &"none".parse().unwrap()).is_empty());
}

/// Bytes with a right checksum that no mlv wrote are read without a panic.
#[test]
fn nonsense_with_a_right_checksum_ends_the_reading() {
    let mut encoder = Encoder::new(0);
    encoder.push(b"a", &Record::new(&stamp(1), hash(1)).unwrap());
    encoder.push(b"ab", &Record::new(&stamp(2), hash(2)).unwrap());
    let good = encoder.finish();
    for at in HEADER..good.len() - Digest::LEN {
        for value in [0, 0xff] {
            let mut bad = good.clone();
            bad[at] = value;
            let body = bad.len() - Digest::LEN;
            let sum = Digest::of(&bad[..body]);
            bad[body..].copy_from_slice(sum.as_bytes());
            if let Some(index) = StatIndex::parse(bad) {
                index.lookup("ab", &stamp(2));
                index.lookup("zz", &stamp(2));
            }
        }
    }
}

#[test]
fn forgetting_takes_a_folder_and_leaves_its_neighbours() {
    let (_home, dir) = home();
    let old = saved(&dir, &StatIndex::default(), &[("a", 1), ("a-", 2), ("a/x", 3), ("a/y", 4), ("b", 5)]);
    let mut update = StatIndexUpdate::new();
    update.forget_below("a");
    update.put("a", "y", &stamp(6), hash(6));
    update.save(&old, &dir, &index()).unwrap();
    let new = StatIndex::load(&dir, &index());
    let held: Vec<_> = [("a", 1), ("a-", 2), ("a/x", 3), ("a/y", 6), ("b", 5)]
        .into_iter()
        .filter(|(path, seed)| new.lookup(path, &stamp(*seed)).is_some())
        .map(|(path, _)| path)
        .collect();
    assert_eq!(held, ["a-", "a/y", "b"]);
    assert_eq!(new.len(), 3);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Any sequence of updates gives what a map gives, asked by point and by merge.
    #[test]
    fn an_index_is_a_map(
        rounds in prop::collection::vec(prop::collection::vec(("[ab/é]{1,6}", 0u64..50), 0..90), 1..4),
    ) {
        let (_home, dir) = home();
        let mut index = StatIndex::default();
        let mut model = BTreeMap::new();
        for round in &rounds {
            let puts: Vec<_> = round.iter().map(|(path, seed)| (path.as_str(), *seed)).collect();
            index = saved(&dir, &index, &puts);
            model.extend(round.iter().cloned());
        }
        prop_assert_eq!(index.len(), model.len());
        let mut merged = index.below("");
        for (path, seed) in &model {
            prop_assert_eq!(index.lookup(path, &stamp(*seed)), Some(hash(*seed)));
            prop_assert_eq!(merged.at(path, &stamp(*seed)), Some(hash(*seed)));
            prop_assert_eq!(index.lookup(&format!("{path}x"), &stamp(*seed)), None);
        }
        let mut below = index.below("a");
        for (path, seed) in &model {
            if let Some(rest) = path.strip_prefix("a/") {
                prop_assert_eq!(below.at(rest, &stamp(*seed)), Some(hash(*seed)));
            }
        }
    }
}

/// R13: what is no index is not read as one, however large it is.
#[test]
fn a_file_of_another_length_than_its_header_gives_is_not_read() {
    let (home, dir) = home();
    saved(&dir, &StatIndex::default(), &[("a", 1)]);
    let path = home.path().join("index");
    let header = std::fs::read(&path).unwrap();
    for start in [&b"something else"[..], &header] {
        let file = std::fs::File::create(&path).unwrap();
        std::os::unix::fs::FileExt::write_all_at(&file, start, 0).unwrap();
        // Sparse: reading it would need the memory all the same.
        file.set_len(1 << 40).unwrap();
        assert!(StatIndex::load(&dir, &index()).is_empty());
    }
}
