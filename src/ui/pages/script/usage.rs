//! Usage of a script's last runs against its limits, and advice from it. Figures and advice are
//! pure; nothing is changed here.

use std::time::Duration;

use maud::{Markup, html};

use crate::domain::execution::{ExecutionSummary, State};
use crate::domain::outcome::{ErrorKind, Status};
use crate::domain::quantities::{NANO_CPUS_PER_CPU, show_duration};
use crate::domain::registry::ScriptSettings;
use crate::ui::components::value::{bytes, counted, milliseconds};
use crate::ui::pages::editor::settings::facts;

/// Least runs before lower limits are advised.
const ENOUGH_RUNS: usize = 5;

/// Least memory advised, in bytes (64 MiB).
const LEAST_MEMORY: u64 = 64 << 20;

/// Timeouts advised, in seconds.
const TIMES: [u64; 12] = [5, 10, 15, 30, 60, 120, 300, 600, 1_800, 3_600, 7_200, 21_600];

/// Maximum and median of some numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Spread {
    most: f64,
    median: f64,
}

impl Spread {
    fn of(mut numbers: Vec<f64>) -> Option<Self> {
        numbers.sort_by(f64::total_cmp);
        let (most, median) = (numbers.last()?, numbers.get((numbers.len() - 1) / 2)?);
        Some(Self { most: *most, median: *median })
    }
}

/// Figures of ended runs.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Figures {
    /// Number of ended runs.
    runs: usize,
    out_of_memory: usize,
    out_of_time: usize,
    /// Peak memory, in bytes.
    memory: Option<Spread>,
    /// CPU time, in milliseconds.
    cpu: Option<Spread>,
    /// CPU time per wall time: the number of busy CPUs.
    busy: Option<Spread>,
    /// Run time of the script, in milliseconds.
    time: Option<Spread>,
}

impl Figures {
    /// Computes the figures; running executions are omitted.
    pub(super) fn of(executions: &[ExecutionSummary]) -> Self {
        let ended: Vec<_> = executions.iter().filter(|it| it.status.has_ended()).collect();
        let out_of_memory = ended.iter().filter(|it| it.error_kind == Some(ErrorKind::OutOfMemory));
        let out_of_time = ended.iter().filter(|it| it.status == State::Ended(Status::Timeout));
        let usages = || ended.iter().filter_map(|it| Some((it.usage?, it.duration_ms?)));
        // A few clock ticks are too short to measure.
        let busy = usages().filter(|(_, time)| *time >= 50.0);
        Self {
            runs: ended.len(),
            out_of_memory: out_of_memory.count(),
            out_of_time: out_of_time.count(),
            memory: Spread::of(usages().map(|(it, _)| it.peak_memory_bytes as f64).collect()),
            cpu: Spread::of(usages().map(|(it, _)| it.cpu_ms).collect()),
            busy: Spread::of(busy.map(|(it, time)| it.cpu_ms / time).collect()),
            time: Spread::of(ended.iter().filter_map(|it| it.duration_ms).collect()),
        }
    }
}

/// Advice about a limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Advice {
    /// True if runs fail or may fail because of it.
    is_urgent: bool,
    words: String,
}

fn urgent(words: String) -> Option<Advice> {
    Some(Advice { is_urgent: true, words })
}

fn calm(words: String) -> Option<Advice> {
    Some(Advice { is_urgent: false, words })
}

/// Derives advice from usage.
pub(super) fn advice(figures: &Figures, settings: &ScriptSettings) -> Vec<Advice> {
    let limits = settings.limits;
    let cpus = limits.nano_cpus as f64 / NANO_CPUS_PER_CPU as f64;
    let time = settings.timeout_secs.duration();
    let all =
        [of_memory(figures, limits.memory_bytes), of_time(figures, time), of_cpus(figures, cpus)];
    all.into_iter().flatten().collect()
}

fn of_memory(figures: &Figures, limit: u64) -> Option<Advice> {
    let runs = counted(figures.runs as u64, "run", "runs");
    if figures.out_of_memory > 0 {
        let failed = figures.out_of_memory;
        return urgent(format!(
            "Memory is too little, or close to it: {failed} of {runs} ran out of it."
        ));
    }
    let most = figures.memory?.most;
    if most >= limit as f64 * 0.9 {
        let (most, limit) = (bytes(most as u64), bytes(limit));
        return urgent(format!("Memory is close to the limit: a run used {most} of {limit}."));
    }
    let enough = (most as u64).saturating_mul(2).max(LEAST_MEMORY).checked_next_power_of_two()?;
    if figures.runs < ENOUGH_RUNS || enough > limit / 2 {
        return None;
    }
    let (enough, most) = (bytes(enough), bytes(most as u64));
    calm(format!("{enough} of memory would do: no run used more than {most}."))
}

fn of_time(figures: &Figures, limit: Duration) -> Option<Advice> {
    let runs = counted(figures.runs as u64, "run", "runs");
    if figures.out_of_time > 0 {
        let ended = figures.out_of_time;
        return urgent(format!("The time is too short for some: {ended} of {runs} ran out of it."));
    }
    let (most, limit) = (figures.time?.most, limit.as_secs_f64() * 1e3);
    if most >= limit * 0.8 {
        let (most, limit) = (milliseconds(most), milliseconds(limit));
        return urgent(format!("The time is close to the limit: a run took {most} of {limit}."));
    }
    let enough = TIMES.into_iter().find(|seconds| *seconds as f64 * 1e3 >= most * 5.0)?;
    if figures.runs < ENOUGH_RUNS || enough as f64 * 1e3 > limit / 5.0 {
        return None;
    }
    let (enough, most) = (show_duration(Duration::from_secs(enough)), milliseconds(most));
    calm(format!("{enough} would do: no run took more than {most}. What hangs would end sooner."))
}

