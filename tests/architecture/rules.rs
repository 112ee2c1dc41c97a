//! The rules.

use crate::source::{Source, is_test_file};

/// Longest source file, in lines.
const MAX_LINES: usize = 600;

/// The modules of the crate from the bottom up, each with all that it may import. The console
/// stands beside the API: what both need is in `http`.
const MODULES: [(&str, &[&str]); 28] = [
    ("domain", &[]),
    ("clock", &[]),
    ("log_throttle", &[]),
    ("disk", &[]),
    ("private_files", &[]),
    ("bundles", &["domain", "private_files"]),
    ("installation", &["private_files"]),
    ("process", &["private_files"]),
    ("shares", &["domain"]),
    ("store", &["domain", "private_files"]),
    ("files", &["domain", "clock", "private_files", "disk", "store"]),
    ("engine", &["domain"]),
    ("sandbox", &["domain", "private_files", "engine"]),
    ("pool", &["domain", "engine", "sandbox"]),
    ("images", &["domain", "private_files", "bundles", "engine", "sandbox"]),
    (
        "orchestrator",
        &[
            "domain",
            "clock",
            "log_throttle",
            "private_files",
            "bundles",
            "process",
            "disk",
            "shares",
            "store",
            "files",
            "engine",
            "sandbox",
            "pool",
            "images",
        ],
    ),
    ("registry", &["domain", "clock", "bundles", "store", "engine", "images"]),
    ("access", &["domain", "clock", "store"]),
    ("config", &["domain", "disk", "shares", "store", "engine", "images"]),
    (
        "services",
        &[
            "domain",
            "installation",
            "process",
            "engine",
            "sandbox",
            "pool",
            "images",
            "orchestrator",
            "config",
        ],
    ),
    ("metrics", &["domain", "files", "pool", "orchestrator"]),
    (
        "doctor",
        &[
            "domain",
            "clock",
            "private_files",
            "process",
            "disk",
            "shares",
            "store",
            "files",
            "engine",
            "sandbox",
            "pool",
            "orchestrator",
            "access",
            "config",
            "services",
        ],
    ),
    (
        "http",
        &[
            "domain",
            "clock",
            "bundles",
            "log_throttle",
            "disk",
            "shares",
            "store",
            "files",
            "engine",
            "sandbox",
            "orchestrator",
            "registry",
            "access",
            "metrics",
            "doctor",
        ],
    ),
    (
        "api",
        &[
            "domain",
            "bundles",
            "private_files",
            "clock",
            "disk",
            "store",
            "files",
            "pool",
            "orchestrator",
            "registry",
            "access",
            "metrics",
            "http",
        ],
    ),
    (
        "ui",
        &[
            "domain",
            "bundles",
            "clock",
            "disk",
            "store",
            "files",
            "pool",
            "orchestrator",
            "registry",
            "access",
            "doctor",
            "http",
        ],
    ),
    (
        "server",
        &[
            "domain",
            "bundles",
            "private_files",
            "process",
            "disk",
            "shares",
            "store",
            "files",
            "engine",
            "sandbox",
            "pool",
            "orchestrator",
            "registry",
            "access",
            "config",
            "services",
            "metrics",
            "doctor",
            "http",
            "api",
            "ui",
        ],
    ),
    ("client", &["domain", "bundles"]),
    (
        "cli",
        &[
            "domain",
            "bundles",
            "clock",
            "private_files",
            "files",
            "engine",
            "sandbox",
            "images",
            "orchestrator",
            "registry",
            "config",
            "services",
            "doctor",
            "server",
            "client",
        ],
    ),
];

/// True if `module` may import `other`.
fn may_know(module: &str, other: &str) -> bool {
    let placed = MODULES.iter().find(|(name, _)| *name == module);
    // That it has no place is said once.
    placed.is_none_or(|(_, allowed)| allowed.contains(&other))
}

/// Something that is at home in a few places only.
struct Confined {
    /// Paths in code; `a::{…, b}` is found as `a::b`.
    paths: &'static [&'static str],
    /// Where the rule holds: the beginnings of files' paths.
    below: &'static [&'static str],
    /// Where it does not.
    except: &'static [&'static str],
    /// Why, and what to do.
    rule: &'static str,
}

