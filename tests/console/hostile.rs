//! What scripts, callers and installers say can't become markup, a script or a link
//! that runs, on any page.

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};

use crate::signed_in;
use crate::testkit::server::{ADMIN, server};

/// Texts that would run, if anything would let them.
const CORPUS: [&str; 9] = [
    "<script>window.hacked = 1</script>",
    "<img src=x onerror='window.hacked = 1'>",
    "\"><svg onload=window.hacked=1>",
    "'-window.hacked=1-'",
    "javascript:window.hacked=1",
    "</title></textarea></pre></details><script>window.hacked=1</script>",
    "<a href='javascript:window.hacked=1'>click</a>",
    "\u{1b}]8;;javascript:window.hacked=1\u{7}link\u{1b}]8;;\u{7}",
    "{{constructor.constructor('window.hacked=1')()}}",
];

#[tokio::test]
async fn nothing_that_others_say_becomes_a_part_of_a_page() {
    let server = server().start();
    let all = CORPUS.join("\n");
    let properties: serde_json::Map<_, _> = CORPUS
        .iter()
        .map(|text| {
            (
                (*text).to_owned(),
                json!({"type": "string", "title": text, "description": text, "default": text}),
            )
        })
        .collect();
    let source = "import json, os, sys
told = json.load(sys.stdin)
os.makedirs('out', exist_ok=True)
for text in told['texts']:
    print(text); print(text, file=sys.stderr)
    open('out/' + text.replace('/', '_') + '.png', 'w').write(text)
sys.exit(told['texts'][0])";
    let others = json!({
        "description": all, "args": CORPUS, "env": {"X": all},
        "argument_schema": {"title": all, "description": all, "properties": properties},
    });
    server.register("hostile", "python", source, others).await;
    let body = json!({
        "script": "hostile", "job_id": CORPUS[1], "args": CORPUS, "env": {"Y": all},
        "input": {"texts": CORPUS},
    });
    let execution = server.run(&body).await;
    assert_eq!(execution["error_kind"], "exit_nonzero", "{execution:#}");
    server.token("runner", None).await;
    let named = json!({"name": CORPUS[0], "role": "viewer"});
    let (status, token) = server.post("/api/v1/admin/tokens", &named).await;
    assert_eq!(status, 201, "{token:#}");

    let browser = signed_in(&server, ADMIN, 1440).await;
    let id = execution["id"].as_str().unwrap();
    let job: String = form_urlencoded::byte_serialize(CORPUS[1].as_bytes()).collect();
    let search: String = form_urlencoded::byte_serialize(CORPUS[2].as_bytes()).collect();
    let pages = [
        "/".to_owned(),
        "/scripts".to_owned(),
        format!("/scripts?search={search}"),
        "/scripts/hostile".to_owned(),
        "/scripts/hostile/run".to_owned(),
        "/scripts/hostile/edit".to_owned(),
        "/scripts/hostile/versions/1".to_owned(),
        format!("/executions/{id}"),
        format!("/executions?job_id={job}&triggered_by={search}"),
        format!("/jobs?job_id={job}"),
        "/tokens".to_owned(),
        "/audit".to_owned(),
        format!("/audit?subject={search}"),
        format!("/sign-in?next={search}"),
    ];
    for page in pages {
        browser.goto(&server.url(&page)).await;
        browser.find("main").await;
        if page.starts_with("/executions/") {
            browser.reads("window.hacked = 1").await;
            browser.find("#log [data-line], #log li, #log .line, #log a").await;
        }
        assert_eq!(browser.run("return window.hacked ?? null").await, json!(null), "{page}");
        let foreign = "return [...document.querySelectorAll('script')].filter((it) => !it.src).length
            + [...document.querySelectorAll('a')].filter((it) => /^javascript:/i.test(it.href)).length
            + [...document.querySelectorAll('*')].filter((it) =>
                [...it.attributes].some((at) => /^on/i.test(at.name))).length";
        assert_eq!(browser.run(foreign).await, json!(0), "{page}");
    }
}

/// What sequences of terminals are made of, and what stands around them.
const PIECES: [&str; 36] = [
    "\u{1b}",
    "\u{1b}[",
    "\u{1b}[",
    "\u{1b}[",
    "\u{1b}]8;;x",
    "\u{1b}P",
    "\u{1b}\\",
    "\u{1b}(B",
    "\u{7}",
    "\u{9c}",
    "\u{9b}",
    "31",
    "92",
    "48",
    "38;5;200",
    "38;2;1;200;3",
    "38:2::9:9:250",
    "4:3",
    "4:0",
    "1",
    "7",
    "27",
    "22",
    "0",
    "39",
    ";",
    ":",
    "m",
    "m",
    "m",
    "K",
    "a",
    "<b>",
    "é",
    "\r",
    "\u{202e}",
];

/// Lines as runs of a text and its classes, of what the server has rendered and of what
/// the module has.
const RUNS: &str = "
const done = arguments[arguments.length - 1];
const linesOf = (root) => {
  const lines = [[]];
  const walk = (node, name) => {
    if (node.nodeType !== Node.TEXT_NODE) {
      for (const child of node.childNodes) walk(child, (name + ' ' + (child.className ?? '')).trim());
      return;
    }
    node.data.split('\\n').forEach((text, at) => {
      if (at) lines.push([]);
      const last = lines.at(-1).at(-1);
      if (last && last[1] === name) last[0] += text;
      else if (text) lines.at(-1).push([text, name]);
    });
  };
  walk(root, '');
  return lines;
};
fetch(location.href).then((it) => it.text()).then((page) => {
  const fresh = new DOMParser().parseFromString(page, 'text/html');
  const shown = [...document.querySelectorAll('#log .line .text')];
  done([linesOf(fresh.querySelector('#log pre')), shown.flatMap((it) => linesOf(it))]);
});
";

#[tokio::test]
async fn the_module_reads_colours_as_the_server_does() {
    let server = server().start();
    let source = "import json, sys\nsys.stdout.buffer.write(json.load(sys.stdin).encode())";
    server.register("colours", "python", source, json!({})).await;
    let mut random = Xoshiro256PlusPlus::seed_from_u64(1);
    let line = |random: &mut Xoshiro256PlusPlus| -> String {
        (0..12).map(|_| PIECES[random.random_range(0..PIECES.len())]).collect()
    };
    let text: String = (0..100).map(|_| format!("x{}\n", line(&mut random))).collect();
    let execution = server.run(&json!({"script": "colours", "input": text})).await;
    assert_eq!(execution["status"], "completed", "{execution:#}");
    let browser = signed_in(&server, ADMIN, 1440).await;
    let id = execution["id"].as_str().unwrap();
    browser.goto(&server.url(&format!("/executions/{id}"))).await;
    browser.reads("100 lines").await;
    browser.find("#log .line").await;
    let both = browser.client.execute_async(RUNS, Vec::new()).await.unwrap();
    let lines = |side: usize| both[side].as_array().unwrap().clone();
    let (mut server_side, module_side) = (lines(0), lines(1));
    // Behind the last line feed there is no line.
    assert_eq!(server_side.pop(), Some(json!([])));
    assert_eq!(module_side.len(), 100);
    let differing: Vec<(&Value, &Value)> =
        server_side.iter().zip(&module_side).filter(|(one, other)| one != other).collect();
    assert!(differing.is_empty() && server_side.len() == 100, "{differing:#?}");
}
