//! Events as lines of text.

use std::time::Duration;

use crate::cli::escape::visible;
use crate::cli::ui::{Text, Ui};
use crate::model::units::{ByteSize, Span};
use crate::report::Event;

/// The event behind what a stage printed last.
pub(super) fn with_last_lines(event: &Event, last_lines: &[String], ui: Ui) -> Text {
    let mut out = ui.note_text();
    for line in last_lines {
        out.put("  ").faint(line).end();
    }
    describe(event, &mut out);
    out
}

/// The event as people read it.
pub(super) fn line_of(event: &Event, ui: Ui) -> Text {
    let mut out = ui.note_text();
    describe(event, &mut out);
    out
}

fn describe(event: &Event, out: &mut Text) {
    match event {
        Event::Warning { message } => out.warn("warning").put(": ").put(message),
        Event::Hint { message } => out.name("hint").put(": ").put(message),
        Event::Waiting { holder } => out.put("waiting for ").put(holder),
        Event::Resuming { already, total } => {
            let (already, total) = (ByteSize(*already), ByteSize(*total));
            out.put(format!("resuming: {already} of {total} already at storage"))
        }
        Event::StageStarted { stage, command } => {
            out.put("Running stage `").name(stage).put("`:").end();
            out.put("> ").lines(command, 2)
        }
        Event::StageOutput { stage, line } | Event::StageProgress { stage, line } => {
            out.name(stage).put(" | ").put(visible(line))
        }
        Event::StageFinished { stage, millis } => {
            out.put("Stage `").name(stage).put("` ").good("done");
            out.put(" in ").put(Span(Duration::from_millis(*millis)))
        }
        Event::StageSkipped { stage, why } => out.put("Stage `").name(stage).put("` skipped: ").put(why),
        Event::StageRestored { stage, from } => {
            out.put("Stage `").name(stage).put("` restored from the ").put(from)
        }
        Event::StageInterrupted { stage } => out.put("Stage `").name(stage).put("` ").warn("interrupted"),
        Event::StageFailed { stage, code } => {
            out.put("Stage `").name(stage).put("` ").bad("failed");
            if let Some(code) = code {
                out.put(" with exit code ").put(code);
            }
            &mut *out
        }
    };
    out.end();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::ui::Colour;

    fn text_of(event: &Event) -> String {
        line_of(event, Ui::new(Colour::Never, false, false)).as_str().to_owned()
    }

    #[test]
    fn events_read_as_sentences() {
        let stage = || "train".to_owned();
        assert_eq!(
            text_of(&Event::StageStarted { stage: stage(), command: "python a.py\npython b.py".into() }),
            "Running stage `train`:\n> python a.py\n  python b.py\n"
        );
        assert_eq!(
            text_of(&Event::StageFailed { stage: stage(), code: Some(3) }),
            "Stage `train` failed with exit code 3\n"
        );
        assert_eq!(
            text_of(&Event::StageOutput { stage: stage(), line: "1\r2\x1b[0m".into() }),
            "train | 2\n"
        );
        assert_eq!(text_of(&Event::Waiting { holder: "pid 7".into() }), "waiting for pid 7\n");
        assert_eq!(
            text_of(&Event::Warning { message: "a\x1b]0;x\x07".into() }),
            "warning: a\\x1b]0;x\\x07\n"
        );
    }
}
