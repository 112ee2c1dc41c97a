use serde_json::json;

use super::*;
use crate::ui::address::encoded;

fn plan() -> Plan {
    let schema = json!({
        "type": "object", "required": ["city"], "properties": {
            "city": {"type": "string"},
            "days": {"type": "integer"},
            "when": {"type": "string", "format": "date-time"},
            "how": {"enum": ["fast", "slow", 7]},
            "dry": {"type": "boolean"},
            "tags": {"type": "array", "items": {"type": "string"}},
            "sizes": {"type": "array", "items": {"type": "number"}},
            "any": {},
            "at": {"type": "object", "required": ["lat", "is_exact", "kind"], "properties": {
                "lat": {"type": "number"}, "is_exact": {"type": "boolean"},
                "kind": {"const": "point"}
            }}
        }
    });
    Plan::of(&schema).unwrap()
}

fn fields(pairs: &[(&str, &str)]) -> FormFields {
    let pair = |(name, value): &(&str, &str)| format!("{}={}", encoded(name), encoded(value));
    FormFields::of_query(&pairs.iter().map(pair).collect::<Vec<_>>().join("&"))
}

fn faults(pairs: &[(&str, &str)]) -> Vec<String> {
    let faults = assembled(&plan(), &fields(pairs)).unwrap_err();
    faults.into_iter().map(|it| it.pointer).collect()
}

#[test]
fn what_is_empty_is_left_out() {
    let input = assembled(&plan(), &fields(&[("f/city", "Turin"), ("f/days", ""), ("f/how", "")]));
    assert_eq!(input.unwrap(), r#"{"city":"Turin"}"#);
}

#[test]
fn everything_that_was_filled_in_is_there() {
    let input = assembled(
        &plan(),
        &fields(&[
            ("f/city", "a \"b\"\r\n"),
            ("f/days", "12345678901234567890"),
            ("f/when", "2026-11-29T10:05"),
            ("f/how", "7"),
            ("f/dry", "false"),
            ("f/tags", "x\r\n\r\n\"\"\r\n y"),
            ("f/sizes", "1.10\r\n-.5"),
            ("f/any", " {\"n\": 1E+400} "),
            ("f/at/lat", "45.0"),
            ("f/at/kind", "\"point\""),
        ]),
    );
    assert_eq!(
        input.unwrap(),
        concat!(
            r#"{"city":"a \"b\"\n","any":{"n": 1E+400},"#,
            r#""at":{"is_exact":false,"kind":"point","lat":45.0},"days":12345678901234567890,"#,
            r#""dry":false,"how":7,"sizes":[1.10,-0.5],"tags":["x",""," y"],"#,
            r#""when":"2026-11-29T10:05:00Z"}"#
        )
    );
}

#[test]
fn an_object_is_there_when_anything_of_it_was_filled_in() {
    // A part with only one possible value is always sent.
    let (city, kind) = (("f/city", "a"), ("f/at/kind", "\"point\""));
    assert_eq!(assembled(&plan(), &fields(&[city, kind])).unwrap(), r#"{"city":"a"}"#);
    assert_eq!(faults(&[city, kind, ("f/at/is_exact", "true")]), ["/input/at/lat"]);
}

#[test]
fn what_can_not_be_read_is_said_where_it_stands() {
    let found = faults(&[
        ("f/days", "many"),
        ("f/how", "other"),
        ("f/dry", "maybe"),
        ("f/tags", "a\n\"b"),
        ("f/sizes", "1\nx"),
        ("f/any", "{"),
    ]);
    for pointer in [
        "/input/city",
        "/input/days",
        "/input/how",
        "/input/dry",
        "/input/tags/1",
        "/input/sizes/1",
        "/input/any",
    ] {
        assert!(found.iter().any(|it| it == pointer), "{pointer} is not in {found:?}");
    }
}

#[test]
fn what_may_be_null_is_null_where_it_has_to_be_something() {
    let schema = json!({"type": "object", "required": ["a", "b", "c"], "properties": {
        "a": {"type": ["string", "null"]},
        "b": {"type": ["boolean", "null"]},
        "c": {"type": "array", "items": {"type": "string"}}
    }});
    let plan = Plan::of(&schema).unwrap();
    assert_eq!(assembled(&plan, &fields(&[])).unwrap(), r#"{"a":null,"b":null,"c":[]}"#);
}

#[test]
fn numbers_keep_their_digits() {
    for (typed, json) in [
        ("1.10", "1.10"),
        (" 7 ", "7"),
        ("+7", "7"),
        ("007", "7"),
        ("0", "0"),
        ("-0.50", "-0.50"),
        (".5", "0.5"),
        ("-.5e-3", "-0.5e-3"),
        ("1E400", "1E400"),
        ("123456789012345678901234567890", "123456789012345678901234567890"),
    ] {
        assert_eq!(number(typed).as_deref(), Some(json), "{typed}");
    }
    for typed in ["", "-", ".", "e5", "1.", "1,5", "0x10", "NaN", "inf", "1 2", "true", "--1"] {
        assert_eq!(number(typed), None, "{typed}");
    }
}

#[test]
fn a_time_without_a_zone_is_in_utc() {
    assert_eq!(with_zone("2026-11-29T10:05"), "2026-11-29T10:05:00Z");
    assert_eq!(with_zone("2026-11-29T10:05:07.5"), "2026-11-29T10:05:07.5Z");
    assert_eq!(with_zone("2026-11-29T10:05:07+01:00"), "2026-11-29T10:05:07+01:00");
    assert_eq!(with_zone("soon"), "soon");
}

#[test]
fn files_are_named_one_or_several() {
    let schema = json!({"type": "object", "required": ["clip"], "properties": {
        "clip": {"type": "string", "format": "gantry-file"},
        "more": {"type": "array", "items": {"type": "string", "format": "gantry-file"}}}});
    let plan = Plan::of(&schema).unwrap();
    let input = |pairs: &[(&str, &str)]| assembled(&plan, &fields(pairs));
    let named = input(&[("f/clip", "a b.mov"), ("f/more", "1.png\r\nshare:m/2.png\r\n")]);
    assert_eq!(named.unwrap(), r#"{"clip":"a b.mov","more":["1.png","share:m/2.png"]}"#);
    let both = input(&[("f/clip", "sha256:1\nplate.mov")]);
    assert_eq!(both.unwrap(), r#"{"clip":"plate.mov"}"#);
    assert_eq!(input(&[("f/more", "")]).unwrap_err()[0].pointer, "/input/clip");
}
