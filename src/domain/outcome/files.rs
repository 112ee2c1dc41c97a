//! Messages about files that were not kept, and about full file systems.

use gantry_init::message::{
    ARTIFACT_DIR, Exit, MAX_UNLISTED_ARTIFACTS, Place, SHARED_MEMORY_DIR, SkipReason, WORK_DIR,
};

use crate::domain::job::{MAX_ARTIFACT_BYTES, MAX_ARTIFACTS};
use crate::domain::quantities::show_bytes;
use crate::domain::sanitize::sanitize;

/// Most files named in one message.
const MAX_NAMED: usize = 5;

/// Reason why a file was not kept.
#[must_use]
pub fn skip_reason(reason: SkipReason) -> &'static str {
    match reason {
        SkipReason::TooMany => "too many artifacts",
        SkipReason::TooLarge => "too large",
        SkipReason::Name => "forbidden name",
        SkipReason::Unreadable => "not a readable file",
    }
}

/// Names the files that were not kept, with advice; `None` if all were kept.
pub(super) fn unkept(exit: &Exit) -> Option<String> {
    let skipped = &exit.artifacts_skipped;
    let count = exit.artifacts_unlisted.saturating_add(skipped.len() as u64);
    if count == 0 {
        return None;
    }
    let at_least = if exit.artifacts_unlisted >= MAX_UNLISTED_ARTIFACTS { "at least " } else { "" };
    let (files, were) = if count == 1 { ("file", "was") } else { ("files", "were") };
    let named = skipped.iter().take(MAX_NAMED);
    let mut named: Vec<_> =
        named.map(|it| format!("{} ({})", sanitize(&it.name), skip_reason(it.reason))).collect();
    let more = count - named.len() as u64;
    if more > 0 {
        named.push(format!("{more} more"));
    }
    Some(format!(
        "{at_least}{count} {files} in {ARTIFACT_DIR} {were} not kept: {}\nhint: {}",
        named.join(", "),
        hints(exit).join("; ")
    ))
}

fn hints(exit: &Exit) -> Vec<String> {
    let reasons = exit.artifacts_skipped.iter().map(|it| it.reason);
    let mut hints: Vec<String> = Vec::new();
    for hint in reasons.map(hint) {
        if !hints.contains(&hint) {
            hints.push(hint);
        }
    }
    hints
}

fn hint(reason: SkipReason) -> String {
    match reason {
        SkipReason::TooMany => {
            format!("at most {MAX_ARTIFACTS} files are kept: pack them into an archive")
        }
        SkipReason::TooLarge => {
            let most = show_bytes(MAX_ARTIFACT_BYTES);
            format!("at most {most} are kept in all: write large results to a mount")
        }
        SkipReason::Name => "a name is UTF-8 of at most 255 bytes with its folders, without `\\` \
             and control characters"
            .to_owned(),
        SkipReason::Unreadable => "only regular files are kept that the script's user may read: \
             no links, sockets or pipes"
            .to_owned(),
    }
}

/// First place of which `is_meant` is true, with its size, and advice.
pub(super) fn full_place(
    exit: &Exit,
    is_meant: impl Fn(&Place) -> bool,
) -> Option<(String, String)> {
    let place = exit.places.iter().find(|it| is_meant(it))?;
    let hint = match place.path.as_str() {
        WORK_DIR => "raise limits.scratch_bytes, or the memory limit with `gantry run`",
        SHARED_MEMORY_DIR => "use fewer workers, or share less memory at once",
        _ => "put large files into /work, with TMPDIR=/work for programs that use it",
    };
    Some((described(place), format!("hint: {hint}")))
}

/// Room for files of a script that was ended by SIGBUS, as the end of a sentence.
pub(super) fn room(exit: &Exit) -> String {
    let why = "it used shared memory or a mapped file beyond the room for it";
    if let Some((place, hint)) = full_place(exit, |it| it.was_full) {
        return format!(": {why}, and {place} was full\n{hint}");
    }
    let all: Vec<_> = exit.places.iter().map(described).collect();
    let there =
        if all.is_empty() { String::new() } else { format!("; there is {}", all.join(", ")) };
    format!(
        ": {why}{there}\n\
         hint: share less memory at once, or map files in /work and raise limits.scratch_bytes"
    )
}

fn described(place: &Place) -> String {
    format!("{} ({})", place.path, show_bytes(place.bytes))
}
