//! Arbitrary text as a `requirements.txt`. The first byte is the policy: URLs, index
//! options, sources.

use gantry::domain::script_type::python::requirements::{
    MAX_BYTES, MAX_REQUIREMENTS, Requirements, RequirementsError, RequirementsPolicy,
};

/// What is taken means the same when it is read again in its normal form, and holds
/// nothing that the policy forbids; what is refused is refused with its line, shortly.
pub fn hold(input: &[u8]) -> bool {
    let Some((&first, text)) = input.split_first() else { return false };
    let Ok(text) = str::from_utf8(text) else { return false };
    let policy = RequirementsPolicy {
        allow_urls: first & 1 != 0,
        allow_options: first & 2 != 0,
        allow_sources: first & 4 != 0,
    };
    let parsed = match Requirements::parse(text, policy) {
        Ok(parsed) => parsed,
        Err(error) => {
            is_helpful(&error, text);
            return false;
        }
    };
    let normal = parsed.normalised();
    keeps_the_policy(&normal, policy);
    let again = Requirements::parse(&normal, policy).expect("the normal form is taken");
    assert_eq!(again.normalised(), normal, "from {text:?}");
    assert_eq!(again.hash(), parsed.hash());
    assert_eq!(again.names(), parsed.names());
    assert_eq!(parsed.is_empty(), parsed.names().is_empty());
    assert!(parsed.names().is_sorted() && parsed.names().len() <= MAX_REQUIREMENTS);
    assert!(parsed.failing_requirement(text).is_none_or(|it| !it.is_empty()));
    true
}

fn is_helpful(error: &RequirementsError, text: &str) {
    super::is_short(&error.to_string());
    assert!(error.hint().is_none_or(|hint| !hint.is_empty()));
    match error {
        RequirementsError::TooLarge(bytes) => assert!(*bytes > MAX_BYTES),
        RequirementsError::TooMany(count) => assert!(*count > MAX_REQUIREMENTS),
        RequirementsError::Line { line, .. } => {
            assert!((1..=text.split('\n').count()).contains(line));
        }
    }
}

/// Every line begins with a name or is an index option; there is no URL where none is
/// allowed. Strings in markers may be anything.
fn keeps_the_policy(normal: &str, policy: RequirementsPolicy) {
    assert!(normal.is_empty() || normal.ends_with('\n'));
    for line in normal.lines() {
        super::is_visible(line);
        let is_option = line.starts_with('-');
        assert!(!is_option || policy.allow_options, "{line:?}");
        assert!(is_option || line.starts_with(|c: char| c.is_ascii_alphanumeric()), "{line:?}");
        let before_marker = line.split_once(';').map_or(line, |(before, _)| before);
        let has_url = before_marker.contains("://");
        assert!(is_option || !has_url || policy.allow_urls, "{line:?}");
    }
}
