//! Links between the pages.

use std::collections::BTreeSet;
use std::path::Path;

use crate::page::path;
use crate::variables::files;

/// The lines of a page that are no code.
fn prose(text: &str) -> Vec<&str> {
    let mut is_code = false;
    let lines = text.lines().filter(|line| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence
    });
    lines.collect()
}

/// The anchor that a heading has on a page: lower case, `-` for spaces, and of other
/// characters only letters, digits, `-` and `_`.
fn anchor(heading: &str) -> String {
    let heading = heading.trim().replace('`', "").to_lowercase().replace(' ', "-");
    heading.chars().filter(|c| c.is_alphanumeric() || *c == '-' || *c == '_').collect()
}

fn anchors(text: &str) -> BTreeSet<String> {
    let lines = prose(text).into_iter().filter(|line| line.starts_with('#'));
    lines.map(|line| anchor(line.trim_start_matches('#'))).collect()
}

/// Where the links of a line lead.
fn targets(line: &str) -> Vec<&str> {
    let behind = line.split("](").skip(1);
    behind.filter_map(|rest| rest.split_once(')').map(|(target, _)| target)).collect()
}

/// What is wrong with a link from a page.
fn problem(page: &Path, own: &str, target: &str) -> Option<String> {
    if target.contains("://") || target.starts_with("mailto:") {
        return None;
    }
    let (file, wanted) = target.split_once('#').unwrap_or((target, ""));
    let there = page.parent().unwrap().join(file);
    if !file.is_empty() && !there.exists() {
        return Some(format!("{}: there is no {target}", page.display()));
    }
    if wanted.is_empty() {
        return None;
    }
    let text =
        if file.is_empty() { own.to_owned() } else { std::fs::read_to_string(&there).ok()? };
    let is_there = anchors(&text).contains(wanted);
    (!is_there).then(|| format!("{}: there is no heading for {target}", page.display()))
}

#[test]
fn links_lead_somewhere() {
    let mut count = 0;
    let mut problems = Vec::new();
    for page in files(&path("."), ".md") {
        let text = std::fs::read_to_string(&page).unwrap();
        for target in prose(&text).into_iter().flat_map(targets) {
            count += 1;
            problems.extend(problem(&page, &text, target));
        }
    }
    assert!(count > 20, "only {count} links were found");
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn every_page_says_where_to_go_next() {
    for page in files(&path("docs"), ".md") {
        let text = std::fs::read_to_string(&page).unwrap();
        let last = prose(&text).into_iter().rfind(|line| line.starts_with("## "));
        assert_eq!(last, Some("## Next"), "{}", page.display());
    }
}

#[test]
fn broken_links_are_found() {
    let page = path("README.md");
    let text = "# A first `page`: yes\n```\n# no\n```\n";
    assert_eq!(anchors(text).into_iter().collect::<Vec<_>>(), ["a-first-page-yes"]);
    assert_eq!(targets("a [b](c.md#d) and ![e](f)"), ["c.md#d", "f"]);
    assert!(problem(&page, text, "#a-first-page-yes").is_none());
    assert!(problem(&page, text, "https://example.org/").is_none());
    for target in ["#no", "nowhere.md", "LICENSE-MIT#no"] {
        assert!(problem(&page, text, target).is_some(), "{target}");
    }
}
