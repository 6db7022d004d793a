use super::*;

fn read(text: &str) -> Result<String, String> {
    let value = parse_python("p.py", text, Limits::PIPELINE).map_err(|error| error.to_string())?;
    Ok(serde_json::to_string(&value).unwrap())
}

#[test]
fn literals_at_the_top_and_in_classes_are_read() {
    let text = r#"
"""Parameters."""
import os  # a comment with 'a quote

SEED = 20_170
RATE: float = 1e-3  # trailing
NAMES = ["a", 'b\'c', r"\d" "e",]
SHAPE = (3, -1,)
ONE = (7)
OPTIONS = {
    "deep": {"er": True},   # in brackets
    1: None,
}
KINDS = {1, 2}
HEX, OTHER = 1, 2
TEXT = """two
lines"""
LONG = 1 + \
    2
PATH = os.environ["HOME"]
A = B = 3
if SEED:
    HIDDEN = 1

class Train(Base):
    """Doc: x = 1"""
    lr = 0.5
    lr = 0.25
    class Inner:
        k = .5
    def __init__(self, n=1):
        self.layers = 3
        self.name = n
        local = 4
        if n:
            self.deep = 5
    def other(self):
        self.no = 1

def function():
    X = 1
LAST = 0x1F
"#;
    let expected = concat!(
        r#"{"SEED":20170,"RATE":0.001,"NAMES":["a","b'c","\\de"],"SHAPE":[3,-1],"ONE":7,"#,
        r#""OPTIONS":{"deep":{"er":true},"1":null},"KINDS":[1,2],"TEXT":"two\nlines","#,
        r#""Train":{"lr":0.25,"Inner":{"k":0.5},"layers":3},"LAST":31}"#
    );
    assert_eq!(read(text).unwrap(), expected);
    assert_eq!(read("a=1\r\nb = 2\r\n").unwrap(), r#"{"a":1,"b":2}"#);
    assert_eq!(read("a == 1\nb += 2\nc = f'x'\nd = b'x'\ne = 1j\nf = '\\x41'\n").unwrap(), "{}");
}

#[test]
fn what_is_no_python_is_refused_with_its_line() {
    assert_eq!(read("a = 1\nb = 'x\n").unwrap_err(), "p.py:2:1: this is no Python: a text does not end");
    assert_eq!(read("a = [1,\n\n").unwrap_err(), "p.py:1:1: this is no Python: a bracket is not closed");
    assert_eq!(read("a = 1\n)\n").unwrap_err(), "p.py:2:1: this is no Python: a bracket closes nothing");
    let deep: String = (0..100).map(|at| format!("{}class A:\n", " ".repeat(at))).collect();
    assert!(read(&deep).unwrap_err().contains("deeper than the limit of 64"));
    assert!(read(&format!("a = [{}]", "1,".repeat(100_001))).unwrap_err().contains("more values"));
    assert_eq!(read(&format!("a = {}{}", "[".repeat(100_000), "]".repeat(100_000))).unwrap(), "{}");
}

proptest::proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "[a-b=:\\[\\](){}'\"\\\\\\n #0-9._,eéclassdef]{0,60}", other: String) {
        let _ = read(&text);
        let _ = read(&other);
    }
}
