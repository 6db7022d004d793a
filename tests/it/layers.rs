//! The direction of the arrows: which module may name which, and which crate is used where.
//!
//! A line scan over the sources without their tests: modules name each other by `crate::` paths.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::support::source_files;

/// A module, and those it may name.
const ARROWS: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("error", &["model"]),
    ("par", &["error", "model"]),
    ("fs", &["par", "error", "model"]),
    ("report", &["error", "model"]),
    ("config", &["fs", "error", "model"]),
    ("chunk", &["error", "model"]),
    ("pack", &["error", "model"]),
    ("git", &["fs", "error", "model"]),
    ("store", &["pack", "chunk", "fs", "par", "report", "error", "model"]),
    ("remote", &["chunk", "pack", "fs", "par", "report", "error", "model"]),
    ("pipeline", &["fs", "report", "error", "model"]),
    ("params", &["fs", "report", "error", "model"]),
    ("metrics", &["fs", "report", "error", "model"]),
    ("plots", &["fs", "report", "error", "model"]),
    ("repo", &["config", "git", "store", "fs", "error", "model"]),
    (
        "ops",
        &[
            "repo", "pipeline", "params", "metrics", "plots", "remote", "store", "git", "config", "fs",
            "par", "report", "error", "model",
        ],
    ),
    ("cli", &["ops", "repo", "config", "report", "error", "model"]),
    ("main", &["cli"]),
];

/// A crate or a module of std, and the only places that may name it.
const USERS: &[(&str, &[&str])] = &[
    ("clap", &["cli/"]),
    ("console", &["cli/progress"]),
    ("indicatif", &["cli/progress"]),
    ("signal_hook", &["cli/signals.rs"]),
    ("tracing_subscriber", &["cli/log.rs"]),
    ("gix", &["git/"]),
    ("object_store", &["remote/object_store"]),
    ("tokio", &["remote/object_store"]),
    ("reqwest", &["remote/object_store"]),
    ("rustix", &["fs/"]),
    ("reflink_copy", &["fs/"]),
    ("ignore", &["fs/"]),
    ("tempfile", &["fs/"]),
    ("getrandom", &["fs/"]),
    ("walkdir", &["fs/walk.rs"]),
    ("zstd", &["pack/", "plots/page.rs"]),
    ("base64", &["plots/page.rs"]),
    ("fastcdc", &["chunk/"]),
    ("blake3", &["model/digest.rs"]),
    ("toml_edit", &["config/", "model/value/toml.rs"]),
    ("granit_parser", &["model/yaml"]),
    ("process_wrap", &["pipeline/exec"]),
    ("rayon", &["par.rs"]),
    ("crossbeam_channel", &["par.rs", "remote/", "store/"]),
    ("std::fs", &["fs/", "cli/signals.rs"]),
    ("File::create", &["fs/"]),
    (
        "std::process::Command",
        &["git/", "pipeline/exec", "cli/cmd/demo.rs", "remote/credentials/process.rs", "remote/sftp"],
    ),
    ("io::stdout", &["cli/ui.rs"]),
    ("io::stderr", &["cli/ui.rs", "cli/log.rs", "cli/progress.rs"]),
];

struct Source {
    /// Relative to src/, with `/`.
    path: String,
    code: String,
}

/// The sources without tests and comments.
fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut only_for_tests: BTreeSet<PathBuf> = BTreeSet::new();
    let mut found = Vec::new();
    for file in source_files("src") {
        let text = fs::read_to_string(&file).expect("a source is text");
        let folder = folder_of_children(&file);
        let code = without_tests(&text, &mut |name| {
            only_for_tests.insert(folder.join(format!("{name}.rs")));
            only_for_tests.insert(folder.join(name));
        });
        found.push((file, code));
    }
    found.retain(|(file, _)| !file.ancestors().any(|path| only_for_tests.contains(path)));
    let relative = |file: &Path| file.strip_prefix(&root).expect("it was found there").display().to_string();
    found.into_iter().map(|(file, code)| Source { path: relative(&file), code }).collect()
}

/// Where the files of `mod name;` in this file are.
fn folder_of_children(file: &Path) -> PathBuf {
    let stem = file.file_stem().expect("a file has a name");
    let folder = file.parent().expect("a file has a folder");
    if ["mod", "lib", "main"].iter().any(|name| stem == *name) { folder.into() } else { folder.join(stem) }
}

/// The code without line comments and without items under `#[cfg(test)]`; `module` gets the names
/// of those that are files. Relies on rustfmt: an item ends at a brace in its own column.
fn without_tests(text: &str, module: &mut dyn FnMut(&str)) -> String {
    let mut code = String::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let trimmed = line.trim_start();
        if trimmed == "#[cfg(test)]" || trimmed.starts_with("#[cfg(all(test,") {
            let indent = &line[..line.len() - trimmed.len()];
            let Some(item) = lines.by_ref().find(|line| !line.trim_start().starts_with("#[")) else { break };
            if let Some(name) = item.split("mod ").nth(1).and_then(|rest| rest.strip_suffix(';')) {
                module(name);
            }
            if !item.ends_with(';') && !item.ends_with('}') {
                lines.by_ref().find(|line| *line == format!("{indent}}}"));
            }
        } else if !trimmed.starts_with("//") {
            code.push_str(line);
            code.push('\n');
        }
    }
    code
}

