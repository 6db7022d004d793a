//! `${NAME}` in values: replaced by environment variables when a value is used, never stored.

use std::ops::Range;

use super::value::ValueProblem;

/// A variable's place in a text: the whole `${NAME}`, and the name.
type Place<'a> = (Range<usize>, &'a str);

/// The places of `${NAME}`. `$${` is a plain `${`, and a `$` before anything else is plain.
fn places(text: &str) -> impl Iterator<Item = Result<Place<'_>, ValueProblem>> {
    let mut from = 0;
    std::iter::from_fn(move || {
        loop {
            let start = from + text.get(from..)?.find("${")?;
            from = start + 2;
            if text[..start].ends_with('$') {
                continue;
            }
            let name = text[from..].split_once('}').map(|(name, _)| name).filter(|name| is_name(name));
            return Some(match name {
                None => Err(ValueProblem::Expansion),
                Some(name) => {
                    from += name.len() + 1;
                    Ok((start..from, name))
                }
            });
        }
    })
}

fn is_name(name: &str) -> bool {
    let part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    !name.is_empty() && !name.starts_with(|c: char| c.is_ascii_digit()) && name.chars().all(part)
}

/// Refuses a `${` that nothing can be made of.
pub(super) fn check(text: &str) -> Result<(), ValueProblem> {
    places(text).try_for_each(|place| place.map(drop))
}

/// The names of the variables that `text` uses.
pub(super) fn variables(text: &str) -> impl Iterator<Item = &str> {
    places(text).filter_map(|place| place.ok().map(|(_, name)| name))
}

/// `text` with its variables replaced; the name of the first that `lookup` does not know is the error.
pub(super) fn expand(text: &str, lookup: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut expanded = String::with_capacity(text.len());
    let mut from = 0;
    for (place, name) in places(text).filter_map(Result::ok) {
        expanded.push_str(&text[from..place.start].replace("$${", "${"));
        expanded.push_str(&lookup(name).ok_or_else(|| name.to_owned())?);
        from = place.end;
    }
    expanded.push_str(&text[from..].replace("$${", "${"));
    Ok(expanded)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(text: &str) -> Result<String, String> {
        expand(text, &|name| (name != "NONE").then(|| format!("<{name}>")))
    }

    #[test]
    fn variables_are_replaced_once_and_escapes_are_kept() {
        assert_eq!(expanded("a${B}c${D_1}").unwrap(), "a<B>c<D_1>");
        assert_eq!(expanded("$HOME $$ 5$").unwrap(), "$HOME $$ 5$");
        assert_eq!(expanded("$${B}${B}").unwrap(), "${B}<B>");
        assert_eq!(expanded("${NONE}").unwrap_err(), "NONE");
        for bad in ["${", "${}", "${a b}", "${1}", "x${a"] {
            assert_eq!(check(bad), Err(ValueProblem::Expansion), "{bad}");
        }
        assert_eq!(check("$${ is plain"), Ok(()));
        assert_eq!(variables("${A}$${B}${C}").collect::<Vec<_>>(), ["A", "C"]);
    }
}