fn of_cpus(figures: &Figures, limit: f64) -> Option<Advice> {
    let busy = figures.busy.filter(|_| figures.runs >= ENOUGH_RUNS)?;
    if busy.median >= limit * 0.9 {
        return calm(format!(
            "Half of the runs keep all of its {limit} CPUs busy: with more they may end sooner."
        ));
    }
    if limit >= 2.0 && busy.most <= 1.0 {
        return calm(format!("1 CPU would do: no run kept more than {:.1} busy.", busy.most));
    }
    None
}

/// Renders limits with their usage, and the advice.
pub(super) fn shown(figures: &Figures, settings: &ScriptSettings) -> Markup {
    let limits = settings.limits;
    let cpus = limits.nano_cpus as f64 / NANO_CPUS_PER_CPU as f64;
    let seconds = settings.timeout_secs.duration().as_secs_f64();
    let size = |number: f64| bytes(number as u64);
    let busy = |number: f64| format!("{number:.2}");
    html! {
        section.card {
            div.card-head {
                h2 { "Limits and recent usage" }
                span.muted.small { (counted(figures.runs as u64, "run", "runs")) }
            }
            dl.used {
                (row("Memory", figures.memory, limits.memory_bytes as f64, size))
                (row("Time", figures.time, seconds * 1e3, milliseconds))
                (row("CPUs busy", figures.busy, cpus, busy))
            }
            dl.facts {
                @if let Some(cpu) = figures.cpu {
                    dt { "CPU time" }
                    dd { "half within " (milliseconds(cpu.median)) ", at most " (milliseconds(cpu.most)) }
                }
                (facts(settings))
            }
            @for advice in advice(figures, settings) {
                p class=(if advice.is_urgent { "note warn" } else { "note" }) { (advice.words) }
            }
        }
    }
}

fn row(name: &str, spread: Option<Spread>, limit: f64, show: impl Fn(f64) -> String) -> Markup {
    html! {
        dt { (name) }
        dd {
            @match spread {
                None => { span.muted { "nothing is known; at most " (show(limit)) } },
                Some(Spread { most, median }) => {
                    meter min="0" max=(limit) high=(limit * 0.9) optimum="0" value=(most.min(limit))
                        aria-label={ (name) ", the most that was used" } {
                        (show(most)) " of " (show(limit))
                    }
                    span { strong { (show(most)) } " of " (show(limit)) }
                    " " span.muted { "half within " (show(median)) }
                },
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::limits::{Limits, Timeout};

    const MIB: u64 = 1 << 20;

    fn figures(memory_mib: u64, time_ms: f64, busy: f64) -> Figures {
        let spread = |most: f64| Some(Spread { most, median: most });
        Figures {
            runs: 50,
            out_of_memory: 0,
            out_of_time: 0,
            memory: spread((memory_mib * MIB) as f64),
            cpu: spread(busy * time_ms),
            busy: spread(busy),
            time: spread(time_ms),
        }
    }

    fn settings(memory_mib: u64, cpus: u64, seconds: u64) -> ScriptSettings {
        ScriptSettings {
            timeout_secs: Timeout::new(Duration::from_secs(seconds)).unwrap(),
            limits: Limits {
                memory_bytes: memory_mib * MIB,
                nano_cpus: cpus * NANO_CPUS_PER_CPU,
                ..Limits::default()
            },
            ..ScriptSettings::default()
        }
    }

    fn words(figures: &Figures, settings: &ScriptSettings) -> Vec<String> {
        advice(figures, settings).into_iter().map(|it| it.words).collect()
    }

    #[test]
    fn what_fits_is_left_alone() {
        assert_eq!(words(&figures(300, 30_000.0, 0.5), &settings(512, 1, 60)), [""; 0]);
    }

    #[test]
    fn far_less_is_advised_where_far_less_was_used() {
        let said = words(&figures(61, 1_200.0, 0.6), &settings(512, 2, 300));
        assert_eq!(said.len(), 3, "{said:?}");
        assert!(said[0].starts_with("128 MiB of memory would do: no run used more than 61 MiB"));
        assert!(said[1].starts_with("10 s would do: no run took more than 1.2 s"), "{said:?}");
        assert!(said[2].starts_with("1 CPU would do"), "{said:?}");
    }

    #[test]
    fn nothing_is_advised_for_a_few_runs() {
        let few = Figures { runs: 4, ..figures(61, 1_200.0, 0.6) };
        assert_eq!(words(&few, &settings(512, 2, 300)), [""; 0]);
    }

    #[test]
    fn what_is_close_to_a_limit_is_said_first() {
        let close = advice(&figures(500, 290_000.0, 1.0), &settings(512, 1, 300));
        assert!(close[0].is_urgent && close[0].words.contains("500 MiB of 512 MiB"), "{close:?}");
        assert!(close[1].is_urgent && close[1].words.contains("close to the limit"), "{close:?}");
        assert!(!close[2].is_urgent, "{close:?}");
        let failing = Figures { out_of_memory: 3, out_of_time: 1, ..figures(100, 1.0, 0.1) };
        let said = words(&failing, &settings(512, 1, 300));
        assert!(said[0].contains("3 of 50 runs ran out of it"), "{said:?}");
        assert!(said[1].contains("1 of 50 runs ran out of it"), "{said:?}");
    }

    #[test]
    fn the_middle_one_is_one_of_them() {
        let spread = Spread::of(vec![3.0, 1.0, 2.0, 10.0]).unwrap();
        assert_eq!(spread, Spread { most: 10.0, median: 2.0 });
        assert_eq!(Spread::of(Vec::new()), None);
    }
}
