//! The client commands against servers that are not there, not Gantry, or not
//! well: what no real server can be made to answer.

use crate::testkit::canned::{Canned, Reply, free_address, gantry};

#[track_caller]
fn says(server: &Canned, arguments: &[&str], code: i32, said: &[&str]) {
    let ended = gantry(arguments, &server.url());
    assert_eq!(ended.code, code, "{ended:?}");
    for said in said {
        assert!(ended.stderr.contains(said), "{said:?} was not said: {ended:?}");
    }
    assert_eq!(ended.stdout, "", "{ended:?}");
}

#[test]
fn no_server_is_said_with_what_to_do() {
    let url = free_address();
    let ended = gantry(&["scripts", "list"], &url);
    let expected = format!(
        "error: no server at {url}\nhint: start one with `gantry serve`, or set GANTRY_URL\n"
    );
    assert_eq!((ended.code, ended.stderr), (1, expected));
}

#[test]
fn an_address_that_is_none_is_said() {
    let ended = gantry(&["scripts", "list"], "localhost:8700");
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(ended.stderr.contains("hint: write it like http://127.0.0.1:8700"), "{ended:?}");
    let ended = gantry(&["scripts", "list"], "http://user:secret@127.0.0.1:1");
    assert!(ended.code == 1 && !ended.stderr.contains("secret"), "{ended:?}");
}

#[test]
fn a_page_for_people_is_not_gantry() {
    for status in [200, 404, 502] {
        let server = Canned::new(vec![Reply::new(status, "text/html", "<h1>Welcome</h1>")]);
        let seen = format!("it answered {status} with text/html");
        says(&server, &["scripts", "list"], 1, &["is not Gantry", &seen, "hint: "]);
    }
    let server = Canned::new(vec![Reply::new(200, "application/json", "[{]")]);
    says(&server, &["scripts", "list"], 1, &["is not Gantry", "that is not JSON"]);
}

#[test]
fn a_token_is_asked_for() {
    let body = r#"{"title": "Unauthorized", "status": 401}"#;
    let server = Canned::new(vec![Reply::new(401, "application/problem+json", body)]);
    says(&server, &["token", "list"], 1, &["error: Unauthorized", "hint: set GANTRY_TOKEN"]);
}

#[test]
fn every_fault_of_a_request_is_said_and_nothing_obeyed() {
    let body = r#"{"title": "Unprocessable", "detail": "the input is \u001b[31mwrong",
        "hint": "mend\u202e it", "errors": [{"pointer": "/a/0", "detail": "is no number"}]}"#;
    let server = Canned::new(vec![Reply::new(422, "application/problem+json", body)]);
    let said =
        ["error: the input is \\u{1b}[31mwrong\n  /a/0: is no number\nhint: mend\\u{202e} it\n"];
    says(&server, &["executions", "run", "x"], 125, &said);
}

