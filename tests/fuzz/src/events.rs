//! Arbitrary bytes as server-sent events, for the client. The first byte is the length
//! of the pieces that they arrive in, the second the limit of an event, in eights.

use gantry::client::{Event, EventParser, EventTooLong};

/// How it is cut makes no difference; no event is larger than the limit; events that
/// are written are read as the same.
pub fn hold(input: &[u8]) -> bool {
    let Some(([piece, limit], stream)) = input.split_first_chunk() else { return false };
    let limit = usize::from(*limit) * 8;
    let (parser, events) = read(stream, stream.len().max(1), limit);
    let (other, in_pieces) = read(stream, usize::from(*piece) + 1, limit);
    assert_eq!(in_pieces, events);
    let Ok(events) = events else { return false };

    assert_eq!((other.last_id(), other.retry()), (parser.last_id(), parser.retry()));
    assert!(!parser.last_id().contains(['\0', '\n', '\r']));
    let resumed = parser.resumed();
    assert_eq!((resumed.last_id(), resumed.retry()), (parser.last_id(), parser.retry()));
    for Event { name, data } in &events {
        assert!(!name.is_empty() && !name.contains(['\n', '\r']) && !data.contains('\r'));
        // A byte that is no UTF-8 becomes a character of three.
        assert!(name.len() <= (3 * limit).max("message".len()) && data.len() <= limit);
    }
    let written: String = events.iter().map(written).collect();
    assert_eq!(read(written.as_bytes(), 7, usize::MAX).1.as_ref(), Ok(&events));
    !events.is_empty()
}

fn read(
    stream: &[u8],
    piece: usize,
    limit: usize,
) -> (EventParser, Result<Vec<Event>, EventTooLong>) {
    let mut parser = EventParser::with_limit(limit);
    let events = stream.chunks(piece).map(|piece| parser.feed(piece)).collect();
    let events: Result<Vec<_>, _> = events;
    (parser, events.map(|events| events.concat()))
}

fn written(event: &Event) -> String {
    let data: String = event.data.split('\n').map(|line| format!("data: {line}\n")).collect();
    format!("event: {}\n{data}\n", event.name)
}
