use super::*;
use proptest::collection::vec;
use proptest::prelude::*;

use StreamName::{Stderr, Stdout};

type Piece = (StreamName, Vec<u8>);

fn log_of(pieces: &[Piece]) -> OutputLog {
    let mut log = OutputLog::default();
    for (stream, bytes) in pieces {
        log.append(*stream, bytes);
    }
    log
}

/// Pieces that a reader at `position` is given until there is no more.
fn follow(log: &OutputLog, position: &mut Position, max_bytes: usize) -> Vec<Piece> {
    let mut pieces = Vec::new();
    while let Some((stream, bytes, after)) = log.next_piece(*position, max_bytes) {
        assert!((1..=max_bytes.max(1)).contains(&bytes.len()));
        assert_eq!(after.of(stream), position.of(stream) + bytes.len());
        assert_eq!(after.of(stream.other()), position.of(stream.other()));
        pieces.push((stream, bytes.to_vec()));
        *position = after;
    }
    pieces
}

fn read(log: &OutputLog, mut from: Position) -> Vec<Piece> {
    follow(log, &mut from, usize::MAX)
}

/// Byte for byte, with the stream of each: the same for any cuts.
fn flat(pieces: &[Piece]) -> Vec<(StreamName, u8)> {
    pieces.iter().flat_map(|(stream, bytes)| bytes.iter().map(|byte| (*stream, *byte))).collect()
}

fn only(stream: StreamName, pieces: &[Piece]) -> Vec<u8> {
    flat(pieces).into_iter().filter(|(of, _)| *of == stream).map(|(_, byte)| byte).collect()
}

/// A log with all the runs but `missing` that are remembered, one byte each.
fn nearly_full(missing: usize) -> OutputLog {
    let mut log = OutputLog::default();
    for run in 0..MAX_RUNS - missing {
        log.append(if run % 2 == 0 { Stdout } else { Stderr }, b"x");
    }
    log
}

#[test]
fn pieces_come_in_the_order_of_arrival() {
    let log = log_of(&[
        (Stderr, b"warn".to_vec()),
        (Stdout, b"one ".to_vec()),
        (Stdout, b"two".to_vec()),
        (Stdout, Vec::new()),
        (Stderr, b"ing".to_vec()),
    ]);
    let pieces = read(&log, Position::default());
    assert_eq!(
        pieces,
        [(Stderr, b"warn".to_vec()), (Stdout, b"one two".to_vec()), (Stderr, b"ing".to_vec())]
    );
    assert_eq!((log.stdout(), log.stderr()), (&b"one two"[..], &b"warning"[..]));
    assert_eq!(log.end(), Position { stdout: 7, stderr: 7 });
}

#[test]
fn a_reader_ahead_of_one_stream_gets_the_other() {
    let log = log_of(&[(Stdout, b"a".to_vec()), (Stderr, b"b".to_vec()), (Stdout, b"c".to_vec())]);
    let ahead = Position { stdout: 99, stderr: 0 };
    assert_eq!(read(&log, ahead), [(Stderr, b"b".to_vec())]);
    assert_eq!(read(&log, Position { stdout: 2, stderr: 99 }), []);
    // As no writer leaves one, but a client may bring it.
    let inconsistent = Position { stdout: 0, stderr: 1 };
    assert_eq!(read(&log, inconsistent), [(Stdout, b"a".to_vec()), (Stdout, b"c".to_vec())]);
}

#[test]
fn beyond_the_runs_that_are_remembered_stdout_comes_first() {
    let mut log = nearly_full(0);
    log.append(Stderr, b"merged");
    log.append(Stdout, b"out 1 ");
    log.append(Stderr, b"err 1 ");
    log.append(Stdout, b"out 2");
    log.append(Stderr, b"err 2");
    let half = MAX_RUNS / 2;
    let last_run = Position { stdout: half, stderr: half - 1 };
    assert_eq!(
        read(&log, last_run),
        [
            (Stderr, b"xmerged".to_vec()),
            (Stdout, b"out 1 out 2".to_vec()),
            (Stderr, b"err 1 err 2".to_vec())
        ]
    );
    assert_eq!(log.ends.len(), MAX_RUNS);
}

