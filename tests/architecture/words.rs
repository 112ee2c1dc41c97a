//! Plain words: doc comments that name their subject.

use crate::source::Source;

/// Words that open a relative clause, which hides the subject.
const RELATIVE: [&str; 6] = ["What", "How", "Whether", "Where", "Why", "When"];

/// Most doc comments that may open with one, in percent.
const MOST: usize = 2;

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
