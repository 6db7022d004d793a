//! Damage is put aside, and the rest goes on.

use super::*;

/// R4: what does not hash to its name goes to quarantine, and can then be stored again.
#[test]
fn damaged_records_are_put_aside() {
    for is_packed in [false, true] {
        let place = Place::new();
        let options = CacheOptions { pack_from: if is_packed { 1 } else { 64 }, ..CacheOptions::default() };
        let cache = place.cache_with(options);
        let writer = cache.writer().unwrap();
        writer.put_record(key_of(b"good"), b"good").unwrap();
        writer.finish().unwrap();
        let file = &place.files(if is_packed { "pk" } else { "objects" })[0];
        fs::set_permissions(file, fs::Permissions::from_mode(0o644)).unwrap();
        let offset = if is_packed { 64 + 64 } else { 0 };
        fs::File::options().write(true).open(file).unwrap().write_all_at(b"B", offset).unwrap();
        assert!(matches!(cache.read_record(key_of(b"good")), Err(Error::Damaged { .. })));
        assert!(!cache.has(key_of(b"good")) && !place.cache().has(key_of(b"good")));
        assert_eq!(place.files("bad").len(), 1);
        let writer = cache.writer().unwrap();
        assert!(writer.put_record(key_of(b"good"), b"good").unwrap());
        writer.finish().unwrap();
        assert_eq!(cache.read_record(key_of(b"good")).unwrap(), b"good");
    }
}

/// R10: segments and packs that are gone or unreadable cost what they named, nothing else.
#[test]
fn a_cache_survives_what_others_do_to_its_indexes() {
    let place = Place::new();
    let options = CacheOptions { pack_from: 1, ..CacheOptions::default() };
    let cache = place.cache_with(options.clone());
    for text in [&b"one"[..], b"two", b"three"] {
        let writer = cache.writer().unwrap();
        writer.put_record(key_of(text), text).unwrap();
        writer.finish().unwrap();
    }
    // Another process's view, from before.
    let other = place.cache_with(options);
    assert!(other.has(key_of(b"one")));
    let at = other.packed().unwrap().find(key_of(b"one")).next().unwrap();
    fs::remove_file(place.root.path().join("cache").join(layout::pack_path(at.pack).as_str())).unwrap();
    assert!(matches!(other.read_record(key_of(b"one")), Err(Error::Missing { .. })));
    assert!(!place.cache().has(key_of(b"one")) && place.cache().has(key_of(b"two")));
    fs::write(place.root.path().join("cache/ix/rubbish"), "x").unwrap();
    let packed = cache.packed().unwrap();
    let (name, _) = packed.segments().iter().find(|(_, segment)| segment.contains(key_of(b"two"))).unwrap();
    let segment = place.root.path().join("cache/ix").join(name.to_string());
    fs::remove_file(&segment).unwrap();
    fs::write(&segment, "cut").unwrap();
    assert!(!place.cache().has(key_of(b"two")) && place.cache().has(key_of(b"three")));
}

#[test]
fn a_check_reads_everything_and_adopts_packs_that_nobody_names() {
    let place = Place::new();
    let cache = place.cache();
    let writer = cache.writer().unwrap();
    let many: Vec<Vec<u8>> = (0..100).map(|seed| bytes(seed, 1000)).collect();
    for bytes in &many {
        writer.put_record(key_of(bytes), bytes).unwrap();
    }
    let large = bytes(1000, 200 << 10);
    writer.put_record(key_of(&large), &large).unwrap();
    writer.finish().unwrap();
    let page = TreePage::of(b"not a page, but its bytes have this name");
    let writer = cache.writer().unwrap();
    writer.put_record(page, b"not a page, but its bytes have this name").unwrap();
    writer.finish().unwrap();
    let clean = cache.check(2, &*meter()).unwrap();
    assert!(clean.is_clean() && clean.adopted == 0, "{clean:?}");
    assert_eq!((clean.loose, clean.packs, clean.packed), (2, 1, 100));

    for segment in place.files("ix") {
        fs::remove_file(segment).unwrap();
    }
    assert!(!place.cache().has(key_of(&many[0])));
    let adopted = place.cache().check(1, &*meter()).unwrap();
    assert_eq!((adopted.adopted, adopted.is_clean()), (1, true));
    assert!(place.cache().has(key_of(&many[0])));

    let damage = |path: &Path, offset| {
        fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
        fs::File::options().write(true).open(path).unwrap().write_all_at(b"!!!", offset).unwrap();
    };
    damage(&place.files("pk")[0], 64 + 64 + 10);
    damage(&place.files("objects")[0], 77);
    damage(&place.files("pages")[0], 7);
    fs::write(place.root.path().join("cache/objects/stray"), "x").unwrap();
    let found = place.cache().check(3, &*meter()).unwrap();
    assert_eq!((found.damaged.len(), found.packed, found.loose), (3, 99, 0), "{found:?}");
    assert!(found.damaged.contains(&key_of(&large)) && found.damaged.contains(&page));
    assert_eq!(found.unknown, ["objects/stray".parse().unwrap()]);
    assert_eq!(many.iter().filter(|bytes| place.cache().has(key_of(bytes))).count(), 99);
}
