//! Outputs that contradict each other: one path twice, one inside of another, names that some file
//! systems take for one.

use std::error::Error;
use std::fmt;

use crate::error::{Advice, ErrorKind, Hint, hint_path};
use crate::model::path::{RepoPath, written};
use crate::model::place::Place;
use crate::ops::tracked::Source;

/// Two outputs that contradict each other.
#[derive(Debug)]
pub struct OutputClash {
    /// In what way.
    pub clash: Clash,
    /// Where the one that is declared last stands, if a stage declares it.
    pub place: Option<Place>,
}

/// In what way two outputs contradict each other.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Clash {
    /// Two pointers or stages have one output.
    #[error("`{path}` is an output of {first} and of {second}")]
    Same {
        /// The output.
        path: RepoPath,
        /// Where it is declared.
        first: Source,
        /// Where it is declared again.
        second: Source,
    },
    /// An output inside of another.
    #[error("`{inner}`, an output of {second}, lies in `{outer}`, an output of {first}")]
    Nested {
        /// The containing output.
        outer: RepoPath,
        /// The contained output.
        inner: RepoPath,
        /// Where the outer is declared.
        first: Source,
        /// Where the inner is declared.
        second: Source,
    },
    /// Two outputs that some file systems cannot tell apart.
    #[error(
        "`{one}`, an output of {first}, and `{other}`, an output of {second}, are one name where case or \
         accents do not count{}", written(one.as_str(), other.as_str())
    )]
    Twins {
        /// The first.
        one: RepoPath,
        /// The second.
        other: RepoPath,
        /// Where the first is declared.
        first: Source,
        /// Where the second is declared.
        second: Source,
    },
}

impl Clash {
    /// Both outputs, each with where it is declared.
    pub fn outputs(&self) -> [(&RepoPath, &Source); 2] {
        match self {
            Clash::Same { path, first, second } => [(path, first), (path, second)],
            Clash::Nested { outer, inner, first, second } => [(outer, first), (inner, second)],
            Clash::Twins { one, other, first, second } => [(one, first), (other, second)],
        }
    }

    /// The same at its place: that of the second, if `place_of` knows it, else that of the first.
    pub fn located(self, place_of: impl Fn(&RepoPath, &Source) -> Option<Place>) -> OutputClash {
        let place = self.outputs().into_iter().rev().find_map(|(path, source)| place_of(path, source));
        OutputClash { clash: self, place }
    }
}

impl fmt::Display for OutputClash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "{place}: ")?;
        }
        write!(f, "{}", self.clash)
    }
}

impl Error for OutputClash {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        let excerpt = self.place.as_ref()?.excerpt.as_ref()?;
        Some(excerpt)
    }
}

impl Advice for OutputClash {
    fn kind(&self) -> ErrorKind {
        ErrorKind::InvalidPipeline
    }

    fn hints(&self) -> Vec<Hint> {
        let hint = match &self.clash {
            Clash::Nested { outer, second: Source::Pointer { file }, .. } => {
                let (file, outer) = (hint_path(file), hint_path(outer));
                format!("delete `{file}`, or track the parts of `{outer}` one by one")
            }
            Clash::Same { first: Source::Pointer { file }, .. } => format!("mlv remove {}", hint_path(file)),
            Clash::Nested { outer, second: Source::Stage { .. }, .. } => {
                format!("let the stage write outside of `{}`", hint_path(outer))
            }
            Clash::Same { .. } | Clash::Twins { .. } => "give one of them another path".to_owned(),
        };
        vec![Hint::new(hint)]
    }

    fn subject(&self) -> Option<String> {
        let [_, (path, _)] = self.clash.outputs();
        Some(path.to_string())
    }

    fn quoted(&self) -> Vec<String> {
        let outputs = self.clash.outputs().into_iter();
        outputs.flat_map(|(path, source)| [path.to_string(), source.file().to_string()]).collect()
    }
}
