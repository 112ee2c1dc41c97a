//! A pipeline that wants things done: it sends each order until it is told that
//! it was accepted, always with the same key, and looks at what becomes of them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};

use crate::plan::{Cancelled, Order};
use crate::world::{Accepted, World};

/// Between two tries of one order.
const TRY_AGAIN: Duration = Duration::from_millis(150);

/// How long an order may stay unaccepted: longer than all faults in a row.
const ACCEPTED_WITHIN: Duration = Duration::from_secs(180);

/// A server that is not killed so soon is not waited for.
const KILLED_WITHIN: Duration = Duration::from_secs(12);

/// Between two looks at all executions.
const LOOK: Duration = Duration::from_millis(700);

/// Executions on one page of a list.
const PAGE: usize = 100;

/// Sends all orders, each after its pause, and waits until each is accepted.
pub(crate) async fn submit_all(world: &Arc<World>, orders: &[Order]) {
    let client = client();
    let mut sending = tokio::task::JoinSet::new();
    for order in orders {
        tokio::time::sleep(Duration::from_millis(order.pause_ms)).await;
        sending.spawn(submit(Arc::clone(world), client.clone(), order.clone()));
    }
    while let Some(sent) = sending.join_next().await {
        sent.unwrap();
    }
}

/// Sends one order until it is accepted; then again, or its end, where the order
/// says so.
async fn submit(world: Arc<World>, client: Client, order: Order) {
    let since = Instant::now();
    let Some(id) = accepted(&world, &client, &order, since).await else { return };
    let found = Accepted { order: order.clone(), id: id.clone(), since };
    world.accepted.lock().unwrap().push(found);
    if order.is_sent_again
        && let Some(again) = accepted(&world, &client, &order, Instant::now()).await
        && again != id
    {
        world.violated(format!("{}: {id} at first, {again} when sent again", order.key));
    }
    match order.cancelled {
        Cancelled::Never => return,
        Cancelled::Soon => tokio::time::sleep(Duration::from_millis(order.pause_ms)).await,
        Cancelled::BeforeKill => {
            let _ = tokio::time::timeout(KILLED_WITHIN, world.kill_nears.notified()).await;
        }
    }
    cancel(&world, &client, &id).await;
}

/// The id that an order is accepted under.
async fn accepted(world: &World, client: &Client, order: &Order, since: Instant) -> Option<String> {
    let body = json!({"script": order.kind.name(), "args": [order.size.to_string()]});
    while since.elapsed() < ACCEPTED_WITHIN {
        let request = world.served.request(client, Method::POST, "/api/v1/executions");
        let request = request.header("Idempotency-Key", &order.key).json(&body);
        match told(world, request).await {
            Some((status, execution)) if status.is_success() => {
                world.seen(&execution);
                return execution["id"].as_str().map(str::to_owned);
            }
            Some((StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS, _)) | None => {}
            Some((status, problem)) => {
                world.violated(format!("{}: answered {status}: {problem}", order.key));
                return None;
            }
        }
        tokio::time::sleep(TRY_AGAIN).await;
    }
    world.violated(format!("{}: not accepted in {ACCEPTED_WITHIN:?}", order.key));
    None
}

async fn cancel(world: &World, client: &Client, id: &str) {
    let begun = Instant::now();
    let path = format!("/api/v1/executions/{id}/cancel");
    while begun.elapsed() < ACCEPTED_WITHIN {
        let request = world.served.request(client, Method::POST, &path);
        match told(world, request).await {
            Some((status, _)) if status.is_success() || status == StatusCode::CONFLICT => return,
            Some((StatusCode::SERVICE_UNAVAILABLE, _)) | None => {}
            Some((status, problem)) => {
                world.violated(format!("{id}: the cancellation was answered {status}: {problem}"));
                return;
            }
        }
        tokio::time::sleep(TRY_AGAIN).await;
    }
    world.violated(format!("{id}: not cancelled in {ACCEPTED_WITHIN:?}"));
}

/// The answer, if there was one.
async fn told(world: &World, request: reqwest::RequestBuilder) -> Option<(StatusCode, Value)> {
    let Ok(response) = request.send().await else {
        world.answered("no answer");
        return None;
    };
    let status = response.status();
    world.answered(status.as_str());
    let body = response.bytes().await.ok()?;
    Some((status, serde_json::from_slice(&body).unwrap_or_default()))
}

/// Looks at all executions again and again, until there are so many and all have
/// ended, or the time is over. Answers whether they have.
pub(crate) async fn watch(world: &World, count: usize, until: impl Fn() -> bool) -> bool {
    let client = client();
    while !until() {
        if let Some(executions) = all(world, &client).await {
            executions.iter().for_each(|execution| world.seen(execution));
            if world.ends.lock().unwrap().len() >= count {
                return true;
            }
        }
        tokio::time::sleep(LOOK).await;
    }
    false
}

/// All executions without their logs, if the server can be asked right now.
async fn all(world: &World, client: &Client) -> Option<Vec<Value>> {
    let mut executions = Vec::new();
    loop {
        let path = format!("/api/v1/executions?limit={PAGE}&offset={}", executions.len());
        let (status, page) = told(world, world.served.request(client, Method::GET, &path)).await?;
        if !status.is_success() {
            return None;
        }
        let page = page.as_array()?;
        executions.extend(page.iter().cloned());
        if page.len() < PAGE {
            return Some(executions);
        }
    }
}

/// One execution with all that is known of it; asked again while the server is
/// busy.
pub(crate) async fn whole(world: &World, client: &Client, id: &str) -> Option<Value> {
    let path = format!("/api/v1/executions/{id}");
    for _ in 0..20 {
        match told(world, world.served.request(client, Method::GET, &path)).await {
            Some((StatusCode::OK, execution)) => return Some(execution),
            Some((StatusCode::NOT_FOUND, _)) => return None,
            _ => tokio::time::sleep(TRY_AGAIN).await,
        }
    }
    None
}

/// Each use has connections of its own, which end with it.
pub(crate) fn client() -> Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder().no_proxy().build().unwrap()
}
