use std::time::Duration;

use crate::cli::cmd::repro;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::help;
use crate::cli::render::{Viewpoint, git_error, git_files};
use crate::cli::report::Report;
use crate::cli::ui::Text;
use crate::model::shell;
use crate::ops::stage_add::{self, NewOut, NewStage, StageAddOptions, StageAddReport};

/// Add a stage to the pipeline of the current folder
///
/// Writes its definition at the end of the stages in `mlv.yaml`, which is made if it is not there; all
/// else in it stays as it is written. Makes git ignore the outputs that mlv keeps. Paths are relative to
/// the folder that the command runs in. Several words of a command are joined, each as one word of the shell.
#[derive(clap::Args)]
#[command(after_help = help::after(&[
    ("mlv stage add -n clean -d raw.csv -o clean.csv python clean.py", "one input, one output"),
    ("mlv stage add -n train -p lr,epochs -d clean.csv -o model -M scores.json 'python train.py > log'",
        "with parameters, and metrics that git keeps"),
    ("mlv stage add --force -n clean -d raw.csv -o clean.csv ./clean.sh", "another definition of it"),
], &[3, 4, 5, 6, 8]))]
pub(super) struct AddArgs {
    /// The stage's name
    #[arg(long, short, value_name = "NAME")]
    name: String,
    /// A file or folder that it reads; may be repeated
    #[arg(long, short, value_name = "PATH")]
    deps: Vec<String>,
    /// Parameters that it reads: `KEY,KEY` of params.yaml, `FILE:KEY,KEY`, or `FILE:` for all of a file
    #[arg(long, short, value_name = "[FILE:]KEYS")]
    params: Vec<String>,
    #[command(flatten)]
    outs: OutArgs,
    /// The folder that it runs in, relative to the current one
    #[arg(long, short, value_name = "DIR")]
    wdir: Option<String>,
    /// What it is for
    #[arg(long, value_name = "TEXT")]
    desc: Option<String>,
    /// Run it each time
    #[arg(long)]
    always_changed: bool,
    /// Take the place of a stage of this name
    #[arg(long, short)]
    force: bool,
    /// Run it then
    #[arg(long)]
    run: bool,
    /// Show the definition, and write nothing
    #[arg(long, visible_alias = "dry", conflicts_with = "run")]
    dry_run: bool,
    /// The command and its arguments
    #[arg(value_name = "COMMAND", required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<String>,
}

/// What it makes.
#[derive(clap::Args)]
struct OutArgs {
    /// A file or folder that it makes; may be repeated, as all of these
    #[arg(long, short, value_name = "PATH")]
    outs: Vec<String>,
    /// One that mlv does not keep: git or nobody does
    #[arg(long, short = 'O', value_name = "PATH")]
    outs_no_cache: Vec<String>,
    /// One that the next run finds as the last one left it
    #[arg(long, value_name = "PATH")]
    outs_persist: Vec<String>,
    /// Both
    #[arg(long, value_name = "PATH")]
    outs_persist_no_cache: Vec<String>,
    /// A file with metrics
    #[arg(long, short, value_name = "PATH")]
    metrics: Vec<String>,
    /// A file with metrics that mlv does not keep
    #[arg(long, short = 'M', value_name = "PATH")]
    metrics_no_cache: Vec<String>,
    /// A file with plots
    #[arg(long, value_name = "PATH")]
    plots: Vec<String>,
    /// A file with plots that mlv does not keep
    #[arg(long, value_name = "PATH")]
    plots_no_cache: Vec<String>,
}

impl OutArgs {
    fn into_outs(self) -> Vec<NewOut> {
        let lists = [
            (self.outs, "outs", true, false),
            (self.outs_no_cache, "outs", false, false),
            (self.outs_persist, "outs", true, true),
            (self.outs_persist_no_cache, "outs", false, true),
            (self.metrics, "metrics", true, false),
            (self.metrics_no_cache, "metrics", false, false),
            (self.plots, "plots", true, false),
            (self.plots_no_cache, "plots", false, false),
        ];
        let mut outs = Vec::new();
        for (paths, list, cache, persist) in lists {
            outs.extend(paths.into_iter().map(|path| NewOut { list, path, cache, persist }));
        }
        outs
    }
}

/// What was added, and what became of it.
#[derive(serde::Serialize)]
pub(super) struct AddReport {
    #[serde(flatten)]
    report: StageAddReport,
    /// The stage's name, which means it in the current folder.
    #[serde(skip)]
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    run: Option<repro::ReproReport>,
    #[serde(skip)]
    view: Viewpoint,
}

pub(super) fn run(cx: &Context, args: AddArgs) -> Result<AddReport, CliError> {
    let repo = cx.repo()?;
    let (name, is_run) = (args.name.clone(), args.run);
    let (force, dry_run) = (args.force, args.dry_run);
    let report =
        stage_add::run(repo, &StageAddOptions { stage: stage(args), force, dry_run }, cx.reporter())?;
    let run = if is_run { Some(repro::single(cx, &name)?) } else { None };
    Ok(AddReport { report, name, run, view: Viewpoint::of(repo) })
}

fn stage(args: AddArgs) -> NewStage {
    let command = match &args.command[..] {
        [script] => script.clone(),
        words => words.iter().map(|word| shell::word(word)).collect::<Vec<_>>().join(" "),
    };
    NewStage {
        name: args.name,
        command,
        wdir: args.wdir,
        deps: args.deps,
        params: args.params.iter().map(|text| params(text)).collect(),
        outs: args.outs.into_outs(),
        desc: args.desc,
        always_changed: args.always_changed,
    }
}

/// A file, if one is named, and keys.
fn params(text: &str) -> (Option<String>, Vec<String>) {
    let (file, keys) = match text.rsplit_once(':') {
        Some((file, keys)) => (Some(file.to_owned()), keys),
        None => (None, text),
    };
    (file, keys.split(',').filter(|key| !key.is_empty()).map(str::to_owned).collect())
}

impl Report for AddReport {
    fn text(&self, out: &mut Text) {
        if self.report.dry_run {
            out.lines(&self.report.definition, 0).end();
        }
    }

    fn summary(&self, took: Duration, out: &mut Text) {
        let AddReport { report, run, view, .. } = self;
        let verb = match (report.dry_run, report.replaced) {
            (false, false) => "Added",
            (false, true) => "Replaced",
            (true, false) => "Would add",
            (true, true) => "Would replace",
        };
        out.put(verb).put(" stage `").name(&report.stage).put("` in `").name(view.path(&report.file));
        out.put("`").end();
        git_files(&report.git, view, out);
        if let Some(run) = run {
            run.summary(took, out);
        } else if !report.dry_run {
            out.hint(format!("mlv repro {}", shell::word(&self.name)));
        }
    }

    fn error(&self) -> Option<CliError> {
        let run = self.run.as_ref().and_then(Report::error);
        run.or_else(|| git_error(&self.report.git, Vec::new()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_may_name_a_file() {
        let owned = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>();
        assert_eq!(params("lr,epochs"), (None, owned(&["lr", "epochs"])));
        assert_eq!(params("p.json:net.size"), (Some("p.json".into()), owned(&["net.size"])));
        assert_eq!(params("p.json:"), (Some("p.json".into()), Vec::new()));
    }
}
