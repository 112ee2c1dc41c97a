//! `gantry run --requirements`: environments side by side, built once, and with
//! nothing in them of what it took to build them.

#![allow(clippy::unwrap_used, reason = "part of tests")]

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use support::engine::{self, Images};
use support::index::Index;
use support::run::{Run, python};

/// A password, and `user:` and it in Base64.
const PASSWORD: &str = "pa55w0rd-0f-the-index";
const AUTHORIZATION: &str = "dXNlcjpwYTU1dzByZC0wZi10aGUtaW5kZXg=";

/// What stands in the CA bundle beside certificates, where comments are allowed.
const BUNDLE_MARK: &str = "mark-0f-the-bundle";

/// Prints the version of one package.
fn version_of(package: &str, requirement: &str) -> Run {
    let source = format!("from importlib.metadata import version; print(version({package:?}))");
    python(&source).requirements(requirement).arg("--json")
}

#[test]
fn scripts_with_conflicting_requirements_run_side_by_side() {
    let mut images = Images::default();
    let runs = ["1.16.0", "1.17.0"]
        .map(|version| (version, version_of("six", &format!("six=={version}")).start()));
    for (version, running) in runs {
        let execution = running.end().with_success().json();
        assert_eq!(execution["stdout_log"], format!("{version}\n"));
        images.add(&execution);
    }
}

#[test]
fn the_same_requirements_are_built_once_for_all_who_need_them() {
    let mut images = Images::default();
    // Another order and spelling is the same set.
    let running = ["iniconfig==2.1.0\n", "# all\nIniConfig == 2.1.0"]
        .map(|requirements| version_of("iniconfig", requirements).start());
    let mut builds = BTreeSet::new();
    let started = Instant::now();
    while builds.is_empty() && started.elapsed() < Duration::from_secs(60) {
        builds.extend(running.iter().flat_map(|it| builds_of(it.installation())));
    }
    let ended = running.map(|running| {
        builds.extend(builds_of(running.installation()));
        running.end().with_success().json()
    });
    for execution in &ended {
        assert_eq!(execution["stdout_log"], "2.1.0\n");
        images.add(execution);
    }
    assert_eq!(builds.len(), 1, "{builds:?}");
    assert_eq!(ended[0]["sandbox"]["image"], ended[1]["sandbox"]["image"]);
}

fn builds_of(installation: &str) -> Vec<String> {
    let containers = engine::containers(installation);
    containers.into_iter().filter(|name| name.contains("build")).collect()
}

#[test]
fn a_script_finds_its_packages_and_can_not_change_them() {
    let mut images = Images::default();
    let source = "import sys, tomli, pathlib\n\
                  print(sys.prefix)\n\
                  pathlib.Path(tomli.__file__).write_text('')";
    let run = python(source).requirements("tomli==2.2.1").arg("--json");
    let ended = run.end();
    let execution = ended.json();
    images.add(&execution);
    assert_eq!(execution["stdout_log"], "/opt/env\n", "{ended:?}");
    let stderr = execution["stderr_log"].as_str().unwrap();
    assert!(stderr.contains("Read-only file system"), "{ended:?}");
}

#[test]
fn the_password_of_an_index_that_does_not_answer_is_not_shown() {
    let index = format!("http://user:{PASSWORD}@127.0.0.1:9/simple");
    let runs = ["UV_INDEX", "PIP_INDEX_URL"]
        .map(|name| python("print(1)").requirements("markupsafe").env(name, &index).start());
    for running in runs {
        let ended = running.end().with(125, &["can't install markupsafe", "127.0.0.1:9", "hint: "]);
        assert!(!ended.stderr.contains(PASSWORD), "{ended:?}");
    }
}

/// Looks for its arguments in every file that it can read, and in its environment.
const SEARCH: &str = r#"
import os, sys, gantrytestpackage
marks = [mark.encode() for mark in sys.argv[1:]]
for folder, folders, files in os.walk('/'):
    if folder == '/':
        folders[:] = [it for it in folders if it not in ('proc', 'sys', 'dev', 'run')]
    for name in files:
        path = os.path.join(folder, name)
        if os.path.isfile(path) and os.access(path, os.R_OK):
            content = open(path, 'rb').read()
            for mark in marks:
                if mark in content: print(mark, path)
for mark in marks:
    if any(mark in f'{name}={value}'.encode() for name, value in os.environ.items()): print(mark)
print(gantrytestpackage.VALUE)
"#;

#[test]
fn nothing_of_index_password_or_bundle_is_left_in_an_environment() {
    let mut images = Images::default();
    let index = Index::serve("gantrytestpackage", AUTHORIZATION);
    let host = format!("{}:{}", engine::gateway("gantry-build"), index.port);
    let run = python(SEARCH).requirements("gantrytestpackage==1.0").arg("--json");
    let bundle = run.file("bundle.pem", bundle().as_bytes());
    let marks = [PASSWORD, AUTHORIZATION, BUNDLE_MARK, &host].map(str::to_owned);
    let mut run = run
        .env("PIP_INDEX_URL", format!("http://user:{PASSWORD}@{host}/simple/"))
        .env("NO_PROXY", format!("{},{PASSWORD}", host.split(':').next().unwrap()))
        .env("SSL_CERT_FILE", bundle);
    for mark in &marks {
        run = run.arg("--arg").arg(mark);
    }
    let execution = run.end().with_success().json();
    let image = images.add(&execution);
    assert_eq!(execution["stdout_log"], "42\n");
    let everything = tempfile::NamedTempFile::new().unwrap();
    engine::save_everything(&image, everything.path());
    for mark in marks {
        let mut grep = Command::new("grep");
        let found = grep.args(["-qaF", "-e", &mark]).arg(everything.path()).status().unwrap();
        assert_eq!(found.code(), Some(1), "{mark} is in {image}");
    }
}

/// The machine's own certificates and a comment.
fn bundle() -> String {
    let own = fs::read_to_string("/etc/ssl/certs/ca-certificates.crt").unwrap_or_default();
    format!("{BUNDLE_MARK}\n{own}")
}