#[test]
fn an_order_takes_few_bytes() {
    assert_eq!(OutputLog::default().encode_order(), [] as [u8; 0]);
    let log = log_of(&[(Stderr, vec![b'x'; 300]), (Stdout, vec![b'y'; 5])]);
    assert_eq!(log.encode_order(), [0, 0xac, 0x02, 5]);
    assert_eq!(nearly_full(0).encode_order().len(), MAX_RUNS);
}

#[test]
fn a_damaged_order_counts_up_to_the_damage() {
    for (order, expected) in [
        (&[][..], &[(Stdout, "abc"), (Stderr, "de")][..]),
        (&[1, 1], &[(Stdout, "a"), (Stderr, "d"), (Stdout, "bc"), (Stderr, "e")]),
        (&[0, 1, 9], &[(Stderr, "d"), (Stdout, "abc"), (Stderr, "e")]),
        (&[0, 0, 1], &[(Stdout, "abc"), (Stderr, "de")]),
        (&[1, 0, 1], &[(Stdout, "a"), (Stdout, "bc"), (Stderr, "de")]),
        (&[4, 1], &[(Stdout, "abc"), (Stderr, "de")]),
        (&[1, 0x81], &[(Stdout, "a"), (Stdout, "bc"), (Stderr, "de")]),
        (&[0xff; 40], &[(Stdout, "abc"), (Stderr, "de")]),
        (&[0x80; 40], &[(Stdout, "abc"), (Stderr, "de")]),
    ] {
        let log = OutputLog::from_parts(b"abc".to_vec(), b"de".to_vec(), order);
        let expected: Vec<_> =
            expected.iter().map(|(stream, text)| (*stream, text.as_bytes().to_vec())).collect();
        assert_eq!(read(&log, Position::default()), expected, "{order:?}");
    }
}

#[test]
fn a_long_log_is_walked_run_by_run() {
    let mut log = nearly_full(0);
    log.append(Stderr, &vec![b'x'; 20 << 20]);
    log.append(Stdout, b"rest");
    let mut position = Position::default();
    assert_eq!(follow(&log, &mut position, usize::MAX).len(), MAX_RUNS + 1);
    assert_eq!(position, log.end());
}

#[test]
fn only_a_character_that_can_become_one_is_waited_for() {
    for (bytes, whole) in [
        (&b""[..], 0),
        (b"abc", 3),
        ("aé".as_bytes(), 3),
        (b"a\xc3", 1),
        (b"a\xe2\x82", 1),
        (b"a\xf0\x9f\x98", 1),
        (b"a\xf0\x9f\x98\x80", 5),
        // No character begins so: nothing to wait for.
        (b"a\xff", 2),
        (b"a\xe0\x80", 3),
        (b"\x80\x80\x80\x80", 4),
        (b"a\xc3\xc3", 2),
    ] {
        assert_eq!(whole_characters(bytes), whole, "{bytes:?}");
    }
}

#[test]
fn debugging_shows_no_output() {
    let log = log_of(&[(Stdout, b"secret".to_vec())]);
    assert_eq!(format!("{log:?}"), "OutputLog(6 + 0 bytes, 1 runs)");
}

fn stream() -> impl Strategy<Value = StreamName> {
    prop_oneof![Just(Stdout), Just(Stderr)]
}

fn pieces() -> impl Strategy<Value = Vec<Piece>> {
    vec((stream(), vec(any::<u8>(), 0..5)), 0..40)
}

fn position() -> impl Strategy<Value = Position> {
    let place = || prop_oneof![0..100_usize, Just(usize::MAX)];
    (place(), place()).prop_map(|(stdout, stderr)| Position { stdout, stderr })
}

