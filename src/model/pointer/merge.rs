//! Merges the texts of two pointers that started from one.

use crate::model::merge::{Favour, three_way};
use crate::model::object::ContentInfo;
use crate::model::path::RepoPath;
use crate::model::pointer::{Pointer, PointerError};

impl Pointer {
    /// The pointer `file` with the merged contents `content` and otherwise what `ours` and `theirs` made
    /// of `base`: comments, options, unknown keys. Nothing if both changed that, and there is no side to
    /// favour. Fails if one of them cannot be read.
    ///
    /// The contents are the caller's: to merge directories takes their lists of files.
    pub fn merge(
        file: &RepoPath,
        [base, ours, theirs]: [Option<&[u8]>; 3],
        content: &ContentInfo,
        favour: Option<Favour>,
    ) -> Result<Option<Vec<u8>>, PointerError> {
        // With the same contents in all three only the rest differs.
        let rest = |bytes: &[u8]| Pointer::update(file, &plain(bytes), content);
        let base = base.and_then(|bytes| rest(bytes).ok());
        let [ours, theirs] = [ours.map(rest).transpose()?, theirs.map(rest).transpose()?];
        let merged = three_way(base, ours.clone(), theirs.clone());
        Ok(merged.or_else(|| Some(favour?.of(ours, theirs))).flatten())
    }
}

/// The text as mlv writes it: LF, no byte order mark.
fn plain(bytes: &[u8]) -> Vec<u8> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut plain = Vec::with_capacity(bytes.len());
    for (at, byte) in bytes.iter().enumerate() {
        if *byte != b'\r' || bytes.get(at + 1) != Some(&b'\n') {
            plain.push(*byte);
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(number: u8, rest: &str) -> String {
        format!("version: 1\n{rest}outs:\n- path: a\n  hash: blake3:{:064}\n  size: {number}\n", number)
    }

    fn merged(base: &str, ours: &str, theirs: &str, favour: Option<Favour>) -> Option<String> {
        let file = RepoPath::parse("a.mlv").unwrap();
        let content = Pointer::parse(&file, text(9, "").as_bytes()).unwrap().content;
        let sides = [base, ours, theirs].map(|text| (!text.is_empty()).then_some(text.as_bytes()));
        let merged = Pointer::merge(&file, sides, &content, favour).unwrap();
        merged.map(|bytes| String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn the_rest_of_a_pointer_is_what_one_side_made_of_it() {
        let base = text(1, "");
        let ours = text(2, "# why\ndesc: x\n");
        assert_eq!(merged(&base, &ours, &text(3, ""), None), Some(text(9, "# why\ndesc: x\n")));
        let crlf = text(3, "").replace('\n', "\r\n");
        assert_eq!(merged(&base, &crlf, &ours, None), Some(text(9, "# why\ndesc: x\n")));
        let theirs = text(3, "desc: y\n");
        assert_eq!(merged(&base, &ours, &theirs, None), None);
        assert_eq!(merged(&base, &ours, &theirs, Some(Favour::Theirs)), Some(text(9, "desc: y\n")));
        assert_eq!(merged("", &text(1, ""), &text(2, ""), None), Some(text(9, "")));
    }
}
