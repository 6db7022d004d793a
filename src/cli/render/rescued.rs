//! What a command put into rescue, and the commands that bring it back.

use std::collections::BTreeSet;

use crate::cli::render::{Viewpoint, count};
use crate::cli::ui::Text;
use crate::ops::rescue::Kept;

/// More paths than this are counted instead of listed.
pub(crate) const LISTED: usize = 20;

/// Writes a line for each path, and one for each operation: `repro` has one for every stage.
pub(crate) fn rescued(kept: &[Kept], view: &Viewpoint, out: &mut Text) {
    for one in kept.iter().take(LISTED) {
        out.warn("rescued").put(" `").name(view.path(&one.path)).put("`").end();
    }
    if kept.len() > LISTED {
        let more = count((kept.len() - LISTED) as u64, "more path");
        out.warn("rescued").put(format!(" … and {more}")).end();
    }
    let operations: BTreeSet<&str> = kept.iter().map(|one| &*one.operation).collect();
    for operation in operations {
        out.hint(format!("mlv rescue restore {operation}"));
    }
}
