//! What a command leaves on a terminal.

use std::io::Write;
use std::process::Stdio;
use std::time::Duration;

use crate::support::TestEnv;

/// So wide are the characters that the tests print.
fn width(c: char) -> usize {
    if ('\u{2e80}'..='\u{9fff}').contains(&c) || c >= '\u{1f000}' { 2 } else { 1 }
}

/// What a terminal that is `columns` wide shows in the end: as much of ECMA-48 as bars need.
fn screen(output: &str, columns: usize) -> Vec<String> {
    let mut rows: Vec<Vec<char>> = Vec::new();
    let (mut row, mut column) = (0, 0);
    let mut rest = output;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        rows.resize(rows.len().max(row + 1), Vec::new());
        match c {
            '\r' => column = 0,
            '\n' => row += 1,
            '\x1b' => {
                let end = rest.find(|c: char| c.is_ascii_alphabetic()).expect("a final byte");
                let number = rest[1..end].parse().unwrap_or(1);
                match &rest[end..=end] {
                    "A" => row = row.saturating_sub(number),
                    "B" => row += number,
                    "K" => rows[row].clear(),
                    "m" => {}
                    other => panic!("ESC [ {number} {other}"),
                }
                rest = &rest[end + 1..];
            }
            c => {
                if column + width(c) > columns {
                    (row, column) = (row + 1, 0);
                    rows.resize(rows.len().max(row + 1), Vec::new());
                }
                let cells = rows[row].len().max(column + width(c));
                rows[row].resize(cells, ' ');
                rows[row][column] = c;
                column += width(c);
            }
        }
    }
    let text = |row: Vec<char>| String::from_iter(row).trim_end().to_owned();
    rows.into_iter().map(text).filter(|row| !row.is_empty()).collect()
}

// K2: `script` is a terminal, and hands on what it is given as if it were typed.
#[test]
fn an_interrupted_run_leaves_its_error_and_no_bars() {
    for columns in [40, 60, 80] {
        let env = TestEnv::ready();
        let stage = |name: &str, line: &str| {
            let command =
                format!("touch {name}; i=0; while :; do i=$((i+1)); echo step $i {line}; sleep 0.05; done");
            format!("  {name}: {{cmd: '{command}', outs: [{name}]}}\n")
        };
        // Characters of two columns each, which a line must not be cut by the number of.
        let long = format!("{} of a line that is longer than a terminal is wide", "漢字🚀".repeat(20));
        env.write("mlv.yaml", format!("stages:\n{}{}", stage("one", &long), stage("two", "short")));
        let line = format!("stty cols {columns} rows 24; exec {} repro -j2", env!("CARGO_BIN_EXE_mlv"));
        let mut script = env.command("script");
        script.args(["--quiet", "--return", "--command", &line, "/dev/null"]).env("TERM", "xterm");
        script.stdin(Stdio::piped()).stdout(Stdio::piped());
        let Ok(mut running) = script.spawn() else {
            println!("skipped: no `script` here: apt-get install bsdutils");
            return;
        };
        env.wait_for("one");
        env.wait_for("two");
        // The bars come after a quarter of a second.
        std::thread::sleep(Duration::from_millis(600));
        let mut keys = running.stdin.take().expect("it is piped");
        keys.write_all(b"\x03").expect("it listens");
        let output = env.output(running.wait_with_output().expect("it ends")).code(130);
        let shown = screen(&String::from_utf8_lossy(output.stdout_bytes()), columns);
        assert_eq!(shown.last().map(String::as_str), Some("error: interrupted"), "{shown:#?}");
        let of_bars = |row: &&String| row.contains("step") || row.contains("short");
        assert_eq!(shown.iter().find(of_bars), None, "{shown:#?}");
        assert!(shown.iter().any(|row| row.ends_with("Stage `one` interrupted")), "{shown:#?}");
    }
}
