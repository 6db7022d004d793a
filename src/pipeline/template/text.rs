//! A text with templates, in parts.

/// A piece of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part<'t> {
    /// As it stands.
    Text(&'t str),
    /// What is between `${` and `}`, without spaces around it.
    Template(&'t str),
}

/// The parts of `text`; `\${` stands for `${`. Fails with what is no template.
pub(super) fn parts(text: &str) -> Result<Vec<Part<'_>>, &str> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        if let Some(before) = rest[..at].strip_suffix('\\') {
            parts.push(Part::Text(before));
            parts.push(Part::Text("${"));
            rest = &rest[at + 2..];
            continue;
        }
        parts.push(Part::Text(&rest[..at]));
        let Some(end) = rest[at..].find('}') else { return Err(&rest[at..]) };
        let inner = rest[at + 2..at + end].trim();
        if inner.is_empty() || inner.contains(['$', '{', '\n']) {
            return Err(&rest[at..=at + end]);
        }
        parts.push(Part::Template(inner));
        rest = &rest[at + end + 1..];
    }
    parts.push(Part::Text(rest));
    parts.retain(|part| *part != Part::Text(""));
    Ok(parts)
}

/// The first key of a dotted one, and what follows: `a.b[0]` → `a` and `b[0]`, `a[0].b` → `a` and `[0].b`.
pub(super) fn split_first(key: &str) -> (&str, &str) {
    match key.find(['.', '[']) {
        Some(at) => (&key[..at], key[at..].strip_prefix('.').unwrap_or(&key[at..])),
        None => (key, ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_and_escapes_are_found() {
        use Part::{Template, Text};
        assert_eq!(parts("a ${ b.c } d"), Ok(vec![Text("a "), Template("b.c"), Text(" d")]));
        assert_eq!(parts("${a}${b}"), Ok(vec![Template("a"), Template("b")]));
        assert_eq!(parts(r"x\${a}"), Ok(vec![Text("x"), Text("${"), Text("a}")]));
        assert_eq!(parts("$HOME {}"), Ok(vec![Text("$HOME {}")]));
        for bad in ["${", "${}", "${ }", "${${a}}", "${a\nb}"] {
            assert!(parts(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn first_key_is_split_off() {
        assert_eq!(split_first("item"), ("item", ""));
        assert_eq!(split_first("item.a.b"), ("item", "a.b"));
        assert_eq!(split_first("item[0].b"), ("item", "[0].b"));
    }
}
