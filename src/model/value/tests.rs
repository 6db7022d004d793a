use super::*;
use crate::model::yaml::{Limits, load};

fn yaml(text: &str) -> Value {
    Value::of(&load("f.yaml", text, Limits::PIPELINE).unwrap())
}

fn json(text: &str) -> Value {
    parse_json("f.json", text, Limits::PIPELINE).unwrap()
}

#[test]
fn plain_scalars_follow_the_core_schema() {
    for (text, value) in [
        ("2", Value::Int(2)),
        ("-7", Value::Int(-7)),
        ("0x1F", Value::Int(31)),
        ("0o17", Value::Int(15)),
        ("1e-3", Value::Float(0.001)),
        (".5", Value::Float(0.5)),
        ("2.", Value::Float(2.0)),
        ("-.inf", Value::Float(f64::NEG_INFINITY)),
        ("~", Value::Null),
        ("True", Value::Bool(true)),
    ] {
        assert_eq!(resolve(text), value, "{text}");
    }
    for text in ["no", "1_000", "0x", "1e", ".", "-", "e5", "1.2.3", "inf", "nan", "2026-11-20", "+", "0x-1"]
    {
        assert_eq!(resolve(text), Value::Text(text.into()));
    }
    assert_eq!(yaml("'2'"), Value::Text("2".into()));
}

#[test]
fn numbers_are_compared_by_value_and_maps_without_order() {
    assert!(Value::Int(2).same(&Value::Float(2.0)));
    assert!(!Value::Int((1 << 53) + 1).same(&Value::Float((1i64 << 53) as f64)));
    assert!(Value::Float(f64::NAN).same(&Value::Float(f64::NAN)));
    assert!(yaml("{a: 1, b: [2.0]}").same(&json(r#"{"b": [2], "a": 1.0}"#)));
    assert!(!yaml("{a: 1}").same(&yaml("{a: '1'}")));
    assert!(!yaml("{a: 1}").same(&yaml("{a: 1, b: 2}")));
    assert!(!Value::Bool(true).same(&Value::Int(1)));
}

#[test]
fn key_paths_find_values_in_maps_and_lists() {
    let root = yaml("train:\n  layers: [64, {units: 32}]\n  rate: 0.1\n");
    let find = |path: &str| path.parse::<KeyPath>().unwrap().find(&root).cloned();
    assert_eq!(find("train.rate"), Some(Value::Float(0.1)));
    assert_eq!(find("train.layers[0]"), Some(Value::Int(64)));
    assert_eq!(find("train.layers.1.units"), Some(Value::Int(32)));
    assert_eq!(find("train.layers[1].units"), Some(Value::Int(32)));
    assert_eq!(find("train.layers[2]"), None);
    assert_eq!(find("train.rate.x"), None);
    for bad in ["", "a..b", "a.", ".a", "a[", "a[x]", "a[0]b", "a]["] {
        assert!(bad.parse::<KeyPath>().is_err(), "{bad}");
    }
}

#[test]
fn diff_gives_leaves_sorted_with_the_difference_of_numbers() {
    let old = yaml("b: 1\na: {x: 0.5, y: [1]}\ngone: t\nsame: 2\n");
    let new = yaml("b: 3\na: {x: 0.75, y: [1, 2]}\nnew: u\nsame: 2.0\n");
    let keys = |changes: &[(String, ValueChange)]| -> Vec<String> {
        changes.iter().map(|(key, _)| key.clone()).collect()
    };
    let changes = diff(Some(&old), Some(&new), false);
    assert_eq!(keys(&changes), ["a.x", "a.y", "b", "gone", "new"]);
    assert_eq!(changes[0].1.diff, Some(Value::Float(0.25)));
    assert_eq!(
        changes[2].1,
        ValueChange { old: Value::Int(1), new: Value::Int(3), diff: Some(Value::Int(2)) }
    );
    assert_eq!(changes[3].1.new, Value::Null);
    assert_eq!(keys(&diff(Some(&old), None, false)), ["a.x", "a.y", "b", "gone", "same"]);
    assert_eq!(diff(Some(&old), Some(&new), true).len(), 6);
}

#[test]
fn json_keeps_the_limits() {
    let limits = Limits { nodes: 10, depth: 3, ..Limits::PIPELINE };
    assert!(parse_json("f", "[1,2,3,4,5,6,7,8,9]", limits).is_ok());
    assert!(parse_json("f", "[1,2,3,4,5,6,7,8,9,10]", limits).is_err());
    assert!(parse_json("f", "[[[1]]]", limits).is_ok());
    assert!(parse_json("f", "[[[[1]]]]", limits).is_err());
    assert!(parse_json("f", &"[".repeat(100_000), Limits::PIPELINE).is_err());
    let error = parse_json("f", "{\"a\": 1,\n \"a\": 2}", Limits::PIPELINE).unwrap_err();
    assert!(error.to_string().contains("the key `a` stands here a second time"), "{error}");
    assert_eq!(error.mark.line, 2);
}

// What Python's `json.dump` writes of a loss that diverged.
#[test]
fn json_has_numbers_that_are_none() {
    let value =
        json(r#"{"loss": NaN, "NaN \\\"": [-Infinity, Infinity, 1], "text": "NaN, Infinity \" NaN"}"#);
    assert!(value.get("loss").unwrap().same(&Value::Float(f64::NAN)), "{value}");
    let list = value.get("NaN \\\"").unwrap();
    assert_eq!(
        *list,
        Value::List(vec![Value::Float(f64::NEG_INFINITY), Value::Float(f64::INFINITY), Value::Int(1)])
    );
    assert_eq!(value.get("text"), Some(&Value::Text("NaN, Infinity \" NaN".into())));
    assert_eq!(value.get("loss").unwrap().to_string(), "NaN");
    assert_eq!(list.to_string(), r#"["-Infinity","Infinity",1]"#);
    let refused = |text: &str| parse_json("f", text, Limits::PIPELINE).unwrap_err();
    for text in ["{NaN: 1}", "NaNNaN", "[-NaN]", "nan", "{\"\u{7f}\": NaN}", "[NaN, \"\\"] {
        refused(text);
    }
    // The place is that of the text, not of what the words are read as.
    assert_eq!(refused("[-Infinity, x]").mark.column, 13);
}

proptest::proptest! {
    #[test]
    fn floats_print_as_they_are_read(value: f64) {
        proptest::prop_assert!(resolve(&float_text(value)).same(&Value::Float(value)));
    }
}
