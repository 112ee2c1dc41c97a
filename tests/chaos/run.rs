//! One run: everything is put up, worked with, broken, and held to account.

use std::cell::Cell;
use std::collections::HashMap;
use std::convert::Infallible;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::Method;
use sqlx::ConnectOptions;
use sqlx::postgres::PgConnectOptions;

use crate::beats::{BEYOND, lives};
use crate::disk::Disk;
use crate::fault_injector::{Ground, inject_other_faults, inject_server_faults};
use crate::leftovers::{self, Baseline, POOL_SIZE};
use crate::oracle::Oracle;
use crate::pipeline::{client, submit_all, watch, whole};
use crate::plan::{Cancelled, Order, Plan};
use crate::proxy::Proxy;
use crate::report::Report;
use crate::scripts::{Kind, STUBBORN_SECONDS};
use crate::served::{STOP_TIMEOUT, Served};
use crate::testkit::home::{Home, system};
use crate::testkit::postgres::{self, TestDatabase};
use crate::testkit::private_engine::PrivateEngine;
use crate::world::{Accepted, World};

/// How long it may take after the last fault until the next execution has ended: on a
/// machine that has a lot to do all of them may take long, and none is stuck.
const NEXT_WITHIN: Duration = Duration::from_secs(120);

/// How long things go on breaking when all has been sent and not all is accepted: a
/// busy machine may come to nothing between two faults.
const BROKEN_BEHIND: Duration = Duration::from_secs(45);

/// One run of a plan; `None` where there can be no engine for it.
pub(crate) async fn run(plan: Plan) -> Option<Report> {
    let begun = Instant::now();
    let live_restore = plan.live_restore;
    let engine = blocking(move || PrivateEngine::start_new(live_restore)).await?;
    let home = Home::new();
    let database = if plan.is_on_postgres { Some(postgres::database().await) } else { None };
    let (world, mut ground) = put_up(&home, engine, database.as_ref()).await;
    let ledger = home.path().join("ledger");
    register(&world, &ledger).await;
    let warm_up: Vec<_> = Kind::ALL.into_iter().map(|kind| warm_up(plan.seed, kind)).collect();
    submit_all(&world, &warm_up).await;
    settle(&world).await;
    let baseline = Baseline::of(&world);
    ground = inject_faults(&world, &plan, ground).await;
    settle(&world).await;
    judge(&world, &plan, &ledger.join("starts")).await;
    let engine = ground.engine;
    let checked = Arc::clone(&world);
    let engine = blocking(move || {
        leftovers::check(&checked, &engine, &baseline);
        engine
    })
    .await;
    let lives = judge_lives(&world, &ledger.join("beats"));
    let mut report = Report::of(&plan, &world, begun.elapsed());
    report.lives = lives;
    report.logs = Some(keep_logs(plan.seed, &world, &engine));
    blocking(move || drop(engine)).await;
    Some(report)
}

/// The server on all that it stands on.
async fn put_up(
    home: &Home,
    engine: PrivateEngine,
    database: Option<&TestDatabase>,
) -> (Arc<World>, Ground) {
    let folder = home.path().join("disk");
    let disk = Disk::on(&folder);
    let from = format!("{}/.", home.data_dir().display());
    system("cp", &["--archive", &from, disk.seen_from_here().to_str().unwrap()]);
    let ledger = home.path().join("ledger");
    fs::create_dir(&ledger).unwrap();
    fs::set_permissions(home.path(), fs::Permissions::from_mode(0o755)).unwrap();
    for name in ["starts", "beats"] {
        fs::write(ledger.join(name), "").unwrap();
        fs::set_permissions(ledger.join(name), fs::Permissions::from_mode(0o666)).unwrap();
    }
    let mut variables = vec![
        ("DOCKER_HOST".to_owned(), engine.host()),
        ("GANTRY_MOUNT_ROOTS".to_owned(), ledger.to_str().unwrap().to_owned()),
        ("GANTRY_POOL_SIZE".to_owned(), POOL_SIZE.to_string()),
        ("GANTRY_STOP_TIMEOUT".to_owned(), STOP_TIMEOUT.to_owned()),
    ];
    let mut proxy = None;
    if let Some(database) = database {
        let options = PgConnectOptions::from_str(&database.url()).unwrap();
        let stands = Proxy::to(options.get_host().to_owned(), options.get_port()).await;
        let options = options.host("127.0.0.1").port(stands.port());
        variables.push(("GANTRY_DATABASE_URL".to_owned(), options.to_url_lossy().to_string()));
        proxy = Some(stands);
    }
    let log = home.path().join("serve.log");
    let served = Served::new(folder, variables, disk.within().to_vec(), log);
    let world = Arc::new(World::new(served));
    let starting = Arc::clone(&world);
    blocking(move || starting.served.start()).await.unwrap();
    (world, Ground { engine, disk, proxy })
}

async fn register(world: &World, ledger: &Path) {
    let client = client();
    for kind in Kind::ALL {
        let request = world.served.request(&client, Method::POST, "/api/v1/admin/scripts");
        let body = kind.registration(ledger.to_str().unwrap());
        let response = request.json(&body).send().await.unwrap();
        let status = response.status();
        assert!(status.is_success(), "{kind:?}: {status}: {}", response.text().await.unwrap());
    }
}