#[test]
fn a_full_queue_says_when_to_come_back() {
    let reply = Reply::new(429, "application/problem+json", r#"{"detail": "the queue is full"}"#);
    let server = Canned::new(vec![reply.with_header("Retry-After: 7")]);
    says(&server, &["executions", "run", "x"], 125, &["the queue is full", "try again in 7 s"]);
}

#[test]
fn a_redirect_does_not_get_the_token() {
    let elsewhere = Canned::new(vec![Reply::new(200, "application/json", "[]")]);
    let reply =
        Reply::new(302, "text/plain", "").with_header(&format!("Location: {}", elsewhere.url()));
    let server = Canned::new(vec![reply]);
    says(&server, &["scripts", "list"], 1, &["redirects to", "hint: "]);
    assert_eq!(elsewhere.requests(), Vec::<String>::new());
}

#[test]
fn an_answer_without_end_is_not_held() {
    let server = Canned::new(vec![Reply::new(200, "application/json", "[0").repeated(80)]);
    says(&server, &["scripts", "list"], 1, &["the answer has more than 65 MiB"]);
}

#[test]
fn an_answer_that_is_cut_is_said() {
    let server = Canned::new(vec![Reply::new(200, "application/json", "[").cut()]);
    says(&server, &["scripts", "list"], 1, &["was cut"]);
}

#[test]
fn what_is_no_http_is_said() {
    let server = Canned::new(vec![Reply::raw("SSH-2.0-OpenSSH_9.9\r\n")]);
    says(&server, &["scripts", "list"], 1, &["hint: is GANTRY_URL the address"]);
    let server = Canned::new(vec![Reply::raw("HTTP/1.1 400 Bad Request\r\n\r\n")]);
    let ended = gantry(&["scripts", "list"], &server.url().replace("http:", "https:"));
    assert!(ended.stderr.contains("is it an http:// URL?"), "{ended:?}");
}

fn events(text: &str) -> Reply {
    Reply::new(200, "text/event-stream", text)
}

const END: &str = "id: 9\nevent: end\ndata: {\"status\": \"completed\"}\n\n";

#[test]
fn a_log_that_is_cut_is_taken_up_where_it_ended() {
    let first = "\u{feff}id: a1\nevent: status\ndata: {\"status\": \"running\"}\n\n\
                 id: a2\r\nevent: stdout\r\ndata: {\"text\":\r\ndata: \"one\\n\"}\r\n\r\n\
                 id: a3\nevent: stdout\ndata: {\"text\": \"lost\"}\n";
    let second = "id: a3\nevent: stdout\ndata: {\"text\": \"two\\n\"}\n\n: still here\n\n\
                  id: a4\nevent: stderr\ndata: {\"text\": \"three\\n\"}\n\n";
    let busy = Reply::new(503, "application/problem+json", r#"{"detail": "busy"}"#);
    let server = Canned::new(vec![events(first).cut(), busy, events(&format!("{second}{END}"))]);
    let ended = gantry(&["executions", "logs", "-f", "e1"], &server.url());
    assert_eq!(
        (ended.code, ended.stdout.as_str(), ended.stderr.as_str()),
        (0, "one\ntwo\n", "three\n")
    );
    let requests = server.requests();
    assert!(!requests[0].contains("last-event-id"), "{requests:#?}");
    assert!(requests[1].contains("last-event-id: a2"), "{requests:#?}");
    assert!(requests[2].contains("last-event-id: a2"), "{requests:#?}");
}

#[test]
fn a_log_whose_events_have_no_ids_is_not_printed_twice() {
    let server = Canned::new(vec![events("event: stdout\ndata: {\"text\": \"one\\n\"}\n\n").cut()]);
    let ended = gantry(&["executions", "logs", "-f", "e1"], &server.url());
    assert_eq!((ended.code, ended.stdout.as_str()), (1, "one\n"), "{ended:?}");
    assert!(ended.stderr.contains("was cut"), "{ended:?}");
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn an_execution_that_is_forgotten_meanwhile_is_not_waited_for() {
    let gone = Reply::new(404, "application/problem+json", r#"{"detail": "there is no e1"}"#);
    let server = Canned::new(vec![events("id: 1\ndata: x\n\n").cut(), gone]);
    says(&server, &["executions", "wait", "e1"], 125, &["error: there is no e1"]);
}

#[test]
fn a_wait_that_is_over_says_so() {
    let server = Canned::new(vec![events(": silence\n\n").kept_open()]);
    let arguments = ["executions", "wait", "e1", "--timeout", "300ms"];
    says(&server, &arguments, 125, &["it has not ended within 300 ms", "hint: "]);
}

#[test]
fn a_page_instead_of_events_is_not_gantry() {
    let server = Canned::new(vec![Reply::new(200, "text/html", "<h1>Welcome</h1>")]);
    says(&server, &["executions", "logs", "-f", "e1"], 1, &["is not Gantry"]);
}

#[test]
fn names_of_artifacts_lead_nowhere() {
    let list = r#"[{"name": "../escaped", "bytes": 1}, {"name": "/etc/x", "bytes": 1},
                   {"name": "a/b", "bytes": 2}, {"name": "a/b", "bytes": 2}]"#;
    let file = || Reply::new(200, "application/octet-stream", "ok");
    let server = Canned::new(vec![Reply::new(200, "application/json", list), file(), file()]);
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("taken");
    let arguments = ["executions", "artifacts", "e1", "--output", output.to_str().unwrap()];
    let ended = gantry(&arguments, &server.url());
    assert_eq!((ended.code, ended.stdout.as_str()), (1, "a/b\n"), "{ended:?}");
    assert!(ended.stderr.contains("artifact ../escaped was not taken"), "{ended:?}");
    assert!(ended.stderr.contains("File exists"), "{ended:?}");
    assert_eq!(std::fs::read_to_string(output.join("a/b")).unwrap(), "ok");
    assert!(!folder.path().join("escaped").exists());
    assert!(server.requests()[1].starts_with("GET /api/v1/executions/e1/artifacts/a%2Fb "));
}

#[test]
fn json_is_the_servers_own() {
    let body = r#"[{"id": 1, "new": 1e999, "a": "é"}]"#;
    let server = Canned::new(vec![Reply::new(200, "application/json", body)]);
    let ended = gantry(&["scripts", "list", "--json"], &server.url());
    let expected = "[\n  {\n    \"id\": 1,\n    \"new\": 1e999,\n    \"a\": \"é\"\n  }\n]\n";
    assert_eq!((ended.code, ended.stdout.as_str(), ended.stderr.as_str()), (0, expected, ""));
}

#[test]
fn a_wrong_command_line_has_a_code_of_its_own() {
    for (arguments, code) in [
        (vec!["scripts", "list", "--limit", "0"], 2),
        (vec!["executions", "list", "--status", "lost"], 2),
        (vec!["executions", "run"], 125),
        (vec!["executions", "wait", "e1", "--timeout", "soon"], 125),
    ] {
        assert_eq!(gantry(&arguments, "http://127.0.0.1:1").code, code, "{arguments:?}");
    }
}
