use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::json;

use crate::cli::args::DryRun;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::help;
use crate::cli::render::count;
use crate::cli::report::Report;
use crate::cli::ui::Text;
use crate::error::ErrorKind;
use crate::model::shell;
use crate::model::units::{ByteSize, Span};
use crate::ops::demo::{self, STEPS, Step};
use crate::report::interrupted;

/// Walk through a small real project: add, push, repro, pull
///
/// Makes a folder with 1,797 scans of handwritten digits and a pipeline that trains a model on
/// them, and runs the commands of a first day in it, each shown as you would type it. The
/// remote is a folder beside the project; nothing outside DIR is read or changed. Needs git and
/// python3. The second clone works without python3: what was run before is restored. At the end the
/// clones are compared byte for byte.
#[derive(clap::Args)]
#[command(after_help = help::after(&[
    ("mlv demo", "in the new folder mlv-demo"),
    ("mlv demo --dry-run", "read the commands first"),
], &[2, 5, 8, 9]))]
pub(crate) struct DemoArgs {
    /// The folder to make; nothing may be in it
    #[arg(default_value = "mlv-demo", value_name = "DIR")]
    folder: PathBuf,
    #[command(flatten)]
    dry_run: DryRun,
}

/// What the demo did.
#[derive(serde::Serialize)]
pub(crate) struct DemoReport {
    /// The folder that holds everything.
    folder: String,
    /// The commands, in order.
    commands: Vec<String>,
    /// What came out of it; nothing after a dry run.
    #[serde(flatten)]
    outcome: Option<Outcome>,
}

/// What is in the clones, and what the remote made of it.
#[derive(serde::Serialize)]
struct Outcome {
    #[serde(flatten)]
    contents: demo::Contents,
    /// How the remote stores it.
    remote: demo::Census,
}

pub(crate) fn run(cx: &Context, args: &DemoArgs) -> Result<DemoReport, CliError> {
    let mut report = DemoReport {
        folder: args.folder.display().to_string(),
        commands: STEPS.iter().filter_map(Step::command).map(shown).collect(),
        outcome: None,
    };
    if !args.dry_run.dry_run {
        require("git", "apt-get install git")?;
        require("python3", "apt-get install python3")?;
        let walk = Walk::new(cx, &args.folder)?;
        demo::unpack(&args.folder, walk.mlv.as_os_str(), &walk.search)?;
        walk.run()?;
        let contents = demo::compare_clones(&args.folder)?;
        report.outcome = Some(Outcome { contents, remote: demo::stored(&args.folder)? });
    }
    Ok(report)
}

fn require(program: &str, install: &str) -> Result<(), CliError> {
    let probe = Command::new(program).arg("--version").stdin(Stdio::null()).output();
    match probe {
        Ok(output) if output.status.success() => Ok(()),
        _ => Err(CliError::new(ErrorKind::NotFound, format!("the demo needs `{program}`")).hint(install)),
    }
}

/// The walk as it goes: each command is shown, then run in the folder that `cd` led to.
struct Walk<'a> {
    cx: &'a Context,
    root: &'a Path,
    folder: PathBuf,
    mlv: PathBuf,
    /// The `PATH` of what is run.
    search: OsString,
}

