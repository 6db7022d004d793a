//! The key that may have been meant by one without a value.

use crate::model::value::{KeyPath, Value};
use crate::pipeline::template::text::split_first;

/// Most keys of one map that are looked at, and the longest, in bytes: nobody waits for a hint.
const MAX_KEYS: usize = 1000;
const MAX_LEN: usize = 32;

/// `written` with one of its parts spelled as a key of `root` is, if that has a value.
pub(super) fn near(root: &Value, written: &str) -> Option<String> {
    let (mut value, mut rest) = (root, written);
    loop {
        let before = &written[..written.len() - rest.len()];
        if let Some((index, behind)) = index(rest) {
            let Value::List(items) = value else { return None };
            (value, rest) = (items.get(index)?, behind);
            continue;
        }
        let (first, behind) = split_first(rest);
        if let Some(inner) = value.get(first) {
            (value, rest) = (inner, behind);
            continue;
        }
        let Value::Map(entries) = value else { return None };
        let key = closest(entries.iter().map(|(key, _)| &**key), first)?;
        let meant = format!("{before}{key}{}", &rest[first.len()..]);
        let path: KeyPath = meant.parse().ok()?;
        return path.find(root).map(|_| meant);
    }
}

/// The number at the start of `[0].a` or `0.a`, and what follows.
fn index(rest: &str) -> Option<(usize, &str)> {
    let (number, behind) = match rest.strip_prefix('[') {
        Some(inner) => inner.split_once(']')?,
        None => rest.split_at(rest.find(['.', '[']).unwrap_or(rest.len())),
    };
    Some((number.parse().ok()?, behind.strip_prefix('.').unwrap_or(behind)))
}

/// The one of `keys` that `written` may be a slip of; of several equally near the first by name.
pub(in crate::pipeline) fn closest<'k>(
    keys: impl Iterator<Item = &'k str>,
    written: &str,
) -> Option<&'k str> {
    if written.len() > MAX_LEN {
        return None;
    }
    let keys = keys.take(MAX_KEYS).filter(|key| key.len() <= MAX_LEN);
    let near = keys.map(|key| (strsim::damerau_levenshtein(written, key), key)).min()?;
    let letters = written.chars().count();
    // In a short name two other letters make another name.
    let most = if letters < 5 { 1 } else { 2 };
    (near.0 <= most && near.0 < letters).then_some(near.1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::yaml::{Limits, load};

    #[test]
    fn the_part_that_is_wrong_is_spelled_right() {
        let text = "train: {lr: 1, layers: [{units: 3}]}\nrate: 2\n";
        let root = Value::of(&load("p", text, Limits::PIPELINE).unwrap());
        for (written, meant) in [
            ("train.lr_", Some("train.lr")),
            ("trian.lr", Some("train.lr")),
            ("rat", Some("rate")),
            ("train.layers[0].unit", Some("train.layers[0].units")),
            ("train.layers.0.unit", Some("train.layers.0.units")),
            ("train.layer[0].units", Some("train.layers[0].units")),
            // Two parts are wrong, or what is meant is not there.
            ("trian.lr_", None),
            ("trian.xx", None),
            ("train.layers[1].unit", None),
            ("train.lr.x", None),
            ("x", None),
            ("", None),
            ("[", None),
        ] {
            assert_eq!(near(&root, written).as_deref(), meant, "{written}");
        }
    }
}