/// Each kind once, before anything breaks.
fn warm_up(seed: u64, kind: Kind) -> Order {
    let key = format!("chaos-{seed}-{}", kind.name());
    let size = kind.sizes().0;
    let cancelled = if kind == Kind::Sleeper { Cancelled::Soon } else { Cancelled::Never };
    Order { key, kind, size, is_sent_again: false, cancelled, pause_ms: 0 }
}

/// Works while things break; answers when nothing breaks any more.
async fn inject_faults(world: &Arc<World>, plan: &Plan, mut ground: Ground) -> Ground {
    let (seed, of_server, of_others) = (plan.seed, Arc::clone(world), Arc::clone(world));
    let on_server = tokio::task::spawn_blocking(move || inject_server_faults(&of_server, seed));
    let on_others = tokio::task::spawn_blocking(move || {
        inject_other_faults(&of_others, seed, &mut ground);
        ground
    });
    let watching = Arc::clone(world);
    let watching = tokio::spawn(async move {
        watch(&watching, usize::MAX, || watching.is_over()).await;
    });
    let late = async {
        tokio::time::sleep(plan.pace() + BROKEN_BEHIND).await;
        world.end_faults();
        std::future::pending::<Infallible>().await
    };
    tokio::select! {
        () = submit_all(world, &plan.orders) => world.end_faults(),
        never = late => match never {},
    }
    on_server.await.unwrap();
    let ground = on_others.await.unwrap();
    watching.await.unwrap();
    ground
}

/// Waits until all that was accepted has ended.
async fn settle(world: &World) {
    let count = world.accepted.lock().unwrap().len();
    let progress = Cell::new((0, Instant::now()));
    let is_stuck = || {
        let (ended, since) = progress.get();
        let now = world.ends.lock().unwrap().len();
        if now > ended {
            progress.set((now, Instant::now()));
        }
        now == ended && since.elapsed() > NEXT_WITHIN
    };
    watch(world, count, is_stuck).await;
}

/// Asks for all that was accepted, and judges it.
async fn judge(world: &World, plan: &Plan, ledger: &Path) {
    let client = client();
    let accepted = world.accepted.lock().unwrap().clone();
    let injected = world.injected.lock().unwrap().clone();
    let starts = starts(ledger);
    let oracle = Oracle { live_restore: plan.live_restore, injected: &injected, starts: &starts };
    for of in &accepted {
        let end = world.ends.lock().unwrap().get(&of.id).cloned();
        let Some(execution) = whole(world, &client, &of.id).await else {
            world.violated(format!("{}: was accepted and can't be found", of.id));
            continue;
        };
        world.seen(&execution);
        let Some(end) = end else {
            let status = &execution["status"];
            world.violated(format!("{}: has not ended, and is {status}", named(of)));
            continue;
        };
        world.tolls.lock().unwrap().extend(oracle.toll(of, end.at, &execution));
        for fault in oracle.judge(of, end.at, &execution) {
            world.violated(format!("{}: {fault}", named(of)));
        }
        if execution["status"] == "completed"
            && let Some((name, content)) = of.order.kind.expected(&of.id, of.order.size).artifact
        {
            let path = format!("/api/v1/executions/{}/artifacts/{name}", of.id);
            let answer = world.served.request(&client, Method::GET, &path).send().await;
            let bytes = async { answer.ok()?.text().await.ok() }.await;
            if bytes.as_deref() != Some(content.as_str()) {
                world.violated(format!("{}: its artifact is not what it wrote", named(of)));
            }
        }
    }
    let ids = world.ends.lock().unwrap().len();
    if ids > accepted.len() {
        world.violated(format!("{ids} executions have ended, of {} accepted", accepted.len()));
    }
}

/// No script lives on for long when its time is up. Answers how long they lived.
fn judge_lives(world: &World, beats: &Path) -> Vec<Duration> {
    let lives = lives(beats);
    for (id, life) in &lives {
        if life.as_secs_f64() > STUBBORN_SECONDS + BEYOND {
            world.violated(format!("{id}: lived {life:?}, and had {STUBBORN_SECONDS} s"));
        }
    }
    lives.into_values().collect()
}

fn named(of: &Accepted) -> String {
    format!("{} {} ({})", of.order.kind.name(), of.id, of.order.key)
}

/// How often each id stands in the ledger.
fn starts(ledger: &Path) -> HashMap<String, usize> {
    let mut starts = HashMap::new();
    for line in fs::read_to_string(ledger).unwrap().lines() {
        *starts.entry(line.to_owned()).or_default() += 1;
    }
    starts
}

/// Keeps what the server and the engine have said.
fn keep_logs(seed: u64, world: &World, engine: &PrivateEngine) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("chaos/seed-{seed}"));
    fs::create_dir_all(&folder).unwrap();
    let _ = fs::copy(&world.served.log, folder.join("serve.log"));
    let _ = fs::copy(engine.log(), folder.join("dockerd.log"));
    let injected = world.injected.lock().unwrap();
    let first = injected.first().map(|it| it.from);
    let lines = injected.iter().map(|it| {
        let from = first.map_or(Duration::ZERO, |first| it.from.saturating_duration_since(first));
        format!(
            "{:>8.2} s for {:>6.2} s: {:?} {:?}\n",
            from.as_secs_f64(),
            (it.to - it.from).as_secs_f64(),
            it.fault,
            it.target
        )
    });
    let _ = fs::write(folder.join("faults"), lines.collect::<String>());
    folder
}

/// Whatever blocks, beside the test's own runtime.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}
