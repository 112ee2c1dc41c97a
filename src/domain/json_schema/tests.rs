use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::reads::{Exhausted, left};
use super::*;

fn compiled(schema: &Value) -> JsonSchema {
    JsonSchema::compile(schema).unwrap()
}

fn refused(schema: &Value) -> SchemaError {
    JsonSchema::compile(schema).unwrap_err()
}

fn faults(schema: &Value, document: &str) -> Vec<Fault> {
    compiled(schema).check(document).unwrap_err()
}

/// `a0` is made of `a1` by `link`, and so on; the last one is `last`.
fn tower(levels: usize, last: &Value, link: impl Fn(Value) -> Value) -> Value {
    let mut places = Map::new();
    for level in 0..levels {
        let next = json!({"$ref": format!("#/$defs/a{}", level + 1)});
        places.insert(format!("a{level}"), link(next));
    }
    places.insert(format!("a{levels}"), last.clone());
    json!({"$ref": "#/$defs/a0", "$defs": places})
}

#[test]
fn nothing_and_true_accept_all() {
    for schema in [json!({}), json!(true)] {
        let schema = compiled(&schema);
        assert!(schema.accepts_all());
        assert_eq!(schema.check("not even JSON"), Ok(()));
    }
    assert!(!compiled(&json!(false)).accepts_all());
    assert!(compiled(&json!(false)).check("1").is_err());
    assert_eq!(refused(&json!([])), SchemaError::NotASchema);
    assert_eq!(refused(&json!("string")), SchemaError::NotASchema);
}

