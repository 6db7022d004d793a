//! A new definition, or another one in the place of an old one.

use std::fmt::Write;

use crate::model::emit::scalar;
use crate::model::path::RepoPath;
use crate::model::stage::Pipeline;
use crate::model::yaml::{Limits, Map, Node, YamlProblem, load};
use crate::pipeline::edit::{definitions, end_of_entry, in_form_of, is_made_by, text, without_lines};
use crate::pipeline::parse::{PipelineError, parse};
use crate::pipeline::template::ValueFiles;

/// A definition to be written, with its texts as the user gave them.
#[derive(Clone, Debug, Default)]
pub struct NewStage {
    /// Its name.
    pub name: String,
    /// What is run.
    pub command: String,
    /// Where, relative to the file; its own folder if nothing.
    pub wdir: Option<String>,
    /// What it reads, relative to that folder, as all paths are.
    pub deps: Vec<String>,
    /// Parameters: a file, or nothing for `params.yaml`, and keys, or none for all of the file.
    pub params: Vec<(Option<String>, Vec<String>)>,
    /// What it makes.
    pub outs: Vec<NewOut>,
    /// What it is for.
    pub desc: Option<String>,
    /// Run each time.
    pub always_changed: bool,
}

/// An output of a [`NewStage`].
#[derive(Clone, Debug)]
pub struct NewOut {
    /// `outs`, `metrics` or `plots`.
    pub list: &'static str,
    /// The file or directory.
    pub path: String,
    /// Whether mlv keeps the contents.
    pub cache: bool,
    /// Whether the next run finds it as the last one left it.
    pub persist: bool,
}

/// The text of `file`, which is `old` or not there, with the definition `new` at the end or, if it is
/// to `replace` one of its name, there; and what the file then means. Nothing if an edit by lines would
/// change anything else, or if there is one of its name and it is to stay.
///
/// Fails if the file cannot be read as it is, or as it would be.
pub fn with_stage(
    file: &RepoPath,
    old: Option<&[u8]>,
    new: &NewStage,
    replace: bool,
    files: &dyn ValueFiles,
) -> Result<Option<(Vec<u8>, Pipeline)>, PipelineError> {
    let bytes = old.unwrap_or_default();
    let before = parse(file, bytes, files)?;
    let mut text = text(file, bytes)?.replace("\r\n", "\n");
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    let Some(edited) = edited(file, &text, new, replace)? else { return Ok(None) };
    // What is refused now is in the new stage, which stands on no line yet.
    let after = parse(file, edited.as_bytes(), files)
        .map_err(|error| if *error.file == *file.as_str() { error.of_whole_file() } else { error })?;
    let others = |pipeline: &Pipeline| {
        let mut others = without_lines(pipeline.clone());
        others.stages.retain(|stage| !is_made_by(stage, &new.name));
        // The first template of a file makes it read values.
        others.values = Vec::new();
        others
    };
    let is_exact = others(&before) == others(&after);
    Ok(is_exact.then(|| (in_form_of(bytes, &edited), after)))
}

fn edited(
    file: &RepoPath,
    text: &str,
    new: &NewStage,
    replace: bool,
) -> Result<Option<String>, PipelineError> {
    const INDENT: usize = 2;
    let section = || format!("{text}stages:\n{}", new.text(INDENT));
    let root = match load(file.as_str(), text, Limits::PIPELINE) {
        Ok(root) if root.is_null() && root.mark.start == root.mark.end => return Ok(Some(section())),
        Err(error) if error.problem == YamlProblem::Empty => return Ok(Some(section())),
        other => other.map_err(|error| error.map(Into::into))?,
    };
    let Some(top) = root.map().filter(|top| !top.flow) else { return Ok(None) };
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let insert = |from: usize, to: usize, body: &str| {
        Some(lines[..from].concat() + body + &lines[to.min(lines.len())..].concat())
    };
    match top.entry("stages") {
        None => Ok(Some(section())),
        Some((_, stages)) if is_written_empty(stages) => {
            let without = without_value(text, stages);
            without.map_or(Ok(None), |text| edited(file, &text, new, replace))
        }
        Some((key, stages)) if stages.is_null() && stages.mark.start == stages.mark.end => {
            let line = key.mark.line as usize;
            Ok(insert(line, line, &new.text(INDENT)))
        }
        Some(_) => match definitions(&root).filter(|stages| !stages.entries.is_empty()) {
            None => Ok(None),
            Some(stages) => {
                let place = place(stages, &lines, &new.name, replace);
                Ok(place.and_then(|place| {
                    let blank = if place.is_spaced { "\n" } else { "" };
                    insert(place.from, place.to, &format!("{blank}{}", new.text(place.indent)))
                }))
            }
        },
    }
}

/// Whether it is `{}`, `~` or `null`, and not left out.
fn is_written_empty(stages: &Node<'_>) -> bool {
    stages.mark.start < stages.mark.end
        && (stages.is_null() || stages.map().is_some_and(|map| map.entries.is_empty()))
}