/// Bytes behind a place in a stream.
fn behind(bytes: &[u8], place: usize) -> &[u8] {
    bytes.get(place..).unwrap_or_default()
}

proptest! {
    #[test]
    fn what_came_is_read_in_its_order(pieces in pieces(), max_bytes in 0..7_usize) {
        let log = log_of(&pieces);
        let mut position = Position::default();
        prop_assert_eq!(flat(&follow(&log, &mut position, max_bytes)), flat(&pieces));
        prop_assert_eq!(position, log.end());
    }

    #[test]
    fn any_position_gives_each_byte_behind_it_once(
        pieces in pieces(), from in position(), max_bytes in 0..7_usize,
        damage in vec(any::<u8>(), 0..20),
    ) {
        let log = log_of(&pieces);
        let (stdout, stderr) = (log.stdout().to_vec(), log.stderr().to_vec());
        for log in [log, OutputLog::from_parts(stdout, stderr, &damage)] {
            let mut position = from;
            let given = follow(&log, &mut position, max_bytes);
            prop_assert_eq!(only(Stdout, &given), behind(log.stdout(), from.stdout));
            prop_assert_eq!(only(Stderr, &given), behind(log.stderr(), from.stderr));
            prop_assert_eq!(position.stdout, from.stdout.max(log.end().stdout));
            prop_assert_eq!(position.stderr, from.stderr.max(log.end().stderr));
        }
    }

    #[test]
    fn a_follower_of_a_growing_log_sees_what_a_late_reader_sees(
        pieces in pieces(), asks in vec(0..4_usize, 40), max_bytes in 1..7_usize,
    ) {
        let (mut log, mut position, mut seen) = (OutputLog::default(), Position::default(), Vec::new());
        for ((stream, bytes), asks) in pieces.iter().zip(asks) {
            log.append(*stream, bytes);
            for _ in 0..asks {
                if let Some((stream, bytes, after)) = log.next_piece(position, max_bytes) {
                    seen.push((stream, bytes.to_vec()));
                    position = after;
                }
            }
        }
        seen.extend(follow(&log, &mut position, max_bytes));
        prop_assert_eq!(flat(&seen), flat(&read(&log, Position::default())));
        prop_assert_eq!(&log, &log_of(&pieces));
    }

    #[test]
    fn an_order_is_read_back(pieces in pieces(), more in pieces()) {
        let mut log = log_of(&pieces);
        let (stdout, stderr) = (log.stdout().to_vec(), log.stderr().to_vec());
        let mut again = OutputLog::from_parts(stdout, stderr, &log.encode_order());
        prop_assert_eq!(&again, &log);
        for (stream, bytes) in more {
            log.append(stream, &bytes);
            again.append(stream, &bytes);
        }
        prop_assert_eq!(&again, &log);
    }

    #[test]
    fn an_order_may_be_any_bytes(
        stdout in vec(any::<u8>(), 0..30), stderr in vec(any::<u8>(), 0..30),
        order in prop_oneof![vec(any::<u8>(), 0..30), vec(0..6_u8, 0..30)],
    ) {
        let log = OutputLog::from_parts(stdout.clone(), stderr.clone(), &order);
        let given = read(&log, Position::default());
        prop_assert_eq!(only(Stdout, &given), stdout);
        prop_assert_eq!(only(Stderr, &given), stderr);
        let (stdout, stderr) = (log.stdout().to_vec(), log.stderr().to_vec());
        prop_assert_eq!(OutputLog::from_parts(stdout, stderr, &log.encode_order()), log);
    }

    #[test]
    fn text_is_cut_between_characters(text in any::<String>(), at in any::<prop::sample::Index>()) {
        let bytes = text.as_bytes();
        let cut = at.index(bytes.len() + 1);
        let whole = whole_characters(&bytes[..cut]);
        prop_assert!(text.is_char_boundary(whole));
        prop_assert!(cut - whole <= 3);
        prop_assert!(!(whole + 1..=cut).any(|later| text.is_char_boundary(later)));
    }

    #[test]
    fn no_bytes_are_held_back_for_long(bytes in vec(any::<u8>(), 0..20)) {
        let whole = whole_characters(&bytes);
        prop_assert!(bytes.len() - whole <= 3);
        let held = str::from_utf8(&bytes[whole..]);
        prop_assert!(held.is_ok_and(str::is_empty) || held.is_err_and(|it| it.error_len().is_none()));
    }
}