#[test]
fn faults_point_to_what_is_wrong() {
    let schema = json!({
        "type": "object",
        "required": ["city"],
        "properties": {"days": {"type": "array", "items": {"maximum": 14}}, "a/b": {"type": "null"}},
        "additionalProperties": false
    });
    let found = faults(&schema, r#"{"days": [1, 99], "a/b": 1, "x": 1}"#);
    let pointers: Vec<_> = found.iter().map(|it| it.pointer.as_str()).collect();
    for wanted in ["", "/days/1", "/a~1b"] {
        assert!(pointers.contains(&wanted), "{wanted} is not in {found:?}");
    }
    assert!(found.iter().any(|it| it.detail.contains("\"city\"")), "{found:?}");
}

#[test]
fn faults_are_bounded_and_do_not_repeat_the_document() {
    let schema = json!({"items": {"enum": ["x".repeat(10_000)]}, "maxItems": 3});
    let document = format!("[{}1]", "\"secret\\u001b[31m\",".repeat(10_000));
    let found = faults(&schema, &document);
    assert!(found.len() <= MAX_FAULTS);
    for fault in found {
        assert!(fault.detail.len() < 1_000 && !fault.detail.contains("secret"), "{fault:?}");
    }
}

#[test]
fn a_schema_may_name_its_draft() {
    let tuple = json!({
        "$schema": "http://json-schema.org/draft-07/schema#", "items": [{"type": "string"}]
    });
    assert!(compiled(&tuple).check("[1]").is_err());
    assert!(matches!(
        refused(&json!({"items": [{"type": "string"}]})),
        SchemaError::Invalid { .. }
    ));
    let unknown = json!({"$schema": "https://example.com/mine"});
    assert!(matches!(refused(&unknown), SchemaError::Draft(_)), "{:?}", refused(&unknown));
}

#[test]
fn what_is_no_schema_is_refused() {
    for schema in [json!({"type": "strin"}), json!({"minimum": "x"}), json!({"required": "a"})] {
        let error = refused(&schema);
        assert!(matches!(error, SchemaError::Invalid { .. }), "{error:?}");
    }
}

#[test]
fn nothing_is_ever_fetched() {
    for place in
        ["https://example.com/x.json", "http://127.0.0.1:1/", "file:///etc/passwd", "other"]
    {
        let error = refused(&json!({"properties": {"a": {"$ref": place}}}));
        assert!(matches!(error, SchemaError::Remote(_)), "{error:?}");
        assert!(error.to_string().contains("never fetched") && error.hint().is_some());
    }
    let based = json!({"$id": "https://example.com/", "$ref": "x"});
    assert!(matches!(refused(&based), SchemaError::Remote(_)));
    for nowhere in ["#/$defs/x", "#x"] {
        assert!(matches!(refused(&json!({"$ref": nowhere})), SchemaError::Reference(_)));
    }
}

#[test]
fn references_within_the_schema_work() {
    let tree = json!({
        "type": "object",
        "properties": {"left": {"$ref": "#"}, "right": {"$ref": "#"}, "n": {"type": "integer"}},
        "additionalProperties": false
    });
    let tree = compiled(&tree);
    assert_eq!(tree.check(r#"{"left": {"n": 1}, "right": {"left": {}}}"#), Ok(()));
    assert_eq!(
        tree.check(r#"{"left": {"right": {"n": "x"}}}"#).unwrap_err()[0].pointer,
        "/left/right/n"
    );
    let named = json!({"$defs": {"a": {"$anchor": "n", "type": "integer"}}, "$ref": "#n"});
    assert!(compiled(&named).check("1").is_ok());
    assert!(compiled(&named).check("\"1\"").is_err());
}

#[test]
fn circles_of_references_end() {
    let mutual = json!({
        "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"
    });
    let dynamic = json!({
        "$dynamicAnchor": "x", "$dynamicRef": "#x", "unevaluatedProperties": false
    });
    let others = [
        json!({"$ref": "#"}),
        json!({"allOf": [{"$ref": "#"}, {"$ref": "#"}]}),
        json!({"not": {"$ref": "#"}}),
        json!({"anyOf": [{"$ref": "#"}, {"items": {"$ref": "#"}}]}),
    ];
    for schema in others.into_iter().chain([mutual, dynamic]) {
        // Whatever the answer is.
        let _ = compiled(&schema).check(r#"{"a": [[[1]]]}"#);
    }
}

#[test]
fn references_that_multiply_are_refused() {
    for keyword in ["allOf", "anyOf", "oneOf"] {
        for last in [json!({}), json!(true), json!({"type": "string"})] {
            let doubled = tower(100, &last, |next| json!({keyword: [next, next]}));
            assert_eq!(refused(&doubled), SchemaError::TooManyBranches);
        }
    }
    let escaped = tower(40, &json!({}), |next| json!({"allOf": [next, next]}));
    let escaped = escaped.to_string().replace("#/$defs/a", "#/%24defs/a");
    let escaped: Value = serde_json::from_str(&escaped).unwrap();
    assert_eq!(refused(&escaped), SchemaError::TooManyBranches);
    let few = tower(10, &json!({"type": "integer"}), |next| json!({"allOf": [next, next]}));
    assert_eq!(compiled(&few).check("1"), Ok(()));
}

#[test]
fn references_that_multiply_with_depth_are_given_up() {
    let doubling = json!({"allOf": [
        {"properties": {"a": {"$ref": "#"}}},
        {"properties": {"a": {"$ref": "#"}}},
        {"properties": {"b": {"type": "integer"}}}
    ]});
    let schema = compiled(&doubling);
    let document = format!("{}{{\"b\":\"x\"}}{}", "{\"a\":".repeat(100), "}".repeat(100));
    let tree: Tree<'_> = serde_json::from_str(&document).unwrap();
    let validator = schema.validator.as_ref().unwrap();
    assert_eq!(within(1_000_000, || validator.is_valid(Counted(&tree))), Ok(false));
    // It would find the same fault by 2 to the power of 100 ways.
    let all = || validator.iter_errors(Counted(&tree)).count();
    assert_eq!(within(1_000_000, all), Err(Exhausted));
    assert_eq!(left(), 0);
    assert_eq!(schema.check(&document).unwrap_err().len(), 1);
}

#[test]
fn a_long_chain_of_references_does_not_overflow_the_stack() {
    let last = json!({"properties": {"x": {"$ref": "#/$defs/a0"}}, "type": "object"});
    let chain = tower(MAX_REFERENCES - 10, &last, |next| next);
    let document = format!("{}1{}", "{\"x\":".repeat(120), "}".repeat(120));
    let chain = compiled(&chain);
    assert_eq!(chain.check("{}"), Ok(()));
    assert!(chain.check(&document).unwrap_err()[0].detail.contains("takes too long"));
    let longer = tower(MAX_REFERENCES + 1, &json!({}), |next| next);
    assert!(matches!(refused(&longer), SchemaError::TooManyReferences(_)));
}

#[test]
fn patterns_take_linear_time() {
    let schema = compiled(&json!({"pattern": "^(a+)+$"}));
    let text = format!("\"{}b\"", "a".repeat(1_000_000));
    assert!(schema.check(&text).is_err());
    for pattern in ["(?=a)b", "(?<!a)b", r"(a)\1", "(", "a{1000}{1000}{1000}"] {
        for schema in [json!({"pattern": pattern}), json!({"patternProperties": {pattern: true}})] {
            let error = refused(&schema);
            assert!(matches!(error, SchemaError::Pattern { .. }), "{error:?}");
        }
    }
}

#[test]
fn a_large_schema_is_refused() {
    let wide = json!({"enum": vec!["x".repeat(1_000); 300]});
    assert_eq!(refused(&wide), SchemaError::TooLarge);
    let numbers = compiled(&json!({"enum": (0..30_000).collect::<Vec<_>>()}));
    let document = format!("[{}1]", "-1,".repeat(1_000));
    assert!(numbers.check(&document).is_err());
    let mut deep = json!({});
    for _ in 0..=MAX_SCHEMA_DEPTH {
        deep = json!({"not": deep});
    }
    assert_eq!(refused(&deep), SchemaError::TooDeep);
}

#[test]
fn what_databases_do_not_keep_is_refused() {
    for schema in [json!({"const": "a\0b"}), json!({"a\0": 1}), json!({"enum": [["\0"]]})] {
        assert_eq!(refused(&schema), SchemaError::Nul);
    }
}

#[test]
fn documents_that_no_tree_holds_are_refused() {
    let schema = json!({"type": "number"});
    for document in ["1e400", "[", "", &"[".repeat(10_000)] {
        let found = faults(&schema, document);
        assert!(found[0].detail.contains("can't be checked"), "{found:?}");
    }
}

#[test]
fn documents_with_too_many_values_are_refused_before_they_are_read() {
    let schema = compiled(&json!({"type": "array"}));
    let document = |count: usize| format!("[{}0]", "{\"\":0},".repeat(count));
    assert!(JsonSchema::checked_bytes(&document(100_000)) < 20 << 20);
    assert_eq!(schema.check(&document(100_000)), Ok(()));
    let large = document(1_800_000);
    assert!(large.len() < 16 << 20 && JsonSchema::checked_bytes(&large) > MAX_CHECKED_BYTES);
    assert!(schema.check(&large).unwrap_err()[0].detail.contains("too many values"));
    let texts = format!("[{}1]", "\"[[[[{{{{,,,,\",".repeat(1_000_000));
    assert_eq!(schema.check(&texts), Ok(()));
}

#[test]
fn what_has_to_be_unique_is_compared_as_json() {
    let schema = compiled(&json!({"uniqueItems": true}));
    for document in
        ["[1, 2, \"1\", true, null, [1], {\"a\": 1}, {\"a\": 2}, []]", "[]", "[[1], [2]]"]
    {
        assert_eq!(schema.check(document), Ok(()), "{document}");
    }
    let many: Vec<_> = (0..20).map(|it| it.to_string()).collect();
    for document in [
        "[1, 1.0]".to_owned(),
        "[{\"a\": [0], \"b\": 2}, {\"b\": 2, \"a\": [-0.0]}]".to_owned(),
        format!("[{}, 7.0]", many.join(",")),
    ] {
        assert!(schema.check(&document).is_err(), "{document}");
    }
    let nested = format!("{}1,2{}", "[".repeat(120), "]".repeat(120));
    assert_eq!(schema.check(&nested), Ok(()));
}

#[test]
fn the_faults_that_are_named_in_a_large_document_are_few() {
    let schema = compiled(&json!({"items": {"type": "string", "anyOf": [{}, {"minLength": 3}]}}));
    let document = format!("[{}1]", "1,".repeat(500_000));
    let found = schema.check(&document).unwrap_err();
    assert!(!found.is_empty() && found.len() <= MAX_FAULTS);
}

/// Schemas as somebody might write them who means harm.
fn any_schema() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!({})),
        Just(json!(false)),
        Just(json!({"type": "string"})),
        (0..4_usize).prop_map(|at| json!({"$ref": format!("#/$defs/{at}")})),
        Just(json!({"$ref": "#"})),
        Just(json!({"$dynamicRef": "#x"})),
        "[a-z(){}|*+?]{0,6}".prop_map(|pattern| json!({"pattern": pattern})),
    ];
    let schema = leaf.prop_recursive(4, 24, 3, |inner| {
        let keyword = prop_oneof![Just("allOf"), Just("anyOf"), Just("oneOf"), Just("prefixItems")];
        prop_oneof![
            (keyword, prop::collection::vec(inner.clone(), 1..3))
                .prop_map(|(keyword, schemas)| json!({keyword: schemas})),
            inner.clone().prop_map(|it| json!({"not": it, "$dynamicAnchor": "x"})),
            inner.clone().prop_map(|it| json!({"items": it, "unevaluatedItems": false})),
            inner.prop_map(|it| json!({"properties": {"a": it}, "unevaluatedProperties": false})),
        ]
    });
    prop::collection::vec(schema, 4).prop_map(|places| {
        let places: Map<_, _> =
            places.into_iter().enumerate().map(|(at, it)| (at.to_string(), it)).collect();
        json!({"$ref": "#/$defs/0", "$defs": places})
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_schema_answers(schema in any_schema()) {
        if let Ok(schema) = JsonSchema::compile(&schema) {
            for document in ["1", "[[1],[]]", r#"{"a":{"a":{"b":[1]}}}"#] {
                if let Err(found) = schema.check(document) {
                    prop_assert!(!found.is_empty() && found.len() <= MAX_FAULTS);
                }
            }
        }
    }

    #[test]
    fn any_document_answers(document in any::<String>()) {
        let schema = compiled(&json!({"type": "object", "minProperties": 1}));
        let _ = schema.check(&document);
    }
}