/// The text with nothing in the place of an empty value; nothing if there is a comment in it.
fn without_value(text: &str, value: &Node<'_>) -> Option<String> {
    let (start, end) = (value.mark.start as usize, value.mark.end as usize);
    let (before, written, after) = (text.get(..start)?, text.get(start..end)?, text.get(end..)?);
    (!written.contains('#')).then(|| format!("{}{after}", before.trim_end_matches(' ')))
}

/// Which lines the new definition takes the place of.
struct Place {
    from: usize,
    to: usize,
    indent: usize,
    /// Whether the definitions are a blank line apart.
    is_spaced: bool,
}

fn place(stages: &Map<'_>, lines: &[&str], name: &str, replace: bool) -> Option<Place> {
    let known = stages.entries.iter().find(|(key, _)| key.text == name);
    if known.is_some() && !replace {
        return None;
    }
    let last = || stages.entries.iter().max_by_key(|(key, _)| key.mark.line);
    let (key, _) = known.or_else(last)?;
    let (start, column) = ((key.mark.line as usize).saturating_sub(1), key.mark.column as usize);
    let to = end_of_entry(lines, start, column);
    let from = if known.is_some() { start } else { to };
    let is_spaced = known.is_none()
        && stages.entries.len() > 1
        && start > 0
        && lines.get(start - 1).is_some_and(|line| line.trim().is_empty());
    Some(Place { from, to, indent: column - 1, is_spaced })
}

impl NewStage {
    /// The definition in the order of DVC, its name indented by `indent`.
    pub fn text(&self, indent: usize) -> String {
        let mut body = String::new();
        line(&mut body, 0, &format!("{}:", scalar(&self.name)));
        line(&mut body, 1, &format!("cmd: {}", scalar(&self.command)));
        if let Some(wdir) = &self.wdir {
            line(&mut body, 1, &format!("wdir: {}", scalar(wdir)));
        }
        list(&mut body, "deps", self.deps.iter().map(|path| scalar(path).into_owned()));
        self.params(&mut body);
        for key in ["outs", "metrics", "plots"] {
            list(&mut body, key, self.outs.iter().filter(|out| out.list == key).map(NewOut::text));
        }
        if self.always_changed {
            line(&mut body, 1, "always_changed: true");
        }
        if let Some(desc) = &self.desc {
            line(&mut body, 1, &format!("desc: {}", scalar(desc)));
        }
        let margin = " ".repeat(indent);
        body.lines().fold(String::new(), |text, line| text + &margin + line + "\n")
    }

    fn params(&self, body: &mut String) {
        let mut items = Vec::new();
        for (file, keys) in &self.params {
            let keys: Vec<String> = keys.iter().map(|key| scalar(key).into_owned()).collect();
            match file {
                None => items.extend(keys),
                Some(file) => {
                    let below = keys.iter().map(|key| format!("\n    - {key}"));
                    items.push(format!("{}:{}", scalar(file), below.collect::<String>()));
                }
            }
        }
        list(body, "params", items.into_iter());
    }
}

impl NewOut {
    fn text(&self) -> String {
        let mut text = scalar(&self.path).into_owned();
        let options = [("cache: false", !self.cache), ("persist: true", self.persist)];
        for (at, (option, _)) in options.iter().filter(|(_, is_set)| *is_set).enumerate() {
            text.push_str(if at == 0 { ":" } else { "" });
            text.push_str("\n      ");
            text.push_str(option);
        }
        text
    }
}

fn list(body: &mut String, key: &str, items: impl Iterator<Item = String>) {
    for (at, item) in items.enumerate() {
        if at == 0 {
            line(body, 1, &format!("{key}:"));
        }
        line(body, 1, &format!("- {item}"));
    }
}

