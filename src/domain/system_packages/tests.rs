use proptest::prelude::*;

use super::*;

fn parsed(packages: &[&str]) -> Result<Vec<String>, SystemPackagesError> {
    let packages = packages.iter().map(|text| (*text).to_owned()).collect();
    SystemPackages::new(packages).map(Vec::from)
}

fn fault_of(package: &str) -> Option<PackageFault> {
    match parsed(&[package]) {
        Ok(_) => None,
        Err(SystemPackagesError::Package { fault, .. }) => Some(fault),
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn packages_are_sorted_and_each_is_there_once() {
    let sorted = parsed(&["tree", "g++", "jq=1.7.1-6", "tree", "libstdc++6"]).unwrap();
    assert_eq!(sorted, ["g++", "jq=1.7.1-6", "libstdc++6", "tree"]);
    assert!(parsed(&[]).unwrap().is_empty());
}

#[test]
fn names_and_versions_of_debian_are_accepted() {
    for package in [
        "7zip",
        "0ad",
        "python3.13",
        "libc++-dev",
        "gcc=4:14.2.0-1",
        "tzdata=2026f-0+deb13u1",
        "a0=1.0~rc1+dfsg-2~bpo12+1",
        "mawk=1.3.4.20250131-1",
        "xx=1:2:3",
        "xx=1~",
    ] {
        assert_eq!(fault_of(package), None, "{package}");
    }
}

#[test]
fn what_apt_would_read_otherwise_is_refused() {
    for name in [
        "-y",
        "--purge",
        "curl-",
        "curl/sid",
        "curl:arm64",
        "task^",
        "^lib",
        "lib.*",
        "?all",
        "~n.",
        "./a.deb",
        "a.deb/",
        "$HOME",
        "a b",
        "a;b",
        "a\nb",
        "Curl",
        "ü1",
        "",
        "a",
        "+a",
        ".a",
        "a*",
    ] {
        assert_eq!(fault_of(name), Some(PackageFault::Name), "{name:?}");
    }
    for version in ["jq=", "jq=1-", "jq=1.0+", "jq=*", "jq=1*", "jq=a", "jq=1=2", "jq=1 2", "jq=:1"]
    {
        assert_eq!(fault_of(version), Some(PackageFault::Version), "{version:?}");
    }
}

#[test]
fn everything_is_bounded() {
    let name = "a".repeat(MAX_NAME_BYTES);
    assert_eq!(fault_of(&name), None);
    assert!(matches!(fault_of(&format!("{name}a")), Some(PackageFault::NameTooLong(_))));
    let version = format!("jq={}", "1".repeat(MAX_VERSION_BYTES));
    assert_eq!(fault_of(&version), None);
    assert!(matches!(fault_of(&format!("{version}1")), Some(PackageFault::VersionTooLong(_))));
    let many: Vec<_> = (0..=MAX_PACKAGES).map(|number| format!("lib{number}")).collect();
    let error = SystemPackages::new(many).unwrap_err();
    assert_eq!(error, SystemPackagesError::TooMany(MAX_PACKAGES + 1));
    assert!(error.hint().is_some());
}

#[test]
fn one_package_in_two_versions_is_a_contradiction() {
    for pair in [["jq", "jq=1"], ["jq=2", "jq=1"]] {
        let error = parsed(&pair).unwrap_err();
        assert!(matches!(error, SystemPackagesError::Contradiction(..)), "{error}");
    }
}

#[test]
fn it_is_a_list_of_texts_outside() {
    let packages: SystemPackages = serde_json::from_str(r#"["tree","jq=1"]"#).unwrap();
    assert_eq!(serde_json::to_string(&packages).unwrap(), r#"["jq=1","tree"]"#);
    let error = serde_json::from_str::<SystemPackages>(r#"["--purge"]"#).unwrap_err();
    assert!(error.to_string().contains("\"--purge\": not the name"), "{error}");
}

proptest! {
    #[test]
    fn whatever_is_accepted_is_one_plain_word(text in "\\PC{0,20}|[a-z0-9+.:~=-]{0,12}") {
        if let Ok(packages) = SystemPackages::new(vec![text.clone()]) {
            let plain = |c: char| c.is_ascii_alphanumeric() || "+-.:~=".contains(c);
            prop_assert!(text.chars().all(plain) && text.starts_with(|c: char| c.is_ascii_alphanumeric()));
            prop_assert!(!text.ends_with('-'));
            prop_assert_eq!(Vec::from(packages), vec![text]);
        }
    }

    #[test]
    fn the_order_changes_nothing(mut names in prop::collection::vec("[a-c]{2,3}", 0..8)) {
        let one = SystemPackages::new(names.clone());
        names.reverse();
        prop_assert_eq!(one, SystemPackages::new(names));
    }
}
