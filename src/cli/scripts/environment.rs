//! Reports the state of a script's environment after a registration or a change.

use std::time::Duration;

use crate::cli::message;
use crate::cli::progress::Progress;
use crate::cli::remote::Failure;
use crate::client::Client;
use crate::client::wire::Environment;
use crate::domain::sanitize::sanitize;

/// First pause between two looks at a build.
const FIRST_PAUSE: Duration = Duration::from_millis(200);

/// Longest pause between two looks.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Looks in a row that may fail: with the pauses, half a minute.
const MAX_FAILED_LOOKS: u32 = 15;

/// Reports the environment's status; with `wait`, not before it is built or can't be.
/// `hint` advises what to do when it can't.
pub(super) async fn report(
    client: &Client,
    environment: &Environment,
    wait: bool,
    hint: &str,
) -> Result<(), Failure> {
    let key = environment.key.as_str();
    let is_building = matches!(environment.status.as_str(), "queued" | "building");
    let environment = match is_building && wait && !key.is_empty() {
        true => follow(client, key).await?,
        false => environment.clone(),
    };
    match environment.status.as_str() {
        "failed" => Err(failure(&environment, hint)),
        "ready" => {
            message::note("its environment is ready");
            Ok(())
        }
        "" => Ok(()),
        status => {
            let status = sanitize(status);
            message::note(&format!("its environment is {status}; --wait waits until it is ready"));
            Ok(())
        }
    }
}

fn failure(environment: &Environment, hint: &str) -> Failure {
    let reason = match environment.error.some() {
        Some(error) => format!(":\n{error}"),
        None => String::new(),
    };
    Failure::new(format!("the environment could not be built{reason}"), hint)
}

/// Shows the build's log until there is nothing more to come.
async fn follow(client: &Client, key: &str) -> Result<Environment, Failure> {
    let progress = Progress::always();
    let (mut shown, mut failed, mut pause) = (0, 0, FIRST_PAUSE);
    loop {
        match client.environment(key).await.and_then(|document| document.read::<Environment>()) {
            Ok(environment) => {
                failed = 0;
                shown = show_new_lines(environment.log.as_str(), shown, &progress);
                if !matches!(environment.status.as_str(), "queued" | "building") {
                    progress.clear();
                    return Ok(environment);
                }
            }
            Err(error) if error.is_passing() && failed < MAX_FAILED_LOOKS => failed += 1,
            Err(error) => {
                progress.clear();
                return Err(error.into());
            }
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Shows the lines that were not shown yet; answers how many have been. The last
/// line counts when it has ended.
fn show_new_lines(log: &str, shown: usize, progress: &Progress) -> usize {
    let lines: Vec<_> = log.split_inclusive('\n').filter(|line| line.ends_with('\n')).collect();
    for line in lines.iter().skip(shown) {
        progress.show(line);
    }
    // A build that starts again has a new log.
    lines.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_shown_once_and_when_it_is_whole() {
        let progress = Progress::Silent;
        assert_eq!(show_new_lines("a\nb", 0, &progress), 1);
        assert_eq!(show_new_lines("a\nb\n", 1, &progress), 2);
        assert_eq!(show_new_lines("", 2, &progress), 0);
    }
}