const CONFINED: [Confined; 10] = [
    Confined {
        paths: &["bollard"],
        below: &["src/"],
        except: &["src/engine/"],
        rule: "only engine knows bollard: put what you need of it behind a method there",
    },
    Confined {
        paths: &["sqlx"],
        below: &["src/"],
        except: &["src/store/", "src/store.rs"],
        rule: "only store knows SQL: give it a method that says what you want",
    },
    Confined {
        paths: &["axum", "http", "hyper", "hyper_util", "tower", "tower_http"],
        below: &["src/"],
        except: &["src/http/", "src/api/", "src/ui/", "src/server/"],
        rule: "only http, api, ui and server know HTTP: hand values in, and let them answer",
    },
    Confined {
        paths: &["utoipa", "utoipa_axum"],
        below: &["src/"],
        except: &["src/http/", "src/api/", "src/registry/input.rs"],
        rule: "only http and api know OpenAPI: describe the type in src/api/schemas.rs",
    },
    Confined {
        paths: &["maud"],
        below: &["src/"],
        except: &["src/ui/"],
        rule: "only ui makes pages: hand it what it is to show",
    },
    Confined {
        paths: &["PreEscaped"],
        below: &["src/"],
        except: &[],
        rule: "everything on a page is escaped: let maud do it",
    },
    Confined {
        paths: &["clap"],
        below: &["src/"],
        except: &["src/cli/", "src/config.rs", "src/config/"],
        rule: "flags are read in cli and config: take the value as an argument",
    },
    Confined {
        paths: &["env::var", "env::var_os", "env::vars", "env::vars_os", "option_env!"],
        below: &["src/", "images/init/src/"],
        except: &["src/config.rs"],
        rule: "only config reads the environment: add a setting there and hand it in",
    },
    Confined {
        paths: &[
            "tokio",
            "std::env",
            "std::fs",
            "std::net",
            "std::process",
            "std::io",
            "SystemTime::now",
            "Instant::now",
        ],
        below: &["src/domain/"],
        except: &[],
        rule: "domain has no I/O and no clock: take bytes and times as arguments",
    },
    Confined {
        paths: &["std::env", "std::fs", "std::io", "std::net", "std::process", "std::os", "nix"],
        below: &[
            "images/init/src/lib.rs",
            "images/init/src/frame.rs",
            "images/init/src/intake.rs",
            "images/init/src/message.rs",
            "images/init/src/ready_line.rs",
            "images/init/src/request.rs",
        ],
        except: &[],
        rule: "the protocol does no I/O: whoever has the pipe feeds it bytes",
    },
];

const UNFINISHED: [&str; 4] = ["todo!", "unimplemented!", "dbg!", "#[ignore"];

const EMPTY_NAMES: [&str; 8] =
    ["util", "utils", "helper", "helpers", "manager", "managers", "common", "misc"];

/// All that is wrong with a source.
pub(crate) fn findings(source: &Source) -> Vec<String> {
    let at = |line: usize, rule: String| format!("{}:{line}: {rule}", source.path);
    let mut found = Vec::new();
    found.extend(unplaced(source).map(|rule| at(1, rule)));
    found.extend(imports(source).into_iter().map(|(line, rule)| at(line, rule)));
    found.extend(confined(source).map(|(line, rule)| at(line, rule)));
    found.extend(unfinished(source).map(|(line, rule)| at(line, rule)));
    found.extend(empty_name(source).map(|rule| at(1, rule)));
    found.extend(unexplained(source).map(|rule| at(1, rule)));
    found.extend(too_long(source).map(|rule| at(MAX_LINES + 1, rule)));
    found
}

/// Every module has its place in the order.
fn unplaced(source: &Source) -> Option<String> {
    let module = module_of(&source.path)?;
    let is_placed = MODULES.iter().any(|(name, _)| *name == module);
    (!is_placed).then(|| {
        format!(
            "nobody has said where {module} stands: add it to MODULES in \
             tests/architecture/rules.rs and to the picture in src/lib.rs"
        )
    })
}

/// A module imports only what stands below it.
fn imports(source: &Source) -> Vec<(usize, String)> {
    let Some(module) = module_of(&source.path) else { return Vec::new() };
    let mut found = Vec::new();
    for (line, code) in statements(source) {
        let imported = paths(&code).into_iter().filter_map(|path| imported(&source.path, &path));
        for other in imported.filter(|it| it != module && !may_know(module, it)) {
            let rule = format!(
                "{module} must not know {other}: dependencies point down (src/lib.rs); \
                 move what is needed below both, or hand it in"
            );
            found.push((line, rule));
        }
    }
    found
}

/// The module of the crate that a path in this file leads to, if it leads there
/// from the crate's root.
fn imported(file: &str, path: &str) -> Option<String> {
    let mut below_root =
        file.trim_end_matches(".rs").trim_end_matches("/mod").split('/').count() - 1;
    let mut components = path.split("::").peekable();
    if components.next_if_eq(&"crate").is_some() {
        below_root = 0;
    }
    while components.next_if_eq(&"super").is_some() {
        below_root = below_root.saturating_sub(1);
    }
    // A path without crate or super never gets here: every module is below root.
    if below_root == 0 { components.next().map(str::to_owned) } else { None }
}

