//! The documents: links lead somewhere, fixtures are accounted for, notes have their form.

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All files with this ending below `folder`, sorted.
fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder of the project") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files(&path, ending));
        } else if path.extension().is_some_and(|extension| extension == ending) {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn documents() -> Vec<PathBuf> {
    let mut documents = files(&root().join("docs"), "md");
    documents.extend(["README.md", "fixtures/README.md"].map(|name| root().join(name)));
    documents
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The targets of the links in a Markdown text, without those to other sites and to headings.
fn links(text: &str) -> impl Iterator<Item = &str> {
    text.split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next())
        .filter_map(|link| link.split('#').next())
        .filter(|link| !link.is_empty() && !link.contains("://"))
}

#[test]
fn links_between_documents_lead_somewhere() {
    let mut broken = Vec::new();
    for document in documents() {
        let folder = document.parent().expect("a file has a folder");
        for link in links(&read(&document)) {
            if !folder.join(link).exists() {
                broken.push(format!("{}: {link}", document.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn index_of_the_documents_names_each_of_them() {
    let index = read(&root().join("docs/README.md"));
    for document in files(&root().join("docs"), "md") {
        let path = document.strip_prefix(root().join("docs")).expect("it was found there");
        let is_note = path.starts_with("changelog/unreleased");
        let name = path.to_str().expect("our names are text");
        assert!(
            is_note || name == "README.md" || index.contains(name),
            "docs/README.md does not name {name}"
        );
    }
}

#[test]
fn fixtures_are_accounted_for() {
    let account = read(&root().join("fixtures/README.md"));
    for entry in fs::read_dir(root().join("fixtures")).expect("the folder is there") {
        let name = entry.expect("an entry").file_name().into_string().expect("our names are text");
        assert!(
            name == "README.md" || account.contains(&format!("## {name}/")),
            "fixtures/README.md lacks `## {name}/`"
        );
    }
}

#[test]
fn notes_of_the_changelog_have_their_form() {
    let kinds = ["Enhancement: ", "Change: ", "Bugfix: ", "Security: "];
    for note in files(&root().join("docs/changelog/unreleased"), "md") {
        let text = read(&note);
        let (heading, body) = text.split_once("\n\n").unwrap_or_default();
        let has_form = kinds.iter().any(|kind| heading.starts_with(kind)) && !heading.contains('\n');
        assert!(has_form && !body.trim().is_empty(), "{}: see docs/changelog/README.md", note.display());
    }
}

/// docs/promises.md ends with a table: `| R4 | name_of_a_test · name_of_another |`.
#[test]
fn promises_name_tests_that_exist() {
    let text = read(&root().join("docs/promises.md"));
    let (_, table) = text.split_once("\n## Tests\n").expect("the section is there");
    let mut sources = files(&root().join("src"), "rs");
    sources.extend(files(&root().join("tests"), "rs"));
    let sources: String = sources.iter().map(|path| read(path)).collect();
    let rows: Vec<&str> = table.lines().filter(|line| line.starts_with("| R")).collect();
    // R6 is about the collection of local garbage, which there is not.
    for number in (1..=23).filter(|number| *number != 6) {
        assert!(rows.iter().any(|row| row.starts_with(&format!("| R{number} |"))), "no test of R{number}");
    }
    for row in rows {
        let tests = row.split('|').nth(2).unwrap_or_default();
        for test in tests.split('·').map(str::trim) {
            assert!(sources.contains(&format!("fn {test}(")), "no test `{test}`: {row}");
        }
    }
}

/// A safety measure that tests can leave out is left out by a test, which then notices.
#[test]
fn each_mutation_has_its_test() {
    let src = files(&root().join("src"), "rs");
    let code: String = src.iter().map(|path| read(path)).collect();
    let tests: String =
        files(&root().join("tests"), "rs").iter().chain(&src).map(|path| read(path)).collect();
    let mut names = 0;
    for (_, rest) in code.match_indices("mutated(\"").map(|(at, call)| code.split_at(at + call.len())) {
        let (name, _) = rest.split_once('"').expect("a string ends");
        let uses = tests.matches(&format!("\"{name}\"")).count();
        let calls = code.matches(&format!("mutated(\"{name}\"")).count();
        assert!(uses > calls, "no test leaves `{name}` out");
        names += 1;
    }
    assert!(names >= 14, "{names}");
}
