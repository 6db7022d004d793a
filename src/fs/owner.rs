//! Who a temporary file or lock belongs to, and whether that process is provably gone (R1).
//!
//! An owner is host, boot, pid namespace and pid: only a process of the same boot *and* the
//! same namespace may call another dead by its pid. Containers on one machine share the boot
//! but not the pids; machines on one network file system share neither.

use std::sync::OnceLock;

use crate::model::digest::Digest;

/// The name of this process among all that may use the same files:
/// `<host 8 hex>-<boot 8 hex>-<pid namespace>-<pid>`.
pub fn current() -> &'static str {
    static NAME: OnceLock<String> = OnceLock::new();
    NAME.get_or_init(|| format!("{}-{}", place(), std::process::id()))
}

/// The machine's name.
pub fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// Host, boot and pid namespace of this process: within equal ones pids can be compared.
fn place() -> String {
    let host = std::fs::read_to_string("/etc/machine-id").ok().filter(|id| !id.trim().is_empty());
    let host = host.unwrap_or_else(host_name);
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let namespace = std::fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    let namespace: String = namespace.to_string_lossy().chars().filter(char::is_ascii_digit).collect();
    format!("{}-{}-{}", short(&host), short(&boot), if namespace.is_empty() { "0" } else { &namespace })
}

fn short(text: &str) -> String {
    let mut hex = Digest::of(text.trim().as_bytes()).to_string();
    hex.truncate(8);
    hex
}

/// What is known about the owner that a name starts with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// A process of this boot and namespace that runs (or one that took over its pid).
    Alive,
    /// A process of this boot and namespace that is gone.
    Dead,
    /// A process elsewhere, or no owner's name at all: its lock and its age must tell.
    Unknown,
}

/// Whether the owner of `name` lives; `name` is `<owner>-…` or an owner.
pub fn life(name: &str) -> Life {
    let mine = current();
    let Some((my_place, _)) = mine.rsplit_once('-') else { return Life::Unknown };
    let Some(pid) = name.strip_prefix(my_place).and_then(|rest| rest.strip_prefix('-')) else {
        return Life::Unknown;
    };
    let pid = pid.split('-').next().unwrap_or_default();
    match pid.parse().ok().and_then(rustix::process::Pid::from_raw) {
        Some(pid) => life_of(pid),
        None => Life::Unknown,
    }
}

fn life_of(pid: rustix::process::Pid) -> Life {
    match rustix::process::test_kill_process(pid) {
        Err(rustix::io::Errno::SRCH) => Life::Dead,
        // Allowed or forbidden: it exists.
        _ => Life::Alive,
    }
}

/// What this process calls itself to others: `pid 4242 (mlv repro)`.
pub fn holder() -> String {
    let mut words = std::env::args().take(2);
    let program = words.next().unwrap_or_default();
    let program = program.rsplit('/').next().unwrap_or_default().to_owned();
    let command = words.next().filter(|word| !word.starts_with('-'));
    let name = command.map_or_else(|| program.clone(), |command| format!("{program} {command}"));
    format!("pid {} ({name})", std::process::id())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_process_of_this_boot_and_namespace_is_called_dead() {
        assert_eq!(life(current()), Life::Alive);
        assert_eq!(life(&format!("{}-{}", current(), "00ff")), Life::Alive);
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let gone = format!("{}-{}-00ff", place(), child.id());
        child.wait().unwrap();
        assert_eq!(life(&gone), Life::Dead);
        assert_eq!(life(&gone.replacen(|c: char| c.is_ascii_hexdigit(), "x", 1)), Life::Unknown);
        assert_eq!(life("anything"), Life::Unknown);
    }

    #[test]
    fn holder_names_process_and_program() {
        assert!(holder().starts_with(&format!("pid {} (", std::process::id())));
    }
}
