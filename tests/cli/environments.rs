//! `gantry run --requirements`: environments side by side, built once, and with
//! nothing in them of what it took to build them.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::testkit::engine::{self, Images};
use crate::testkit::index::{Index, Wheel};
use crate::testkit::run::{Run, python, shell};

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
fn a_script_finds_its_system_packages() {
    let mut images = Images::default();
    let run = shell("hello").args(["--system-package", "hello", "--json"]);
    let execution = run.end().with_success().json();
    images.add(&execution);
    assert_eq!(execution["stdout_log"], "Hello, world!\n");
    let said = ["--system-package: system package \"hello!\"", "hint: "];
    shell("hello").args(["--system-package", "hello!"]).end().with(125, &said);
}

#[test]
fn a_library_that_is_missing_is_named_with_its_package() {
    let missing = "libGL.so.1: cannot open shared object file: No such file or directory";
    let source = format!("import sys; sys.exit('ImportError: {missing}')");
    let said = [missing, "hint: libGL.so.1 is not in the image", "--system-package libgl1"];
    python(&source).end().with(1, &said);
    let execution = python(&source).arg("--json").end().json();
    let message = execution["error_message"].as_str().unwrap();
    assert!(message.contains("hint: libGL.so.1 is not in the image"), "{message}");
    // The words alone are none.
    let ended = python(&format!("print('{missing}')")).end().with_success();
    assert!(!ended.stderr.contains("hint"), "{ended:?}");
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

/// A package of an attacker, by name and by what it leaves where, and one that many
/// people install.
const EVIL: &str = "gantrytestevil";
const VICTIM: &str = "gantrytestvictim";

/// Wheels that try to change another package, each in a way of its own.
fn evil_wheels() -> Vec<Wheel> {
    let site = "python3.13/site-packages";
    let data = format!("{EVIL}-1.0.data");
    let evil = "VALUE = 'evil'\n";
    vec![
        Wheel::new(EVIL).with(&format!("{data}/data/lib64/{site}/{VICTIM}.py"), evil),
        Wheel::new(EVIL).with(&format!("{data}/data/lib/{site}/{VICTIM}.py"), evil),
        Wheel::new(EVIL).with(&format!("{VICTIM}.py"), evil),
        Wheel::new(EVIL).with(&format!("__pycache__/{VICTIM}.cpython-313.pyc"), evil),
        Wheel::new(EVIL).with(&format!("{VICTIM}.pyc"), evil),
        Wheel::new(EVIL).with(&format!("{data}/purelib/{VICTIM}.py"), evil),
        Wheel::new(EVIL).with(
            &format!("{data}/data/lib/{site}/{VICTIM}-1.0.dist-info/RECORD"),
            format!("{VICTIM}-1.0.dist-info/RECORD,,\n"),
        ),
        Wheel::new(EVIL).with(
            &format!("{EVIL}-1.0.dist-info/entry_points.txt"),
            format!("[console_scripts]\n../lib/{site}/{VICTIM}.py = {EVIL}:main\n"),
        ),
    ]
}

#[test]
fn a_package_never_changes_what_others_install() {
    let mut images = Images::default();
    for evil in evil_wheels() {
        let index = Index::of(vec![evil, Wheel::new(VICTIM)]);
        let host = engine::gateway("gantry-build");
        let url = format!("http://{host}:{}/simple/", index.port);
        let show = |requirements: &str| {
            let source = format!("import {VICTIM}; print({VICTIM}.VALUE)");
            let run = python(&source).requirements(requirements).arg("--json");
            run.env("PIP_INDEX_URL", &url).env("NO_PROXY", &host).end()
        };
        let both = show(&format!("{EVIL}\n{VICTIM}\n"));
        if both.code == 0 {
            images.add(&both.json());
        }
        let victim = show(VICTIM).with_success().json();
        images.add(&victim);
        assert_eq!(victim["stdout_log"], "42\n", "{both:?}");
    }
}

#[test]
fn a_package_that_reaches_into_others_is_refused_and_named() {
    let site = "python3.13/site-packages";
    let through_a_link = format!("{EVIL}-1.0.data/data/lib64/{site}/{VICTIM}.py");
    let index = Index::of(vec![Wheel::new(EVIL).with(&through_a_link, "VALUE = 'evil'\n")]);
    let host = engine::gateway("gantry-build");
    let run = python("print(1)").requirements(EVIL).env("NO_PROXY", &host);
    let run = run.env("PIP_INDEX_URL", format!("http://{host}:{}/simple/", index.port));
    let said = [&format!("can't install {EVIL}"), "RECORD does not list", "hint: "];
    run.end().with(125, &said);
}

#[test]
fn a_build_that_takes_too_much_disk_is_ended_and_said() {
    let large = Wheel::new("gantrytestlarge").with("zeros", vec![0; 3 << 20]);
    let index = Index::of(vec![large]);
    let host = engine::gateway("gantry-build");
    let run = python("print(1)").requirements("gantrytestlarge").env("NO_PROXY", &host);
    let run = run.env("PIP_INDEX_URL", format!("http://{host}:{}/simple/", index.port));
    let said =
        ["can't be installed", "take more than 1 MiB of disk", "hint: ", "GANTRY_BUILD_DISK"];
    run.env("GANTRY_BUILD_DISK", "2MiB").end().with(125, &said);
}

#[test]
fn tokens_in_the_address_of_an_index_are_not_shown() {
    let index = format!("http://127.0.0.1:9/{PASSWORD}/T0k3nInThePath/simple?key=q3stionable");
    for name in ["UV_INDEX", "PIP_INDEX_URL"] {
        let ended = python("print(1)").requirements("markupsafe").env(name, &index).end();
        let ended = ended.with(125, &["can't install markupsafe", "127.0.0.1:9", "hint: "]);
        for secret in [PASSWORD, "T0k3nInThePath", "q3stionable"] {
            assert!(!ended.stderr.contains(secret), "{ended:?}");
        }
    }
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
