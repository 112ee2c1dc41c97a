//! What the server takes for each page, with a million executions of the last day in
//! its table: the hardest day there can be for a page that looks back on one.

use std::path::Path;
use std::time::{Duration, Instant};

use reqwest::header::{CONTENT_TYPE, COOKIE, SET_COOKIE};
use reqwest::redirect::Policy;

use super::browser::Browser;
use crate::harness::goal::Goal;
use crate::harness::report::Report;
use crate::harness::series::Series;
use crate::harness::server::{Database, Server};
use crate::server::seed::{self, JOB, SCRIPTS, Seeded};
use crate::{Failure, setting};

/// What each page may take at p95, in milliseconds.
const GOAL_MS: f64 = 50.0;

/// What each page may have, in bytes.
const MAX_BYTES: usize = 100_000;

/// A page: its name, and its address for each number.
type Page = (&'static str, Box<dyn Fn(u64) -> String>);

/// A browser as the server sees it.
struct Visit {
    http: reqwest::Client,
    url: String,
    cookie: String,
}

pub(super) async fn measure(report: &mut Report) -> Result<Vec<Goal>, Failure> {
    let mut goals = of(&Database::Sqlite, report).await?;
    goals.extend(of(&Database::postgres().await, report).await?);
    Ok(goals)
}

async fn of(database: &Database, report: &mut Report) -> Result<Vec<Goal>, Failure> {
    let executions = setting("GANTRY_BENCH_EXECUTIONS", 1_000_000);
    let folder = tempfile::tempdir()?;
    let seeded = seed::seed(database, folder.path(), executions).await?;
    let (times, sizes) = asked(database, folder.path(), seeded).await?;
    let name = database.name();
    report.head(
        &format!("Pages with {SCRIPTS} scripts and {executions} executions of one day, {name}"),
        "| | median | p95 | max | n | size |",
    );
    let rows = times.iter().zip(&sizes).map(|(it, size)| {
        let [median, p95, max] = [0.5, 0.95, 1.0].map(|share| it.quantile(share));
        let (name, n, kilobytes) = (it.name(), it.count(), size / 1_000);
        format!("| {name} | {median:.1} ms | {p95:.1} ms | {max:.1} ms | {n} | {kilobytes} kB |")
    });
    report.rows(rows.collect());
    let worst = times.iter().max_by(|a, b| a.p95().total_cmp(&b.p95())).ok_or("no page")?;
    let large = sizes.iter().filter(|size| **size > MAX_BYTES).count();
    Ok(vec![
        Goal::at_most_ms(
            &format!("the slowest of {} pages on {name}, p95 ({})", times.len(), worst.name()),
            worst.p95(),
            GOAL_MS,
        ),
        Goal::none(format!("pages of more than 100 kB on {name}"), large),
    ])
}

async fn asked(
    database: &Database,
    data_dir: &Path,
    seeded: Seeded,
) -> Result<(Vec<Series>, Vec<usize>), Failure> {
    let server = Server::start(database, data_dir, &[]).await?;
    let visit = Visit::begin(&server).await?;
    let (mut all, mut sizes) = (Vec::new(), Vec::new());
    let long = super::screen::long_log(&server).await?;
    let long: Page = ("an execution with a log of 10 MB", Box::new(move |_| long.clone()));
    for (name, address) in pages(seeded).into_iter().chain([long]) {
        let (mut times, mut largest) = (Series::new(name), 0);
        for _ in 0..setting("GANTRY_BENCH_PAGES", 100) {
            let (size, took) = visit.get(&address(getrandom::u64()? >> 1)).await?;
            largest = largest.max(size);
            times.add(took);
        }
        all.push(times);
        sizes.push(largest);
    }
    if std::env::var_os("GANTRY_SCREENSHOTS").is_some() {
        pictures(&server, seeded, database.name()).await;
    }
    server.stop().await?;
    Ok((all, sizes))
}

/// Keeps a picture of each page that has a lot to show, wide and narrow, by day and in
/// the dark.
async fn pictures(server: &Server, seeded: Seeded, database: &str) {
    let browser = Browser::start(1440).await;
    super::screen::sign_in(&browser, server).await;
    for (name, address) in pages(seeded) {
        for (width, is_dark) in [(1440, false), (375, true)] {
            browser.resize(width, 900).await;
            browser.darken(is_dark).await;
            browser.goto(&format!("{}{}", server.api.url, address(2))).await;
            browser.find("main").await;
            browser.picture(&format!("{database}-{name}-{width}").replace([' ', ','], "-")).await;
        }
    }
}

impl Visit {
    async fn begin(server: &Server) -> Result<Self, Failure> {
        let http = reqwest::Client::builder()
            .redirect(Policy::none())
            .no_proxy()
            .tcp_nodelay(true)
            .tls_certs_only([])
            .build()?;
        let url = server.api.url.clone();
        let mut form = form_urlencoded::Serializer::new(String::new());
        let body = form.append_pair("token", &server.api.token).finish();
        let request = http.post(format!("{url}/sign-in")).body(body);
        let answer = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        let answer = answer.send().await?;
        let cookie = answer.headers().get(SET_COOKIE).ok_or("no session")?.to_str()?;
        let cookie = cookie.split(';').next().unwrap_or_default().to_owned();
        Ok(Self { http, url, cookie })
    }

    /// The size of a page, and how long it took.
    async fn get(&self, address: &str) -> Result<(usize, Duration), Failure> {
        let begun = Instant::now();
        let request = self.http.get(format!("{}{address}", self.url));
        let answer = request.header(COOKIE, &self.cookie).send().await?;
        let status = answer.status();
        let body = answer.bytes().await?;
        let took = begun.elapsed();
        if status.is_success() {
            Ok((body.len(), took))
        } else {
            Err(format!("{address}: {status}").into())
        }
    }
}

fn pages(seeded: Seeded) -> Vec<Page> {
    let executions = seeded.executions;
    let script = |n: u64| format!("script-{}", n % SCRIPTS + 1);
    let fixed = |address: &'static str| Box::new(move |_| address.to_owned());
    vec![
        ("overview", fixed("/")),
        ("scripts, one of 20 pages", Box::new(|n| format!("/scripts?page={}", n % 20 + 1))),
        ("scripts, searched", Box::new(|n| format!("/scripts?search=pt-{}", n % 100))),
        ("a script", Box::new(move |n| format!("/scripts/{}", script(n)))),
        ("a script's form", Box::new(move |n| format!("/scripts/{}/run", script(n)))),
        ("a script's versions", Box::new(move |n| format!("/scripts/{}/versions", script(n)))),
        ("a version", Box::new(move |n| format!("/scripts/{}/versions/1", script(n)))),
        ("editing a script", Box::new(move |n| format!("/scripts/{}/edit", script(n)))),
        ("registering a script", fixed("/register")),
        ("executions", fixed("/executions")),
        (
            "executions, older ones",
            Box::new(move |n| format!("/executions?before={}", seeded.id(n % executions))),
        ),
        ("executions that failed", fixed("/executions?status=failed")),
        ("executions of a script", Box::new(move |n| format!("/executions?script={}", script(n)))),
        ("executions of a token, failed", fixed("/executions?triggered_by=admin&status=failed")),
        ("an execution", Box::new(move |n| format!("/executions/{}", seeded.id(n % executions)))),
        ("a job", Box::new(move |n| format!("/jobs?job_id=job-{}", n % (executions / JOB)))),
        ("environments", fixed("/environments")),
        ("tokens", fixed("/tokens")),
        ("audit", fixed("/audit")),
        ("system", fixed("/system")),
    ]
}
