//! Lists in messages.

/// So many of a list are named.
const NAMED: usize = 10;

/// The first few of `names`, and how many more there are: `a, b and 3 more`.
pub fn listed<T: ToString>(names: impl ExactSizeIterator<Item = T>) -> String {
    let more = names.len().saturating_sub(NAMED);
    let named: Vec<String> = names.take(NAMED).map(|name| name.to_string()).collect();
    named.join(", ") + &if more == 0 { String::new() } else { format!(" and {more} more") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_are_named_and_the_others_counted() {
        assert_eq!(listed([""; 0].iter()), "");
        assert_eq!(listed(["a", "b"].iter()), "a, b");
        assert_eq!(listed((1..11).collect::<Vec<_>>().iter()), "1, 2, 3, 4, 5, 6, 7, 8, 9, 10");
        assert_eq!(listed((1..13).collect::<Vec<_>>().iter()), "1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and 2 more");
    }
}
