//! Hint for scripts that can't execute their own files.

use super::{EXIT_NOT_EXECUTABLE, Outcome};
use crate::domain::confinement::Confinement;

/// Hint for a script that ended with [`EXIT_NOT_EXECUTABLE`].
const NOEXEC: &str = "files in /work and /tmp can't be executed, because the script has exec: \
     false\nhint: an admin can set exec to true";

impl Outcome {
    /// Adds the hint that the script's files can't be executed, if that may be the cause of
    /// its failure.
    pub fn note_noexec(&mut self, confinement: Option<&Confinement>) {
        let is_noexec = confinement.is_some_and(|it| !it.executes_files());
        if is_noexec && self.exit_code == Some(EXIT_NOT_EXECUTABLE) {
            self.add(NOEXEC);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::ErrorKind;
    use super::*;

    #[test]
    fn it_is_said_where_it_may_be_why() {
        let with = |options: &str| Confinement {
            tmpfs: [("/work".to_owned(), options.to_owned())].into(),
            ..Confinement::default()
        };
        for (options, code, is_said) in [
            ("rw,noexec,size=1", 126, true),
            ("rw,exec,size=1", 126, false),
            ("rw,noexec,size=1", 1, false),
        ] {
            let mut outcome = Outcome::failed(ErrorKind::ExitNonzero, "it exited");
            outcome.exit_code = Some(code);
            outcome.note_noexec(Some(&with(options)));
            outcome.note_noexec(None);
            let message = outcome.error_message.unwrap();
            assert_eq!(message.contains("exec: false\nhint: "), is_said, "{message}");
        }
    }
}
