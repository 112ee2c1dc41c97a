//! Holds the sources to the picture in `src/lib.rs` and to the house's habits.
//! Every finding names the file, the line, the rule and what to do.

mod circles;
mod migrations;
mod pipes;
mod rules;
mod script_types;
mod source;
mod words;

use std::path::Path;

use circles::circles;
use rules::findings;
use source::Source;

#[test]
fn the_sources_keep_the_rules() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let sources = Source::all_below(root).unwrap();
    assert!(sources.len() > 50, "only {} sources were found: is {root:?} right?", sources.len());
    let found: Vec<_> = sources.iter().flat_map(findings).collect();
    assert!(found.is_empty(), "\n\n{}\n", found.join("\n\n"));
}

#[test]
fn doc_comments_name_their_subject() {
    let sources = Source::all_below(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap();
    let found = words::findings(&sources);
    assert!(
        found.is_empty(),
        "more than 2 % of the doc comments open with a relative clause; begin with a noun phrase \
         (\"Key of a template\") or a verb (\"Evicts idle sandboxes\"):\n\n{}\n",
        found.join("\n")
    );
}

#[test]
fn log_lines_name_their_subject() {
    let sources = Source::all_below(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap();
    let found = words::log_findings(&sources);
    assert!(
        found.is_empty(),
        "a log line opens with a word that stands for its subject; name it (\"the script's limits \
         can't be read\"):\n\n{}\n",
        found.join("\n")
    );
}

#[test]
fn the_shell_scripts_end_no_pipe_early() {
    let found = pipes::findings(Path::new(env!("CARGO_MANIFEST_DIR")));
    assert!(found.is_empty(), "\n\n{}\n", found.join("\n\n"));
}

#[test]
fn migrations_that_have_landed_never_change() {
    let found = migrations::findings(Path::new(env!("CARGO_MANIFEST_DIR")));
    assert!(found.is_empty(), "\n\n{}\n", found.join("\n"));
}

#[test]
fn files_import_in_one_direction() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let sources = Source::all_below(root).unwrap();
    let found = circles(&sources, "src/");
    assert!(found.is_empty(), "\n\n{}\n", found.join("\n\n"));
}

#[test]
fn script_types_are_known_in_their_folder_alone() {
    let sources = Source::all_below(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap();
    let found = script_types::findings(&sources);
    assert!(found.is_empty(), "\n\n{}\n", found.join("\n\n"));
}

/// A checker that finds nothing would keep every rule.
mod the_checker {
    use super::*;

    fn found(path: &str, text: &str) -> Vec<String> {
        findings(&Source::new(path, &format!("//! A module.\n{text}\n")))
    }

    #[track_caller]
    fn finds(path: &str, line: &str) {
        let found = found(path, line);
        assert_eq!(found.len(), 1, "{path}: {line}: {found:#?}");
        assert!(found[0].starts_with(&format!("{path}:2: ")), "{}", found[0]);
    }

    #[track_caller]
    fn passes(path: &str, text: &str) {
        assert_eq!(found(path, text), Vec::<String>::new());
    }

    #[test]
    fn finds_a_pipe_that_ends_early() {
        for line in ["a | head -n 1", "  x=$(a | grep -q b)", "a | sed 5q", "a|awk '{ exit }'"] {
            assert!(pipes::ends_early(line), "{line}");
        }
        for line in ["# a | head", "a || head -n 1 file", "grep -q b file", "a | sed -n 1p"] {
            assert!(!pipes::ends_early(line), "{line}");
        }
    }

    #[test]
    fn finds_a_migration_that_is_changed_gone_or_new() {
        let sums = |sums: &[(&str, &str)]| {
            sums.iter().map(|(path, digest)| (path.to_string(), digest.to_string())).collect()
        };
        let landed = sums(&[("sqlite/0001_a.sql", "11"), ("sqlite/0002_b.sql", "22")]);
        assert_eq!(migrations::compare(&landed, &landed), [""; 0]);
        for (present, word) in [
            (
                vec![("sqlite/0001_a.sql", "11"), ("sqlite/0002_b.sql", "23")],
                "0002_b.sql has changed",
            ),
            (vec![("sqlite/0001_a.sql", "11")], "0002_b.sql is missing"),
            (
                vec![
                    ("sqlite/0001_a.sql", "11"),
                    ("sqlite/0002_b.sql", "22"),
                    ("sqlite/0003_c.sql", "33"),
                ],
                "0003_c.sql is not listed",
            ),
        ] {
            let found = migrations::compare(&landed, &sums(&present));
            assert_eq!(found.len(), 1, "{found:?}");
            assert!(found[0].contains(word), "{found:?}");
        }
    }

    #[test]
    fn finds_files_that_import_each_other() {
        let circles = |files: &[(&str, &str)]| {
            let sources: Vec<_> =
                files.iter().map(|(path, text)| Source::new(path, text)).collect();
            circles(&sources, "src/a/")
        };
        let parent = ("src/a/mod.rs", "mod b;\nmod c;\npub use c::{C, D};");
        let b = ("src/a/b.rs", "use super::c::C;");
        assert_eq!(circles(&[parent, b, ("src/a/c.rs", "use super::Shared;")]).len(), 0);
        assert_eq!(circles(&[parent, b, ("src/a/c.rs", "use crate::a::b::B;")]).len(), 1);
        let through_the_parent = ("src/a/b.rs", "use crate::a::{\n    D,\n};");
        let c = ("src/a/c.rs", "mod d;");
        let child = ("src/a/c/d.rs", "use super::super::b::B;\nuse super::Own;");
        assert_eq!(circles(&[parent, through_the_parent, c, child]).len(), 1);
        assert_eq!(circles(&[parent, through_the_parent, c]).len(), 0);
    }

    #[test]
    fn finds_an_import_that_goes_up() {
        finds("src/engine/docker/images.rs", "use crate::images::Library;");
        finds("src/engine/mod.rs", "use crate::{domain::job::Job, orchestrator::Live};");
        finds("src/sandbox/run.rs", "    let x: crate::config::Settings = y;");
        finds("src/domain/job.rs", "use crate::engine::Engine;");
        finds("src/domain/job.rs", "if !crate::config::is_colour_wanted() {");
        finds("src/images/prune.rs", "use crate::orchestrator::Live;");
        finds("src/orchestrator/once.rs", "use crate::services::Services;");
        finds("src/domain/mod.rs", "use super::engine::Engine;");
        finds("src/ui/layout.rs", "use crate::api::router;");
        finds("src/api/routes.rs", "use crate::ui::pages;");
        finds("src/http/envelope.rs", "use crate::api::router;");
        finds("src/registry/change.rs", "use crate::orchestrator::Executions;");
        finds("src/domain/elf/read.rs", "use super::super::super::engine::Engine;");
        passes("src/domain/elf/read.rs", "use super::super::engine::Engine;");
        passes("src/domain/elf/read.rs", "use super::Header;");
        passes("src/images/prune.rs", "use crate::sandbox::Cancel;\nuse crate::images::layer;");
        passes("src/services.rs", "use crate::config::Settings;");
    }

    #[test]
    fn finds_an_import_of_several_lines() {
        let found = found("src/engine/a.rs", "use crate::{\n    domain::job,\n    cli::run,\n};");
        assert_eq!(found.len(), 1, "{found:#?}");
        assert!(found[0].starts_with("src/engine/a.rs:2: "), "{}", found[0]);
    }

    #[test]
    fn finds_a_module_that_nobody_placed() {
        let found = found("src/warehouse/shelf.rs", "");
        assert!(found[0].contains("where warehouse stands"), "{found:#?}");
    }

    #[test]
    fn finds_a_crate_outside_its_place() {
        finds("src/orchestrator/once.rs", "use bollard::Docker;");
        finds("src/domain/job.rs", "    x: Option<bollard::models::Mount>,");
        finds("src/services.rs", "sqlx::query(\"\");");
        finds("src/orchestrator/once.rs", "#[derive(clap::Args)]");
        finds("src/api/docs.rs", "use maud::html;");
        finds("src/domain/token.rs", "use utoipa::ToSchema;");
        finds("src/registry/draft.rs", "#[derive(utoipa::ToSchema)]");
        finds("src/domain/fault.rs", "use axum::http::StatusCode;");
        finds("src/orchestrator/once.rs", "fn status() -> http::StatusCode {");
        passes("src/api/schemas.rs", "use utoipa::ToSchema;");
        finds("src/lib.rs", "pub use http::StatusCode;");
        passes("src/lib.rs", "pub mod http;");
        passes("src/http/problem.rs", "use utoipa::ToSchema;");
        passes("src/http/problem.rs", "use axum::response::Response;");
        passes("src/ui/layout.rs", "use axum::response::Response;");
        finds("src/ui/layout.rs", "(PreEscaped(text))");
        passes("src/engine/docker/mod.rs", "use bollard::Docker;");
        passes("src/config.rs", "use clap::Args;");
    }

    #[test]
    fn finds_a_domain_that_is_not_pure() {
        for line in [
            "use std::fs;",
            "use std::{collections::HashMap, env};",
            "let now = SystemTime::now();",
            "let now = std::time::Instant::now();",
            "async fn f() { tokio::time::sleep(x).await }",
            "use std::process::Command;",
            "use std::net::TcpStream;",
        ] {
            finds("src/domain/job.rs", line);
        }
    }

    #[test]
    fn finds_a_look_at_the_environment() {
        finds("src/engine/docker/connect.rs", "let host = std::env::var(\"DOCKER_HOST\");");
        finds("src/cli/run.rs", "for (name, value) in env::vars_os() {}");
        finds("src/cli/run.rs", "use std::env::var;");
        passes("src/config.rs", "env::var(name).ok()");
        passes("src/cli/mod.rs", "std::env::args_os();\nenv!(\"CARGO_PKG_VERSION\");");
    }

    #[test]
    fn finds_io_in_the_protocol() {
        finds("images/init/src/frame.rs", "use std::io::Read;");
        finds("images/init/src/message.rs", "let x = std::fs::read(path);");
        passes("images/init/src/inbox.rs", "use std::io::Read;");
    }

    #[test]
    fn finds_what_is_not_finished() {
        for line in ["todo!()", "unimplemented!(\"later\")", "dbg!(x);", "#[ignore]"] {
            finds("src/cli/run.rs", line);
            finds("images/init/src/child.rs", line);
        }
        finds("tests/run.rs", "#[ignore = \"slow\"]");
    }

    #[test]
    fn finds_names_that_say_nothing() {
        for name in ["util", "utils", "helpers", "manager", "common"] {
            let found = found(&format!("src/engine/{name}.rs"), "");
            assert!(found[0].contains(name), "{found:#?}");
        }
        assert_eq!(found("tests/common/mod.rs", "").len(), 1);
        passes("src/engine/commonmark.rs", "");
    }

    #[test]
    fn finds_a_module_without_docs_and_one_that_is_too_long() {
        let bare = Source::new("src/engine/a.rs", "use std::io;\n");
        assert!(findings(&bare)[0].starts_with("src/engine/a.rs:1: "));
        let long = "let x = 1;\n".repeat(600);
        assert_eq!(found("src/engine/a.rs", &long).len(), 1);
    }

    #[test]
    fn does_not_read_comments_strings_and_tests() {
        passes("src/domain/job.rs", "// not bollard::Docker\n/// or crate::engine");
        passes("src/domain/job.rs", "let x = \"std::fs::read\"; // tokio::spawn");
        passes("src/domain/job.rs", "let x = r#\"std::fs \"read\"#;\n/* tokio::spawn\n*/");
        passes("src/domain/job.rs", "#[cfg(test)]\nmod tests {\n    use std::fs;\n}");
        passes("src/domain/job/tests.rs", "use std::fs;");
        finds("src/domain/job.rs", "let x = '\"'; std::fs::read(x); let y = '\"';");
    }
}
