//! Static files of the pages: one style sheet and a few modules. Their addresses change with their
//! content, so browsers cache them for good.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

use crate::http::problem::Problem;

/// Media type of style sheets.
const STYLE_SHEET: &str = "text/css; charset=utf-8";

/// Media type of modules (RFC 9239).
const MODULE: &str = "text/javascript; charset=utf-8";

/// A static file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asset {
    /// Style of all pages.
    Style,
    /// Behaviour of all pages: times, live parts, keys.
    Console,
    /// Shows a log.
    Log,
    /// Renders the colours in a log.
    Ansi,
    /// Shows faults while a form is filled in.
    Form,
    /// Shows sequences and comparisons of pictures, and uploads files.
    Files,
    /// Icon of the browser tab.
    Icon,
}

impl Asset {
    const ALL: [Self; 7] =
        [Self::Style, Self::Console, Self::Log, Self::Ansi, Self::Form, Self::Files, Self::Icon];

    /// Name, media type, content.
    fn file(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Style => ("console.css", STYLE_SHEET, include_str!("assets/console.css")),
            Self::Console => ("console.js", MODULE, include_str!("assets/console.js")),
            Self::Log => ("log.js", MODULE, include_str!("assets/log.js")),
            Self::Ansi => ("ansi.js", MODULE, include_str!("assets/ansi.js")),
            Self::Form => ("form.js", MODULE, include_str!("assets/form.js")),
            Self::Files => ("files.js", MODULE, include_str!("assets/files.js")),
            Self::Icon => ("icon.svg", "image/svg+xml", include_str!("assets/icon.svg")),
        }
    }

    /// Address of the file.
    pub(super) fn address(self) -> String {
        format!("/assets/{}/{}", *VERSION, self.file().0)
    }
}

/// Version of the files; changes with any of them.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let mut hasher = Sha256::new();
    for asset in Asset::ALL {
        let (name, _, content) = asset.file();
        hasher.update(name);
        hasher.update(content);
    }
    hex::encode(&hasher.finalize()[..8])
});

/// Serves a file. The address of an older version gets the current content, uncached.
pub(super) async fn send(
    Path((version, name)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let asset = Asset::ALL.into_iter().find(|asset| asset.file().0 == name);
    let (_, media_type, content) = asset.ok_or_else(|| Problem::not_found("page"))?.file();
    let kept = match version == *VERSION {
        true => "public, max-age=31536000, immutable",
        false => "no-store",
    };
    Ok(([(CONTENT_TYPE, media_type), (CACHE_CONTROL, kept)], content).into_response())
}
