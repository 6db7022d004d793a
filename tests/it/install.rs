//! `install.sh` with stand-ins for git, cargo and rustc, so that it needs no build.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// What the script may use besides the stand-ins.
const TOOLS: &[&str] = &["sh", "sed", "dirname", "mkdir", "mktemp", "cp", "mv", "rm", "chmod", "cat"];

/// Puts a program where the real cargo would; the program prints its arguments.
const CARGO: &str = r#"#!/bin/sh
if [ "$1" = --version ]; then echo "cargo 1.95.0"; exit; fi
while [ $# -gt 0 ]; do
    if [ "$1" = --target-dir ]; then target=$2; fi
    shift
done
mkdir -p "$target/release"
printf '#!/bin/sh\necho "mlv $*"\n' > "$target/release/mlv"
"#;

struct Machine {
    root: tempfile::TempDir,
}

impl Machine {
    fn new() -> Machine {
        let machine = Machine { root: tempfile::tempdir().expect("a temporary folder") };
        fs::create_dir(machine.bin()).expect("a folder for programs");
        for tool in TOOLS {
            let found = ["/bin", "/usr/bin"]
                .iter()
                .map(|folder| Path::new(folder).join(tool))
                .find(|path| path.exists());
            symlink(found.expect("a usual tool"), machine.bin().join(tool)).expect("a link");
        }
        machine.program("cargo", CARGO);
        machine.program("rustc", "#!/bin/sh\necho 'rustc 1.95.0 (59807616e 2026-04-14)'\n");
        for tool in ["git", "cc", "python3"] {
            machine.program(tool, "#!/bin/sh\n");
        }
        machine
    }

    fn bin(&self) -> PathBuf {
        self.root.path().join("bin")
    }

    fn program(&self, name: &str, text: &str) {
        let path = self.bin().join(name);
        fs::write(&path, text).expect("a stand-in");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("its mode");
    }

    fn without(self, tool: &str) -> Machine {
        fs::remove_file(self.bin().join(tool)).expect("the tool was there");
        self
    }

    fn install(&self, arguments: &[&str]) -> Output {
        Command::new("/bin/sh")
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("install.sh"))
            .args(arguments)
            .env_clear()
            .env("PATH", self.bin())
            .env("HOME", self.root.path().join("home"))
            .env("CARGO_TARGET_DIR", self.root.path().join("target"))
            .output()
            .expect("sh starts")
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn install_puts_the_program_where_it_is_told_and_may_be_run_twice() {
    let machine = Machine::new();
    let to = machine.root.path().join("some where");
    for _ in 0..2 {
        let output = machine.install(&["--to", to.to_str().expect("a text path")]);
        assert!(output.status.success(), "{}", said(&output));
        assert!(said(&output).contains("is not in PATH"), "{}", said(&output));
    }
    let names: Vec<_> =
        fs::read_dir(&to).expect("the folder").map(|entry| entry.expect("an entry").file_name()).collect();
    assert_eq!(names, ["mlv"], "nothing is left over");
}

#[test]
fn install_goes_below_home_by_default() {
    let machine = Machine::new();
    let output = machine.install(&[]);
    assert!(output.status.success(), "{}", said(&output));
    assert!(machine.root.path().join("home/.local/bin/mlv").is_file());
}

#[test]
fn install_runs_the_demo_in_a_temporary_folder() {
    let machine = Machine::new();
    let output = machine.install(&["--demo"]);
    assert!(output.status.success(), "{}", said(&output));
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(printed.starts_with("mlv demo /tmp/mlv-demo."), "{printed}");
}

#[test]
fn install_says_what_is_missing_and_how_to_get_it() {
    for (tool, remedy) in [("git", "install git"), ("cargo", "rustup.rs"), ("cc", "build-essential")] {
        let machine = Machine::new().without(tool);
        let output = machine.install(&["--to", "/nonexistent"]);
        assert_eq!(output.status.code(), Some(1));
        assert!(said(&output).contains(&format!("error: `{tool}` is not here")), "{}", said(&output));
        assert!(said(&output).contains(remedy), "{}", said(&output));
    }
}

#[test]
fn install_refuses_a_compiler_that_is_too_old() {
    let machine = Machine::new();
    machine.program("rustc", "#!/bin/sh\necho 'rustc 1.9.0'\n");
    let output = machine.install(&[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("rustc 1.9.0 is too old"), "{}", said(&output));
    assert!(said(&output).contains("rustup update"), "{}", said(&output));
}

#[test]
fn install_refuses_arguments_it_does_not_know() {
    let machine = Machine::new();
    for arguments in [&["--too"][..], &["--to"], &["--to", ""]] {
        let output = machine.install(arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
    }
    let help = machine.install(&["--help"]);
    assert!(help.status.success());
    assert!(String::from_utf8_lossy(&help.stdout).contains("usage: ./install.sh"));
}
