use super::*;
use crate::model::digest::{ChunkId, ObjectId};
use crate::model::object::ChunkRef;
use crate::model::recipe::Recipe;
use crate::report::{NoReport, Reporter, Task, Unit};
use crate::store::CacheOptions;
use std::fs as os;

fn meter() -> Box<dyn Meter> {
    NoReport.meter(Task { verb: "Checking", unit: Unit::Bytes, total: None })
}

/// Pages and recipes share a folder: neither is put aside for not being the other.
#[test]
fn loose_recipes_and_pages_are_right_as_what_they_are() {
    let home = crate::store::tests::scratch();
    let cache = Cache::open(home.path(), CacheOptions::default()).unwrap();
    let chunk = ChunkRef { id: ChunkId(Digest::of(b"part")), len: 4 };
    let recipe =
        Recipe { file: ObjectId(Digest::of(b"whole")), file_len: 4, profile: 1, chunks: vec![chunk] };
    let writer = cache.writer().unwrap();
    let records = recipe.encode();
    for (key, bytes) in &records {
        writer.put_record(*key, bytes).unwrap();
    }
    writer.finish().unwrap();
    let report = cache.check(1, &*meter()).unwrap();
    assert!(report.is_clean() && report.loose == 1, "{report:?}");
    assert!(!home.path().join(layout::BAD).exists(), "nothing was put aside");
    assert_eq!(cache.read_record(records[0].0).unwrap(), records[0].1);
}

/// R9: a folder that cannot be listed is not an empty one.
#[test]
fn a_folder_that_cannot_be_listed_fails_the_check() {
    let home = crate::store::tests::scratch();
    let cache = Cache::open(home.path(), CacheOptions::default()).unwrap();
    let writer = cache.writer().unwrap();
    writer.put_record(RecordKey { hash: Digest::of(b"a"), kind: RecordKind::File }, b"a").unwrap();
    writer.finish().unwrap();
    let objects = home.path().join("objects");
    os::rename(&objects, home.path().join("elsewhere")).unwrap();
    std::os::unix::fs::symlink("elsewhere", &objects).unwrap();
    assert!(cache.check(1, &*meter()).is_err());
}
