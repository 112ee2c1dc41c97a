//! A server's error document: RFC 9457, read leniently and bounded, for a proxy may have
//! written it.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;

use super::wire::Shown;

/// Most faults of a request that are shown.
const MAX_FAULTS: usize = 20;

/// Most characters of one text that are shown.
const MAX_CHARS: usize = 4_000;

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The HTTP status.
    pub status: u16,
    /// Description of the error, with a line for each fault of the request.
    pub what: String,
    /// The server's advice about what to do.
    pub hint: Option<String>,
    /// Time until the request may be sent again.
    pub retry_after: Option<Duration>,
}

/// The object on the wire; everything in it may be missing.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Body {
    title: Shown,
    detail: Shown,
    hint: Shown,
    errors: Option<Vec<FaultBody>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct FaultBody {
    pointer: Shown,
    parameter: Shown,
    detail: Shown,
}

impl Problem {
    /// Reads a body; `None` when it is not a problem's.
    pub(super) fn parse(status: u16, body: &str, retry_after: Option<Duration>) -> Option<Self> {
        let body: Body = serde_json::from_str(body).ok()?;
        let mut what = match (body.detail.as_str(), body.title.as_str()) {
            ("", "") => return None,
            ("", title) => bounded(title),
            (detail, _) => bounded(detail),
        };
        let faults = body.errors.unwrap_or_default();
        for fault in faults.iter().take(MAX_FAULTS) {
            let (pointer, detail) = (fault.pointer.as_str(), fault.detail.as_str());
            let place = match (pointer, fault.parameter.as_str()) {
                // The empty pointer is the whole document (RFC 6901).
                ("", "") => "the body",
                ("", parameter) => parameter,
                (pointer, _) => pointer,
            };
            // The only fault is what the problem is about.
            if detail == body.detail.as_str() {
                what =
                    if place == "the body" { what } else { format!("{}: {what}", bounded(place)) };
                continue;
            }
            what.push_str(&format!("\n  {}: {}", bounded(place), bounded(detail)));
        }
        if let Some(more) = faults.len().checked_sub(MAX_FAULTS).filter(|more| *more > 0) {
            what.push_str(&format!("\n  and {more} more"));
        }
        let hint = Some(body.hint.as_str()).filter(|hint| !hint.is_empty()).map(bounded);
        Some(Self { status, what, hint, retry_after })
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.what)
    }
}

fn bounded(text: &str) -> String {
    match text.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn parse(body: &serde_json::Value) -> Option<Problem> {
        Problem::parse(422, &body.to_string(), None)
    }

    #[test]
    fn every_fault_has_its_place() {
        let body = json!({
            "title": "Unprocessable", "status": 422, "detail": "the input is wrong", "hint": "mend it",
            "errors": [{"pointer": "/a/0", "detail": "is not a number"}, {"detail": "too long"}],
        });
        let problem = parse(&body).unwrap();
        let what = "the input is wrong\n  /a/0: is not a number\n  the body: too long";
        assert_eq!((problem.what.as_str(), problem.hint.as_deref()), (what, Some("mend it")));
    }

    #[test]
    fn a_title_is_enough_and_anything_else_is_no_problem() {
        assert_eq!(parse(&json!({"title": "Not found"})).unwrap().what, "Not found");
        for body in [json!({}), json!([]), json!("text"), json!({"errors": []})] {
            assert_eq!(parse(&body), None, "{body}");
        }
    }

    #[test]
    fn a_flood_of_faults_is_cut() {
        let faults = vec![json!({"pointer": "/x", "detail": "y".repeat(9_000)}); 1_000];
        let what = parse(&json!({"detail": "bad", "errors": faults})).unwrap().what;
        assert!(what.ends_with("\n  and 980 more"));
        assert!(what.len() < 100_000);
    }

    proptest! {
        #[test]
        fn any_body_is_read_or_not(body in any::<String>()) {
            let _ = Problem::parse(500, &body, None);
        }
    }
}
