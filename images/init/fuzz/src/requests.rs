//! Arbitrary bytes on PID 1's stdin.

use gantry_init::frame::{Kind, MAX_REPLY_PAYLOAD, MAX_REQUEST_PAYLOAD};
use gantry_init::intake::{Event, Intake};
use gantry_init::message::{Launch, Preparation, RefusedReason, Request};
use gantry_init::request::{check, refused};

use super::{frame, stream};

/// Events of a stream, with adjacent pieces of the same kind put together.
#[derive(Debug, PartialEq)]
enum Said {
    Prepare(Box<Preparation>),
    Request(Box<Request>),
    Script(Vec<u8>),
    Stdin(Vec<u8>),
    Go,
    Cancel,
}

/// All of a stream.
#[derive(Debug, PartialEq)]
struct Read {
    said: Vec<Said>,
    is_complete: bool,
    has_go: bool,
    broken: Option<String>,
}

/// Checks that the pieces make no difference; that events come in their order, and no
/// more of them than were announced; that paths of an accepted request stay in their
/// place; and that the same events are read when they are sent again.
pub fn hold(input: &[u8]) -> bool {
    let Some((stream, piece)) = stream(input) else { return false };
    let whole = read(&stream, stream.len().max(1));
    assert_eq!(read(&stream, piece), whole);
    keeps_the_order(&whole);
    for said in &whole.said {
        if let Said::Request(request) = said {
            keeps_to_its_place(request);
        }
    }
    if let Some(words) = &whole.broken {
        fits_into_a_frame(words);
        return false;
    }
    if whole.is_complete {
        let again = said_again(&whole.said);
        assert_eq!(read(&again, again.len()), whole);
    }
    whole.has_go
}

fn read(stream: &[u8], piece: usize) -> Read {
    let mut intake = Intake::default();
    let mut said = Vec::new();
    let mut broken = None;
    'stream: for mut piece in stream.chunks(piece) {
        loop {
            match intake.next(&mut piece) {
                Ok(Some(event)) => add(&mut said, event),
                Ok(None) => break,
                Err(error) => {
                    broken = Some(error.to_string());
                    break 'stream;
                }
            }
        }
        assert!(piece.is_empty(), "all is taken before more is asked for");
    }
    Read { said, is_complete: intake.is_complete(), has_go: intake.has_go(), broken }
}

fn add(all: &mut Vec<Said>, event: Event<'_>) {
    match (event, all.last_mut()) {
        (Event::Script(piece), Some(Said::Script(bytes)))
        | (Event::Stdin(piece), Some(Said::Stdin(bytes))) => {
            assert!(!piece.is_empty());
            bytes.extend(piece);
        }
        (Event::Script(piece), _) => all.push(Said::Script(piece.to_vec())),
        (Event::Stdin(piece), _) => all.push(Said::Stdin(piece.to_vec())),
        (Event::Prepare(preparation), _) => all.push(Said::Prepare(preparation)),
        (Event::Request(request), _) => all.push(Said::Request(request)),
        (Event::Go, _) => all.push(Said::Go),
        (Event::Cancel, _) => all.push(Said::Cancel),
    }
}

/// `Prepare? Request Script* Stdin* Go`, with cancels anywhere, as far as it goes.
fn keeps_the_order(read: &Read) {
    let mut stage = 0;
    let (mut script, mut stdin) = (0, 0);
    let mut announced = None;
    for said in &read.said {
        let (from, to) = match said {
            Said::Cancel => continue,
            Said::Prepare(_) => (0, 1),
            Said::Request(request) => {
                announced = Some((request.script_bytes, request.stdin_bytes));
                (1, 2)
            }
            Said::Script(bytes) => {
                script += bytes.len() as u64;
                (2, 2)
            }
            Said::Stdin(bytes) => {
                stdin += bytes.len() as u64;
                (3, 3)
            }
            Said::Go => (3, 4),
        };
        assert!(stage <= from, "{said:?} comes too late");
        stage = to;
    }
    let (script_bytes, stdin_bytes) = announced.unwrap_or_default();
    assert!(script <= script_bytes && stdin <= stdin_bytes, "no more than was announced");
    assert!(stdin == 0 || script == script_bytes, "the script comes first");
    let is_all = announced == Some((script, stdin));
    assert!(is_all || !read.has_go, "nothing starts before it is whole");
    assert!(read.broken.is_some() || !read.is_complete || is_all);
}

/// The guarantees of [`check`], written independently of it.
fn keeps_to_its_place(request: &Request) {
    if let Err(answer) = check(request) {
        assert_eq!(answer.reason, RefusedReason::Request);
        return;
    }
    let is_within = |path: &str| !path.contains('\0') && path.split('/').all(|it| it != "..");
    assert!(request.working_directory.starts_with('/') && is_within(&request.working_directory));
    assert!(request.args.iter().all(|argument| !argument.contains('\0')));
    for (name, value) in &request.env {
        assert!(!name.is_empty() && !name.contains(['=', '\0']) && !value.contains('\0'));
    }
    if let Some(file) = &request.output_file {
        assert!(!file.path.is_empty() && !file.path.starts_with('/') && is_within(&file.path));
    }
    match &request.launch {
        Launch::Executable { name } => assert!(!name.contains('\0')),
        Launch::Interpreted { interpreter, file_name } => {
            assert!(interpreter.first().is_some_and(|it| it.starts_with('/') && is_within(it)));
            assert!(interpreter.iter().all(|word| !word.contains('\0')));
            assert!(
                !matches!(file_name.as_str(), "" | "." | "..") && !file_name.contains(['/', '\0'])
            );
        }
        Launch::InImage { command, path } => {
            assert!(command.first().is_some_and(|it| it.starts_with('/') && is_within(it)));
            assert!(command.iter().all(|word| !word.contains('\0')));
            assert!(path.starts_with("/opt/bundle") && is_within(path));
            assert_eq!(request.script_bytes, 0);
        }
    }
}

/// Whatever was wrong can be answered.
fn fits_into_a_frame(words: &str) {
    let answer = serde_json::to_vec(&refused(RefusedReason::Request, words));
    assert!(answer.expect("messages can be written").len() <= MAX_REPLY_PAYLOAD);
}

fn said_again(all: &[Said]) -> Vec<u8> {
    let pieces = |kind, bytes: &[u8]| {
        bytes.chunks(MAX_REQUEST_PAYLOAD).flat_map(|piece| frame(kind, piece)).collect()
    };
    let json = |kind, message: serde_json::Result<Vec<u8>>| {
        frame(kind, &message.expect("messages can be written"))
    };
    let again = all.iter().map(|said| match said {
        Said::Prepare(preparation) => json(Kind::Prepare, serde_json::to_vec(preparation)),
        Said::Request(request) => json(Kind::Request, serde_json::to_vec(request)),
        Said::Script(bytes) => pieces(Kind::Script, bytes),
        Said::Stdin(bytes) => pieces(Kind::Stdin, bytes),
        Said::Go => frame(Kind::Go, &[]),
        Said::Cancel => frame(Kind::Cancel, &[]),
    });
    again.collect::<Vec<_>>().concat()
}
