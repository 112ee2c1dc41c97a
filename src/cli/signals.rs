//! Ctrl-C and TERM: the first one cancels, the second one does not wait.

use tokio::signal::unix::{SignalKind, signal};

use crate::sandbox::Cancel;

/// Two tokens: the first is cancelled by the first signal, the second by the
/// second.
pub(super) struct Interrupts {
    pub(super) cancel: Cancel,
    pub(super) abandon: Cancel,
}

impl Interrupts {
    /// Listens from now on. Where signals can't be listened to, they end the
    /// process as ever.
    pub(super) fn listen() -> Self {
        let (cancel, abandon) = (Cancel::new(), Cancel::new());
        let tokens = [cancel.clone(), abandon.clone()];
        if let (Ok(mut interrupt), Ok(mut terminate)) =
            (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
        {
            tokio::spawn(async move {
                for token in tokens {
                    tokio::select! {
                        _ = interrupt.recv() => {}
                        _ = terminate.recv() => {}
                    }
                    token.cancel();
                }
            });
        }
        Self { cancel, abandon }
    }
}
