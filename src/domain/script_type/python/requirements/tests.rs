use super::*;
use proptest::prelude::*;

const STRICT: RequirementsPolicy =
    RequirementsPolicy { allow_urls: false, allow_options: false, allow_sources: false };
const OPEN: RequirementsPolicy =
    RequirementsPolicy { allow_urls: true, allow_options: true, allow_sources: false };

fn parsed(text: &str) -> Requirements {
    Requirements::parse(text, STRICT).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn normal(text: &str) -> String {
    parsed(text).normalised()
}

fn fault(text: &str, policy: RequirementsPolicy) -> LineFault {
    match Requirements::parse(text, policy) {
        Err(RequirementsError::Line { fault, .. }) => fault,
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn requirements_have_a_normal_form() {
    for (text, normalised) in [
        ("Pillow", "pillow\n"),
        ("Zope.Interface_x--y", "zope-interface-x-y\n"),
        ("a >= 1.0 , < 2", "a<2,>=1.0\n"),
        ("a (>=1,<2)", "a<2,>=1\n"),
        ("a>=1,<2,", "a<2,>=1\n"),
        ("a (>=1, <2 , ) ; extra == 'x'", "a<2,>=1 ; extra == \"x\"\n"),
        ("a[b]==1,;extra=='x'", "a[b]==1 ; extra == \"x\"\n"),
        ("a ( )", "a\n"),
        ("a== v1.0ALPHA1", "a==1.0a1\n"),
        ("a==1.*", "a==1.*\n"),
        ("a[Y, x_z ,y]", "a[x-z,y]\n"),
        ("a[]==1", "a==1\n"),
        ("a==1;python_version<'3.9'", "a==1 ; python_version < \"3.9\"\n"),
        ("b\na\n\nB\n# c\n", "a\nb\n"),
        ("a==2\na==1", "a==1\na==2\n"),
    ] {
        assert_eq!(normal(text), normalised);
    }
}

#[test]
fn markers_have_a_normal_form() {
    for (marker, normalised) in [
        ("\"3.9\" > python_version", "python_version < \"3.9\""),
        ("os.name=='posix'", "os_name == \"posix\""),
        ("((extra == 'b')) or (extra=='a' or extra=='b')", "extra == \"a\" or extra == \"b\""),
        (
            "sys_platform=='x' and (os_name=='b' or os_name=='a')",
            "(os_name == \"a\" or os_name == \"b\") and sys_platform == \"x\"",
        ),
        ("(extra=='a' or extra=='a') and os_name=='b'", "extra == \"a\" and os_name == \"b\""),
        ("'x' not   in platform_version", "\"x\" not in platform_version"),
        ("extra == 'say \"x\"'", "extra == 'say \"x\"'"),
        ("'a' == 'b'", "\"a\" == \"b\""),
        ("os_name==sys_platform", "os_name == sys_platform"),
        ("extra=='é'", "extra == \"é\""),
        (
            "'x' in extras or 'y' in dependency_groups",
            "\"x\" in extras or \"y\" in dependency_groups",
        ),
    ] {
        assert_eq!(normal(&format!("a ; {marker}")), format!("a ; {normalised}\n"));
    }
}

#[test]
fn broken_markers_are_refused() {
    let deep = format!("{}extra=='a'{}", "(".repeat(33), ")".repeat(33));
    for marker in [
        "",
        "extra",
        "extra == ",
        "extra == 'a",
        "extra == 'a' nand extra == 'b'",
        "extra == 'a' and",
        "(extra == 'a'",
        "extra == 'a')",
        "sudo == 'a'",
        "extra == '\u{202e}'",
        "extra == 'a\\'",
        "extra not 'a'",
        &deep,
    ] {
        let fault = fault(&format!("a ; {marker}"), STRICT);
        assert!(matches!(fault, LineFault::Syntax(_)), "{marker}");
    }
}

#[test]
fn hashes_are_kept_sorted() {
    let (a, b) = ("a".repeat(64), "B".repeat(64));
    let requirements = parsed(&format!("x==1 \\\n --hash=sha256:{b} \\\n --hash sha256:{a} # why"));
    let b = b.to_lowercase();
    let normalised = format!("x==1 --hash=sha256:{a} --hash=sha256:{b}\n");
    assert_eq!(requirements.normalised(), normalised);
    let with_marker = parsed(&format!("x ; extra == 'a -b' --hash=sha256:{a}")).normalised();
    assert_eq!(with_marker, format!("x ; extra == \"a -b\" --hash=sha256:{a}\n"));
    for text in ["x --hash=md5:abc", "x --hash=sha256:abc", "x --hash", "x --hash=sha256:"] {
        assert!(matches!(fault(text, OPEN), LineFault::Syntax(_)), "{text}");
    }
    let fault = fault("x --config-settings=y", OPEN);
    assert_eq!(fault, LineFault::UnsupportedOption("--config-settings".into()));
}

#[test]
fn what_is_no_requirement_is_refused() {
    for text in [
        "a=1",
        "a==",
        "a-",
        "a- ==1",
        "_a",
        "a b",
        "a==1 2",
        "a,b",
        "a[b",
        "a[b-]",
        "a[b,]",
        "a(==1",
        "é",
        "a~=1",
        "a>=1.0+local",
        "a==1,,",
        "a,,",
        "a (,)",
        "a\u{0}",
        "a==99999999999999999999",
        "==1",
        "a==1;",
        "[a]",
    ] {
        assert!(matches!(fault(text, OPEN), LineFault::Syntax(_)), "{text}");
    }
}

#[test]
fn options_are_refused_and_named() {
    for (text, option) in [
        ("--index-url https://x/simple", "--index-url"),
        ("--index-url=https://x/simple", "--index-url"),
        ("-i https://x", "-i"),
        ("-ihttps://x", "-i"),
        ("--extra-index-url https://x", "--extra-index-url"),
        ("-f https://x", "-f"),
        ("--no-index", "--no-index"),
    ] {
        assert_eq!(fault(text, STRICT), LineFault::Option(option.to_owned()));
    }
    for (text, option) in [("--find-links .", "--find-links"), ("-i", "-i"), ("-i ftp://x", "-i")] {
        assert_eq!(fault(text, STRICT), LineFault::UselessOption(option.to_owned()));
    }
    for option in ["--no-binary :all:", "--pre", "--only-binary x", "--what", "-x", "-", "--"] {
        assert!(matches!(fault(option, OPEN), LineFault::UnsupportedOption(_)), "{option}");
    }
    for option in ["-r base.txt", "-rbase.txt", "-c x", "-e .", "--editable=.", "--requirement x"] {
        assert!(matches!(fault(option, OPEN), LineFault::Files(_)), "{option}");
    }
}

#[test]
fn urls_and_paths_are_refused() {
    for text in ["a @ https://x/a.whl", "a@https://x/a.whl", "a[b]@git+https://x/a"] {
        assert_eq!(fault(text, STRICT), LineFault::Url, "{text}");
    }
    for text in [
        "https://x/a.whl",
        "git+https://x/a",
        "git+ssh://git@x/a",
        "a @ git+ssh://git@x/a",
        "a @ https://me:pw@x/a.whl",
    ] {
        assert!(matches!(fault(text, STRICT), LineFault::UselessUrl(_)), "{text}");
    }
    for text in [
        "./a",
        "../a",
        "/a",
        "~/a",
        "a/b",
        "a.whl",
        "A.TAR.GZ",
        "a @ ./b",
        "C:\\a",
        "a @ b",
        "a @ file:///croot/a_1700/work",
    ] {
        assert_eq!(fault(text, STRICT), LineFault::LocalPath, "{text}");
    }
}

/// A hint must not lead to the next refusal: whoever is told that the server
/// could allow a line would be let through then.
#[test]
fn what_the_server_could_allow_is_allowed_then() {
    for text in [
        "a @ file:///croot/a/work",
        "a @ https://x/a.whl",
        "a @ https://me:pw@x/a.whl",
        "a @ git+ssh://git@x/a",
        "a @ ./b",
        "https://x/a.whl",
        "-f ./wheels",
        "-i https://x/simple",
        "-i https://me:pw@x/simple",
        "-i $INDEX",
        "--no-index x",
        "-i",
    ] {
        let hint = fault(text, STRICT).hint().unwrap();
        let is_allowed = Requirements::parse(text, OPEN).is_ok();
        assert_eq!(hint.contains("allow"), is_allowed, "{text}: {hint}");
    }
}

#[test]
fn an_error_names_line_text_and_remedy() {
    let text = "numpy\n\n--extra-index-url https://me:s3cret@x/simple\u{1b}[2J";
    let error = Requirements::parse(text, STRICT).unwrap_err();
    assert_eq!(
        error.to_string(),
        "requirements line 3: option --extra-index-url is not allowed: \
         --extra-index-url https://****@x/****"
    );
    let text = "--index-url https://x/T0k3n/simple";
    assert!(!Requirements::parse(text, STRICT).unwrap_err().to_string().contains("T0k3n"));
    let text = "a=1\u{1b}[2J";
    assert!(Requirements::parse(text, STRICT).unwrap_err().to_string().contains("\\u{1b}[2J"));
    assert!(error.hint().unwrap().contains("server"));
    for text in ["a=1", "-e .", "--pre", "./a", "a @ https://x", "https://x"] {
        assert!(Requirements::parse(text, STRICT).unwrap_err().hint().is_some());
    }
}

#[test]
fn the_policy_allows_urls_and_index_options() {
    let text = "b\n-i https://x/simple\na @ https://x/a.whl#sha256=0 ; extra == 'x'\n--no-index\n";
    let requirements = Requirements::parse(text, OPEN).unwrap();
    assert_eq!(
        requirements.normalised(),
        "--index-url https://x/simple\n--no-index\na @ https://x/a.whl#sha256=0 ; extra == \"x\"\nb\n"
    );
    assert_eq!(requirements.names(), ["a", "b"]);
}

#[test]
fn urls_that_leak_or_reach_inside_are_never_allowed() {
    for text in [
        "a @ https://me:pw@x/a.whl",
        "a @ https://x/${PIP_INDEX_URL}",
        "-i https://x/$UV_INDEX_URL",
        "a @ ssh://x/a",
        "a @ git+ssh://git@x/a",
        "a @ https:///a",
        "--extra-index-url ftp://x",
    ] {
        assert!(matches!(fault(text, OPEN), LineFault::UnusableUrl(_)), "{text}");
    }
    for text in ["a @ file:///etc/passwd", "-f ./wheels", "-f /wheels", "a @ ./x"] {
        assert_eq!(fault(text, OPEN), LineFault::LocalPath, "{text}");
    }
    assert_eq!(fault("https://x/a.whl", OPEN), LineFault::UnnamedUrl);
    assert!(matches!(fault("a @ https://x/a.whl; extra=='x'", OPEN), LineFault::Syntax(_)));
}

#[test]
fn size_and_number_are_bounded() {
    let many = |count: usize| (0..count).map(|i| format!("a{i}\n")).collect::<String>();
    assert!(Requirements::parse(&many(1_000), STRICT).is_ok());
    let error = Requirements::parse(&many(10_000), STRICT).unwrap_err();
    assert_eq!(error.to_string(), "10000 requirements, at most 1000 are allowed");
    let large = "#".repeat(MAX_BYTES + 1);
    assert!(matches!(Requirements::parse(&large, STRICT), Err(RequirementsError::TooLarge(_))));
}

#[test]
fn hostile_markers_cost_nothing() {
    let pairs = |i: usize| format!("(extra=='a{i}' or extra=='z{i}')");
    let marker = (0..90).map(pairs).collect::<Vec<_>>().join(" and ");
    assert!(normal(&format!("a ; {marker}")).len() < 2 * MAX_LINE_BYTES);
    let nested = format!("{}extra=='a'{}", "(extra=='b' or (".repeat(15), "))".repeat(15));
    assert_eq!(normal(&format!("a ; {nested}")), "a ; extra == \"a\" or extra == \"b\"\n");
}

#[test]
fn nothing_required_is_empty() {
    assert!(parsed("").is_empty() && parsed("# a\n\n").is_empty());
    assert_eq!(normal(""), "");
}

#[test]
fn the_hash_is_of_the_normal_form_and_the_policy_on_sources() {
    let sources = RequirementsPolicy { allow_sources: true, ..STRICT };
    let hash = parsed("a\nb==1.0").hash();
    assert_eq!(hash.len(), 64);
    assert_eq!(hash, parsed("B == 1.0 # x\r\nA").hash());
    assert_eq!(hash, Requirements::parse("a\nb==1.0", OPEN).unwrap().hash());
    assert_ne!(hash, parsed("a\nb==1.1").hash());
    assert_ne!(hash, Requirements::parse("a\nb==1.0", sources).unwrap().hash());
}

#[test]
fn the_installer_says_which_requirement_fails() {
    let requirements =
        parsed("requests>=2\nNonexistent_Pkg == 1.0  # x\nnumpy==1.0\nnumpy-financial\nfoo.bar");
    for (words, original) in [
        (
            "  × No solution found when resolving dependencies:\n  ╰─▶ Because nonexistent-pkg was not \
             found in the package registry and you require nonexistent-pkg, we can conclude that your \
             requirements are unsatisfiable.",
            "Nonexistent_Pkg == 1.0",
        ),
        (
            "╰─▶ Because there is no version of numpy==1.0 and you require numpy==1.0, we can conclude \
             that your requirements are unsatisfiable.",
            "numpy==1.0",
        ),
        (
            "╰─▶ Because foo-bar==2.1 depends on urllib3<1.27 and requests>=2.32 depends on \
             urllib3>=1.27, we can conclude …",
            "foo.bar",
        ),
        (
            "╰─▶ Because numpy-financial==0.1.0 has no usable wheels and building from source is \
             disabled, we can conclude that numpy-financial==0.1.0 cannot be used.",
            "numpy-financial",
        ),
        (
            "╰─▶ Because only numpy==1.0 is available and numpy==1.0 has no wheels with a matching \
             Python ABI tag (e.g., `cp313`), we can conclude that your requirements are unsatisfiable.",
            "numpy==1.0",
        ),
        ("error: Failed to fetch `https://x/requests-2.31.0-py3-none-any.whl`", "requests>=2"),
        ("× Failed to build `foo_bar-2.1.tar.gz`", "foo.bar"),
        ("error: Distribution not found: requests.", "requests>=2"),
    ] {
        assert_eq!(requirements.failing_requirement(words), Some(original), "{words}");
    }
    for words in ["", "error: Failed to resolve host", "numpy2 mynumpy numpy-extra"] {
        assert_eq!(requirements.failing_requirement(words), None, "{words}");
    }
}

/// A requirement in two spellings.
fn spellings() -> impl Strategy<Value = (String, String)> {
    let parts = (
        "[a-z][a-z0-9]{0,3}",
        prop::option::of("[a-z]{1,3}"),
        prop::collection::vec((0_usize..5, 0_u32..4), 0..3),
        any::<bool>(),
    );
    parts.prop_map(|(name, extra, versions, has_marker)| {
        let operators = ["==", ">=", "<", "!=", "<="];
        let specifiers: Vec<String> = versions
            .iter()
            .map(|(operator, version)| format!("{}{version}.0", operators[*operator]))
            .collect();
        let turned: Vec<String> = specifiers.iter().rev().cloned().collect();
        let extras = extra.map(|extra| format!("[{extra}]")).unwrap_or_default();
        let marker = |text: &str| if has_marker { text.to_owned() } else { String::new() };
        let one = format!("{name}-x{extras}{}", specifiers.join(","));
        let other = format!("{}__X {extras} {} ", name.to_uppercase(), turned.join(" , "));
        (
            one + &marker(";python_version<'4' and os_name=='posix'"),
            other + &marker("; 'posix' == os_name and (\"4\" > python_version)  # why"),
        )
    })
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in any::<String>(), open in any::<bool>()) {
        let policy = if open { OPEN } else { STRICT };
        let _ = Requirements::parse(&text, policy).map_err(|e| (e.to_string(), e.hint()));
    }

    #[test]
    fn what_is_read_is_its_own_normal_form(text in "([a-z\\[\\],.=<>~!*0-9+;'\"() @:/#\\\\\r-]{0,24}\n){1,3}") {
        if let Ok(requirements) = Requirements::parse(&text, OPEN) {
            let normalised = requirements.normalised();
            let again = Requirements::parse(&normalised, OPEN).unwrap();
            prop_assert_eq!(again.normalised(), normalised);
        }
    }

    #[test]
    fn any_marker_is_read_or_refused(
        words in prop::collection::vec(
            prop::sample::select(vec![
                "extra", "os_name", "'a'", "\"b\"", "==", "<", "in", "not", "and", "or", "(", ")",
            ]),
            0..12,
        ),
    ) {
        let text = format!("a ; {}", words.join(" "));
        if let Ok(requirements) = Requirements::parse(&text, STRICT) {
            let normalised = requirements.normalised();
            prop_assert_eq!(normal(&normalised), normalised);
        }
    }

    #[test]
    fn equal_sets_have_one_normal_form(
        lines in prop::collection::vec(spellings(), 0..6),
        repeated in any::<prop::sample::Index>(),
    ) {
        let one: Vec<&str> = lines.iter().map(|(one, _)| one.as_str()).collect();
        let mut other: Vec<&str> = lines.iter().rev().map(|(_, other)| other.as_str()).collect();
        if !other.is_empty() {
            other.push(other[repeated.index(other.len())]);
        }
        let (one, other) = (parsed(&one.join("\n")), parsed(&other.join("\r\n\r\n")));
        prop_assert_eq!(one.normalised(), other.normalised());
        prop_assert_eq!(one.hash(), other.hash());
    }

    #[test]
    fn versions_never_panic(text in "[a-z0-9.!+*_v-]{0,20}", operator in "[=<>~!]{1,3}") {
        let _ = Requirements::parse(&format!("a{operator}{text}"), STRICT);
    }
}
