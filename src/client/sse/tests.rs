use super::*;
use proptest::prelude::*;

fn events(stream: &str) -> Vec<(String, String)> {
    let events = EventParser::default().feed(stream.as_bytes()).unwrap();
    events.into_iter().map(|event| (event.name, event.data)).collect()
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, data)| ((*name).to_owned(), (*data).to_owned())).collect()
}

#[test]
fn an_event_has_a_type_and_lines() {
    let stream = "event: status\ndata: one\ndata:two\ndata:  three\n\ndata\n\n";
    assert_eq!(events(stream), pairs(&[("status", "one\ntwo\n three"), ("message", "")]));
}

#[test]
fn lines_end_in_any_of_three_ways() {
    for stream in
        ["data: a\n\ndata: b\n\n", "data: a\r\rdata: b\r\r", "data: a\r\n\r\ndata: b\r\n\r\n"]
    {
        assert_eq!(events(stream), pairs(&[("message", "a"), ("message", "b")]), "{stream:?}");
    }
}

#[test]
fn comments_other_fields_and_events_without_data_are_passed_over() {
    assert_eq!(events(": still here\n\nevent: x\n\nother: y\n\n"), []);
    assert_eq!(events("event: x\n\ndata: y\n\n"), pairs(&[("message", "y")]));
}

#[test]
fn what_is_not_whole_is_no_event() {
    assert_eq!(events("data: a\n\ndata: b\n"), pairs(&[("message", "a")]));
}

#[test]
fn one_byte_order_mark_is_passed_over() {
    assert_eq!(events("\u{feff}data: a\n\n\u{feff}data: b\n\n"), pairs(&[("message", "a")]));
}

#[test]
fn an_id_counts_when_its_event_is_whole() {
    let mut parser = EventParser::default();
    parser.feed(b"id: 1\ndata: a\n\nid: 2\ndata: b\n").unwrap();
    assert_eq!(parser.last_id(), "1");
    let mut resumed = parser.resumed();
    assert_eq!(resumed.feed(b"data: c\n\n").unwrap().len(), 1);
    assert_eq!(resumed.last_id(), "1");
    resumed.feed(b"id: 3\n\nid: 4\0\n\n").unwrap();
    assert_eq!(resumed.last_id(), "3");
    resumed.feed(b"id\n\n").unwrap();
    assert_eq!(resumed.last_id(), "");
}

#[test]
fn only_digits_say_when_to_come_back() {
    let mut parser = EventParser::default();
    parser
        .feed(b"retry: 1500\nretry: soon\nretry:\nretry: -1\nretry: 99999999999999999999\n")
        .unwrap();
    assert_eq!(parser.retry(), Some(Duration::from_millis(1500)));
}

#[test]
fn lines_and_events_are_bounded() {
    let mut parser = EventParser::with_limit(10);
    assert_eq!(parser.feed(b"data: 12345"), Err(EventTooLong));
    let mut parser = EventParser::with_limit(10);
    assert_eq!(parser.feed(b"data:12345\ndata:12345\n"), Err(EventTooLong));
    let mut parser = EventParser::with_limit(10);
    assert_eq!(parser.feed(b"data\ndata\ndata\n\ndata:1\n\n").unwrap().len(), 2);
    assert!(std::iter::repeat_n(b"data\n", 20).any(|line| parser.feed(line).is_err()));
}

/// Bytes that mean something to the parser more often than chance has it.
fn streams() -> impl Strategy<Value = Vec<u8>> {
    let words: [&[u8]; 14] = [
        b"data",
        b"event",
        b"id",
        b"retry",
        b":",
        b" ",
        b"\n",
        b"\r",
        b"\r\n",
        b"\n\n",
        b"\xef\xbb\xbf",
        b"\0",
        b"7",
        b"\xc3\xa9",
    ];
    let word = prop_oneof![
        4 => prop::sample::select(words.to_vec()).prop_map(<[u8]>::to_vec),
        1 => prop::collection::vec(any::<u8>(), 0..4),
    ];
    prop::collection::vec(word, 0..80).prop_map(|words| words.concat())
}

proptest! {
    #[test]
    fn pieces_make_no_difference(stream in streams(), cuts in prop::collection::vec(1_usize..9, 0..200)) {
        let mut whole = EventParser::default();
        let expected = whole.feed(&stream).unwrap();
        let mut pieces = EventParser::default();
        let (mut found, mut rest) = (Vec::new(), stream.as_slice());
        for cut in cuts {
            let (piece, tail) = rest.split_at(cut.min(rest.len()));
            found.extend(pieces.feed(piece).unwrap());
            rest = tail;
        }
        found.extend(pieces.feed(rest).unwrap());
        prop_assert_eq!(found, expected);
        prop_assert_eq!(pieces.last_id(), whole.last_id());
        prop_assert_eq!(pieces.retry(), whole.retry());
    }

    #[test]
    fn no_more_is_kept_than_the_limit(stream in streams(), limit in 1_usize..32) {
        let mut parser = EventParser::with_limit(limit);
        for byte in stream {
            if parser.feed(&[byte]).is_err() {
                break;
            }
            prop_assert!(parser.line.len() <= limit && parser.data.len() <= limit);
        }
    }

    #[test]
    fn what_was_written_is_read(data in "[^\r\n\0]{0,20}(\n[^\r\n\0]{0,20}){0,3}", name in "[a-z]{1,9}") {
        let lines: String = data.split('\n').map(|line| format!("data: {line}\n")).collect();
        let read = events(&format!("event: {name}\n{lines}\n"));
        prop_assert_eq!(read, vec![(name, data)]);
    }
}
