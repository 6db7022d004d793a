//! Counted words of messages.

use crate::model::path::RepoPath;

pub(super) fn not_saved(paths: &[RepoPath]) -> String {
    if paths.len() == 1 { "this change is".to_owned() } else { format!("these {} changes are", paths.len()) }
}

pub(super) fn data_of(paths: &[RepoPath]) -> String {
    if paths.len() == 1 {
        "the data of this path is".to_owned()
    } else {
        format!("the data of {} paths is", paths.len())
    }
}

pub(super) fn first(paths: &[RepoPath]) -> &str {
    paths.first().map_or("", RepoPath::as_str)
}

pub(super) fn and_more(paths: &[RepoPath]) -> String {
    if paths.len() <= 1 { String::new() } else { format!(" and {} more", paths.len() - 1) }
}
