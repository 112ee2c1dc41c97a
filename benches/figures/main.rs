//! All figures that Gantry states of itself, measured on this machine: `make bench`.
//!
//! Parts are named behind `--`; without a name the first three groups are measured.
//!
//! | | | written to |
//! |---|---|---|
//! | `side_by_side` | executions beside `docker run` and others ([`side_by_side`]) | `results.md`, `results.svg`, `benches/README.md` |
//! | `environments` | environments beside `docker build` ([`environments`]) | `environments.md` |
//! | `server` | the server by itself ([`server`]) | `server.md` |
//! | `resilience` | neighbours, a kill and scripts that will not end ([`resilience`]) | `resilience.md` |
//! | `console` | pages of the console, and a browser that shows them ([`console`]) | `console.md` |
//! | `files` | files by content, beside nginx and others ([`files`]) | `files.md` |
//! | `soak` | ten thousand executions: `make soak` ([`soak`]) | `soak.md`, `soak.svg` |
//!
//! The parts of these can be named, too, as in `cargo bench --bench figures -- burst
//! idle`; a file is written only when all of it was measured.

mod console;
mod environments;
mod files;
mod harness;
mod resilience;
mod server;
mod side_by_side;
mod soak;

use std::time::{Duration, Instant};

use harness::report::Report;
use harness::subject::Subject;

pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args();
    if arguments.any(|argument| argument == server::generator::FLAG) {
        return server::generator::main(arguments);
    }
    // `cargo test --benches` and the like only want to know that it builds.
    if !std::env::args().any(|argument| argument == "--bench") {
        return Ok(());
    }
    let wanted = Wanted(std::env::args().skip(1).filter(|it| !it.starts_with('-')).collect());
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(run(wanted))
}

async fn run(wanted: Wanted) -> Result<(), Failure> {
    wanted.check()?;
    let subject = Subject::new().await?;
    let measured = measure(&subject, &wanted).await;
    subject.clean_up().await?;
    measured
}

async fn measure(subject: &Subject, wanted: &Wanted) -> Result<(), Failure> {
    let machine = subject.machine().await?;
    if let Some((parts, is_whole)) = wanted.of("side_by_side", &side_by_side::PARTS) {
        side_by_side::measure(subject, &machine, &parts, is_whole).await?;
    }
    if wanted.of("environments", &[]).is_some() {
        let mut report = Report::new(machine.clone());
        environments::measure(subject, &mut report).await?;
        report.publish(Some("environments.md"))?;
    }
    if let Some((parts, is_whole)) = wanted.of("server", &server::PARTS) {
        let mut report = Report::new(machine.clone());
        server::measure(subject, &parts, &mut report).await?;
        report.publish(is_whole.then_some("server.md"))?;
    }
    if let Some((parts, is_whole)) = wanted.of_named("resilience", &resilience::PARTS) {
        resilience::measure(&machine, &parts, is_whole).await?;
    }
    if let Some((parts, is_whole)) = wanted.of_named("console", &console::PARTS) {
        console::measure(&machine, &parts, is_whole).await?;
    }
    if let Some((parts, is_whole)) = wanted.of_named("files", &files::PARTS) {
        files::measure(&machine, &parts, is_whole).await?;
    }
    if wanted.has("soak") {
        soak::measure(&machine).await?;
    }
    Ok(())
}

/// The parts that are to be measured.
pub(crate) struct Wanted(Vec<String>);

impl Wanted {
    /// Whether this part is one of them.
    pub(crate) fn has(&self, part: &str) -> bool {
        self.0.iter().any(|it| it == part)
    }

    /// Those parts of a group that are, and whether these are all: also when nothing is
    /// named.
    fn of(&self, group: &str, parts: &[&str]) -> Option<(Self, bool)> {
        self.chosen(group, parts, self.0.is_empty())
    }

    /// The same of a group that is only measured when it is named.
    fn of_named(&self, group: &str, parts: &[&str]) -> Option<(Self, bool)> {
        self.chosen(group, parts, false)
    }

    fn chosen(&self, group: &str, parts: &[&str], is_all: bool) -> Option<(Self, bool)> {
        let is_whole = is_all || self.has(group);
        let mut chosen = parts.iter().filter(|part| is_whole || self.has(part)).peekable();
        if !is_whole && chosen.peek().is_none() {
            return None;
        }
        Some((Self(chosen.map(|part| (*part).to_owned()).collect()), is_whole))
    }

    /// A name that nothing has would otherwise measure nothing, in silence.
    fn check(&self) -> Result<(), Failure> {
        let groups = ["side_by_side", "environments", "server", "resilience", "console", "soak"];
        let parts = [
            &side_by_side::PARTS[..],
            &server::PARTS,
            &resilience::PARTS,
            &console::PARTS,
            &files::PARTS,
        ];
        let known = [&groups[..], &parts.concat()].concat();
        match self.0.iter().find(|it| !known.contains(&it.as_str())) {
            Some(unknown) => {
                Err(format!("no part is called {unknown}: {}", known.join(", ")).into())
            }
            None => Ok(()),
        }
    }
}

/// A number from the environment.
pub(crate) fn setting(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

/// How long something takes that must go well.
pub(crate) async fn timed(
    work: impl Future<Output = Result<(), Failure>>,
) -> Result<Duration, Failure> {
    let begun = Instant::now();
    work.await?;
    Ok(begun.elapsed())
}