fn line(body: &mut String, depth: usize, text: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(body, "{:width$}{text}", "", width = 2 * depth);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::template::NoValues;

    fn file() -> RepoPath {
        RepoPath::parse("mlv.yaml").unwrap()
    }

    fn stage(name: &str) -> NewStage {
        NewStage { name: name.into(), command: "run it".into(), ..NewStage::default() }
    }

    fn added(old: &str, new: &NewStage, replace: bool) -> Option<String> {
        let edited = with_stage(&file(), Some(old.as_bytes()), new, replace, &NoValues).unwrap();
        edited.map(|(bytes, _)| String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn all_that_a_stage_can_have_is_written() {
        let out = |list, path: &str, cache, persist| NewOut { list, path: path.into(), cache, persist };
        let new = NewStage {
            wdir: Some("sub".into()),
            deps: vec!["../a b".into(), "no".into()],
            params: vec![
                (None, vec!["lr".into(), "net.size".into()]),
                (Some("o.json".into()), vec!["k".into(), "1".into()]),
                (Some("whole.toml".into()), Vec::new()),
            ],
            outs: vec![
                out("plots", "p.csv", false, false),
                out("outs", "model", true, false),
                out("outs", "state", false, true),
                out("metrics", "m.json", true, false),
            ],
            desc: Some("what: for".into()),
            always_changed: true,
            command: "echo \"a\" > b: c".into(),
            name: "train".into(),
        };
        let (bytes, pipeline) = with_stage(&file(), None, &new, false, &NoValues).unwrap().unwrap();
        insta::assert_snapshot!(String::from_utf8(bytes).unwrap(), @r#"
        stages:
          train:
            cmd: "echo \"a\" > b: c"
            wdir: sub
            deps:
            - ../a b
            - "no"
            params:
            - lr
            - net.size
            - o.json:
              - k
              - "1"
            - whole.toml:
            outs:
            - model
            - state:
                cache: false
                persist: true
            metrics:
            - m.json
            plots:
            - p.csv:
                cache: false
            always_changed: true
            desc: "what: for"
        "#);
        let stage = &pipeline.stages[0];
        assert_eq!(stage.command.scripts(), ["echo \"a\" > b: c".into()]);
        assert_eq!((stage.deps.len(), stage.params.len(), stage.outs.len()), (2, 3, 4));
        assert!(stage.outs.iter().any(|out| out.path.as_str() == "sub/state" && out.persist && !out.cache));
    }

    #[test]
    fn what_stands_there_stays() {
        let old = "# top\nstages:\n    a: # why\n        cmd: echo a\n\n    # second\n    b:\n        cmd: echo b\n        # inner\n\n# below\nmetrics: [m]\n";
        let new = "# top\nstages:\n    a: # why\n        cmd: echo a\n\n    # second\n    b:\n        cmd: echo b\n        # inner\n    c:\n      cmd: run it\n\n# below\nmetrics: [m]\n";
        assert_eq!(added(old, &stage("c"), false).as_deref(), Some(new));
        let new = old.replace("    a: # why\n        cmd: echo a\n", "    a:\n      cmd: run it\n");
        assert_eq!(added(old, &stage("a"), true), Some(new));
        assert_eq!(added(old, &stage("a"), false), None);
        for (old, new) in [
            ("", "stages:\n  s:\n    cmd: run it\n"),
            ("# only this", "# only this\nstages:\n  s:\n    cmd: run it\n"),
            ("metrics: [m]", "metrics: [m]\nstages:\n  s:\n    cmd: run it\n"),
            ("stages: {}\n", "stages:\n  s:\n    cmd: run it\n"),
            ("stages: {}", "stages:\n  s:\n    cmd: run it\n"),
            ("stages: ~\n", "stages:\n  s:\n    cmd: run it\n"),
            (
                "vars: []\nstages: { } # none yet\nmetrics: [m]\n",
                "vars: []\nstages: # none yet\n  s:\n    cmd: run it\nmetrics: [m]\n",
            ),
            ("stages:\nmetrics: [m]\r\n", "stages:\n  s:\n    cmd: run it\nmetrics: [m]\n"),
            (
                "stages:\n  a:\n    cmd: x\n\n  b:\n    cmd: x",
                "stages:\n  a:\n    cmd: x\n\n  b:\n    cmd: x\n\n  s:\n    cmd: run it\n",
            ),
        ] {
            assert_eq!(added(old, &stage("s"), false).as_deref(), Some(new), "{old:?}");
        }
    }

    #[test]
    fn what_lines_cannot_do_is_left() {
        for old in ["{stages: {}}\n", "stages: {a: {cmd: x}}\n", "stages: {\n  # why\n}\n"] {
            assert_eq!(added(old, &stage("s"), false), None, "{old:?}");
        }
        let anchored = "stages:\n  a: &a\n    cmd: x\n  b:\n    <<: *a\n    desc: y\n";
        assert_eq!(added(anchored, &stage("b"), true).map(|_| ()), Some(()));
        let alias = with_stage(&file(), Some(anchored.as_bytes()), &stage("a"), true, &NoValues);
        assert!(alias.is_err(), "the alias leads nowhere");
    }

    #[test]
    fn names_and_outputs_are_refused_as_in_a_file() {
        let fails =
            |new: &NewStage| with_stage(&file(), None, new, false, &NoValues).unwrap_err().to_string();
        assert!(fails(&stage("a/b")).contains("a/b"));
        let out = NewOut { list: "outs", path: "../x".into(), cache: true, persist: false };
        assert!(fails(&NewStage { outs: vec![out], ..stage("a") }).contains("../x"));
    }

    proptest::proptest! {
        /// Whatever the texts are: either the file means what was asked for, or it is refused.
        #[test]
        fn texts_are_texts(command in "[ -~\n]{1,40}", dep in "[ -~]{1,20}", desc in "\\PC{0,20}") {
            let new = NewStage { command, deps: vec![dep], desc: Some(desc), ..stage("s") };
            let old = b"stages:\n  a:\n    cmd: x\n";
            if let Ok(Some((_, pipeline))) = with_stage(&file(), Some(old), &new, false, &NoValues) {
                proptest::prop_assert_eq!(pipeline.stages.len(), 2);
                if !new.command.contains("${") {
                    proptest::prop_assert_eq!(&*pipeline.stages[1].command.scripts()[0], &*new.command);
                }
            }
        }
    }
}
