//! Media types of files by the ends of their names. They are told to scripts and people,
//! and never decide how content is sent: that is read from its first bytes.

/// Longest media type, in bytes.
const MAX_BYTES: usize = 127;

/// Media type of a file by the end of its name; `None` if it is not known.
#[must_use]
pub fn media_type_of(name: &str) -> Option<&'static str> {
    let (_, end) = name.rsplit('/').next()?.rsplit_once('.')?;
    let end = end.to_ascii_lowercase();
    TYPES.iter().find(|(ends, _)| ends.contains(&end.as_str())).map(|(_, media_type)| *media_type)
}

/// True for `TYPE/SUBTYPE` in the characters that a media type may have (RFC 6838, 4.2).
#[must_use]
pub fn is_media_type(text: &str) -> bool {
    let is_name = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphanumeric())
            && part.chars().all(|c| c.is_ascii_alphanumeric() || "!#$&-^_.+".contains(c))
    };
    text.len() <= MAX_BYTES
        && text.split_once('/').is_some_and(|(kind, rest)| is_name(kind) && is_name(rest))
}

/// True if a media type is one of a pattern's: `video/mp4`, `video/*` or `*/*`.
#[must_use]
pub fn matches(pattern: &str, media_type: &str) -> bool {
    let pattern = pattern.split(';').next().unwrap_or_default().trim();
    match pattern.split_once('/') {
        Some(("*", "*")) => true,
        Some((kind, "*")) => {
            media_type.split_once('/').is_some_and(|(own, _)| own.eq_ignore_ascii_case(kind))
        }
        _ => media_type.eq_ignore_ascii_case(pattern),
    }
}

/// Ends of names by their media type: those of IANA's registry, and for formats that have
/// none there the ones that their programs use.
const TYPES: [(&[&str], &str); 49] = [
    (&["mp4", "m4v"], "video/mp4"),
    (&["mov", "qt"], "video/quicktime"),
    (&["mkv"], "video/matroska"),
    (&["webm"], "video/webm"),
    (&["avi"], "video/x-msvideo"),
    (&["mxf"], "application/mxf"),
    (&["mpg", "mpeg"], "video/mpeg"),
    (&["ts", "m2ts"], "video/mp2t"),
    (&["ogv"], "video/ogg"),
    (&["y4m"], "video/x-yuv4mpeg"),
    (&["wav"], "audio/wav"),
    (&["mp3"], "audio/mpeg"),
    (&["flac"], "audio/flac"),
    (&["aac"], "audio/aac"),
    (&["m4a"], "audio/mp4"),
    (&["ogg", "oga"], "audio/ogg"),
    (&["opus"], "audio/opus"),
    (&["aif", "aiff"], "audio/aiff"),
    (&["png"], "image/png"),
    (&["jpg", "jpeg"], "image/jpeg"),
    (&["gif"], "image/gif"),
    (&["webp"], "image/webp"),
    (&["avif"], "image/avif"),
    (&["tif", "tiff"], "image/tiff"),
    (&["exr"], "image/aces"),
    (&["dpx"], "image/x-dpx"),
    (&["hdr"], "image/vnd.radiance"),
    (&["psd"], "image/vnd.adobe.photoshop"),
    (&["bmp"], "image/bmp"),
    (&["svg"], "image/svg+xml"),
    (&["json"], "application/json"),
    (&["csv"], "text/csv"),
    (&["txt", "log"], "text/plain"),
    (&["md"], "text/markdown"),
    (&["html", "htm"], "text/html"),
    (&["xml"], "application/xml"),
    (&["yaml", "yml"], "application/yaml"),
    (&["pdf"], "application/pdf"),
    (&["zip"], "application/zip"),
    (&["tar"], "application/x-tar"),
    (&["gz"], "application/gzip"),
    (&["zst"], "application/zstd"),
    (&["parquet"], "application/vnd.apache.parquet"),
    (&["srt"], "application/x-subrip"),
    (&["vtt"], "text/vtt"),
    (&["otf"], "font/otf"),
    (&["ttf"], "font/ttf"),
    (&["glb"], "model/gltf-binary"),
    (&["cube"], "text/x-cube"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_name_tells() {
        assert_eq!(media_type_of("a/b.MOV"), Some("video/quicktime"));
        assert_eq!(media_type_of("frame.0001.exr"), Some("image/aces"));
        for name in ["", "mov", "a.mov/b", "a.", "a.unknown", ".hidden"] {
            assert_eq!(media_type_of(name), None, "{name}");
        }
        assert!(TYPES.iter().all(|(_, media_type)| is_media_type(media_type)));
    }

    #[test]
    fn a_pattern_matches_its_kind() {
        assert!(matches("video/*", "video/mp4") && matches("*/*", "a/b"));
        assert!(matches("VIDEO/MP4; codecs=av1", "video/mp4"));
        assert!(!matches("video/*", "image/png") && !matches("video", "video/mp4"));
        assert!(!matches("", "video/mp4"));
    }

    #[test]
    fn a_media_type_has_two_names() {
        assert!(is_media_type("application/vnd.apache.parquet"));
        let long = format!("a/{}", "b".repeat(MAX_BYTES));
        for text in ["", "video", "video/", "/mp4", "video/*", "a/b/c", "a/b c", "a/b\n", &long] {
            assert!(!is_media_type(text), "{text}");
        }
    }
}
