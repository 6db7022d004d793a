use super::*;

fn read(text: &str) -> Result<Node<'_>, YamlError> {
    load("f.yaml", text_of("f.yaml", text.as_bytes(), Limits::PIPELINE)?, Limits::PIPELINE)
}

fn problem(text: &str) -> YamlProblem {
    read(text).expect_err("must be refused").problem
}

#[test]
fn nodes_know_their_place() {
    let root = read("a: 1\nb:\n- x: 'y'\n").unwrap();
    let (key, value) = root.map().unwrap().entry("b").unwrap();
    assert_eq!((key.mark.line, key.mark.column), (2, 1));
    let (key, value) = value.list().unwrap()[0].map().unwrap().entry("x").unwrap();
    assert_eq!((key.mark.line, key.mark.column), (3, 3));
    assert_eq!((value.mark.start, value.mark.end), (13, 16));
}

#[test]
fn crlf_and_byte_order_mark_are_read() {
    let text = text_of("f", b"\xef\xbb\xbfa: 1\r\nb: x\r\n", Limits::POINTER).unwrap();
    let root = load("f", text, Limits::POINTER).unwrap();
    assert_eq!(root.map().unwrap().get("b").unwrap().text(), Some("x"));
}

#[test]
fn alias_bombs_self_aliases_and_deep_nesting_are_refused() {
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let items = vec![format!("*a{}", level - 1); 10].join(", ");
        bomb.push_str(&format!("a{level}: &a{level} [{items}]\n"));
    }
    assert!(matches!(problem(&bomb), YamlProblem::TooManyNodes { .. }));
    assert_eq!(problem("a: &a [1, *a]\n"), YamlProblem::EndlessAlias);
    assert!(matches!(problem(&"[".repeat(100_000)), YamlProblem::TooDeep { .. }));
    assert!(matches!(problem(&format!("a: {}", "[".repeat(65))), YamlProblem::TooDeep { .. }));
    let wide = "x".repeat(1 << 20);
    let aliases = "- *a\n".repeat(99);
    assert!(matches!(problem(&format!("- &a {wide}\n{aliases}")), YamlProblem::TooLarge { .. }));
}

#[test]
fn bytes_and_lines_are_counted_before_anything_else() {
    let limits = Limits { bytes: 10, lines: 3, ..Limits::POINTER };
    let problem = |text: &str| text_of("f", text.as_bytes(), limits).err().map(|error| error.problem);
    assert_eq!(problem("a: 1\nb: 2\n"), None);
    assert_eq!(problem("a: 1\nb: 22\n"), Some(YamlProblem::TooLarge { limit: 10 }));
    assert_eq!(problem("\n\n\n\n"), Some(YamlProblem::TooManyLines { limit: 3 }));
}

#[test]
fn duplicate_keys_tags_documents_and_markers_are_refused() {
    assert_eq!(problem("a: 1\nb: 2\na: 3\n"), YamlProblem::DuplicateKey { key: "a".into() });
    assert_eq!(problem("a: !!str 1\n"), YamlProblem::Tag);
    assert_eq!(problem("a: !x 1\n"), YamlProblem::Tag);
    assert_eq!(problem("a: 1\n---\nb: 2\n"), YamlProblem::SecondDocument);
    assert_eq!(problem("[a]: 1\n"), YamlProblem::KeyNotScalar);
    assert_eq!(problem("# nothing\n"), YamlProblem::Empty);
    let error = read("a: 1\n<<<<<<< HEAD\nb: 2\n=======\nb: 3\n>>>>>>> x\n").unwrap_err();
    assert_eq!((error.problem, error.mark.line), (YamlProblem::ConflictMarker, 2));
}

#[test]
fn merge_keys_add_what_is_not_there() {
    let root = read("base: &b {x: 1, y: 2}\nmore:\n  <<: *b\n  y: 3\n").unwrap();
    let more = root.map().unwrap().get("more").unwrap().map().unwrap();
    assert_eq!(more.get("x").unwrap().text(), Some("1"));
    assert_eq!(more.get("y").unwrap().text(), Some("3"));
    assert_eq!(more.entries.len(), 2);
}

#[test]
fn counts_are_bare_decimals() {
    let count = |text: &str| read(text).unwrap().count();
    assert_eq!(count("0"), Some(0));
    assert_eq!(count("9223372036854775807"), Some(i64::MAX as u64));
    for text in ["9223372036854775808", "-1", "01", "0x10", "1e3", "'1'", "1_000", "+1", "1.0", "x"] {
        assert_eq!(count(text), None, "{text}");
    }
}

proptest::proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "[ -~\n\t&*!|>'\"{}:\\[\\],#-]{0,200}") {
        let _ = read(&text);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
        if let Ok(text) = text_of("f", &bytes, Limits::POINTER) {
            let _ = load("f", text, Limits::POINTER);
        }
    }
}
