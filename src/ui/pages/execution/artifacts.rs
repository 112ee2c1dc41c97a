//! Artifacts of an execution, folded by folder and sequence. Pictures, sound and film are shown by
//! the browser's own elements, which take nothing else for them; all other content is only
//! downloaded.
//!
//! It works without JavaScript; `assets/files.js` adds the scrubber to sequences of pictures.

mod folded;

use maud::{Markup, html};
use uuid::Uuid;

use crate::domain::execution::Artifact;
use crate::domain::sanitize::escaped;
use crate::ui::components::value::{bytes, count, counted, short};
use folded::{Entry, Folder, Sequence, folded};

/// Most markup of the lists, in bytes, plus one entry.
const MAX_MARKUP: usize = 28 * 1024;

/// Most entries of all lists together.
const MAX_LISTED: usize = 200;

/// Most files of a sequence listed one by one.
const MAX_OF_SEQUENCE: usize = 20;

/// Most images shown.
const MAX_IMAGES: usize = 12;

/// Most players shown.
const MAX_PLAYERS: usize = 6;

/// Most runs of consecutive indexes that a scrubber is told of.
const MAX_RUNS: usize = 200;

/// Longest name or reason, in characters.
const MAX_CHARACTERS: usize = 100;

/// File extensions of images that browsers show.
const IMAGES: [&str; 6] = ["png", "jpg", "jpeg", "gif", "webp", "avif"];

/// File extensions of films that browsers play.
const FILMS: [&str; 5] = ["mp4", "m4v", "webm", "mov", "ogv"];

/// File extensions of sound that browsers play.
const SOUNDS: [&str; 7] = ["mp3", "wav", "ogg", "oga", "m4a", "flac", "opus"];

/// Renders stored and rejected artifacts; nothing if there are none. `all` is their number, of which
/// only the first may be given.
pub(super) fn card(id: Uuid, artifacts: &[Artifact], all: u64) -> Markup {
    let folders = folded(artifacts);
    let mut view = View { id, artifacts, room: MAX_MARKUP, listed: 0, untold: 0 };
    let lists: Vec<_> = folders.iter().map(|folder| view.folder(folder)).collect();
    let untold = all.saturating_sub((artifacts.len() - view.untold) as u64);
    let size: u64 = folders.iter().map(|it| it.bytes).fold(0, u64::saturating_add);
    html! {
        @if !artifacts.is_empty() {
            section.card {
                div.card-head {
                    h2 { (counted(all, "artifact", "artifacts")) }
                    @if artifacts.len() as u64 >= all { span.muted { (bytes(size)) } }
                    @if artifacts.iter().any(|it| it.digest.is_some()) {
                        a.button href={ "/executions/" (id) "/outputs.zip" } download { "All as ZIP" }
                    }
                }
                (view.players())
                (view.images(&folders))
                @for list in &lists { (list) }
                @if untold > 0 { p.muted { "And " (count(untold)) " more." } }
            }
        }
    }
}

/// Rendering of one execution's artifacts, within bounds.
struct View<'a> {
    id: Uuid,
    artifacts: &'a [Artifact],
    /// Bytes of markup left.
    room: usize,
    /// Entries listed so far.
    listed: usize,
    /// Files that no list has room for.
    untold: usize,
}

