//! The console over HTTP, without a browser: who comes in, what can't be forged, what a
//! page may do, and how large it is.

use gantry::domain::token::Role;
use reqwest::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION, ORIGIN, SET_COOKIE};
use reqwest::redirect::Policy;
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};

use super::server::Server;

/// A browser that is signed in, as far as headers go.
pub(super) struct Visit<'a> {
    server: &'a Server,
    client: Client,
    cookie: String,
}

fn client() -> Client {
    Client::builder().redirect(Policy::none()).no_proxy().build().unwrap()
}

/// A form as browsers send it.
fn filled(request: RequestBuilder, fields: &[(&str, &str)]) -> RequestBuilder {
    let mut form = form_urlencoded::Serializer::new(String::new());
    let body = form.extend_pairs(fields).finish();
    request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(body)
}

async fn sign_in(server: &Server, token: &str) -> Response {
    let form = [("token", token), ("next", "/scripts")];
    filled(client().post(format!("{}/sign-in", server.url)), &form).send().await.unwrap()
}

impl<'a> Visit<'a> {
    pub(super) async fn of(server: &'a Server, role: Role) -> Self {
        Self::with(server, server.token(role)).await
    }

    async fn with(server: &'a Server, token: &str) -> Self {
        let answer = sign_in(server, token).await;
        assert_eq!(answer.status(), StatusCode::SEE_OTHER);
        let cookie = answer.headers()[SET_COOKIE].to_str().unwrap();
        let cookie = cookie.split(';').next().unwrap().to_owned();
        Self { server, client: client(), cookie }
    }

    pub(super) async fn get(&self, path: &str) -> Response {
        self.request(Method::GET, path).send().await.unwrap()
    }

    pub(super) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = format!("{}{path}", self.server.url);
        self.client.request(method, url).header("cookie", &self.cookie)
    }

    /// The token that this session's forms have.
    pub(super) async fn form_token(&self) -> String {
        let page = self.get("/").await.text().await.unwrap();
        let (_, rest) = page.split_once("name=\"form_token\" value=\"").unwrap();
        rest.split('"').next().unwrap().to_owned()
    }

    async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Response {
        let token = self.form_token().await;
        let mut form = fields.to_vec();
        form.push(("form_token", &token));
        filled(self.request(Method::POST, path), &form).send().await.unwrap()
    }
}

#[tokio::test]
async fn nobody_sees_a_page_without_signing_in() {
    let server = Server::start().await;
    for path in ["/", "/scripts", "/executions?status=failed", "/tokens", "/system"] {
        let answer = client().get(format!("{}{path}", server.url)).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::SEE_OTHER, "{path}");
        assert!(answer.headers()[LOCATION].to_str().unwrap().starts_with("/sign-in"), "{path}");
    }
    let wrong = sign_in(&server, "gantry_wrong").await;
    assert_eq!(wrong.status(), StatusCode::UNAUTHORIZED);
    assert!(!wrong.headers().contains_key(SET_COOKIE));
    assert!(wrong.text().await.unwrap().contains("the token is not valid"));
}

