//! What a command leaves for git: the `git add` to paste, or what is in the index already.

use crate::cli::error::{CliError, Failure};
use crate::cli::render::{Viewpoint, count};
use crate::cli::ui::Text;
use crate::ops::git_files::GitFiles;

/// Writes one line, if there is anything for git.
pub(crate) fn git_files(files: &GitFiles, view: &Viewpoint, out: &mut Text) {
    if !files.staged.is_empty() {
        let what = count(files.staged.len() as u64, "file");
        out.put(format!("Handed {what} to `git add`: {}", view.words(&files.staged))).end();
    }
    if !files.git_add.is_empty() {
        out.hint(format!("git add {}", view.words(&files.git_add)));
    }
}

/// What failed of a command, with its files for git that git did not take.
pub(crate) fn git_error(files: &GitFiles, mut failures: Vec<Failure>) -> Option<CliError> {
    let Some(refused) = &files.refused else {
        return (!failures.is_empty()).then(|| CliError::several(failures));
    };
    let is_alone = failures.is_empty();
    failures.extend(files.git_add.iter().map(|path| Failure::at(path, refused)));
    Some(if is_alone { CliError::of(refused).with_failures(failures) } else { CliError::several(failures) })
}
