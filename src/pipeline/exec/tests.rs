#![cfg(unix)]

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::model::stage::Shell;
use crate::report::{Event, Meter, NoReport, Task};

/// Keeps the events.
#[derive(Default)]
struct Heard {
    lines: Mutex<Vec<String>>,
    open_lines: Mutex<Vec<String>>,
    warnings: Mutex<Vec<String>>,
}

impl Reporter for Heard {
    fn meter(&self, task: Task) -> Box<dyn Meter> {
        NoReport.meter(task)
    }

    fn event(&self, event: &Event) {
        match event {
            Event::StageOutput { line, .. } => self.lines.lock().unwrap().push(line.clone()),
            Event::StageProgress { line, .. } => self.open_lines.lock().unwrap().push(line.clone()),
            Event::Warning { message } => self.warnings.lock().unwrap().push(message.clone()),
            _ => {}
        }
    }
}

struct Ran {
    end: End,
    lines: Vec<String>,
    warnings: Vec<String>,
    log: Vec<u8>,
}

fn quick() -> ExecOptions<'static> {
    ExecOptions { grace: Duration::from_millis(300), log_limit: 1 << 20, urgency: &|| Urgency::None }
}

fn run_in(folder: &Path, command: &Command, options: ExecOptions<'_>) -> Result<Ran, ExecError> {
    let heard = Heard::default();
    let mut log = Vec::new();
    let execution = Execution {
        stage: "p/mlv.yaml:s",
        command,
        folder,
        root: Path::new("/the/root"),
        run: "r",
        shell: Shell::Sh,
        env: &[],
        timeout: None,
    };
    let end = run(&execution, &mut log, &heard, options)?;
    let (lines, warnings) = (heard.lines.into_inner().unwrap(), heard.warnings.into_inner().unwrap());
    Ok(Ran { end, lines, warnings, log })
}

fn script(text: &str) -> Ran {
    run_in(Path::new("/"), &Command::Script(text.into()), quick()).unwrap()
}

#[test]
fn a_script_is_one_shell_and_stops_at_the_first_failure() {
    let ran = script("x=1\ncd /tmp\necho $x; pwd\nfalse\necho not reached\n");
    assert_eq!((ran.end, ran.lines), (End::Code(1), vec!["1".to_owned(), "/tmp".to_owned()]));
}

#[test]
fn each_item_of_a_list_has_a_shell_of_its_own() {
    let list = |items: &[&str]| Command::List(items.iter().map(|item| (*item).into()).collect());
    let ran = run_in(
        Path::new("/"),
        &list(&["x=1; cd /tmp", "echo ${x-unset}; pwd", "exit 3", "echo no"]),
        quick(),
    );
    let ran = ran.unwrap();
    assert_eq!((ran.end, ran.lines), (End::Code(3), vec!["unset".to_owned(), "/".to_owned()]));
}

#[test]
fn commands_learn_the_root_and_their_stage_and_cannot_read_the_terminal() {
    let ran = script("echo $MLV_ROOT $MLV_STAGE; cat");
    assert_eq!((ran.end, ran.lines), (End::Success, vec!["/the/root p/mlv.yaml:s".to_owned()]));
}

#[test]
fn scripts_that_look_like_options_are_scripts() {
    assert_eq!(script("-x").end, End::Code(127));
    assert_eq!(script("-c 'echo a'").end, End::Code(127));
}

#[test]
fn signals_are_told_apart_from_codes() {
    assert_eq!(script("kill -9 $$").end, End::Signal(9));
}

#[test]
fn output_of_both_streams_keeps_its_order_and_bytes() {
    let ran = script("echo a; echo b >&2; printf 'c\\377\\r\\n'; printf '10%%\\r100%%\\n'; printf end");
    assert_eq!(ran.lines, ["a", "b", "c\u{fffd}", "100%", "end"]);
    assert_eq!(ran.log, b"a\nb\nc\xff\r\n10%\r100%\nend");
}

#[test]
fn states_of_a_progress_bar_are_told_while_its_line_is_open() {
    let (heard, mut log) = (Heard::default(), Vec::new());
    let mut output = output::Output::new("s", &mut log, &heard, 1 << 20);
    for block in ["start\n1 %\r2 %", "\r3 %\r", "\r", "\ndone\n"] {
        output.take(block.as_bytes());
    }
    assert_eq!(*heard.open_lines.lock().unwrap(), ["2 %", "3 %", "3 %"]);
    assert_eq!(*heard.lines.lock().unwrap(), ["start", "3 %", "done"]);
}

#[test]
fn long_lines_come_in_pieces_and_long_logs_are_cut() {
    let options = ExecOptions { log_limit: 1000, ..quick() };
    let text = "head -c 40000 /dev/zero | tr '\\0' x; echo; echo last";
    let ran = run_in(Path::new("/"), &Command::Script(text.into()), options).unwrap();
    let lengths: Vec<usize> = ran.lines.iter().map(String::len).collect();
    assert_eq!(lengths, [16384, 16384, 40000 - 2 * 16384, 4]);
    let log = String::from_utf8(ran.log).unwrap();
    assert_eq!(log.lines().next().unwrap().len(), 1000);
    assert_eq!(log.lines().nth(1), Some("[mlv: the rest of the output is not kept]"));
}

#[test]
fn processes_left_behind_are_ended_and_hold_nothing_up() {
    let marker = tempfile::tempdir().unwrap();
    for background in [
        "sleep 9999 &",
        "sleep 9999 > /dev/null 2>&1 &",
        "(trap '' TERM; while :; do sleep 1; done) &",
        "yes &",
    ] {
        let ran =
            run_in(marker.path(), &Command::Script(format!("{background}\necho $! > pid").into()), quick());
        let ran = ran.unwrap();
        assert_eq!(ran.end, End::Success);
        assert_eq!(ran.warnings, ["stage `p/mlv.yaml:s`: processes that the command left behind were ended"]);
        let pid = std::fs::read_to_string(marker.path().join("pid")).unwrap();
        assert!(ends(pid.trim()), "{background}");
    }
}

