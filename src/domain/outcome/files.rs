//! Messages about files that were not kept, and about full file systems.

use gantry_init::message::{
    ARTIFACT_DIR, Exit, MAX_DISK_DEPTH, MAX_UNLISTED_ARTIFACTS, OverDisk, Place, SHARED_MEMORY_DIR,
    SkipReason, WORK_DIR,
};

use crate::domain::job::MAX_ARTIFACT_BYTES;
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
        SkipReason::HardLink => "another name of a file that was kept",
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
    for hint in reasons.map(|reason| hint(reason, exit.disk.is_some())) {
        if !hints.contains(&hint) {
            hints.push(hint);
        }
    }
    hints
}

fn hint(reason: SkipReason, is_on_disk: bool) -> String {
    match reason {
        SkipReason::TooMany => {
            "raise limits.file_count, or pack the files into an archive".to_owned()
        }
        SkipReason::TooLarge if is_on_disk => {
            "files are kept up to limits.disk_bytes in all, by their lengths".to_owned()
        }
        SkipReason::TooLarge => {
            let most = show_bytes(MAX_ARTIFACT_BYTES);
            format!("at most {most} are kept in all without scratch on disk: set limits.disk_bytes")
        }
        SkipReason::Name => "a name is UTF-8 of at most 1,024 bytes with its folders, 255 for \
             each and 32 of them, without `\\` and control characters"
            .to_owned(),
        SkipReason::HardLink => "files with several names are kept once: copy them".to_owned(),
        SkipReason::Unreadable => "only regular files are kept that the script's user may read: \
             no links, sockets or pipes"
            .to_owned(),
    }
}

/// The limit of the disk that was exceeded, with advice; `None` if none was.
pub(super) fn over_disk(exit: &Exit) -> Option<String> {
    let disk = exit.disk?;
    let limit = show_bytes(disk.limit_bytes);
    Some(match disk.over? {
        OverDisk::Bytes(bytes) => format!(
            "its files in /work took {} of {limit}\nhint: raise limits.disk_bytes, or --disk with \
             `gantry run`",
            show_bytes(bytes)
        ),
        OverDisk::Files(files) => {
            format!("it had {files} files and folders in /work\nhint: pack small files together")
        }
        OverDisk::Depth => format!(
            "its folders in /work were nested deeper than {MAX_DISK_DEPTH}\nhint: use flat folders"
        ),
    })
}

/// First place of which `is_meant` is true, with its size, and advice.
pub(super) fn full_place(
    exit: &Exit,
    is_meant: impl Fn(&Place) -> bool,
) -> Option<(String, String)> {
    let place = exit.places.iter().find(|it| is_meant(it))?;
    let hint = match place.path.as_str() {
        WORK_DIR if exit.disk.is_some() => {
            return Some((
                format!("the server's disk below {WORK_DIR}"),
                "hint: free some disk space on the server".to_owned(),
            ));
        }
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
