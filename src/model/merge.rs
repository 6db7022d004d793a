//! What two sides made of one thing that both started from.
//!
//! [`three_way`] is the rule of all merges here: what only one side changed is taken from it. The merges of
//! whole formats are [`crate::model::tree::merge`], [`crate::model::lockfile::Lockfile::merge`] and
//! [`crate::model::pointer::Pointer::merge`]; they are commutative, associative and idempotent.
//! [`sides_of`] reads a text in which git left its markers.

/// The side that counts where both changed the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Favour {
    /// Ours: where the other is merged into.
    Ours,
    /// Theirs.
    Theirs,
}

impl Favour {
    /// That of two things.
    pub fn of<T>(self, ours: T, theirs: T) -> T {
        match self {
            Favour::Ours => ours,
            Favour::Theirs => theirs,
        }
    }
}

/// What becomes of one thing, which may be absent on any side; nothing if both changed it differently.
pub fn three_way<T: PartialEq>(base: Option<T>, ours: Option<T>, theirs: Option<T>) -> Option<Option<T>> {
    if ours == theirs || theirs == base {
        Some(ours)
    } else if ours == base {
        Some(theirs)
    } else {
        None
    }
}

/// As [`three_way`]; of two changes the greater one, which does not depend on the sides.
pub fn greater<T: Ord>(base: Option<T>, ours: Option<T>, theirs: Option<T>) -> Option<T> {
    if ours == theirs || theirs == base {
        ours
    } else if ours == base {
        theirs
    } else {
        ours.max(theirs)
    }
}

/// Both sides of a text with git's conflict markers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MarkedSides {
    /// Our text.
    pub ours: String,
    /// Their text.
    pub theirs: String,
    /// What both started from, if git was told to write that too (`merge.conflictStyle`).
    pub base: Option<String>,
}

/// Takes a text with git's conflict markers apart; nothing if it has none, or they are torn.
pub fn sides_of(text: &str) -> Option<MarkedSides> {
    let mut sides = MarkedSides { ours: String::new(), theirs: String::new(), base: Some(String::new()) };
    let mut part = Part::Both;
    let mut found = false;
    let mut has_base = false;
    for line in text.split_inclusive('\n') {
        let bare = line.trim_end_matches(['\n', '\r']);
        let is = |marker: &str| {
            bare.strip_prefix(marker).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
        };
        part = match part {
            Part::Both if is("<<<<<<<") => {
                (found, has_base) = (true, false);
                Part::Ours
            }
            Part::Ours if is("|||||||") => {
                has_base = true;
                Part::Base
            }
            Part::Ours | Part::Base if bare == "=======" => {
                if !has_base {
                    sides.base = None;
                }
                Part::Theirs
            }
            Part::Theirs if is(">>>>>>>") => Part::Both,
            same => {
                let into = |side: &mut String| side.push_str(line);
                match same {
                    Part::Both => {
                        into(&mut sides.ours);
                        into(&mut sides.theirs);
                        sides.base.as_mut().map(into);
                    }
                    Part::Ours => into(&mut sides.ours),
                    Part::Base => drop(sides.base.as_mut().map(into)),
                    Part::Theirs => into(&mut sides.theirs),
                }
                same
            }
        };
    }
    (found && matches!(part, Part::Both)).then_some(sides)
}

/// Where in a text with markers a line stands.
#[derive(Clone, Copy)]
enum Part {
    Both,
    Ours,
    Base,
    Theirs,
}

/// Both texts between git's conflict markers.
pub fn marked(ours: &str, theirs: &str) -> String {
    let end = |text: &str| if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
    format!("<<<<<<< ours\n{ours}{}=======\n{theirs}{}>>>>>>> theirs\n", end(ours), end(theirs))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_with_markers_are_taken_apart() {
        let sides = |text: &str| {
            sides_of(text).map(|sides| (sides.ours, sides.theirs, sides.base.unwrap_or_else(|| "-".into())))
        };
        let of = |ours: &str, theirs: &str, base: &str| Some((ours.into(), theirs.into(), base.into()));
        assert_eq!(
            sides("a\n<<<<<<< HEAD\nb\n=======\nc\n>>>>>>> x\nd\n"),
            of("a\nb\nd\n", "a\nc\nd\n", "-")
        );
        assert_eq!(
            sides("<<<<<<< HEAD\r\nb\n||||||| 12ab\no\n=======\n>>>>>>> x\nd"),
            of("b\nd", "d", "o\nd")
        );
        for torn in ["a\n", "<<<<<<< x\na\n", "<<<<<<< x\na\n=======\n", "=======\n>>>>>>> x\n"] {
            assert_eq!(sides(torn), None, "{torn:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_marked_is_taken_apart_again(ours in "([a-z]{0,3}\n){0,4}", theirs in "([a-z]{0,3}\n){0,4}") {
            let sides = sides_of(&marked(&ours, &theirs)).unwrap();
            proptest::prop_assert_eq!((sides.ours, sides.theirs, sides.base), (ours, theirs, None));
        }

        #[test]
        fn any_text_has_sides_or_none(text in "((<{7}|={7}|>{7}|\\|{7}|a)( x)?\r?\n){0,9}") {
            let _ = sides_of(&text);
        }

        #[test]
        fn the_greater_of_three(base: Option<u8>, a: Option<u8>, b: Option<u8>, c: Option<u8>) {
            proptest::prop_assert_eq!(greater(base, a, b), greater(base, b, a));
            proptest::prop_assert_eq!(greater(base, a, a), a);
            proptest::prop_assert_eq!(greater(base, a, base), a);
            proptest::prop_assert_eq!(greater(base, greater(base, a, b), c), greater(base, a, greater(base, b, c)));
        }
    }
}
