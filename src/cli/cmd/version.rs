use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::help;
use crate::cli::report::Report;
use crate::cli::ui::Text;

/// The version of the JSON forms. Fields may be added within a version; one that is renamed,
/// removed or changed in meaning raises it.
const JSON_FORMS: u32 = 1;

/// Print the version of mlv and of its JSON forms
#[derive(clap::Args)]
#[command(after_help = help::after(&[
    ("mlv version --json", "the versions that a script can rely on"),
], &[]))]
pub(crate) struct VersionArgs {}

/// Which program this is.
#[derive(serde::Serialize)]
pub(crate) struct VersionReport {
    /// The program's version.
    version: &'static str,
    /// The version of the JSON forms of all commands.
    json: u32,
    /// The operating system that it was built for: `linux`, `macos`.
    os: &'static str,
    /// The processor that it was built for: `x86_64`.
    arch: &'static str,
}

impl VersionReport {
    /// This program.
    pub(crate) fn current() -> VersionReport {
        VersionReport {
            version: env!("CARGO_PKG_VERSION"),
            json: JSON_FORMS,
            os: std::env::consts::OS,
            arch: std::env::consts::ARCH,
        }
    }
}

pub(crate) fn run(_cx: &Context, _args: &VersionArgs) -> Result<VersionReport, CliError> {
    Ok(VersionReport::current())
}

impl Report for VersionReport {
    fn text(&self, out: &mut Text) {
        out.put(format!("mlv {} ({} {})", self.version, self.os, self.arch)).end();
    }
}
