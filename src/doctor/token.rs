//! The first admin's token, where the environment names it.

use super::Finding;
use crate::access::{TokenStrength, check_admin_token};

const SUBJECT: &str = "admin token";

/// Finds out if it can be guessed; nothing when there is none. It is not shown.
pub(super) fn examine(given: Option<&str>) -> Option<Finding> {
    let make_one = "make one with: openssl rand -hex 32";
    Some(match check_admin_token(given?) {
        Ok(TokenStrength::Good) => Finding::ok(SUBJECT, "GANTRY_ADMIN_TOKEN can't be guessed"),
        Ok(TokenStrength::Weak) => {
            Finding::warning(SUBJECT, "GANTRY_ADMIN_TOKEN may be guessed", make_one)
        }
        Err(error) => Finding::error(SUBJECT, error.to_string(), error.hint().unwrap_or(make_one)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Severity;

    #[test]
    fn a_token_that_can_be_guessed_is_said_and_not_shown() {
        assert_eq!(examine(None), None);
        for (token, severity) in [
            ("2f1e6ad94b7c08352f0d9ec1ab7754e3", Severity::Ok),
            ("0123456789abcdef", Severity::Warning),
            ("aaaaaaaaaaaaaaaaaaaa", Severity::Error),
            ("short", Severity::Error),
        ] {
            let found = examine(Some(token)).unwrap();
            assert_eq!(found.severity, severity, "{token}");
            assert!(!format!("{found:?}").contains(token));
        }
    }
}