#[tokio::test]
async fn the_cookie_is_for_this_server_alone_and_is_not_the_token() {
    let server = Server::start().await;
    let token = server.token(Role::Admin);
    let answer = sign_in(&server, token).await;
    assert_eq!(answer.headers()[LOCATION], "/scripts");
    let cookie = answer.headers()[SET_COOKIE].to_str().unwrap();
    for part in ["HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=43200"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert!(!cookie.contains(token));
    let elsewhere = [("token", token), ("next", "//evil.example")];
    let answer = filled(client().post(format!("{}/sign-in", server.url)), &elsewhere).send().await;
    assert_eq!(answer.unwrap().headers()[LOCATION], "/");
}

#[tokio::test]
async fn a_session_is_no_token_of_the_api_and_a_token_is_no_session() {
    let server = Server::start().await;
    let visit = Visit::of(&server, Role::Admin).await;
    let api = visit.get("/api/v1/admin/scripts").await;
    assert_eq!(api.status(), StatusCode::UNAUTHORIZED);
    let secret = visit.cookie.split_once('=').unwrap().1;
    let bearer = server.bare(Method::GET, "/api/v1/executions").bearer_auth(secret);
    assert_eq!(bearer.send().await.unwrap().status(), StatusCode::UNAUTHORIZED);
    let page = server.get("/scripts").header("cookie", "gantry_session=x").send().await.unwrap();
    assert!(page.url().path().starts_with("/sign-in"));
}

#[tokio::test]
async fn forged_forms_are_refused() {
    let server = Server::start().await;
    let id = server.script("weather").await;
    let visit = Visit::of(&server, Role::Admin).await;
    let path = "/scripts/weather/disable";
    let without = filled(visit.request(Method::POST, path), &[("back", "/")]);
    let without = without.send().await.unwrap();
    assert_eq!(without.status(), StatusCode::FORBIDDEN);
    let others = Visit::of(&server, Role::Admin).await.form_token().await;
    let forged = filled(visit.request(Method::POST, path), &[("form_token", &others)]);
    assert_eq!(forged.send().await.unwrap().status(), StatusCode::FORBIDDEN);
    let own = visit.form_token().await;
    for (name, value) in
        [("sec-fetch-site", "cross-site"), (ORIGIN.as_str(), "http://evil.example")]
    {
        let foreign = visit.request(Method::POST, path).header(name, value);
        let foreign = filled(foreign, &[("form_token", &own)]).send().await.unwrap();
        assert_eq!(foreign.status(), StatusCode::FORBIDDEN, "{name}");
        assert!(foreign.text().await.unwrap().contains("another site"));
    }
    assert!(server.store.script(id).await.unwrap().unwrap().settings.is_enabled);
    let sent = visit.post(path, &[]).await;
    assert_eq!(sent.status(), StatusCode::SEE_OTHER);
    assert!(!server.store.script(id).await.unwrap().unwrap().settings.is_enabled);
}

#[tokio::test]
async fn roles_see_and_do_what_the_api_lets_them() {
    let server = Server::start().await;
    server.script("weather").await;
    let expected = [
        (Role::Viewer, "/scripts", 200),
        (Role::Viewer, "/scripts/weather", 200),
        (Role::Viewer, "/tokens", 403),
        (Role::Viewer, "/register", 403),
        (Role::Viewer, "/scripts/weather/run", 403),
        (Role::Viewer, "/scripts/weather/edit", 403),
        (Role::Viewer, "/audit", 200),
        (Role::Viewer, "/system", 200),
        (Role::Operator, "/scripts/weather/edit", 200),
        (Role::Operator, "/register", 403),
        (Role::Runner, "/", 200),
        (Role::Runner, "/executions", 200),
        (Role::Runner, "/scripts", 403),
        (Role::Runner, "/environments", 403),
        (Role::Admin, "/tokens", 200),
        (Role::Admin, "/register", 200),
        (Role::Admin, "/scripts/weather/run", 200),
    ];
    for (role, path, status) in expected {
        let answer = Visit::of(&server, role).await.get(path).await;
        assert_eq!(answer.status().as_u16(), status, "{role} {path}");
    }
    let viewer = Visit::of(&server, Role::Viewer).await;
    let page = viewer.get("/scripts/weather").await.text().await.unwrap();
    for button in [">Disable<", ">Edit<", ">Run<"] {
        assert!(!page.contains(button), "{button}");
    }
    assert!(!page.contains("s3cr3t"));
    for path in ["/scripts/weather/disable", "/scripts/weather/run", "/register", "/tokens"] {
        let answer = viewer.post(path, &[("name", "x")]).await;
        assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{path}");
    }
}

#[tokio::test]
async fn a_form_is_checked_before_it_is_sent_and_nothing_comes_of_it() {
    let server = Server::start().await;
    server.script("weather").await;
    let id = server.script("tides").await;
    let admin = Visit::of(&server, Role::Admin).await;
    let filled_in = [
        ("name", "weather"),
        ("script_type", "shell"),
        ("source_from", "text"),
        ("source", "cat"),
        ("argument_schema", "{"),
        ("memory_mib", "much"),
        ("pids", "2"),
    ];
    let answer = admin.post("/register/check", &filled_in).await;
    assert_eq!(answer.status(), StatusCode::OK);
    let words: serde_json::Value = answer.json().await.unwrap();
    let fields: Vec<_> = words.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(fields, ["argument_schema", "memory_mib", "name", "pids"], "{words}");
    assert!(words["name"][0].as_str().unwrap().contains("weather already"), "{words}");
    assert!(words["memory_mib"][0].as_str().unwrap().contains("\"much\""), "{words}");

    let operator = Visit::of(&server, Role::Operator).await;
    let check = "/scripts/tides/edit/check";
    let answer = operator.post(check, &[("timeout_secs", "1e9"), ("name", "x y")]).await;
    let words: serde_json::Value = answer.json().await.unwrap();
    assert_eq!(words.as_object().unwrap().len(), 1, "{words}");
    assert!(words["timeout_secs"].is_array(), "{words}");
    let own_name = admin.post(check, &[("name", "tides"), ("source_from", "keep")]).await;
    assert_eq!(own_name.text().await.unwrap(), "{}");
    let taken = admin.post(check, &[("name", "weather"), ("source_from", "keep")]).await;
    assert!(taken.text().await.unwrap().contains("weather already"));

    for (role, path) in [(Role::Operator, "/register/check"), (Role::Viewer, check)] {
        let answer = Visit::of(&server, role).await.post(path, &filled_in).await;
        assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{role} {path}");
    }
    let forged = filled(admin.request(Method::POST, "/register/check"), &filled_in);
    assert_eq!(forged.send().await.unwrap().status(), StatusCode::FORBIDDEN);
    assert_eq!(server.store.script(id).await.unwrap().unwrap().version.number, 1);
    let scripts = server.get("/api/v1/admin/scripts").send().await.unwrap();
    assert_eq!(scripts.headers()["x-total-count"], "2");
}

#[tokio::test]
async fn what_is_sent_twice_runs_once() {
    let server = Server::start().await;
    server.script("weather").await;
    let visit = Visit::of(&server, Role::Admin).await;
    let address = |answer: Response| answer.headers()[LOCATION].to_str().unwrap().to_owned();
    let run = async |word: &str, input: &str| {
        let form = [("once", word), ("seen", "1"), ("mode", "raw"), ("raw", input)];
        address(visit.post("/scripts/weather/run", &form).await)
    };
    let [word, other] =
        ["0", "1"].map(|end| format!("{}{end}", "0193f2b0-0000-4000-8000-00000000000"));
    let first = run(&word, "{}").await;
    assert_eq!(run(&word, "{}").await, first);
    // What was changed on the way back is another thing to run, and so is a new page.
    assert_ne!(run(&word, "[]").await, first);
    assert_ne!(run(&other, "{}").await, first);
    assert_ne!(run("", "{}").await, run("", "{}").await);

    let page = visit.get(&first).await.text().await.unwrap();
    let (_, rest) = page.split_once("name=\"once\" value=\"").unwrap();
    let word = rest.split('"').next().unwrap().to_owned();
    let again = format!("{first}/run-again");
    let second = address(visit.post(&again, &[("once", &word)]).await);
    assert_ne!(second, first);
    assert_eq!(address(visit.post(&again, &[("once", &word)]).await), second);
}

#[tokio::test]
async fn a_limited_runner_sees_its_own_executions_alone() {
    let server = Server::start().await;
    let (own, other) = (server.script("own").await, server.script("other").await);
    let mut ids = Vec::new();
    for script in [own, other] {
        let body = serde_json::json!({"script": script, "job_id": "job"});
        let answer = server.post("/api/v1/executions", &body).send().await.unwrap();
        let execution: serde_json::Value = answer.json().await.unwrap();
        ids.push(execution["id"].as_str().unwrap().to_owned());
    }
    let token = server.limited(&[own]).await;
    let visit = Visit::with(&server, &token).await;
    for path in ["/", "/executions", "/jobs?job_id=job"] {
        let page = visit.get(path).await.text().await.unwrap();
        assert!(page.contains(&ids[0]) && !page.contains(&ids[1]), "{path}");
    }
    let status = |answer: Response| answer.status().as_u16();
    for end in ["", "/events", "/log", "/input", "/output", "/artifacts/0"] {
        let path = format!("/executions/{}{end}", ids[1]);
        assert_eq!(status(visit.get(&path).await), 404, "{path}");
    }
    for end in ["/cancel", "/run-again"] {
        let path = format!("/executions/{}{end}", ids[1]);
        assert_eq!(status(visit.post(&path, &[]).await), 404, "{path}");
    }
}

#[tokio::test]
async fn a_session_ends_when_one_signs_out_and_when_its_token_is_revoked() {
    let server = Server::start().await;
    let visit = Visit::of(&server, Role::Viewer).await;
    let answer = visit.post("/sign-out", &[]).await;
    assert!(answer.headers()[SET_COOKIE].to_str().unwrap().contains("Max-Age=0"));
    assert_eq!(visit.get("/scripts").await.status(), StatusCode::SEE_OTHER);
    let again = Visit::of(&server, Role::Viewer).await;
    let token = server.access.verify(server.token(Role::Viewer)).await.unwrap();
    server.access.revoke("root", token.id).await.unwrap();
    assert_eq!(again.get("/scripts").await.status(), StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn a_page_may_do_nothing_but_what_is_this_servers_own() {
    let server = Server::start().await;
    let visit = Visit::of(&server, Role::Admin).await;
    for path in ["/", "/scripts", "/executions", "/nothing-here", "/executions/nothing"] {
        let answer = visit.request(Method::GET, path).header("accept", "text/html").send().await;
        let answer = answer.unwrap();
        let policy = answer.headers()[CONTENT_SECURITY_POLICY].to_str().unwrap().to_owned();
        for part in ["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'"] {
            assert!(policy.contains(part), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe"), "{path}: {policy}");
        let page = answer.text().await.unwrap();
        assert!(!page.contains("style=\"") && !page.contains("<style"), "{path}");
        assert!(!page.contains("http://") && !page.contains("https://"), "{path}");
    }
    let api = visit.get("/api/nothing").await;
    assert_eq!(api.headers()["content-type"], "application/problem+json");
}

#[tokio::test]
async fn what_pages_load_is_kept_for_good_and_changes_its_address() {
    let server = Server::start().await;
    let visit = Visit::of(&server, Role::Admin).await;
    let page = visit.get("/").await.text().await.unwrap();
    let addresses: Vec<_> = page
        .split(['"', '\''])
        .filter(|it| it.starts_with("/assets/"))
        .map(str::to_owned)
        .collect();
    assert!(addresses.len() >= 3, "{page}");
    for address in addresses {
        let answer = client().get(format!("{}{address}", server.url)).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{address}");
        assert!(answer.headers()["cache-control"].to_str().unwrap().contains("immutable"));
    }
    let old = client().get(format!("{}/assets/0000/console.css", server.url)).send().await;
    assert_eq!(old.unwrap().headers()["cache-control"], "no-store");
}

#[tokio::test]
async fn every_page_is_small() {
    let server = Server::start().await;
    for number in 0..60 {
        server.script(&format!("script-{number}")).await;
    }
    let body = serde_json::json!({"script": "script-1", "job_id": "job", "input": {
        "text": "x".repeat(300_000), "list": (0..20_000).collect::<Vec<_>>()}});
    let answer = server.post("/api/v1/executions", &body).send().await.unwrap();
    let execution: serde_json::Value = answer.json().await.unwrap();
    let id = execution["id"].as_str().unwrap();
    for _ in 0..60 {
        let body = serde_json::json!({"script": "script-1", "job_id": "job"});
        server.post("/api/v1/executions", &body).send().await.unwrap();
    }
    let visit = Visit::of(&server, Role::Admin).await;
    let paths = [
        "/",
        "/scripts",
        "/register",
        "/scripts/script-1",
        "/scripts/script-1/edit",
        "/scripts/script-1/run",
        "/scripts/script-1/versions",
        "/scripts/script-1/versions/1",
        "/executions",
        "/jobs?job_id=job",
        "/environments",
        "/tokens",
        "/audit",
        "/system",
        &format!("/executions/{id}"),
    ];
    for path in paths {
        let answer = visit.get(path).await;
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        let size = answer.text().await.unwrap().len();
        assert!(size < 100_000, "{path}: {size} bytes");
    }
}

#[tokio::test]
async fn tags_are_set_shown_and_searched_for() {
    let server = Server::start().await;
    let id = server.script("weather").await;
    server.script("other").await;
    let visit = Visit::of(&server, Role::Operator).await;
    let page = async |path: &str| visit.get(path).await.text().await.unwrap();
    let save = async |tags: &str| {
        let form = page("/scripts/weather/edit").await;
        let (_, rest) = form.split_once("name=\"seen\" value=\"").unwrap();
        let seen = rest.split('"').next().unwrap();
        let fields = [("seen", seen), ("is_enabled", "on"), ("tags", tags)];
        visit.post("/scripts/weather/edit", &fields).await
    };
    assert_eq!(save("colour, print").await.status(), StatusCode::SEE_OTHER);
    let script = server.store.script(id).await.unwrap().unwrap();
    assert_eq!(
        (script.settings.tags.joined().as_str(), script.version.number),
        ("colour print", 1)
    );
    assert!(page("/scripts/weather").await.contains("href=\"/scripts?tag=colour\""));
    assert!(page("/scripts/weather/edit").await.contains("value=\"colour print\""));
    for (query, is_found) in [
        ("?tag=colour", true),
        ("?tag=colour&tag=print", true),
        ("?tag=colour+print", true),
        ("?tag=colour&tag=x", false),
        ("?tag=Colour", true),
        ("?tag=colou", false),
        ("?tag=%3Cb%3E", false),
    ] {
        let list = page(&format!("/scripts{query}")).await;
        assert_eq!(list.contains("href=\"/scripts/weather\""), is_found, "{query}");
        assert!(!list.contains("href=\"/scripts/other\"") && !list.contains("<b>"), "{query}");
    }
    let wrong = save("Colour").await;
    assert_eq!(wrong.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let wrong = wrong.text().await.unwrap();
    assert!(wrong.contains("is not a tag") && wrong.contains("value=\"Colour\""), "{wrong}");
    assert_eq!(save("").await.status(), StatusCode::SEE_OTHER);
    assert!(!page("/scripts/weather").await.contains("/scripts?tag="));
}