impl<'a> Walk<'a> {
    fn new(cx: &'a Context, root: &'a Path) -> Result<Walk<'a>, CliError> {
        let mlv = std::env::current_exe().map_err(|error| {
            CliError::new(ErrorKind::of_io(&error), "cannot find this program's own file").because(error)
        })?;
        let search = std::env::var_os("PATH").unwrap_or_default();
        Ok(Walk { cx, root, folder: cx.cwd().join(root), mlv, search })
    }

    fn run(mut self) -> Result<(), CliError> {
        for step in STEPS {
            self.show(step)?;
            match step {
                Step::Run(_, ["cd", folder]) => self.folder.push(folder),
                Step::Run(_, ["export", set]) => {
                    let path = set.strip_prefix("PATH=").expect("the walk exports nothing else");
                    self.search = path.replace("$PWD", &self.folder.to_string_lossy()).into();
                }
                Step::Run(_, command) => self.execute(command)?,
                Step::Part(_) => {}
            }
        }
        Ok(())
    }

    /// On a terminal what comes next is shown before it starts; events tell afterwards.
    fn show(&self, step: &Step) -> Result<(), CliError> {
        let ui = self.cx.ui();
        if ui.is_json() || ui.is_quiet() {
            return Ok(());
        }
        let mut text = ui.text();
        render(step, &mut text);
        ui.data(&text)
    }

    fn execute(&self, command: &[&str]) -> Result<(), CliError> {
        let output = self.output(command).map_err(|error| {
            let message = format!("cannot start `{}`", shown(command));
            CliError::new(ErrorKind::of_io(&error), message).because(error)
        })?;
        if interrupted() {
            return Err(CliError::new(ErrorKind::Interrupted, "interrupted"));
        }
        let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        if output.status.success() {
            if self.cx.ui().is_json() {
                let event = json!({ "event": "command", "command": shown(command), "output": said.concat() });
                self.cx.ui().note_json(&event);
            }
            return Ok(());
        }
        let message = match output.status.code() {
            Some(code) => format!("`{}` ended with exit code {code}", shown(command)),
            None => format!("`{}` was ended by a signal", shown(command)),
        };
        let mut error = CliError::new(ErrorKind::StageFailed, message);
        if !said[1].trim().is_empty() {
            error = error.because(said[1].trim());
        }
        let root = shell::word(&self.root.to_string_lossy());
        Err(error.hint(format!("the files are as that command left them: cd {root}")))
    }

    /// Runs the command on this terminal, or with its output kept where nobody is to see it.
    fn output(&self, command: &[&str]) -> std::io::Result<Output> {
        let program = if command[0] == "mlv" { self.mlv.as_os_str() } else { OsStr::new(command[0]) };
        let mut child = Command::new(program);
        child.args(&command[1..]).current_dir(&self.folder).stdin(Stdio::null());
        child.env("PATH", &self.search);
        self.isolate(&mut child);
        if self.cx.ui().is_json() || self.cx.ui().is_quiet() {
            return child.output();
        }
        let status = child.status()?;
        Ok(Output { status, stdout: Vec::new(), stderr: Vec::new() })
    }

    /// Neither the user's settings nor a surrounding git command decide what the demo does, and
    /// it commits under a name of its own.
    fn isolate(&self, child: &mut Command) {
        let foreign = |name: &OsStr| {
            name.as_encoded_bytes().starts_with(b"GIT_") || name.as_encoded_bytes().starts_with(b"MLV_")
        };
        for (name, _) in std::env::vars_os().filter(|(name, _)| foreign(name)) {
            child.env_remove(name);
        }
        let none = self.root.join("no-configuration");
        child.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CONFIG_GLOBAL", "/dev/null");
        child.env("MLV_SYSTEM_CONFIG_DIR", &none).env("MLV_GLOBAL_CONFIG_DIR", &none);
        for who in ["AUTHOR", "COMMITTER"] {
            child.env(format!("GIT_{who}_NAME"), "mlv demo");
            child.env(format!("GIT_{who}_EMAIL"), "demo@localhost");
        }
    }
}

/// The command as it is typed into a shell.
fn shown(command: &[&str]) -> String {
    // What is expanded is not quoted.
    if let ["export", set] = command {
        return format!("export {set}");
    }
    command.iter().map(|word| shell::word(word)).collect::<Vec<_>>().join(" ")
}

fn render(step: &Step, out: &mut Text) {
    match step {
        Step::Part(title) => out.end().strong(format!("== {title}")).end(),
        Step::Run(why, command) => {
            if !why.is_empty() {
                out.end().faint(format!("# {why}")).end();
            }
            out.put("$ ").good(shown(command)).end()
        }
    };
}

impl Report for DemoReport {
    /// Of a dry run the commands; a real one has shown them as it went.
    fn text(&self, out: &mut Text) {
        if self.outcome.is_none() {
            STEPS.iter().for_each(|step| render(step, out));
        }
    }

    fn summary(&self, took: Duration, out: &mut Text) {
        let Some(Outcome { contents, remote }) = &self.outcome else { return };
        out.end().put("Both clones hold the same ");
        out.put(count(contents.entries, "entry"))
            .put(" (")
            .put(ByteSize(contents.bytes))
            .put("), byte for byte. ");
        out.put("The remote holds ").put(count(remote.packs, "pack")).put(" with ");
        out.put(count(remote.chunks, "chunk")).put(" and ").put(count(remote.pages, "page"));
        out.put(", ").put(ByteSize(remote.bytes)).put(". All of it in ").put(Span(took)).put(".").end();
        let folder = Path::new(&self.folder).join(demo::PROJECT);
        out.hint(format!("look around: cd {}", shell::word(&folder.to_string_lossy())));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_shown_as_a_shell_reads_them() {
        assert_eq!(shown(&["git", "commit", "-m", "More digits"]), "git commit -m 'More digits'");
        assert_eq!(shown(&["export", "PATH=$PWD/bin"]), "export PATH=$PWD/bin");
    }
}
