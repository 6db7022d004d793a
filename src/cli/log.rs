//! Debug logs: off unless `-v` or `MLV_LOG` asks for them. Never used for messages to users.

use std::io::{self, Write};

use tracing_subscriber::filter::LevelFilter;

use crate::cli::escape::{escape, redact};

/// Sends log lines to stderr from the level that `-v` (info), `-vv` (debug), `-vvv` (trace) or
/// `MLV_LOG` (a level's name) asks for.
pub(crate) fn install(verbose: u8) {
    let level = match verbose {
        0 => std::env::var("MLV_LOG").ok().and_then(|name| name.parse().ok()).unwrap_or(LevelFilter::OFF),
        1 => LevelFilter::INFO,
        2 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    if level == LevelFilter::OFF {
        return;
    }
    // Fails only if a logger is there already, as when tests call this twice.
    let _ = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_ansi(false)
        .with_writer(|| SafeStderr)
        .try_init();
}

/// Stderr behind the escaping and redacting that everything printed goes through.
struct SafeStderr;

impl Write for SafeStderr {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        let safe = format!("{}\n", escape(redact(text.trim_end()).as_ref()));
        io::stderr().lock().write_all(safe.as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