/// The first names after `crate::`, also in `crate::{a, b::c}`.
fn named_modules(code: &str) -> BTreeSet<&str> {
    let mut names = BTreeSet::new();
    for rest in code.split("crate::").skip(1) {
        if let Some(group) = rest.strip_prefix('{') {
            let mut depth = 0;
            let end = group.find(|c| {
                depth += i32::from(c == '{') - i32::from(c == '}');
                depth < 0
            });
            let mut depth = 0;
            for part in group[..end.unwrap_or(group.len())].split(|c| {
                depth += i32::from(c == '{') - i32::from(c == '}');
                c == ',' && depth == 0
            }) {
                names.insert(identifier(part.trim()));
            }
        } else {
            names.insert(identifier(rest));
        }
    }
    names.remove("");
    names
}

fn identifier(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    &text[..end]
}

/// The code without imports of the crate's own: `use crate::fs::{atomic, ignore::X}` is no crate.
fn without_own_imports(code: &str) -> String {
    let mut kept = String::new();
    let mut inside = false;
    for line in code.lines() {
        let import = line.trim_start().trim_start_matches("pub(crate) ").trim_start_matches("pub ");
        inside |= ["use crate::", "use super::", "use self::"].iter().any(|own| import.starts_with(own));
        if !inside {
            kept.push_str(line);
            kept.push('\n');
        }
        inside &= !line.ends_with(';');
    }
    kept
}

/// Whether the code names `path` itself and not something whose path begins or ends like it.
fn names(code: &str, path: &str) -> bool {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(path).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        let after = &code[at + path.len()..];
        // A function or type may be named by any path that ends in it, a crate starts the path.
        if path.starts_with(char::is_uppercase) || path.starts_with("io::") {
            return !before.is_some_and(is_name) && !after.starts_with(is_name);
        }
        let starts = !before.is_some_and(|c| is_name(c) || c == ':');
        let ends = if path.contains("::") { !after.starts_with(is_name) } else { after.starts_with("::") };
        starts && ends
    })
}

#[test]
fn modules_name_only_those_below_them() {
    let mut wrong = Vec::new();
    for source in sources().iter().filter(|source| source.path != "lib.rs") {
        let module = identifier(&source.path);
        let Some((_, allowed)) = ARROWS.iter().find(|(name, _)| *name == module) else {
            wrong.push(format!("src/{}: a module without a row in ARROWS", source.path));
            continue;
        };
        for name in named_modules(&source.code) {
            if name != module && !allowed.contains(&name) {
                wrong.push(format!("src/{}: `{module}` must not name `{name}`", source.path));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn crates_are_used_only_where_they_belong() {
    let mut wrong = Vec::new();
    for source in sources() {
        // An open file is a value like others; who may open or make one is what counts.
        let code = without_own_imports(&source.code).replace("std::fs::File;", "");
        for (path, users) in USERS {
            if names(&code, path) && !users.iter().any(|user| source.path.starts_with(user)) {
                wrong.push(format!("src/{}: `{path}` belongs to {}", source.path, users.join(", ")));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn scan_sees_groups_and_leaves_out_tests() {
    let code = "use crate::{fs, model::path::{A, B}, error::X};\ncrate::git::open();\n\
                // crate::store\n#[cfg(test)]\nmod tests {\n    use crate::cli;\n}\n#[cfg(test)]\nmod more;\n";
    let mut modules = Vec::new();
    let code = without_tests(code, &mut |name| modules.push(name.to_owned()));
    assert_eq!(named_modules(&code).into_iter().collect::<Vec<_>>(), ["error", "fs", "git", "model"]);
    assert_eq!(modules, ["more"]);
    assert!(names("use std::fs;", "std::fs") && names("std::fs::read(x)", "std::fs"));
    assert!(names("ignore::gitignore::X", "ignore") && !names("crate::fs::ignore::X", "ignore"));
    assert!(!names("std::fsx", "std::fs") && names("std::io::stdout().lock()", "io::stdout"));
}

#[test]
fn every_test_file_is_a_module() {
    let mut forgotten = Vec::new();
    for file in source_files("tests/it") {
        let stem = file.file_stem().and_then(|stem| stem.to_str()).expect("our names are text");
        let folder = file.parent().expect("a file has a folder");
        let (name, parents) = match stem {
            "main" => continue,
            "mod" => {
                let name = folder.file_name().and_then(|name| name.to_str()).expect("our names are text");
                (name, parents_of(folder.parent().expect("it is below tests/it")))
            }
            stem => (stem, parents_of(folder)),
        };
        let declared = parents.iter().filter_map(|parent| fs::read_to_string(parent).ok()).any(|text| {
            text.lines().any(|line| line.trim_start_matches("pub(crate) ") == format!("mod {name};"))
        });
        if !declared {
            forgotten.push(file.display().to_string());
        }
    }
    assert!(forgotten.is_empty(), "no `mod` line for {}", forgotten.join(", "));
}

/// The files that may declare the modules whose files are in `folder`.
fn parents_of(folder: &Path) -> [PathBuf; 3] {
    [folder.join("main.rs"), folder.join("mod.rs"), folder.with_extension("rs")]
}
