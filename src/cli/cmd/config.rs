use std::time::Duration;

use crate::cli::args::{DryRun, LevelArgs};
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::help;
use crate::cli::report::Report;
use crate::cli::ui::Text;
use crate::error::ErrorKind;
use crate::model::shell;
use crate::ops::config::{self, ConfigAction, ConfigOptions};

const EXAMPLES: &[(&str, &str)] = &[
    ("mlv config --list --show-origin", "all settings, and where each comes from"),
    ("mlv config core.remote", "one setting"),
    ("mlv config core.jobs 32", "change it for everybody"),
    ("mlv config --local remote.s3.profile work", "change it for this clone alone"),
    ("mlv config -u core.jobs", "take it out"),
];

/// Show and change settings
///
/// Settings come in layers, the later of which wins: this machine's (--system), your own
/// (--global), the repository's (--project, tracked by git), this clone's (--local), and
/// environment variables such as MLV_CORE_REMOTE. Without a level, reading looks at all of them
/// and writing changes the repository's. Comments and order in the files are kept. Options of a
/// remote are `remote.NAME.OPTION`; `mlv remote modify --help` lists them.
#[derive(clap::Args)]
#[command(
    after_help = help::after(EXAMPLES, &[3, 4, 6]),
    after_long_help = help::settings("Settings", crate::config::keys::KEYS) + "\n" + &help::after(EXAMPLES, &[3, 4, 6]),
)]
pub(crate) struct ConfigArgs {
    /// The setting: `core.remote`, `remote.NAME.url`
    #[arg(value_name = "KEY", required_unless_present = "list")]
    key: Option<String>,
    /// Its new value
    #[arg(value_name = "VALUE", conflicts_with = "unset")]
    value: Option<String>,
    /// Take the setting out
    #[arg(long, short)]
    unset: bool,
    /// Show all settings
    #[arg(long, short, conflicts_with_all = ["key", "value", "unset"])]
    list: bool,
    /// Show where each setting comes from
    #[arg(long)]
    show_origin: bool,
    #[command(flatten)]
    level: LevelArgs,
    #[command(flatten)]
    dry_run: DryRun,
}

/// The settings, and how to show them.
#[derive(serde::Serialize)]
pub(crate) struct ConfigReport {
    #[serde(flatten)]
    report: config::ConfigReport,
    #[serde(skip)]
    key: Option<String>,
    #[serde(skip)]
    show_origin: bool,
    /// What to hand to `git add`.
    #[serde(skip)]
    git_add: Option<String>,
}

pub(crate) fn run(cx: &Context, args: ConfigArgs) -> Result<ConfigReport, CliError> {
    let action = match (args.key.clone(), args.value) {
        (None, _) => ConfigAction::List,
        (Some(key), Some(value)) => ConfigAction::Set(key, value),
        (Some(key), None) if args.unset => ConfigAction::Unset(key),
        (Some(key), None) => ConfigAction::Get(key),
    };
    if args.show_origin && matches!(action, ConfigAction::Set(..) | ConfigAction::Unset(_)) {
        return Err(CliError::new(ErrorKind::Usage, "`--show-origin` is for reading only"));
    }
    let options = ConfigOptions { action, level: args.level.level(), dry_run: args.dry_run.dry_run };
    let mut report = config::run(&cx.around(), &options)?;
    report.file = report.file.map(|file| cx.shown(&file));
    for value in &mut report.values {
        // `FILE:LINE`, which is a path to `shown` like any other.
        value.origin = cx.shown(&value.origin);
    }
    let git_add = cx.tracked_settings().filter(|file| report.changed && report.file.as_ref() == Some(file));
    Ok(ConfigReport { report, key: args.key, show_origin: args.show_origin, git_add })
}

impl Report for ConfigReport {
    fn text(&self, out: &mut Text) {
        for value in &self.report.values {
            if self.show_origin {
                out.name(&value.origin).tab();
            }
            if self.key.is_none() {
                out.put(&value.key).put("=");
            }
            out.put(&value.value).end();
        }
    }

    fn summary(&self, _took: Duration, out: &mut Text) {
        for value in &self.report.values {
            if let Some(problem) = &value.problem {
                out.warn("warning").put(": ").put(problem).end();
            }
        }
        let (Some(key), Some(file)) = (&self.key, &self.report.file) else { return };
        out.put(match (self.report.dry_run, self.report.changed) {
            (true, _) => "Would change `",
            (false, true) => "Changed `",
            (false, false) => "Nothing to change: `",
        });
        out.name(key).put("` in `").name(file).put("`.").end();
        if let Some(file) = self.git_add.as_ref().filter(|_| !self.report.dry_run) {
            out.hint(format!("git add {}", shell::path(file)));
        }
    }
}
