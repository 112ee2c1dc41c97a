use super::fault::EXCERPT_SIDE;
use super::*;
use proptest::prelude::*;

fn fault_of(text: &str) -> JsonFault {
    match JsonInput::parse(text.as_bytes().to_vec()) {
        Err(JsonInputError::Invalid(fault)) => fault,
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn a_document_is_kept_byte_for_byte() {
    for text in [
        "null",
        " {\"a\" : 1}\r\n",
        "123456789012345678901234567890.000",
        "1e999",
        r#"{"b":1,"a":2,"b":3}"#,
        r#""\ud83d\ude00 é""#,
    ] {
        let input = JsonInput::parse(text.as_bytes().to_vec()).unwrap();
        assert_eq!(input.as_str(), text);
        assert_eq!(input.into_bytes(), text.as_bytes());
    }
}

#[test]
fn a_fault_is_pointed_at() {
    let fault = fault_of("{\n  \"é\": 1,\n  \"é\" 2\n}");
    assert_eq!((fault.line, fault.column), (3, 7));
    assert_eq!(fault.to_string(), "expected `:` at line 3, column 7");
    assert_eq!(fault.pointed(), "  \"é\" 2\n      ^");
}

#[test]
fn every_fault_has_its_place() {
    for (text, line, column) in [
        ("{\"a\":1,}", 1, 8),
        ("[1 2]", 1, 4),
        ("{}x", 1, 3),
        ("{} {}", 1, 4),
        ("nul", 1, 3),
        ("'a'", 1, 1),
        ("[1,\n\n", 2, 1),
        ("NaN", 1, 1),
        ("[01]", 1, 3),
        // The last byte before the line end that does not belong there.
        ("\"a\nb\"", 1, 2),
    ] {
        let fault = fault_of(text);
        assert_eq!((fault.line, fault.column), (line, column), "{text}: {fault}");
    }
}

#[test]
fn a_long_line_is_shown_around_the_fault() {
    let fault = fault_of(&format!("[{}x{}]", "1,".repeat(5_000), ",1".repeat(5_000)));
    assert_eq!(fault.column, 10_002);
    assert!(fault.excerpt.chars().count() <= 2 * EXCERPT_SIDE + 2);
    assert!(fault.excerpt.starts_with('…') && fault.excerpt.ends_with('…'));
    assert_eq!(fault.excerpt.chars().nth(fault.caret), Some('x'));
}

#[test]
fn control_characters_are_not_shown() {
    let fault = fault_of("[\"\u{1b}[31m\", \"\0\"]");
    assert!(fault.excerpt.contains("\\u{1b}[31m"));
    assert!(!fault.pointed().contains('\u{1b}'));
}

#[test]
fn what_is_not_utf8_is_pointed_at() {
    let error = JsonInput::parse(b"{\n\"a\": \"\xff\"}".to_vec()).unwrap_err();
    assert_eq!(error.to_string(), "input is not JSON: invalid UTF-8 at line 2, column 7");
}

#[test]
fn empty_input_and_byte_order_marks_have_hints() {
    assert_eq!(JsonInput::parse(b" \n".to_vec()), Err(JsonInputError::Empty));
    assert!(JsonInputError::Empty.hint().is_some());
    let error = JsonInput::parse("\u{feff}{}".into()).unwrap_err();
    assert!(error.to_string().contains("byte order mark"));
    assert!(error.hint().is_some());
}

#[test]
fn input_is_bounded() {
    let error = JsonInput::parse(vec![b' '; MAX_INPUT_BYTES + 1]).unwrap_err();
    assert_eq!(error, JsonInputError::TooLarge(MAX_INPUT_BYTES + 1));
}

#[test]
fn nesting_is_bounded() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(JsonInput::parse(nested(128).into_bytes()).is_ok());
    assert_eq!(fault_of(&nested(129)).to_string(), format!("{TOO_DEEP} at line 1, column 129"));
    assert!(JsonInput::parse(nested(1_000_000).into_bytes()).is_err());
    let brackets = format!("[\"{}\\\"[\"]", "[".repeat(1_000));
    assert!(JsonInput::parse(brackets.into_bytes()).is_ok());
}

#[test]
fn output_is_one_document_or_none() {
    let output = |bytes: &[u8]| parse_output(bytes).map(|raw| raw.get().to_owned());
    assert_eq!(output(b" {\"a\": 1e999}\n").as_deref(), Ok("{\"a\": 1e999}"));
    assert_eq!(output(b"42\n").as_deref(), Ok("42"));
    let texts: [&[u8]; 12] = [
        b"",
        b"\n",
        b"done",
        b"{}\n{}",
        b"{",
        b"\"\xff\"",
        b"{}\0",
        b"[info] NaN",
        b"nan",
        b"'a'",
        b"{'a': NaN}",
        b"NaN 1",
    ];
    for text in texts {
        assert!(!output(text).unwrap_err().is_meant_as_json, "{text:?}");
    }
}

#[test]
fn what_is_nearly_json_is_told_with_its_place() {
    let (deep, long) = ("[".repeat(200) + &"]".repeat(200), "7".repeat(1_001));
    let long_in = format!("{{\"a\": [1, -{long}.5]}}");
    let cases: [(&[u8], &str); 12] = [
        (
            b"{\"loss\": NaN}",
            "NaN, for which JSON has no number (RFC 8259, section 6) at line 1, column 10",
        ),
        (
            b"[1,\n -Infinity, 2]\n",
            "-Infinity, for which JSON has no number (RFC 8259, section 6) at line 2, column 2",
        ),
        (b"[+inf]", "+inf, for which JSON has no number (RFC 8259, section 6) at line 1, column 2"),
        (b"[-nan]", "-nan, for which JSON has no number (RFC 8259, section 6) at line 1, column 2"),
        (b"[nan]", "nan, for which JSON has no number (RFC 8259, section 6) at line 1, column 2"),
        (
            b"[\"NaN \\\" [\", Infinity]",
            "Infinity, for which JSON has no number (RFC 8259, section 6) at line 1, column 14",
        ),
        (b"{\"a\": \"\xff\"}", "invalid UTF-8 at line 1, column 8"),
        (b"{\"a\": \"\xff\", \"b\": NaN}", "invalid UTF-8 at line 1, column 8"),
        ("\u{feff}{}".as_bytes(), "byte order mark before the document at line 1, column 1"),
        (deep.as_bytes(), "nested more than 128 levels deep at line 1, column 129"),
        (long.as_bytes(), "a number of more than 1000 characters at line 1, column 1"),
        (long_in.as_bytes(), "a number of more than 1000 characters at line 1, column 11"),
    ];
    for (printed, words) in cases {
        let fault = parse_output(printed).unwrap_err();
        let shown = String::from_utf8_lossy(printed);
        assert!(fault.is_meant_as_json, "{shown}");
        assert_eq!(fault.fault.to_string(), words, "{shown}");
    }
}

#[test]
fn numbers_are_as_long_as_common_readers_take() {
    let longest = "1".repeat(MAX_NUMBER_BYTES);
    for text in [longest.clone(), format!("[{longest},{longest}]"), format!("\"{longest}1\"")] {
        assert!(JsonInput::parse(text.clone().into_bytes()).is_ok());
        assert!(JsonInput::from_raw(&RawValue::from_string(text).unwrap()).is_ok());
    }
    for number in [format!("{longest}0"), format!("-{longest}"), format!("1e{longest}")] {
        let document = format!("{{\"a\": 1, \"b\": {number}}}");
        let fault = fault_of(&document);
        assert_eq!(fault.to_string(), format!("{TOO_LONG} at line 1, column 15"));
        let raw = RawValue::from_string(document).unwrap();
        assert_eq!(JsonInput::from_raw(&raw), Err(JsonInputError::Invalid(fault)));
    }
}

/// Deep enough to matter, and valid.
fn document() -> impl Strategy<Value = String> {
    let leaf = prop_oneof!["-?[1-9][0-9]{0,40}", "\"[a-zé{\\[ ]{0,8}\"", Just("null".to_owned())];
    leaf.prop_recursive(6, 64, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5)
                .prop_map(|all| format!("[{}]", all.join(" ,"))),
            prop::collection::vec(inner, 0..5).prop_map(|all| {
                let pairs: Vec<_> = all.iter().map(|value| format!("\"k\":\n{value}")).collect();
                format!("{{{}}}", pairs.join(","))
            }),
        ]
    })
}

proptest! {
    #[test]
    fn any_document_is_kept(text in document()) {
        let input = JsonInput::parse(text.clone().into_bytes()).unwrap();
        prop_assert_eq!(input.as_str(), &text);
        let output = parse_output(text.as_bytes()).unwrap();
        prop_assert_eq!(output.get(), text.trim());
    }

    #[test]
    fn any_bytes_are_a_document_or_a_fault_within_them(bytes in any::<Vec<u8>>()) {
        let is_document = JsonInput::parse(bytes.clone());
        prop_assert_eq!(is_document.is_ok(), parse_output(&bytes).is_ok());
    }

    #[test]
    fn a_damaged_document_is_pointed_at(
        text in document(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut bytes = text.into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let lines = bytes.iter().filter(|byte| **byte == b'\n').count() + 1;
        if let Err(JsonInputError::Invalid(fault)) = JsonInput::parse(bytes) {
            prop_assert!(fault.line >= 1 && fault.line <= lines && fault.column >= 1);
            prop_assert!(fault.caret <= fault.excerpt.chars().count());
            prop_assert!(fault.pointed().lines().count() == 2);
        }
    }
}
