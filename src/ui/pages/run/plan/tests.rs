use serde_json::json;

use super::*;

fn kind(property: Value) -> Kind {
    let schema = json!({"type": "object", "properties": {"x": property}});
    Plan::of(&schema).unwrap().parts.remove(0).kind
}

#[test]
fn each_type_is_asked_for_in_its_way() {
    let line = |kind| Kind::Line { kind, max_length: None };
    let number = |is_whole| Kind::Number { is_whole, min: None, max: None };
    for (property, expected) in [
        (json!({"type": "string"}), line("text")),
        (json!({"type": "string", "format": "date"}), line("date")),
        (json!({"type": "string", "format": "email"}), line("email")),
        (json!({"type": "string", "format": "uri"}), line("url")),
        (json!({"type": "string", "format": "date-time"}), Kind::Time),
        (json!({"type": "string", "format": "textarea"}), Kind::Text),
        (json!({"type": "string", "maxLength": 201}), Kind::Text),
        (json!({"type": "string", "contentMediaType": "text/markdown"}), Kind::Text),
        (json!({"type": "string", "contentEncoding": "base64"}), Kind::File { address_of: None }),
        (
            json!({"type": "string", "format": "data-url", "contentMediaType": "image/png"}),
            Kind::File { address_of: Some("image/png".to_owned()) },
        ),
        (
            json!({"type": "string", "format": "gantry-file", "contentMediaType": "video/*"}),
            Kind::Upload { accept: Some("video/*".to_owned()), is_many: false },
        ),
        (json!({"format": "gantry-file"}), Kind::Upload { accept: None, is_many: false }),
        (
            json!({"type": "array", "items": {"format": "gantry-file"}}),
            Kind::Upload { accept: None, is_many: true },
        ),
        (json!({"type": "string", "format": "gantry-folder"}), line("text")),
        (json!({"type": "integer"}), number(true)),
        (json!({"type": "number"}), number(false)),
        (json!({"type": "boolean"}), Kind::Switch),
        (json!({"enum": ["a", 1]}), Kind::Choice(vec![json!("a"), json!(1)])),
        (json!({"const": "a"}), Kind::Choice(vec![json!("a")])),
        (json!({"type": "array", "items": {"type": "string"}}), Kind::Lines(Item::Text)),
        (json!({"type": "array", "items": {"type": "number"}}), Kind::Lines(Item::Number)),
        (json!({"type": "array", "items": {"type": "object"}}), Kind::Json),
        (json!({"type": "array"}), Kind::Json),
        (json!({"type": "object"}), Kind::Json),
        (json!({"oneOf": [{"type": "string"}, {"type": "integer"}]}), Kind::Json),
        (json!({"type": "string", "not": {"const": "a"}}), Kind::Json),
        (json!({"type": ["string", "integer"]}), Kind::Json),
        (json!({}), Kind::Json),
        (json!(true), Kind::Json),
    ] {
        assert_eq!(kind(property.clone()), expected, "{property}");
    }
}

#[test]
fn bounds_of_whole_numbers_are_whole() {
    let bounds = |property| match kind(property) {
        Kind::Number { min, max, .. } => (min, max),
        other => panic!("{other:?}"),
    };
    let whole = bounds(json!({"type": "integer", "minimum": 0.5, "maximum": 10}));
    assert_eq!(whole, (None, Some("10".to_owned())));
    let decimal = bounds(json!({"type": "number", "minimum": 0.5}));
    assert_eq!(decimal, (Some("0.5".to_owned()), None));
}

#[test]
fn what_may_be_null_is_asked_for_as_what_it_is_otherwise() {
    let schema = json!({"$defs": {"city": {"type": "string", "title": "City"}}, "properties": {
        "a": {"type": ["string", "null"]},
        "b": {"anyOf": [{"type": "integer"}, {"type": "null"}], "default": null},
        "c": {"oneOf": [{"type": "null"}, {"$ref": "#/$defs/city"}]}
    }, "required": ["a"]});
    let plan = Plan::of(&schema).unwrap();
    assert!(plan.parts.iter().all(|part| part.is_nullable && !part.is_needed()));
    assert_eq!(plan.parts[1].default, None);
    assert_eq!(plan.parts[2].label, "City");
    assert_eq!(plan.parts[2].kind, Kind::Line { kind: "text", max_length: None });
}

#[test]
fn a_definition_is_followed_once() {
    let schema = json!({
        "$defs": {
            "city": {"type": "string", "description": "Where"},
            "again": {"$ref": "#/$defs/city"},
            "tree": {"type": "object", "properties": {"child": {"$ref": "#/$defs/tree"}}}
        },
        "type": "object",
        "properties": {
            "a": {"$ref": "#/$defs/city", "title": "A"},
            "b": {"$ref": "#/$defs/again"},
            "c": {"$ref": "#/$defs/missing"},
            "d": {"$ref": "https://example.com/x"},
            "e": {"$ref": "#/$defs/tree"}
        }
    });
    let parts = Plan::of(&schema).unwrap().parts;
    assert_eq!((parts[0].label.as_str(), parts[0].help.as_str()), ("A", "Where"));
    assert!(parts[1..4].iter().all(|part| part.kind == Kind::Json), "{parts:?}");
    // A tree ends at the depth limit.
    let mut at = &parts[4];
    let mut depth = 0;
    while let Kind::Group(parts) = &at.kind {
        (at, depth) = (&parts[0], depth + 1);
    }
    assert_eq!((depth, &at.kind), (MAX_DEPTH, &Kind::Json));
}

#[test]
fn a_pointer_leads_to_the_nearest_field() {
    let schema = json!({"type": "object", "properties": {
        "a": {"type": "object", "properties": {"b/c": {"type": "string"}}},
        "ab": {"type": "array", "items": {"type": "string"}}
    }});
    let plan = Plan::of(&schema).unwrap();
    let at = |pointer: &str| plan.nearest(pointer).map(|part| part.pointer.clone());
    assert_eq!(at("/a/b~1c").as_deref(), Some("/a/b~1c"));
    assert_eq!(at("/a/other").as_deref(), Some("/a"));
    assert_eq!(at("/ab/3").as_deref(), Some("/ab"));
    assert_eq!(at(""), None);
    assert_eq!(at("/abc"), None);
}

#[test]
fn what_is_no_object_with_properties_or_too_large_has_no_form() {
    let properties =
        |count: usize| -> Map<_, _> { (0..count).map(|it| (it.to_string(), json!({}))).collect() };
    for schema in [
        json!({}),
        json!(true),
        json!({"type": "string"}),
        json!({"type": "object"}),
        json!({"type": "object", "properties": {}}),
        json!({"type": ["object", "null"], "properties": {"a": {}}}),
        json!({"properties": properties(MAX_FIELDS + 1)}),
    ] {
        assert!(Plan::of(&schema).is_none());
    }
    assert!(Plan::of(&json!({"properties": properties(MAX_FIELDS)})).is_some());
}