impl View<'_> {
    /// List of a folder; folded, unless it is the top one.
    fn folder(&mut self, folder: &Folder) -> Markup {
        let mut entries = Vec::new();
        for entry in &folder.entries {
            if self.room == 0 || self.listed >= MAX_LISTED {
                self.untold += files_of(entry);
                continue;
            }
            let entry = self.entry(entry);
            self.room = self.room.saturating_sub(entry.0.len());
            self.listed += 1;
            entries.push(entry);
        }
        let list = html! { ul.artifacts { @for entry in &entries { (entry) } } };
        let files = counted(folder.files as u64, "file", "files");
        html! {
            @if entries.is_empty() {
            } @else if folder.name.is_empty() {
                (list)
            } @else {
                details.folder {
                    summary {
                        (told(&folder.name)) "/ "
                        span.muted { (files) ", " (bytes(folder.bytes)) }
                    }
                    (list)
                }
            }
        }
    }

    fn entry(&self, entry: &Entry) -> Markup {
        match entry {
            Entry::File(index) => self.file(*index),
            Entry::Sequence(sequence) => self.sequence(sequence),
        }
    }

    fn file(&self, index: usize) -> Markup {
        let Some(artifact) = self.artifacts.get(index) else { return html! {} };
        let (_, name) = folded::split(&artifact.name);
        html! {
            li {
                @if let Some(reason) = &artifact.skipped {
                    (told(name)) " " span.wrong { "not taken: " (told(reason)) }
                } @else {
                    a href=(self.address(index)) download { (told(name)) }
                    " " span.muted { (bytes(artifact.bytes)) }
                }
            }
        }
    }

    fn sequence(&self, sequence: &Sequence) -> Markup {
        let ends = sequence.members.first().zip(sequence.members.last());
        let named = |index: &usize| self.artifacts.get(*index).map(|it| folded::split(&it.name).1);
        let Some((first, last)) = ends.and_then(|(a, b)| named(a).zip(named(b))) else {
            return html! {};
        };
        let files = counted(sequence.members.len() as u64, "file", "files");
        html! {
            li.sequence {
                (told(first)) " … " (told(last)) " "
                span.muted {
                    (files) ", " (bytes(sequence.bytes))
                    @if sequence.missing > 0 { ", " (count(sequence.missing)) " missing between" }
                }
                (self.frames(sequence, first))
                details {
                    summary { "Files" }
                    ul.artifacts {
                        @for index in sequence.members.iter().take(MAX_OF_SEQUENCE) {
                            (self.file(*index))
                        }
                        @let more = sequence.members.len().saturating_sub(MAX_OF_SEQUENCE);
                        @if more > 0 { li.muted { "and " (count(more as u64)) " more" } }
                    }
                }
            }
        }
    }

    /// First picture of a sequence, which the page's module makes all others of.
    fn frames(&self, sequence: &Sequence, name: &str) -> Markup {
        let Some(first) = sequence.members.first() else { return html! {} };
        let is_shown = self.artifacts.get(*first).is_some_and(|it| is_shown(it, &IMAGES));
        let runs = runs(&sequence.members).filter(|_| !self.has_numbers_as_names());
        html! {
            @if is_shown {
                figure.frames data-frames=[runs] data-base=(self.base()) {
                    img src=(self.address(*first)) alt=(told(name)) loading="lazy";
                }
            }
        }
    }

    /// Pictures that are in no sequence.
    fn images(&self, folders: &[Folder]) -> Markup {
        let entries = folders.iter().flat_map(|folder| &folder.entries);
        let files = entries.filter_map(|entry| match entry {
            Entry::File(index) => Some((*index, self.artifacts.get(*index)?)),
            Entry::Sequence(_) => None,
        });
        let images: Vec<_> =
            files.filter(|(_, it)| is_shown(it, &IMAGES)).take(MAX_IMAGES).collect();
        html! {
            @if !images.is_empty() {
                div.images {
                    @for (index, image) in images {
                        img src=(self.address(index)) alt=(told(&image.name)) loading="lazy";
                    }
                }
            }
        }
    }

    /// Players of films and sounds. Only what is played is loaded, by ranges.
    fn players(&self) -> Markup {
        let all = self.artifacts.iter().enumerate();
        let played = all.filter(|(_, it)| is_shown(it, &FILMS) || is_shown(it, &SOUNDS));
        let played: Vec<_> = played.take(MAX_PLAYERS).collect();
        html! {
            @if !played.is_empty() {
                div.players {
                    @for (index, artifact) in played {
                        figure {
                            @if is_shown(artifact, &FILMS) {
                                video controls preload="metadata" src=(self.address(index))
                                    aria-label=(told(&artifact.name)) {}
                            } @else {
                                audio controls preload="metadata" src=(self.address(index))
                                    aria-label=(told(&artifact.name)) {}
                            }
                            figcaption.small { (told(&artifact.name)) }
                        }
                    }
                }
            }
        }
    }

    fn base(&self) -> String {
        format!("/executions/{}/artifacts/", self.id)
    }

    fn address(&self, index: usize) -> String {
        address_of(self.id, index, self.artifacts)
    }

    /// True if an index could be taken for another artifact's name.
    fn has_numbers_as_names(&self) -> bool {
        self.artifacts.iter().any(|it| it.name.bytes().all(|byte| byte.is_ascii_digit()))
    }
}

/// Address of an artifact: its index, unless another one has that number as its name.
pub(super) fn address_of(id: Uuid, index: usize, artifacts: &[Artifact]) -> String {
    let number = index.to_string();
    let is_name = artifacts.iter().any(|it| it.name == number);
    let name = artifacts.get(index).filter(|_| is_name).map(|it| percent_encoded(&it.name));
    format!("/executions/{id}/artifacts/{}", name.unwrap_or(number))
}

fn files_of(entry: &Entry) -> usize {
    match entry {
        Entry::File(_) => 1,
        Entry::Sequence(sequence) => sequence.members.len(),
    }
}

/// Indexes as runs of consecutive ones, `3-17,20`; `None` if there are too many.
fn runs(indexes: &[usize]) -> Option<String> {
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for &index in indexes {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == index => *last = index,
            _ => runs.push((index, index)),
        }
        if runs.len() > MAX_RUNS {
            return None;
        }
    }
    let text = |(first, last): &(usize, usize)| format!("{first}-{last}");
    Some(runs.iter().map(text).collect::<Vec<_>>().join(","))
}

/// True if a name has the extension of a picture that browsers show.
pub(super) fn is_picture(name: &str) -> bool {
    has_extension(name, &IMAGES)
}

fn has_extension(name: &str, extensions: &[&str]) -> bool {
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    extensions.iter().any(|it| it.eq_ignore_ascii_case(ending))
}

