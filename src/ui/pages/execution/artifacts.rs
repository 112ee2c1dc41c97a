//! Artifacts of an execution. Images are shown if the browser accepts them as images; all other
//! content is only downloaded.

use maud::{Markup, html};
use uuid::Uuid;

use crate::domain::execution::Artifact;
use crate::domain::sanitize::escaped;
use crate::ui::components::value::{bytes, count, counted, short};

/// Most artifacts listed.
const MAX_LISTED: usize = 200;

/// Most markup of the list, in bytes, plus one artifact.
const MAX_MARKUP: usize = 28 * 1024;

/// Most images shown.
const MAX_IMAGES: usize = 12;

/// Longest name or reason, in characters.
const MAX_CHARACTERS: usize = 100;

/// File extensions of images that browsers show.
const IMAGES: [&str; 5] = ["png", "jpg", "jpeg", "gif", "webp"];

/// Renders stored and rejected artifacts; nothing if there are none.
pub(super) fn card(id: Uuid, artifacts: &[Artifact]) -> Markup {
    let mut used = 0;
    let entries = artifacts.iter().enumerate().take(MAX_LISTED);
    let entries = entries.map(|(index, artifact)| entry(id, index, artifacts, artifact));
    let entries: Vec<_> = entries
        .take_while(|it| {
            let has_room = used < MAX_MARKUP;
            used += it.0.len();
            has_room
        })
        .collect();
    let more = artifacts.len() - entries.len();
    html! {
        @if !artifacts.is_empty() {
            section.card {
                h2 { (counted(artifacts.len() as u64, "artifact", "artifacts")) }
                (images(id, artifacts))
                ul.artifacts { @for entry in &entries { (entry) } }
                @if more > 0 { p.muted { "And " (count(more as u64)) " more." } }
            }
        }
    }
}

fn entry(id: Uuid, index: usize, artifacts: &[Artifact], artifact: &Artifact) -> Markup {
    let name = told(&artifact.name);
    html! {
        li {
            @if let Some(reason) = &artifact.skipped {
                (name) " " span.wrong { "not taken: " (told(reason)) }
            } @else {
                a href=(address(id, index, artifacts)) download { (name) }
                " " span.muted { (bytes(artifact.bytes)) }
            }
        }
    }
}

fn images(id: Uuid, artifacts: &[Artifact]) -> Markup {
    let all = artifacts.iter().enumerate();
    let images: Vec<_> = all.filter(|(_, it)| is_image(it)).take(MAX_IMAGES).collect();
    html! {
        @if !images.is_empty() {
            div.images {
                @for (index, image) in images {
                    img src=(address(id, index, artifacts)) alt=(told(&image.name)) loading="lazy";
                }
            }
        }
    }
}

fn is_image(artifact: &Artifact) -> bool {
    let ending = artifact.name.rsplit_once('.').map_or("", |(_, ending)| ending);
    let is_known = IMAGES.iter().any(|it| it.eq_ignore_ascii_case(ending));
    is_known && artifact.skipped.is_none() && artifact.bytes > 0
}

/// Address of an artifact: its index, unless another one has that number as its name.
fn address(id: Uuid, index: usize, artifacts: &[Artifact]) -> String {
    let number = index.to_string();
    let is_name = artifacts.iter().any(|it| it.name == number);
    let name = artifacts.get(index).filter(|_| is_name).map(|it| percent_encoded(&it.name));
    format!("/executions/{id}/artifacts/{}", name.unwrap_or(number))
}

/// Percent-encodes a name for a path (RFC 3986, 3.3).
fn percent_encoded(name: &str) -> String {
    let mut encoded = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'/' | b'-' | b'.' | b'_' | b'~' => encoded.push(char::from(byte)),
            byte if byte.is_ascii_alphanumeric() => encoded.push(char::from(byte)),
            byte => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

/// Shortens foreign text.
fn told(text: &str) -> String {
    let beginning = short(text, MAX_CHARACTERS);
    let end = if beginning.len() < text.len() { "…" } else { "" };
    escaped(beginning) + end
}

#[cfg(test)]
mod tests {
    use super::*;

    fn artifact(name: &str) -> Artifact {
        Artifact { name: name.to_owned(), bytes: 7, skipped: None }
    }

    #[test]
    fn files_are_found_by_their_place_and_images_are_seen() {
        let mut artifacts = vec![artifact("a b.PNG"), artifact("x.html"), artifact("no.gif")];
        artifacts[2].skipped = Some("<too large>".to_owned());
        let card = card(Uuid::nil(), &artifacts).into_string();
        let place = format!("/executions/{}/artifacts", Uuid::nil());
        assert!(card.contains(&format!("<img src=\"{place}/0\" alt=\"a b.PNG\"")), "{card}");
        assert!(card.contains(&format!("<a href=\"{place}/1\" download>x.html</a>")), "{card}");
        assert!(card.contains("not taken: &lt;too large&gt;"), "{card}");
        assert_eq!(card.matches("<img").count(), 1);
    }

    #[test]
    fn a_number_that_is_a_name_leads_to_no_other_file() {
        let artifacts = [artifact("1"), artifact("ä/b c")];
        assert!(address(Uuid::nil(), 0, &artifacts).ends_with("/artifacts/0"));
        assert!(address(Uuid::nil(), 1, &artifacts).ends_with("/artifacts/%C3%A4/b%20c"));
    }

    #[test]
    fn the_list_is_bounded() {
        let artifacts: Vec<_> = (0..100_000).map(|it| artifact(&format!("{it}.png"))).collect();
        let many = card(Uuid::nil(), &artifacts).into_string();
        assert_eq!(many.matches("<li>").count(), MAX_LISTED);
        assert!(many.contains("more."));
        let artifacts: Vec<_> = (0..1_000).map(|_| artifact(&"&\u{202e}".repeat(2_000))).collect();
        let long = card(Uuid::nil(), &artifacts).into_string();
        assert!(long.len() < MAX_MARKUP + 4_096, "{}", long.len());
        assert!(card(Uuid::nil(), &[]).into_string().is_empty());
    }
}
