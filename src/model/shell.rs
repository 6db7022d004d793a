//! Words of a shell command, for commands that are shown to be pasted, and for those that a stage runs.

/// The text in quotes.
pub fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// The text as one word, in quotes where it needs them.
pub fn word(text: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "-_./=:,@%+".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) { text.to_owned() } else { quoted(text) }
}

/// A path as one word that no command takes for an option.
pub fn path(path: &str) -> String {
    if path.starts_with('-') { word(&format!("./{path}")) } else { word(path) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_commands_can_be_pasted() {
        let words = ["data/a.mlv", "a b", "it's", "", "$(x)", "ü"].map(word);
        assert_eq!(words, ["data/a.mlv", "'a b'", r"'it'\''s'", "''", "'$(x)'", "ü"]);
        assert_eq!(["-x", "a b", "- x"].map(path), ["./-x", "'a b'", "'./- x'"]);
    }
}
