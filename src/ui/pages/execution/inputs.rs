//! Files that an execution takes, with links to them, and the comparison of a picture that it took
//! with one that it left.

use maud::{Markup, html};

use super::artifacts::{address_of, is_picture, told};
use crate::domain::execution::{Execution, SharedInput};
use crate::domain::file::FileDigest;
use crate::domain::input_files::InputFile;
use crate::ui::components::value::{bytes, count, counted};

/// Most files listed.
const MAX_LISTED: usize = 50;

/// Renders what it takes; nothing if it takes no files.
pub(super) fn card(execution: &Execution, shares: &[SharedInput]) -> Markup {
    let files = &execution.files;
    let all = execution.file_count.saturating_add(shares.len() as u64);
    let listed = files.len().min(MAX_LISTED) + shares.len().min(MAX_LISTED);
    html! {
        @if all > 0 {
            section.card {
                h2 { (counted(all, "file taken", "files taken")) }
                ul.artifacts {
                    @for file in files.iter().take(MAX_LISTED) {
                        li {
                            a href=(address(file.digest)) download=(told(&file.name)) { (told(&file.name)) }
                            " " span.muted { (bytes(file.bytes)) }
                        }
                    }
                    @for shared in shares.iter().take(MAX_LISTED) {
                        li {
                            (told(&shared.name)) " "
                            span.muted {
                                code { (told(&shared.reference().to_string())) }
                                @if let Some(size) = shared.bytes { ", " (bytes(size)) }
                            }
                        }
                    }
                }
                @let more = all.saturating_sub(listed as u64);
                @if more > 0 { p.muted { "And " (count(more)) " more." } }
                (comparison(execution))
            }
        }
    }
}

/// A picture that it took, and one that it left: the one of the same name, or else the only ones of
/// both.
fn comparison(execution: &Execution) -> Markup {
    let Some((before, index)) = pair(execution) else { return html! {} };
    let after = execution.artifacts.get(index).map_or("", |it| it.name.as_str());
    html! {
        figure.wipe data-wipe="From before to after" {
            img src=(address(before.digest)) alt={ (told(&before.name)) ", before" } loading="lazy";
            img src=(address_of(execution.summary.id, index, &execution.artifacts))
                alt={ (told(after)) ", after" } loading="lazy";
            figcaption.small { (told(&before.name)) " before, " (told(after)) " after" }
        }
    }
}

fn pair(execution: &Execution) -> Option<(&InputFile, usize)> {
    let taken: Vec<_> = execution.files.iter().filter(|it| is_picture(&it.name)).collect();
    let left = execution.artifacts.iter().enumerate();
    let left: Vec<_> = left
        .filter(|(_, it)| is_picture(&it.name) && it.skipped.is_none() && it.bytes > 0)
        .collect();
    let same = taken.iter().find_map(|before| {
        let after = left.iter().find(|(_, it)| last(&it.name) == last(&before.name))?;
        Some((*before, after.0))
    });
    match (same, taken.as_slice(), left.as_slice()) {
        (Some(pair), ..) => Some(pair),
        (None, [before], [(index, _)]) => Some((before, *index)),
        _ => None,
    }
}

fn last(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or_default()
}

fn address(digest: FileDigest) -> String {
    format!("/files/{digest}")
}
