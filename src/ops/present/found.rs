//! One answer about a path.

use crate::model::object::ContentInfo;

/// What was found at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// What a lock or pointer records of it.
    pub info: ContentInfo,
    /// Whether some of it, or all, is only recorded and not here.
    pub is_partial: bool,
    /// Whether it is a symlink, or has one that leads out of it: a hash has a link's text, not what it
    /// leads to.
    pub is_link: bool,
    /// The [trace](crate::ops::scan::Present::trace) of what is here, where it was looked at.
    pub trace: Option<u64>,
}

impl Found {
    /// What is as `info` says, not looked at.
    pub(super) fn recorded(info: ContentInfo) -> Found {
        Found { info, is_partial: false, is_link: false, trace: None }
    }
}
