use proptest::prelude::*;
use serde_json::json;

use super::*;

fn input(text: &str) -> JsonInput {
    JsonInput::parse(text.as_bytes().to_vec()).unwrap()
}

/// Places and texts of the files in a document.
fn found(schema: &Value, text: &str) -> Vec<(String, String)> {
    let fields = find(schema, &input(text)).unwrap();
    fields.into_iter().map(|it| (it.pointer, it.text)).collect()
}

/// The document with each file replaced.
fn replaced(schema: &Value, text: &str) -> String {
    let fields = find(schema, &input(text)).unwrap().into_iter().map(|it| FileField {
        start: it.start,
        end: it.end,
        name: it.text,
        is_reference: false,
    });
    placed(&input(text), &fields.collect::<Vec<_>>()).unwrap().as_str().to_owned()
}

fn clips() -> Value {
    json!({
        "properties": {
            "clip": {"$ref": "#/$defs/clip"},
            "all": {"type": "array", "items": {"$ref": "#/$defs/clip"}},
            "luts": {"type": "string", "format": "gantry-folder"},
            "name": {"type": "string"},
        },
        "$defs": {"clip": {
            "type": "string", "format": "gantry-file",
            "contentMediaType": "video/*", "x-max-bytes": 1000,
        }},
    })
}

#[test]
fn files_are_found_where_the_schema_has_them() {
    let text = r#"{"name": "a.mov", "clip": "a.mov", "all": ["b.mov", 7, "c.mov"], "luts": "l"}"#;
    let expected = [("/clip", "a.mov"), ("/all/0", "b.mov"), ("/all/2", "c.mov"), ("/luts", "l")];
    let expected = expected.map(|(pointer, text)| (pointer.to_owned(), text.to_owned()));
    assert_eq!(found(&clips(), text), expected);
    let fields = find(&clips(), &input(text)).unwrap();
    let demands =
        Demands { is_folder: false, media_type: Some("video/*".to_owned()), max_bytes: Some(1000) };
    assert_eq!(fields[0].demands, demands);
    assert!(fields[3].demands.is_folder);
}

#[test]
fn everything_else_stays_byte_for_byte() {
    let text = "{ \"n\" : 1E+400,\t\"clip\": \"\\u0061.mov\" , \"clip\":\"b\",\"name\":\"\\ud83d\\ude00\"}\n";
    let expected = "{ \"n\" : 1E+400,\t\"clip\": \"/work/in/a.mov\" , \"clip\":\"/work/in/b\",\"name\":\"\\ud83d\\ude00\"}\n";
    assert_eq!(replaced(&clips(), text), expected);
    assert_eq!(replaced(&clips(), "{\"clip\": \"a\\\"b\"}"), "{\"clip\": \"/work/in/a\\\"b\"}");
    for text in ["{}", "[1, 2]", "null", "\"a\"", "{\"clip\": 7}", "{\"clip\": null}"] {
        assert_eq!(replaced(&clips(), text), text);
    }
}

#[test]
fn a_text_may_be_the_whole_input() {
    assert_eq!(replaced(&json!({"format": "gantry-file"}), " \"a\" "), " \"/work/in/a\" ");
}

#[test]
fn all_branches_are_followed() {
    let file = json!({"format": "gantry-file"});
    for schema in [
        json!({"allOf": [{}, {"properties": {"a": file}}]}),
        json!({"anyOf": [{"properties": {"a": {"oneOf": [{"type": "null"}, file]}}}]}),
        json!({"if": {}, "then": {"additionalProperties": file}}),
        json!({"else": {"properties": {"a": {"$ref": "#/definitions/~0~1"}}}, "definitions": {"~/": file}}),
    ] {
        assert_eq!(found(&schema, "{\"a\": \"x\"}").len(), 1, "{schema}");
    }
    let places = json!({"prefixItems": [{}, file], "items": {"type": "string"}});
    assert_eq!(found(&places, r#"["a", "b", "c"]"#), [("/1".to_owned(), "b".to_owned())]);
}

#[test]
fn schemas_that_refer_to_themselves_end() {
    let tree = json!({
        "properties": {"file": {"format": "gantry-file"}, "next": {"$ref": "#"}},
        "allOf": [{"$ref": "#"}],
    });
    let text = r#"{"file": "a", "next": {"file": "b", "next": {"file": "c"}}}"#;
    assert_eq!(found(&tree, text).len(), 3);
    for schema in [json!({"$ref": "#"}), json!({"$ref": "http://a/b"}), json!(true), json!(7)] {
        assert!(found(&schema, text).is_empty());
    }
}

#[test]
fn what_is_too_large_or_too_much_is_refused() {
    let large = format!("[{}1]", "1,".repeat(MAX_SEARCHED_BYTES / 2));
    assert!(find(&clips(), &input(&large)).is_err());
    assert!(find(&json!({}), &input(&large)).unwrap().is_empty());
    let many = format!("{{\"all\": [{}\"a\"]}}", "\"a\",".repeat(MAX_FIELDS));
    assert!(find(&clips(), &input(&many)).is_err());
}

#[test]
fn a_search_is_bounded() {
    let branches: Vec<_> =
        (0..90).map(|number| json!({"$comment": number, "items": {"$ref": "#"}})).collect();
    let schema = json!({"format": "gantry-file", "allOf": branches});
    let text = format!("[{}1]", "[],".repeat(1_000_000));
    assert!(find(&schema, &input(&text)).is_err());
}

#[test]
fn own_names_are_plain() {
    assert_eq!(own_name("/clip", Some("a.mov")), "input/clip/a.mov");
    assert_eq!(own_name("", None), "input");
    assert_eq!(own_name("/..//a~1b/\n", None), "input/_/_/a_b/_");
}

proptest! {
    #[test]
    fn any_document_is_searched_and_replaced_as_a_document(
        name in "[a-z\"\\\\é\u{1}]{0,8}",
        blank in "[ \t\n]{0,3}",
        depth in 0..20_usize,
    ) {
        let schema = json!({"anyOf": [
            {"format": "gantry-file"},
            {"items": {"$ref": "#"}},
            {"additionalProperties": {"$ref": "#"}},
        ]});
        let text = Value::from(name.clone()).to_string();
        let open = format!("[{blank}").repeat(depth);
        let close = format!("{blank}]").repeat(depth);
        let document = format!("{open}{{{blank}\"k\":{blank}{text}{blank}}}{close}");
        let read: Value = serde_json::from_str(&replaced(&schema, &document)).unwrap();
        let pointer = format!("{}/k", "/0".repeat(depth));
        let expected = format!("/work/in/{name}");
        prop_assert_eq!(read.pointer(&pointer).and_then(Value::as_str), Some(expected.as_str()));
    }
}