/// Whether the process is gone, or only waits to be reaped, within a second.
fn ends(pid: &str) -> bool {
    (0..100).any(|_| {
        std::thread::sleep(Duration::from_millis(10));
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.is_empty() || stat.contains(") Z")
    })
}

#[test]
fn a_daemon_of_another_session_does_not_hold_the_command_up() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = "setsid sh -c 'until [ -e end ]; do sleep 0.02; done; touch ended' &\necho started";
    let ran = run_in(folder.path(), &Command::Script(daemon.into()), quick()).unwrap();
    assert_eq!((ran.end, ran.lines), (End::Success, vec!["started".to_owned()]));
    // Only now may it end, and it still lives to see that.
    std::fs::write(folder.path().join("end"), "").unwrap();
    while !folder.path().join("ended").exists() {
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_command_that_closes_its_output_is_waited_for() {
    let ran = script("exec > /dev/null 2>&1; sleep 0.3; exit 4");
    assert_eq!(ran.end, End::Code(4));
}

#[test]
fn an_interrupt_ends_the_whole_group() {
    let folder = tempfile::tempdir().unwrap();
    let deaf = "trap '' TERM; sh -c 'trap \"\" TERM; echo $$ > pid; sleep 9999; sleep 9999'; sleep 9999";
    let polite = Duration::from_millis(300);
    for (text, grace, asked) in [
        ("sleep 9999 & echo $! > pid; wait", polite, Urgency::Stop),
        (deaf, polite, Urgency::Stop),
        // Who asks twice does not wait for anybody.
        (deaf, Duration::from_secs(600), Urgency::Kill),
    ] {
        let stop = AtomicBool::new(false);
        let urgency = || if stop.load(Ordering::Relaxed) { asked } else { Urgency::None };
        let options = ExecOptions { grace, urgency: &urgency, ..quick() };
        let ran = std::thread::scope(|scope| {
            let command = Command::List(vec![text.into(), "echo never".into()]);
            let runner = scope.spawn(|| {
                let command = command;
                run_in(folder.path(), &command, options).unwrap()
            });
            while !folder.path().join("pid").exists() {
                std::thread::sleep(Duration::from_millis(5));
            }
            stop.store(true, Ordering::Relaxed);
            runner.join().unwrap()
        });
        assert_eq!(ran.end, End::Interrupted);
        assert_eq!(ran.lines, [""; 0]);
        let pid = std::fs::read_to_string(folder.path().join("pid")).unwrap();
        std::fs::remove_file(folder.path().join("pid")).unwrap();
        assert!(ends(pid.trim()), "{text}");
    }
}

#[test]
fn a_log_that_cannot_be_written_is_a_warning() {
    struct Full;
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let heard = Heard::default();
    let command = Command::Script("echo a; sleep 0.1; echo b".into());
    let execution = Execution {
        stage: "s",
        command: &command,
        folder: Path::new("/"),
        root: Path::new("/"),
        run: "r",
        shell: Shell::Sh,
        env: &[],
        timeout: None,
    };
    assert_eq!(run(&execution, &mut Full, &heard, quick()).unwrap(), End::Success);
    assert_eq!(heard.warnings.lock().unwrap().len(), 1);
    assert_eq!(*heard.lines.lock().unwrap(), ["a", "b"]);
}

#[test]
fn a_missing_folder_and_a_script_too_long_are_errors() {
    let missing = run_in(Path::new("/nowhere"), &Command::Script("true".into()), quick());
    assert!(matches!(missing, Err(ExecError::NoFolder { .. })));
    let long = Command::Script("#".repeat(4 << 20).into());
    assert!(matches!(run_in(Path::new("/"), &long, quick()), Err(ExecError::Start { .. })));
}

fn with(shell: Shell, env: &[(Box<str>, Box<str>)], timeout: Option<Duration>, text: &str) -> (End, String) {
    let command = Command::Script(text.into());
    let root = Path::new("/");
    let execution =
        Execution { stage: "s", command: &command, folder: root, root, run: "r", shell, env, timeout };
    let mut log = Vec::new();
    let end = run(&execution, &mut log, &NoReport, quick()).unwrap();
    (end, String::from_utf8(log).unwrap())
}

#[test]
fn bash_fails_with_any_command_of_a_pipe_and_sh_with_the_last() {
    assert_eq!(with(Shell::Sh, &[], None, "false | true; echo on"), (End::Success, "on\n".into()));
    assert_eq!(with(Shell::Bash, &[], None, "false | true; echo on"), (End::Code(1), String::new()));
    assert_eq!(with(Shell::Bash, &[], None, "[[ a == a ]] && echo ok"), (End::Success, "ok\n".into()));
}

#[test]
fn command_gets_its_variables_but_not_mlvs() {
    let env = [("A".into(), "a 'b'".into()), ("MLV_STAGE".into(), "other".into())];
    let (end, log) = with(Shell::Sh, &env, None, "echo \"$A $MLV_STAGE\"");
    assert_eq!((end, log.as_str()), (End::Success, "a 'b' s\n"));
}

#[test]
fn command_that_takes_too_long_is_ended() {
    let (end, log) =
        with(Shell::Sh, &[], Some(Duration::from_millis(200)), "echo begun; sleep 600; echo over");
    assert_eq!((end, log.as_str()), (End::TimedOut, "begun\n"));
    assert_eq!(with(Shell::Sh, &[], Some(Duration::from_secs(3600)), "true").0, End::Success);
}