/// True if an artifact that was taken has one of these extensions.
fn is_shown(artifact: &Artifact, extensions: &[&str]) -> bool {
    has_extension(&artifact.name, extensions) && artifact.skipped.is_none() && artifact.bytes > 0
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
pub(super) fn told(text: &str) -> String {
    let beginning = short(text, MAX_CHARACTERS);
    let end = if beginning.len() < text.len() { "…" } else { "" };
    escaped(beginning) + end
}

#[cfg(test)]
mod tests {
    use super::*;

    fn artifact(name: &str) -> Artifact {
        Artifact::kept(name.to_owned(), 7)
    }

    #[test]
    fn files_are_found_by_their_place_and_images_are_seen() {
        let mut artifacts = vec![artifact("a b.PNG"), artifact("x.html"), artifact("no.gif")];
        artifacts[2].skipped = Some("<too large>".to_owned());
        let card = card(Uuid::nil(), &artifacts, artifacts.len() as u64).into_string();
        let place = format!("/executions/{}/artifacts", Uuid::nil());
        assert!(card.contains(&format!("<img src=\"{place}/0\" alt=\"a b.PNG\"")), "{card}");
        assert!(card.contains(&format!("<a href=\"{place}/1\" download>x.html</a>")), "{card}");
        assert!(card.contains("not taken: &lt;too large&gt;"), "{card}");
        assert_eq!(card.matches("<img").count(), 1);
    }

    #[test]
    fn a_number_that_is_a_name_leads_to_no_other_file() {
        let artifacts = [artifact("1"), artifact("ä/b c")];
        let view =
            View { id: Uuid::nil(), artifacts: &artifacts, room: MAX_MARKUP, listed: 0, untold: 0 };
        assert!(view.address(0).ends_with("/artifacts/0"));
        assert!(view.address(1).ends_with("/artifacts/%C3%A4/b%20c"));
    }

    #[test]
    fn the_list_is_bounded() {
        let name = |it: u32| format!("{}.png", char::from_u32(0x4e00 + it % 20_000).unwrap());
        let artifacts: Vec<_> = (0..20_000).map(|it| artifact(&name(it))).collect();
        let many = card(Uuid::nil(), &artifacts, artifacts.len() as u64).into_string();
        assert_eq!(many.matches("<li>").count(), MAX_LISTED);
        assert!(many.contains("And 19\u{202f}800 more."), "{many}");
        let folders: Vec<_> =
            (0..20_000).map(|it| artifact(&format!("{}/{it}/a.mp4", "d".repeat(90)))).collect();
        let many = card(Uuid::nil(), &folders, folders.len() as u64).into_string();
        assert!(many.len() < 3 * MAX_MARKUP, "{}", many.len());
        let artifacts: Vec<_> = (0..1_000).map(|_| artifact(&"&\u{202e}".repeat(2_000))).collect();
        let long = card(Uuid::nil(), &artifacts, artifacts.len() as u64).into_string();
        assert!(long.len() < MAX_MARKUP + 4_096, "{}", long.len());
        assert!(card(Uuid::nil(), &[], 0).into_string().is_empty());
    }

    #[test]
    fn a_sequence_is_one_entry_with_its_first_picture() {
        let mut artifacts: Vec<_> =
            (0..5_000).map(|it| artifact(&format!("frames/f_{it:04}.png"))).collect();
        artifacts.push(artifact("log.txt"));
        let page = card(Uuid::nil(), &artifacts, artifacts.len() as u64).into_string();
        assert!(page.contains("5\u{202f}001 artifacts"), "{page}");
        assert!(
            page.contains("<summary>frames/ <span class=\"muted\">5\u{202f}000 files"),
            "{page}"
        );
        assert!(page.contains("f_0000.png … f_4999.png"), "{page}");
        assert!(page.contains("data-frames=\"0-4999\""), "{page}");
        assert_eq!(page.matches("<img").count(), 1);
        assert!(page.contains("and 4\u{202f}980 more"), "{page}");
        artifacts.push(artifact("7"));
        let page = card(Uuid::nil(), &artifacts, artifacts.len() as u64).into_string();
        assert!(!page.contains("data-frames=\""), "an index would be taken for a name");
    }

    #[test]
    fn films_and_sounds_are_played() {
        let artifacts = [artifact("a.MP4"), artifact("b.wav"), artifact("c.svg")];
        let page = card(Uuid::nil(), &artifacts, artifacts.len() as u64).into_string();
        let place = format!("/executions/{}/artifacts", Uuid::nil());
        for player in ["video", "audio"] {
            assert!(page.contains(&format!("<{player} controls preload=\"metadata\"")), "{page}");
        }
        assert!(page.contains(&format!("src=\"{place}/0\" aria-label=\"a.MP4\"")), "{page}");
        assert_eq!(page.matches("<img").count(), 0);
    }

    #[test]
    fn runs_of_indexes_are_bounded() {
        assert_eq!(runs(&[3, 4, 5, 9, 2]).as_deref(), Some("3-5,9-9,2-2"));
        assert_eq!(runs(&[]).as_deref(), Some(""));
        let odd: Vec<_> = (0..=MAX_RUNS).map(|it| it * 2).collect();
        assert_eq!(runs(&odd), None);
    }
}