/// What belongs to one place stays there.
fn confined(source: &Source) -> impl Iterator<Item = (usize, String)> {
    let begins = |starts: &[&str]| starts.iter().any(|start| source.path.starts_with(start));
    let holding = CONFINED.iter().filter(move |rule| begins(rule.below) && !begins(rule.except));
    let mut statements = statements(source);
    statements.retain(|(_, code)| !declares_module(code));
    holding.flat_map(move |rule| {
        let is_found = |code: &str| {
            let found = paths(code);
            rule.paths.iter().any(|wanted| found.iter().any(|path| goes_through(path, wanted)))
        };
        let found: Vec<_> = statements.iter().filter(|(_, code)| is_found(code)).collect();
        found.into_iter().map(|(line, _)| (*line, rule.rule.to_owned())).collect::<Vec<_>>()
    })
}

fn unfinished(source: &Source) -> impl Iterator<Item = (usize, String)> {
    let is_found = |code: &str, word: &str| {
        code.match_indices(word).any(|(at, _)| !code[..at].ends_with(is_of_a_word))
    };
    source.all_code().filter_map(move |(line, code)| {
        let word = UNFINISHED.into_iter().find(|word| is_found(code, word))?;
        Some((line, format!("{word} is no way to leave things: finish it, or take it out")))
    })
}

fn empty_name(source: &Source) -> Option<String> {
    let mut parts = source.path.trim_end_matches(".rs").split('/');
    let name = parts.find(|part| EMPTY_NAMES.contains(part))?;
    Some(format!("{name} says nothing: name the module after what it is for"))
}

fn unexplained(source: &Source) -> Option<String> {
    // What a test file is for is said by its name and its tests.
    let has_docs = source.lines.first().is_some_and(|line| line.starts_with("//!"));
    (!has_docs && !is_test_file(&source.path)).then(|| {
        "begin with //! and say what the module is for, and what it must not do".to_owned()
    })
}

fn too_long(source: &Source) -> Option<String> {
    let lines = source.lines.len();
    (lines > MAX_LINES)
        .then(|| format!("{lines} lines are more than {MAX_LINES}: split the file by topic"))
}

/// The module of the crate that a file belongs to; `None` for what holds the
/// modules together, and for other crates.
fn module_of(path: &str) -> Option<&str> {
    let module = path.strip_prefix("src/")?.split(['/', '.']).next()?;
    (!matches!(module, "lib" | "main" | "engine_contract")).then_some(module)
}

/// Code that is not tests: `use` with all its lines, anything else line by line.
pub(crate) fn statements(source: &Source) -> Vec<(usize, String)> {
    let mut statements: Vec<(usize, String)> = Vec::new();
    for (line, code) in source.production() {
        match statements.last_mut() {
            Some((_, open)) if is_import(open) && !open.contains(';') => open.push_str(code),
            _ => statements.push((line, code.to_owned())),
        }
    }
    statements
}

fn is_import(code: &str) -> bool {
    without_visibility(code).starts_with("use ")
}

/// True for `mod name;`: a module may have the name of a crate.
fn declares_module(code: &str) -> bool {
    without_visibility(code).starts_with("mod ")
}

fn without_visibility(code: &str) -> &str {
    let code = code.trim_start();
    let code = code.strip_prefix("pub").map_or(code, |rest| {
        rest.strip_prefix('(').and_then(|it| it.split_once(')')).map_or(rest, |(_, rest)| rest)
    });
    code.trim_start()
}

/// All paths in a piece of code, with their groups taken apart: `use a::{b, c::d}`
/// has `a::b` and `a::c::d`.
pub(crate) fn paths(code: &str) -> Vec<String> {
    let (mut found, mut groups, mut path) = (Vec::new(), Vec::<String>::new(), String::new());
    let below = |groups: &[String], path: &str| {
        format!("{}{path}", groups.last().map_or("", String::as_str))
    };
    for c in code.chars().chain(Some(' ')) {
        match c {
            c if is_of_a_word(c) || c == ':' => path.push(c),
            // The end of a macro's name; elsewhere it means "not".
            '!' if !path.is_empty() => path.push(c),
            '{' if path.ends_with("::") => {
                groups.push(below(&groups, &path));
                path.clear();
            }
            _ => {
                if !path.is_empty() {
                    found.push(below(&groups, &path));
                }
                path.clear();
                if c == '}' {
                    groups.pop();
                }
            }
        }
    }
    found
}

/// True if the components of `wanted` stand one behind the other in `path`; a
/// crate's name stands at the beginning.
fn goes_through(path: &str, wanted: &str) -> bool {
    if wanted.contains("::") {
        format!("::{path}::").contains(&format!("::{wanted}::"))
    } else {
        path == wanted || path.trim_start_matches("::").starts_with(&format!("{wanted}::"))
    }
}

fn is_of_a_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}
