//! Timeline of an execution, as a picture and in words. Unknown times are omitted, and disagreeing
//! clocks make no time negative.
//!
//! The wait for the environment is not stored: it is the time until the environment was built, if
//! that was after the execution was accepted.

use std::time::Duration;

use chrono::{DateTime, Utc};
use maud::{Markup, html};

use crate::domain::execution::ExecutionSummary;
use crate::ui::components::value::milliseconds;

/// Width and height of the picture, in its own units.
const SIZE: (f64, f64) = (600.0, 14.0);

/// Least width of a part, so that it is visible.
const LEAST: f64 = 4.0;

/// Part of the timeline.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Stretch {
    name: &'static str,
    class: &'static str,
    ms: f64,
}

/// Renders the picture and its words; nothing if no time is known. `built_at` is the build time of
/// its environment.
pub(super) fn card(summary: &ExecutionSummary, built_at: Option<DateTime<Utc>>) -> Markup {
    let stretches = stretches(summary, built_at);
    let total: f64 = stretches.iter().map(|it| it.ms).sum();
    html! {
        @if total > 0.0 {
            section.card {
                div.card-head {
                    h2 { "Time" }
                    b { (milliseconds(total)) }
                }
                (picture(&stretches, total))
                ul.legend.timeline-words {
                    @for stretch in &stretches {
                        li {
                            i class=(stretch.class) {}
                            (stretch.name) " " b { (milliseconds(stretch.ms)) }
                        }
                    }
                }
            }
        }
    }
}

fn picture(stretches: &[Stretch], total: f64) -> Markup {
    let wanted = stretches.iter().map(|it| (it.ms / total * SIZE.0).max(LEAST));
    let scale = SIZE.0 / wanted.clone().sum::<f64>();
    let mut place = 0.0;
    let mut bars = Vec::new();
    for (stretch, width) in stretches.iter().zip(wanted) {
        bars.push((stretch, place, width * scale));
        place += width * scale;
    }
    html! {
        svg.timeline viewBox={ "0 0 " (SIZE.0) " " (SIZE.1) } preserveAspectRatio="none" role="img"
            aria-label="Where its time went, in words below" {
            @for (stretch, x, width) in bars {
                rect class=(stretch.class) x=(format!("{x:.1}")) y="0" width=(format!("{width:.1}"))
                    height=(SIZE.1) {
                    title { (stretch.name) " " (milliseconds(stretch.ms)) }
                }
            }
        }
    }
}

/// Parts in order.
fn stretches(summary: &ExecutionSummary, built_at: Option<DateTime<Utc>>) -> Vec<Stretch> {
    let known = |ms: Option<f64>| ms.filter(|ms| ms.is_finite() && *ms > 0.0);
    let since_created = |time: DateTime<Utc>| {
        let time: Duration = (time - summary.created_at).to_std().ok()?;
        Some(time.as_secs_f64() * 1e3)
    };
    let has_run = summary.duration_ms.is_some();
    let until_start = summary.started_at.filter(|_| has_run).and_then(since_created);
    let start = until_start.zip(summary.queue_ms).map(|(until, queued)| until - queued);
    let start = known(start);
    let rest = summary.overhead_ms.map(|overhead| overhead - start.unwrap_or(0.0));
    let rest_name = if has_run { "Result and clean-up" } else { "Start" };
    let environment = known(built_at.and_then(since_created)).zip(summary.queue_ms);
    let environment = environment.filter(|(built, waited)| built <= waited).map(|(built, _)| built);
    let queued = summary.queue_ms.map(|waited| waited - environment.unwrap_or(0.0));
    let all = [
        ("Queued", "t-queue", queued),
        ("Environment", "t-environment", environment),
        ("Start", "t-start", start),
        ("Run", "t-run", summary.duration_ms),
        (rest_name, "t-rest", rest),
    ];
    let stretches = all.into_iter().filter_map(|(name, class, ms)| {
        let ms = known(ms)?;
        Some(Stretch { name, class, ms })
    });
    stretches.collect()
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta};

    use super::*;
    use crate::domain::execution::State;
    use crate::domain::outcome::Status;

    /// Execution that started so many milliseconds after it was created.
    fn summary(times: [Option<f64>; 3], started_after: Option<i64>) -> ExecutionSummary {
        let created_at = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let [queue_ms, duration_ms, overhead_ms] = times;
        ExecutionSummary {
            id: uuid::Uuid::nil(),
            script_id: None,
            script_name: "a".to_owned(),
            version: None,
            digest: String::new(),
            job_id: None,
            triggered_by: None,
            status: State::Ended(Status::Completed),
            error_kind: None,
            error_message: None,
            priority: 0,
            stdout_bytes: 0,
            stderr_bytes: 0,
            stdout_truncated: false,
            stderr_truncated: false,
            exit_code: None,
            signal: None,
            duration_ms,
            queue_ms,
            overhead_ms,
            usage: None,
            sandbox: None,
            attempt: 1,
            started_at: started_after.map(|it| created_at + TimeDelta::milliseconds(it)),
            completed_at: None,
            created_at,
            updated_at: created_at,
        }
    }

    fn told(times: [Option<f64>; 3], started_after: Option<i64>) -> Vec<(&'static str, f64)> {
        let stretches = stretches(&summary(times, started_after), None);
        stretches.iter().map(|it| (it.class, it.ms)).collect()
    }

    #[test]
    fn an_environment_that_was_built_meanwhile_was_waited_for() {
        let summary = summary([Some(5_000.0), Some(100.0), Some(40.0)], Some(5_035));
        let built = |ms| {
            let stretches =
                stretches(&summary, Some(summary.created_at + TimeDelta::milliseconds(ms)));
            stretches.iter().map(|it| (it.class, it.ms)).take(2).collect::<Vec<_>>()
        };
        assert_eq!(built(4_000), [("t-queue", 1_000.0), ("t-environment", 4_000.0)]);
        assert_eq!(built(-1), [("t-queue", 5_000.0), ("t-start", 35.0)]);
        assert_eq!(built(5_001), [("t-queue", 5_000.0), ("t-start", 35.0)]);
    }

    #[test]
    fn time_is_told_in_its_order() {
        let all = told([Some(5.0), Some(100.0), Some(40.0)], Some(35));
        assert_eq!(all, [("t-queue", 5.0), ("t-start", 30.0), ("t-run", 100.0), ("t-rest", 10.0)]);
        let unstarted = told([Some(5.0), None, Some(40.0)], Some(35));
        assert_eq!(unstarted, [("t-queue", 5.0), ("t-rest", 40.0)]);
    }

    #[test]
    fn what_is_not_known_or_impossible_is_left_out() {
        assert!(told([None, None, None], Some(10)).is_empty());
        let backwards = told([Some(5.0), Some(1.0), Some(-1.0)], Some(-10));
        assert_eq!(backwards, [("t-queue", 5.0), ("t-run", 1.0)]);
        let unclear = told([Some(50.0), Some(f64::NAN), Some(3.0)], Some(10));
        assert_eq!(unclear, [("t-queue", 50.0), ("t-rest", 3.0)]);
        assert!(card(&summary([None, None, None], None), None).into_string().is_empty());
    }

    #[test]
    fn all_of_the_picture_is_in_it() {
        let card = card(&summary([Some(0.01), Some(1e7), Some(0.01)], None), None).into_string();
        assert_eq!(card.matches("<rect").count(), 3);
        assert!(!card.contains("NaN") && !card.contains("width=\"0.0\""), "{card}");
    }
}
