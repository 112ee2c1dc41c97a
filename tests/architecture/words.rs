//! Plain words: doc comments and log lines that name their subject.

use crate::source::Source;

/// Words that open a relative clause, which hides the subject.
const RELATIVE: [&str; 6] = ["What", "How", "Whether", "Where", "Why", "When"];

/// Most doc comments that may open with one, in percent.
const MOST: usize = 2;

/// Macros of log lines, from whichever crate they are called.
const LOG_MACROS: [&str; 5] = ["trace!(", "debug!(", "info!(", "warn!(", "error!("];

/// Words that stand for a subject which a log line does not name.
const PRONOUNS: [&str; 4] = ["it", "its", "they", "their"];

/// Message of each log line of the program, with the number of the line in which its macro
/// begins: the macro's last string.
fn log_messages(source: &Source) -> impl Iterator<Item = (usize, String)> {
    source.production().filter_map(|(number, code)| {
        let name = LOG_MACROS.iter().find(|name| is_called(code, name))?;
        let mut depth = 0_i32;
        let end = source.code[number - 1..].iter().enumerate().position(|(at, line)| {
            let begin = if at == 0 { line.find(name).unwrap_or(0) } else { 0 };
            depth += line[begin..]
                .chars()
                .map(|it| i32::from(it == '(') - i32::from(it == ')'))
                .sum::<i32>();
            depth == 0
        })?;
        let text = source.lines[number - 1..=number - 1 + end].join("\n");
        let (before, _) = text.rsplit_once('"')?;
        let (_, message) = before.rsplit_once('"')?;
        Some((number, message.to_owned()))
    })
}

/// True for `warn!(` and `tracing::warn!(`, false for `on_warn!(`.
fn is_called(code: &str, name: &str) -> bool {
    let before = code.find(name).map(|at| code[..at].chars().next_back());
    before.is_some_and(|it| it.is_none_or(|it| !it.is_alphanumeric() && it != '_'))
}

/// Log lines of the program that do not name their subject.
pub(crate) fn log_findings(sources: &[Source]) -> Vec<String> {
    let ours = sources.iter().filter(|source| source.path.starts_with("src/"));
    let found = ours.flat_map(|source| {
        let nameless = log_messages(source).filter(|(_, message)| is_nameless(message));
        nameless.map(|(line, message)| format!("{}:{line}: {message}", source.path))
    });
    found.collect()
}

fn is_nameless(message: &str) -> bool {
    let first = message.split_whitespace().next().unwrap_or_default();
    PRONOUNS.contains(&first) || RELATIVE.iter().any(|word| word.eq_ignore_ascii_case(first))
}

/// First line of each doc comment, with its number from 1.
fn doc_comments(source: &Source) -> impl Iterator<Item = (usize, &str)> {
    let is_doc = |line: &str| line.starts_with("///");
    let lines: Vec<_> = source.lines.iter().map(|line| line.trim_start()).collect();
    (0..lines.len()).filter_map(move |at| {
        let is_first = is_doc(lines[at]) && (at == 0 || !is_doc(lines[at - 1]));
        is_first.then(|| (at + 1, lines[at].trim_start_matches('/').trim_start()))
    })
}

fn is_relative(comment: &str) -> bool {
    comment.split_whitespace().next().is_some_and(|word| RELATIVE.contains(&word))
}

/// Doc comments of the program that open with a relative clause, when they are too many.
pub(crate) fn findings(sources: &[Source]) -> Vec<String> {
    let ours = || sources.iter().filter(|source| source.path.starts_with("src/"));
    let all = ours().flat_map(doc_comments).count();
    let relative = ours().flat_map(|source| {
        let found = doc_comments(source).filter(|(_, comment)| is_relative(comment));
        found.map(|(line, comment)| format!("{}:{line}: {comment}", source.path))
    });
    let relative: Vec<_> = relative.collect();
    if relative.len() * 100 > all * MOST { relative } else { Vec::new() }
}

#[test]
fn the_first_line_of_a_doc_comment_is_looked_at() {
    let text = "/// What it is.\n/// When it ended.\nstruct A;\n    /// Whatever is wrong.\n";
    let source = Source::new("src/a.rs", text);
    let found: Vec<_> = doc_comments(&source).collect();
    assert_eq!(found, [(1, "What it is."), (4, "Whatever is wrong.")]);
    assert!(is_relative(found[0].1) && !is_relative(found[1].1));
    assert_eq!(findings(&[source]), ["src/a.rs:1: What it is."]);
}

#[test]
fn the_message_of_a_log_line_is_looked_at() {
    let text = "fn f() {\n    tracing::warn!(\n        id, error = %g(\"its\"),\n        \"its end (late) \
                can't be stored\"\n    );\n    info!(\"a script is ready\");\n    on_info!(\"it\");\n}\n";
    let source = Source::new("src/a.rs", text);
    let messages: Vec<_> = log_messages(&source).collect();
    let message = |line, text: &str| (line, text.to_owned());
    let expected = [message(2, "its end (late) can't be stored"), message(6, "a script is ready")];
    assert_eq!(messages, expected);
    assert_eq!(log_findings(&[source]), ["src/a.rs:2: its end (late) can't be stored"]);
}
