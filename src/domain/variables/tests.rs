use super::*;
use proptest::prelude::*;

fn variable(name: &str, value: &str) -> EnvVar {
    EnvVar::new(name, value).unwrap()
}

#[test]
fn a_variable_is_split_at_its_first_equals_sign() {
    let parsed = EnvVar::parse("MODE=a=b\nc").unwrap();
    assert_eq!((parsed.name(), parsed.value()), ("MODE", "a=b\nc"));
    assert_eq!(EnvVar::parse("_x1=").unwrap().value(), "");
    assert_eq!(EnvVar::parse("MODE"), Err(VariableError::NoValue("MODE".to_owned())));
    assert!(!EnvVar::parse("s3cr3t!").unwrap_err().to_string().contains("s3cr3t"));
}

#[test]
fn names_are_posix_names() {
    for name in ["", "1A", "A-B", "A B", "É", "A.B", "A\0", "BASH_FUNC_x%%", &"A".repeat(256)] {
        assert!(matches!(EnvVar::new(name, ""), Err(VariableError::Name(_))), "{name}");
    }
    assert!(EnvVar::new("A".repeat(255), "").is_ok());
}

#[test]
fn names_that_steer_something_else_are_refused() {
    use ProtectedGroup::{Installer, Interpreter, Loader, Reserved, Shell, Tool};
    for (name, group) in [
        ("PATH", Shell),
        ("BASH_ENV", Shell),
        ("ENV", Shell),
        ("IFS", Shell),
        ("SHELLOPTS", Shell),
        ("PS4", Shell),
        ("LD_PRELOAD", Loader),
        ("GLIBC_TUNABLES", Loader),
        ("MALLOC_CHECK_", Loader),
        ("GCONV_PATH", Loader),
        ("PYTHONPATH", Interpreter),
        ("PYTHONSTARTUP", Interpreter),
        ("PERL5LIB", Interpreter),
        ("NODE_OPTIONS", Interpreter),
        ("RUBYOPT", Interpreter),
        ("GIT_SSH_COMMAND", Tool),
        ("UV_INDEX_URL", Installer),
        ("PIP_INDEX_URL", Installer),
        ("HOME", Reserved),
        ("JOB_ID", Reserved),
        ("GANTRY_TOKEN", Reserved),
    ] {
        let refused = VariableError::Protected { name: name.to_owned(), group };
        assert_eq!(EnvVar::new(name, "x"), Err(refused.clone()));
        assert!(refused.hint().is_some());
    }
}

#[test]
fn ordinary_names_are_allowed() {
    for name in [
        "MODE",
        "TMPDIR",
        "LANG",
        "TZ",
        "path",
        "PATHS",
        "OMP_NUM_THREADS",
        "GIT_COMMIT",
        "HTTPS_PROXY",
    ] {
        assert!(EnvVar::new(name, "x").is_ok(), "{name}");
    }
}

#[test]
fn values_are_bounded_as_the_kernel_bounds_them() {
    let longest = "x".repeat(MAX_VARIABLE_BYTES - "A".len() - 2);
    assert!(EnvVar::new("A", longest.clone()).is_ok());
    let refused = EnvVar::new("A", longest + "x");
    assert!(matches!(refused, Err(VariableError::TooLong { bytes: 131_073, .. })));
    assert_eq!(EnvVar::new("A", "x\0y"), Err(VariableError::Nul("A".to_owned())));
}

#[test]
fn the_last_of_one_name_wins() {
    let variables =
        Variables::new(vec![variable("A", "1"), variable("B", "2"), variable("A", "3")]).unwrap();
    let pairs: Vec<_> = variables.iter().map(|v| (v.name(), v.value())).collect();
    assert_eq!(pairs, [("B", "2"), ("A", "3")]);
    let later = Variables::new(vec![variable("B", "4")]).unwrap();
    let merged = variables.merged(&later).unwrap();
    assert_eq!(merged.iter().find(|v| v.name() == "B").unwrap().value(), "4");
}

#[test]
fn all_together_are_bounded() {
    let many = |count: usize| (0..count).map(|i| variable(&format!("A{i}"), "")).collect();
    assert!(Variables::new(many(1_000)).is_ok());
    assert_eq!(Variables::new(many(1_001)), Err(VariableError::TooMany(1_001)));
    let large = (0..9).map(|i| variable(&format!("A{i}"), &"x".repeat(125_000))).collect();
    assert!(matches!(Variables::new(large), Err(VariableError::TotalTooLong(_))));
}

#[test]
fn values_are_never_shown() {
    let secret = variable("TOKEN", "hunter2");
    assert!(!format!("{secret:?}").contains("hunter2"));
    let error = EnvVar::parse("LD_PRELOAD=hunter2").unwrap_err();
    assert!(!format!("{error} {error:?}").contains("hunter2"));
}

#[test]
fn stored_variables_are_checked_again() {
    let stored = serde_json::to_string(&Variables::new(vec![variable("A", "1")]).unwrap()).unwrap();
    assert_eq!(stored, r#"[{"name":"A","value":"1"}]"#);
    assert!(serde_json::from_str::<Variables>(&stored).is_ok());
    assert!(serde_json::from_str::<Variables>(&stored.replace('A', "PATH")).is_err());
}

proptest! {
    #[test]
    fn any_text_is_a_variable_or_refused(text in any::<String>()) {
        if let Ok(parsed) = EnvVar::parse(&text) {
            prop_assert_eq!(format!("{}={}", parsed.name(), parsed.value()), text);
            prop_assert!(is_name(parsed.name()));
        }
    }

    #[test]
    fn a_steering_prefix_is_refused_whatever_follows(tail in "[A-Z0-9_]{0,20}") {
        for prefix in ["LD_", "PYTHON", "BASH_", "UV_", "PIP_", "GANTRY_", "MALLOC_", "PERL5"] {
            let name = format!("{prefix}{tail}");
            let is_protected = matches!(EnvVar::new(name, ""), Err(VariableError::Protected { .. }));
            prop_assert!(is_protected);
        }
    }
}
