//! One file a command. A command in full, as a pattern for the next:
//!
//! ```ignore
//! /// Upload tracked data to a remote
//! ///
//! /// Sends only what the remote lacks. Safe to interrupt and to repeat.
//! #[derive(clap::Args)]
//! #[command(after_help = help::after(&[
//!     ("mlv push", "everything that this commit names"),
//!     ("mlv push data/train -r backup", "one folder, to another remote"),
//! ], &[3, 4, 5, 7]))]
//! pub(crate) struct PushArgs {
//!     #[command(flatten)]
//!     targets: TargetArgs,
//!     #[command(flatten)]
//!     dry_run: DryRun,
//! }
//!
//! pub(crate) fn run(cx: &Context, args: &PushArgs) -> Result<PushReport, CliError> {
//!     let repo = cx.repo()?;
//!     let plan = ops::push::plan(repo, &args.options(), cx.reporter())?;
//!     if args.dry_run.dry_run {
//!         return Ok(plan.into_report());
//!     }
//!     Ok(ops::push::apply(repo, plan, cx.reporter())?)
//! }
//!
//! impl Report for PushReport {
//!     fn summary(&self, took: Duration, out: &mut Text) {
//!         out.put("Pushed ").put(count(self.objects, "object")).put(" (").put(ByteSize(self.bytes));
//!         out.put(") to `").name(&self.remote).put("` in ").put(Span(took)).put(".").end();
//!     }
//! }
//! ```
//!
//! plus a variant of [`Command`], an arm of its `run`, and a place in `help::GROUPS`. A text of more than a few lines goes
//! to a file of the same name in `render/`.

pub(crate) mod add;
pub(crate) mod cache;
pub(crate) mod cat;
pub(crate) mod checkout;
pub(crate) mod commit;
pub(crate) mod config;
pub(crate) mod dag;
pub(crate) mod data;
pub(crate) mod demo;
pub(crate) mod diff;
pub(crate) mod explain;
pub(crate) mod fetch;
pub(crate) mod freeze;
pub(crate) mod fsck;
pub(crate) mod gc;
pub(crate) mod get;
pub(crate) mod init;
pub(crate) mod install;
pub(crate) mod logs;
pub(crate) mod ls;
pub(crate) mod merge_driver;
pub(crate) mod metrics;
pub(crate) mod params;
pub(crate) mod plots;
pub(crate) mod pull;
pub(crate) mod push;
pub(crate) mod remote;
pub(crate) mod remove;
pub(crate) mod report;
pub(crate) mod repro;
pub(crate) mod rescue;
pub(crate) mod resolve;
pub(crate) mod root;
pub(crate) mod stage;
pub(crate) mod status;
pub(crate) mod verify;
pub(crate) mod version;

use crate::cli::context::Context;
use crate::cli::report::finish;

/// The commands. Their manual is the doc comment of the arguments.
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    Add(add::AddArgs),
    Cache(cache::CacheArgs),
    Cat(cat::CatArgs),
    Checkout(checkout::CheckoutArgs),
    Commit(commit::CommitArgs),
    Config(config::ConfigArgs),
    Dag(dag::DagArgs),
    Data(data::DataArgs),
    Demo(demo::DemoArgs),
    Diff(diff::DiffArgs),
    Explain(explain::ExplainArgs),
    Fetch(fetch::FetchArgs),
    Freeze(freeze::FreezeArgs),
    Fsck(fsck::FsckArgs),
    Gc(gc::GcArgs),
    Get(get::GetArgs),
    Init(init::InitArgs),
    Install(install::InstallArgs),
    Logs(logs::LogsArgs),
    Ls(ls::LsArgs),
    MergeDriver(merge_driver::MergeDriverArgs),
    Metrics(metrics::MetricsArgs),
    Params(params::ParamsArgs),
    Plots(plots::PlotsArgs),
    Pull(pull::PullArgs),
    Push(push::PushArgs),
    Remote(remote::RemoteArgs),
    Remove(remove::RemoveArgs),
    Report(report::ReportArgs),
    Rescue(rescue::RescueArgs),
    Repro(repro::ReproArgs),
    Resolve(resolve::ResolveArgs),
    Root(root::RootArgs),
    Stage(stage::StageArgs),
    Status(status::StatusArgs),
    Unfreeze(freeze::UnfreezeArgs),
    Verify(verify::VerifyArgs),
    Version(version::VersionArgs),
}

impl Command {
    /// Runs the command, shows its report, and returns the process's exit code.
    pub(crate) fn run(self, cx: &Context) -> u8 {
        match self {
            Command::Add(args) => finish(cx, add::run(cx, args)),
            Command::Cache(args) => args.run(cx),
            Command::Cat(args) => finish(cx, cat::run(cx, args)),
            Command::Checkout(args) => finish(cx, checkout::run(cx, args)),
            Command::Commit(args) => finish(cx, commit::run(cx, args)),
            Command::Config(args) => finish(cx, config::run(cx, args)),
            Command::Dag(args) => finish(cx, dag::run(cx, args)),
            Command::Data(args) => args.run(cx),
            Command::Demo(args) => finish(cx, demo::run(cx, &args)),
            Command::Diff(args) => finish(cx, diff::run(cx, args)),
            Command::Explain(args) => finish(cx, explain::run(cx, args)),
            Command::Fetch(args) => finish(cx, fetch::run(cx, args)),
            Command::Freeze(args) => finish(cx, freeze::freeze(cx, args)),
            Command::Fsck(args) => finish(cx, fsck::run(cx, &args)),
            Command::Gc(args) => finish(cx, gc::run(cx, args)),
            Command::Get(args) => finish(cx, get::run(cx, args)),
            Command::Install(args) => finish(cx, install::run(cx, &args)),
            Command::Logs(args) => finish(cx, logs::run(cx, args)),
            Command::Ls(args) => finish(cx, ls::run(cx, args)),
            Command::MergeDriver(args) => finish(cx, merge_driver::run(cx, args)),
            Command::Metrics(args) => args.run(cx),
            Command::Params(args) => args.run(cx),
            Command::Plots(args) => args.run(cx),
            Command::Pull(args) => finish(cx, pull::run(cx, args)),
            Command::Push(args) => finish(cx, push::run(cx, args)),
            Command::Init(args) => finish(cx, init::run(cx, args)),
            Command::Remote(args) => args.run(cx),
            Command::Remove(args) => finish(cx, remove::run(cx, args)),
            Command::Report(args) => finish(cx, report::run(cx, args)),
            Command::Rescue(args) => args.run(cx),
            Command::Repro(args) => finish(cx, repro::run(cx, args)),
            Command::Resolve(args) => finish(cx, resolve::run(cx, args)),
            Command::Root(args) => finish(cx, root::run(cx, &args)),
            Command::Stage(args) => args.run(cx),
            Command::Status(args) => finish(cx, status::run(cx, args)),
            Command::Unfreeze(args) => finish(cx, freeze::unfreeze(cx, args)),
            Command::Verify(args) => finish(cx, verify::run(cx, args)),
            Command::Version(args) => finish(cx, version::run(cx, &args)),
        }
    }
}
