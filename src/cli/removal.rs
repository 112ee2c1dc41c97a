//! Waiting until what a command has started is gone: usually no time at all,
//! and minutes when the engine is unwell.

use std::time::Duration;

use super::message;
use super::signals::Interrupts;
use crate::sandbox::Remover;

/// Time after which a removal is announced.
const SLOW: Duration = Duration::from_secs(2);

/// Longest time that a message may take, when stderr is not read.
const TELLING: Duration = Duration::from_secs(1);

/// Waits until all containers are removed, or the user interrupts it. `container` names
/// the one that may be left.
pub(super) async fn finish(remover: &Remover, interrupts: &Interrupts, container: &str) {
    tokio::select! {
        biased;
        () = remover.drain() => {}
        () = impatience(interrupts, container) => {
            tell(format!("{container} may be left; `gantry doctor` lists it")).await;
        }
    }
}

/// Waits for a signal that ends the wait. The first signal does not, unless the wait was
/// announced.
async fn impatience(interrupts: &Interrupts, container: &str) {
    let told = async {
        tokio::time::sleep(SLOW).await;
        // Counted from here: one that comes while the message is printed counts.
        let another = interrupts.another();
        tell(format!("{container} is still being removed; Ctrl-C does not wait for it")).await;
        another.await;
    };
    tokio::select! {
        () = told => {}
        () = interrupts.another_but_the_first() => {}
    }
}

/// Prints it on a thread of its own: a stderr that is not read must not hold up the end.
async fn tell(what: String) {
    let telling = tokio::task::spawn_blocking(move || message::note(&what));
    let _ = tokio::time::timeout(TELLING, telling).await;
}
