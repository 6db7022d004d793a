//! docs/commands.md and docs/errors.md are what the program's definitions say.
//!
//! `UPDATE_DOCS=1 cargo test --test it generated` writes them anew.

use std::fs;
use std::path::Path;

#[track_caller]
fn check(name: &str, generated: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name);
    if std::env::var_os("UPDATE_DOCS").is_some_and(|value| value == "1") {
        fs::write(&path, generated).expect("docs/ can be written");
    }
    let stored = fs::read_to_string(&path).unwrap_or_default();
    let differs = stored.lines().zip(generated.lines()).position(|(old, new)| old != new);
    assert!(
        stored == generated,
        "docs/{name} is stale from line {}: run `UPDATE_DOCS=1 cargo test --test it generated`",
        differs.unwrap_or(stored.lines().count().min(generated.lines().count())) + 1
    );
}

#[test]
fn manual_of_the_commands_is_up_to_date() {
    check("commands.md", &mlv::cli::help::commands_md());
}

#[test]
fn manual_of_the_errors_is_up_to_date() {
    check("errors.md", &mlv::cli::help::errors_md());
}
