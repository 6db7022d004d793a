//! Arguments that several commands share, as groups to flatten into theirs.
//!
//! One flag has one meaning and one help text wherever it appears.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use crate::cli::ui::{Colour, Ui};
use crate::config::Level;
use crate::ops::share::gather::Scope;
use crate::ops::status::RemoteQuestion;
use crate::ops::targets::{FilterOptions, TargetOptions};

/// What every command takes.
#[derive(clap::Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct GlobalArgs {
    /// Print one JSON document on stdout; events go to stderr, one object a line
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Print only data and errors
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
    /// Log what is done to stderr; twice for more
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    /// Run as if started in DIR
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) cd: Option<PathBuf>,
    /// When to use colours: auto, always, never; `NO_COLOR` is honoured
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        value_enum,
        default_value_t,
        hide_possible_values = true
    )]
    pub(crate) color: Colour,
    /// Give up at once where another process holds what is needed, with exit code 6
    #[arg(long, global = true)]
    pub(crate) no_wait: bool,
}

impl GlobalArgs {
    /// The printer that these arguments ask for.
    pub(crate) fn ui(&self) -> Ui {
        Ui::new(self.color, self.json, self.quiet)
    }
}

/// What the command is about.
#[derive(clap::Args)]
pub(crate) struct TargetArgs {
    /// Outputs, paths inside tracked folders, pointers, stages; all of the repository if none
    #[arg(value_name = "TARGET")]
    pub(crate) targets: Vec<String>,
    /// Read targets as patterns: `*`, `**`, `?`, `[a-z]`
    #[arg(long)]
    pub(crate) glob: bool,
    /// Take everything that is tracked below a target that is a folder
    #[arg(long, short = 'R')]
    pub(crate) recursive: bool,
    /// Take also what the targets depend on
    #[arg(long, short = 'd')]
    pub(crate) with_deps: bool,
}

impl TargetArgs {
    /// The targets in the form that operations take.
    pub(crate) fn into_options(self) -> TargetOptions {
        TargetOptions { targets: self.targets, glob: self.glob, with_deps: self.with_deps }
    }
}

/// Which commits, besides the work tree.
#[derive(clap::Args)]
pub(crate) struct ScopeArgs {
    /// Also what the newest commit of each local branch names
    #[arg(long, short = 'a')]
    all_branches: bool,
    /// Also what the commit of each tag names
    #[arg(long, short = 'T')]
    all_tags: bool,
    /// Also what any commit names
    #[arg(long, short = 'A')]
    all_commits: bool,
}

impl ScopeArgs {
    /// The commits in the form that operations take.
    pub(crate) fn scope(&self) -> Scope {
        Scope { branches: self.all_branches, tags: self.all_tags, all_commits: self.all_commits }
    }
}

/// Which remote.
#[derive(clap::Args)]
pub(crate) struct RemoteArgs {
    /// The remote to use instead of the default one
    #[arg(long, short, value_name = "NAME")]
    pub(crate) remote: Option<String>,
}

/// How much at once.
#[derive(clap::Args)]
pub(crate) struct JobsArgs {
    /// How many threads to use; the result does not depend on it
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    jobs: Option<u16>,
}

impl JobsArgs {
    /// The number, if one was given.
    pub(crate) fn number(&self) -> Option<NonZeroUsize> {
        self.jobs.and_then(|number| NonZeroUsize::new(number.into()))
    }
}

/// Which state of the project.
#[derive(clap::Args)]
pub(crate) struct RevArgs {
    /// A branch, tag or commit; without it, what pointers and locks of the work tree name
    #[arg(long, value_name = "REV")]
    pub(crate) rev: Option<String>,
}

/// Whether to act.
#[derive(clap::Args)]
pub(crate) struct DryRun {
    /// Report what would be done, and do nothing
    #[arg(long, short = 'n', visible_alias = "dry")]
    pub(crate) dry_run: bool,
}

/// What `status` asks of the remote.
#[derive(clap::Args)]
pub(crate) struct NotInRemoteArgs {
    /// List what is recorded and not on the remote, file by file with `--granular`
    #[arg(long)]
    not_in_remote: bool,
}

impl NotInRemoteArgs {
    /// What is asked, if anything is; `section` for the comparison of cache and remote.
    pub(crate) fn question(self, section: bool, remote: RemoteArgs) -> Option<RemoteQuestion> {
        let NotInRemoteArgs { not_in_remote } = self;
        let is_asked = section || not_in_remote;
        is_asked.then_some(RemoteQuestion { name: remote.remote, section, not_in_remote })
    }
}

/// Whether a difference is a failure.
#[derive(clap::Args)]
pub(crate) struct ExitCodeArgs {
    /// Exit with 1 if there are differences
    #[arg(long)]
    pub(crate) exit_code: bool,
}

/// Which files of what is meant.
#[derive(clap::Args)]
pub(crate) struct IncludeArgs {
    /// Take only files that match: a name (`*.csv`), or with a slash a path from here; may be repeated
    #[arg(long, value_name = "PATTERN")]
    include: Vec<String>,
    /// Leave out files that match, in the same form; may be repeated
    #[arg(long, value_name = "PATTERN")]
    exclude: Vec<String>,
}

impl IncludeArgs {
    /// The patterns in the form that operations take.
    pub(crate) fn into_options(self) -> FilterOptions {
        FilterOptions { include: self.include, exclude: self.exclude }
    }
}

/// Which outputs of what is meant.
#[derive(clap::Args)]
pub(crate) struct IncludeOutputsArgs {
    /// Take only outputs that match: a name (`*.bin`), or with a slash a path from here; may be repeated
    #[arg(long, value_name = "PATTERN")]
    include: Vec<String>,
    /// Leave out outputs that match, in the same form; may be repeated
    #[arg(long, value_name = "PATTERN")]
    exclude: Vec<String>,
}

impl IncludeOutputsArgs {
    /// The patterns in the form that operations take.
    pub(crate) fn into_options(self) -> FilterOptions {
        FilterOptions { include: self.include, exclude: self.exclude }
    }
}

/// Which layer of the configuration.
#[derive(clap::Args)]
#[group(multiple = false)]
pub(crate) struct LevelArgs {
    /// The configuration of this machine
    #[arg(long)]
    pub(crate) system: bool,
    /// Your own configuration, for all repositories
    #[arg(long, visible_alias = "user")]
    pub(crate) global: bool,
    /// The repository's configuration, tracked by git; changes go here by default
    #[arg(long)]
    pub(crate) project: bool,
    /// The configuration of this clone alone: the place for credentials
    #[arg(long)]
    pub(crate) local: bool,
}

impl LevelArgs {
    /// The level that was named.
    pub(crate) fn level(&self) -> Option<Level> {
        let named = [
            (self.system, Level::System),
            (self.global, Level::User),
            (self.project, Level::Project),
            (self.local, Level::Local),
        ];
        named.into_iter().find_map(|(is_named, level)| is_named.then_some(level))
    }
}