proptest! {
    // Each case has a log of all runs.
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn nothing_is_lost_or_given_twice_when_the_runs_are_passed(
        missing in 0..20_usize, pieces in pieces(), asks in vec(0..4_usize, 40),
    ) {
        let mut log = nearly_full(missing);
        let start = log.end();
        let (mut position, mut seen) = (start, Vec::new());
        for ((stream, bytes), asks) in pieces.iter().zip(asks) {
            log.append(*stream, bytes);
            for _ in 0..asks {
                if let Some((stream, bytes, after)) = log.next_piece(position, 3) {
                    seen.push((stream, bytes.to_vec()));
                    position = after;
                }
            }
        }
        seen.extend(follow(&log, &mut position, 3));
        prop_assert_eq!(only(Stdout, &seen), only(Stdout, &pieces));
        prop_assert_eq!(only(Stderr, &seen), only(Stderr, &pieces));
        let (stdout, stderr) = (log.stdout().to_vec(), log.stderr().to_vec());
        prop_assert_eq!(OutputLog::from_parts(stdout, stderr, &log.encode_order()), log);
    }
}

#[test]
fn a_character_that_the_other_stream_cuts_is_shown_whole() {
    let mut log = OutputLog::default();
    let (out, err) = (StreamName::Stdout, StreamName::Stderr);
    log.append(out, &"ä".as_bytes()[..1]);
    log.append(err, b"x");
    let begin = Position::default();
    // The other stream goes first while the rest is not there.
    let (stream, text, after) = log.next_text(begin, 100, false).unwrap();
    assert_eq!((stream, text.as_str()), (err, "x"));
    assert_eq!(log.next_text(after, 100, false), None);
    assert_eq!(log.next_text(after, 100, true).unwrap().1, "\u{fffd}");
    log.append(out, &"ä!".as_bytes()[1..]);
    assert_eq!(log.next_text(begin, 100, false).unwrap().1, "ä");
    let (_, text, after) = log.next_text(after, 100, false).unwrap();
    assert_eq!((text.as_str(), after.stdout), ("ä", 2));
    assert_eq!(log.next_text(after, 100, false).unwrap().1, "!");
}

proptest! {
    #[test]
    fn text_is_cut_between_characters_only(
        pieces in proptest::collection::vec((any::<bool>(), any::<String>(), 0_usize..9), 0..20),
        max in 1_usize..10,
    ) {
        let mut log = OutputLog::default();
        let (mut stdout, mut stderr) = (String::new(), String::new());
        for (is_out, text, cut) in &pieces {
            let stream = if *is_out { StreamName::Stdout } else { StreamName::Stderr };
            let (head, tail) = text.as_bytes().split_at((*cut).min(text.len()));
            log.append(stream, head);
            log.append(stream.other(), b"-");
            log.append(stream, tail);
            let (this, that) =
                if *is_out { (&mut stdout, &mut stderr) } else { (&mut stderr, &mut stdout) };
            this.push_str(text);
            that.push('-');
        }
        let (mut seen_out, mut seen_err) = (String::new(), String::new());
        let mut at = Position::default();
        while let Some((stream, text, after)) = log.next_text(at, max.max(4), false) {
            match stream {
                StreamName::Stdout => seen_out.push_str(&text),
                StreamName::Stderr => seen_err.push_str(&text),
            }
            at = after;
        }
        prop_assert_eq!(seen_out, stdout);
        prop_assert_eq!(seen_err, stderr);
    }
}
