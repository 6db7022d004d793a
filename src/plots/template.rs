//! How points are drawn: DVC's templates, by name.

/// A way to draw points.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Template {
    /// A line, with a control that smooths it.
    #[default]
    Linear,
    /// A line.
    Simple,
    /// As [`Template::Linear`].
    Smooth,
    /// Points.
    Scatter,
    /// Points of names, moved a little at random so that equal ones show.
    ScatterJitter,
    /// How many points have which pair of values.
    Confusion,
    /// The same as shares of each row.
    ConfusionNormalized,
    /// A bar to the right for each point.
    BarHorizontal,
    /// The same, the longest first.
    BarHorizontalSorted,
}

/// All, with their names.
const ALL: [(&str, Template); 9] = [
    ("linear", Template::Linear),
    ("simple", Template::Simple),
    ("smooth", Template::Smooth),
    ("scatter", Template::Scatter),
    ("scatter_jitter", Template::ScatterJitter),
    ("confusion", Template::Confusion),
    ("confusion_normalized", Template::ConfusionNormalized),
    ("bar_horizontal", Template::BarHorizontal),
    ("bar_horizontal_sorted", Template::BarHorizontalSorted),
];

impl Template {
    /// The names of all.
    pub fn names() -> Vec<&'static str> {
        ALL.iter().map(|(name, _)| *name).collect()
    }

    /// The one of this name, if there is one.
    pub fn of(name: &str) -> Option<Template> {
        ALL.iter().find(|(known, _)| *known == name).map(|(_, template)| *template)
    }

    /// Whether pairs of values are counted, which need be no numbers.
    pub fn is_confusion(self) -> bool {
        matches!(self, Template::Confusion | Template::ConfusionNormalized)
    }

    /// Whether texts may be drawn to the right and up.
    pub fn takes_names(self) -> bool {
        self.is_confusion() || self == Template::ScatterJitter
    }

    /// Whether bars to the right are drawn: what goes up are names, what goes to the right numbers.
    pub fn is_bar(self) -> bool {
        matches!(self, Template::BarHorizontal | Template::BarHorizontalSorted)
    }
}
