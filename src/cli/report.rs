//! What a command returns and how it is shown.

use std::time::Duration;

use serde_json::Value;

use crate::cli::context::Context;
use crate::cli::error::{CliError, Failure};
use crate::cli::ui::Text;

/// The result of a command. The fields that `Serialize` gives are its JSON document: stable
/// names, sorted lists, sizes in bytes, times in RFC 3339 UTC.
pub(crate) trait Report: serde::Serialize {
    /// Writes the data, for stdout; nothing where the command has none.
    fn text(&self, _out: &mut Text) {}

    /// Writes one line on what was done, and hints, for stderr. `took` is the time since the
    /// program started.
    fn summary(&self, _took: Duration, _out: &mut Text) {}

    /// The JSON document, where it is not the report's fields.
    fn json(&self) -> Value {
        serde_json::to_value(self).expect("reports have text keys and finite numbers")
    }

    /// 0, or 1 for "differs" and "nothing matched".
    fn exit_code(&self) -> u8 {
        0
    }

    /// What could not be done while the rest was; decides the exit code if not empty.
    fn failures(&self) -> Vec<Failure> {
        Vec::new()
    }

    /// The same as one error, where there is more to say than the list.
    fn error(&self) -> Option<CliError> {
        let failures = self.failures();
        (!failures.is_empty()).then(|| CliError::several(failures))
    }
}

/// Shows the outcome of a command and returns the process's exit code.
pub(crate) fn finish<R: Report>(cx: &Context, outcome: Result<R, CliError>) -> u8 {
    let ui = cx.ui();
    cx.end_progress();
    let shown = outcome.and_then(|report| show(cx, &report));
    shown.unwrap_or_else(|error| ui.fail(&error.seen_from(&cx.viewpoint())))
}

fn show<R: Report>(cx: &Context, report: &R) -> Result<u8, CliError> {
    let ui = cx.ui();
    let failed = report.error().map(|error| error.seen_from(&cx.viewpoint()));
    if ui.is_json() {
        let mut document = report.json();
        if let Some(error) = &failed {
            merge(&mut document, error.document());
        }
        ui.document(&document)?;
    } else {
        let mut data = ui.text();
        report.text(&mut data);
        ui.data(&data)?;
        let mut notes = ui.note_text();
        if !ui.is_quiet() {
            report.summary(cx.took(), &mut notes);
        }
        if let Some(error) = &failed {
            error.render(&mut notes);
        }
        ui.note(&notes);
    }
    Ok(failed.map_or(report.exit_code(), |error| error.exit_code()))
}

/// Adds the fields of `more`; a document that is a list becomes the field `report`.
fn merge(document: &mut Value, more: Value) {
    if !document.is_object() {
        *document = serde_json::json!({ "report": document.take() });
    }
    if let (Value::Object(document), Value::Object(more)) = (document, more) {
        document.extend(more);
    }
}
