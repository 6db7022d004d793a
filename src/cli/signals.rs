//! Ctrl-C and SIGTERM: the first asks the operation to stop, the second ends the process; where
//! commands of stages run, the second ends these at once, and the third the process.

use std::sync::Arc;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::error::ErrorKind;
use crate::report::{interrupt_flag, signal_flag};

/// Installs the handlers. If that fails, signals end the process as they do without.
pub(crate) fn install() {
    let code = i32::from(ErrorKind::Interrupted.info().exit_code);
    for signal in [SIGINT, SIGTERM] {
        // The order matters: the second signal finds the flag set by the first, and who sees the
        // interrupt finds the signal.
        let _ = flag::register_conditional_shutdown(signal, code, Arc::clone(signal_flag()));
        let _ = flag::register(signal, Arc::clone(signal_flag()));
        let _ = flag::register(signal, Arc::clone(interrupt_flag()));
    }
}
