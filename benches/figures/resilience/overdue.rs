//! Scripts that ignore TERM, and how long after their time their containers are dead, as
//! the engine says. It, the server and this program have the same clock.

use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant};

use bollard::Docker;
use bollard::models::EventMessage;
use bollard::query_parameters::EventsOptionsBuilder;
use chrono::{DateTime, Utc};
use futures::{StreamExt, TryStreamExt, stream};
use gantry::domain::limits::GRACE;
use gantry::engine::LABEL_INSTALLATION;
use serde_json::json;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::JoinSet;

use crate::harness::api::Api;
use crate::harness::goal::Goal;
use crate::harness::report::Report;
use crate::harness::series::Series;
use crate::harness::server::{Database, Server};
use crate::{Failure, setting};

/// It and what it starts ignore TERM.
const STUBBORN: &str = "#!/bin/bash
trap '' TERM
while :; do sleep 0.1; done
";

/// What each may take.
const TIMEOUT: Duration = Duration::from_secs(1);

/// What is allowed beside the time and the grace.
const SLACK: Duration = Duration::from_secs(1);

/// As many at once as a server with two CPUs runs.
const IN_FLIGHT: usize = 8;

const SETTINGS: [(&str, &str); 2] = [("GANTRY_POOL_SIZE", "8"), ("GANTRY_MAX_CONCURRENT", "8")];

/// How long the engine may take to say what it did.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) async fn measure(report: &mut Report) -> Result<Vec<Goal>, Failure> {
    let folder = tempfile::tempdir()?;
    let server = Server::start(&Database::Sqlite, folder.path(), &SETTINGS).await?;
    let measured = on(&server, folder.path()).await;
    server.stop().await?;
    let (dead, answered) = measured?;
    let (count, p99) = (dead.count(), dead.quantile(0.99));
    report.head(
        &format!(
            "{count} scripts that ignore TERM, {IN_FLIGHT} in flight: beyond their {} s",
            TIMEOUT.as_secs()
        ),
        "| | median | p95 | p99 | max |",
    );
    let row = |it: &Series| {
        let [median, p95, p99, max] = [0.5, 0.95, 0.99, 1.0].map(|share| it.quantile(share));
        format!("| {} | {median:.0} ms | {p95:.0} ms | {p99:.0} ms | {max:.0} ms |", it.name())
    };
    report.rows(vec![row(&dead), row(&answered)]);
    report.paragraph(&format!(
        "From the script's start. Between TERM and KILL it has {} s of grace.",
        GRACE.as_secs()
    ));
    let limit = (GRACE + SLACK).as_secs_f64() * 1000.0;
    let what = "a script that ignores TERM is dead behind its time, p99 (grace and 1 s)";
    Ok(vec![Goal::at_most_ms(what, p99, limit)])
}

/// How long behind the time each container was dead, and each answer was there.
async fn on(server: &Server, data: &Path) -> Result<(Series, Series), Failure> {
    let api = &server.api;
    api.register_as(json!({
        "name": "stubborn", "description": "", "script_type": "shell", "source": STUBBORN,
        "timeout_secs": TIMEOUT.as_secs(),
    }))
    .await?;
    let mut watch = Watch::begin(data)?;
    let count = setting("GANTRY_BENCH_OVERDUE", 30);
    let ended = stream::iter(0..count).map(|_| execute(api)).buffer_unordered(IN_FLIGHT);
    let ended: Vec<_> = ended.try_collect().await?;
    let mut dead = Series::new("until the engine says that the container is dead");
    let mut answered = Series::new("until the answer is there");
    for Ended { container, started, answer } in ended {
        let death = watch.death(&container).await?;
        for (series, moment) in [(&mut dead, death), (&mut answered, answer)] {
            series.add((moment - started).to_std()?.saturating_sub(TIMEOUT));
        }
    }
    Ok((dead, answered))
}

/// An execution that was over.
struct Ended {
    container: String,
    started: DateTime<Utc>,
    answer: DateTime<Utc>,
}

async fn execute(api: &Api) -> Result<Ended, Failure> {
    let (execution, _) = api.run(&json!({ "script": "stubborn" })).await?;
    let answer = gantry::clock::now();
    if execution.status != "timeout" {
        return Err(execution.end().into());
    }
    Ok(Ended {
        container: execution.sandbox.ok_or("it ran nowhere")?.container_id,
        started: execution.started_at.ok_or("it never started")?,
        answer,
    })
}

/// Which containers of a server have died, and when: by their names. It listens all the
/// while, because the engine keeps few of its events.
struct Watch {
    said: UnboundedReceiver<(String, DateTime<Utc>)>,
    deaths: HashMap<String, DateTime<Utc>>,
    _listener: JoinSet<()>,
}

impl Watch {
    fn begin(data: &Path) -> Result<Self, Failure> {
        let docker = Docker::connect_with_defaults()?;
        let installation = gantry::installation::id(data)?;
        let filters = HashMap::from([
            ("label".to_owned(), vec![format!("{LABEL_INSTALLATION}={installation}")]),
            ("event".to_owned(), vec!["die".to_owned()]),
        ]);
        let options = EventsOptionsBuilder::default().filters(&filters).build();
        let (sender, said) = unbounded_channel();
        let mut listener = JoinSet::new();
        listener.spawn(async move {
            let mut events = docker.events(Some(options));
            while let Some(Ok(event)) = events.next().await {
                death_in(event).into_iter().for_each(|death| drop(sender.send(death)));
            }
        });
        Ok(Self { said, deaths: HashMap::new(), _listener: listener })
    }

    /// When a container died that has, or will soon.
    async fn death(&mut self, container: &str) -> Result<DateTime<Utc>, Failure> {
        let end = Instant::now() + PATIENCE;
        while !self.deaths.contains_key(container) {
            let said = tokio::time::timeout_at(end.into(), self.said.recv()).await;
            let said = said.map_err(|_| format!("{container} has not died"))?;
            self.deaths.extend(said.map(Some).ok_or("the engine says nothing any more")?);
        }
        Ok(self.deaths.get(container).copied().ok_or("no death")?)
    }
}

fn death_in(event: EventMessage) -> Option<(String, DateTime<Utc>)> {
    let name = event.actor?.attributes?.remove("name")?;
    Some((name, DateTime::from_timestamp_nanos(event.time_nano?)))
}
