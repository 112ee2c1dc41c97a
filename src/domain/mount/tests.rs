use super::*;
use proptest::prelude::*;

fn allowed(source: &str, roots: &[&str]) -> Result<(), MountError> {
    let roots: Vec<PathBuf> = roots.iter().map(PathBuf::from).collect();
    Mount::parse(&format!("{source}:/in")).unwrap().check_allowed(Path::new(source), &roots)
}

#[test]
fn a_mount_is_read_only_unless_it_says_otherwise() {
    let mount = Mount::parse("/data/in:/in").unwrap();
    assert_eq!(mount.source, Path::new("/data/in"));
    assert_eq!((mount.target.as_str(), mount.read_only), ("/in", true));
    assert!(Mount::parse("/a:/in:ro").unwrap().read_only);
    assert!(!Mount::parse("/a:/in:rw").unwrap().read_only);
    assert_eq!(Mount::parse("./a:/in").unwrap().source, Path::new("./a"));
}

#[test]
fn what_is_no_mount_is_refused() {
    for text in ["", "/a", "/a:", ":/a", "/a:/b:", "/a:/b:RW", "/a:/b:ro,z", "/a:/b:ro:x"] {
        assert!(matches!(Mount::parse(text), Err(MountError::Syntax(_))), "{text}");
    }
    assert!(matches!(Mount::parse("/a\0b:/in"), Err(MountError::Source(_))));
}

#[test]
fn targets_are_absolute_and_normalised() {
    assert_eq!(Mount::parse("/a://in//x/").unwrap().target, "/in/x");
    for target in
        ["in", "./in", "/in/../etc", "/in/.", "/..", "/a\nb", &format!("/{}", "a".repeat(256))]
    {
        let refused = Mount::new("/a".into(), target, true);
        assert!(matches!(refused, Err(MountError::Target(_))), "{target}");
    }
}

#[test]
fn reserved_targets_are_refused_with_all_above_and_below() {
    for target in [
        "/",
        "/work",
        "/work/in",
        "/tmp",
        "/run",
        "/run/gantry/x",
        "/var",
        "/var/run/x",
        "/proc",
        "/sys/x",
        "/dev/shm",
        "/etc/passwd",
        "/usr/local/bin",
        "/bin",
        "/sbin",
        "/lib",
        "/lib64/x",
        "/libx32",
        "/opt",
        "/opt/env/bin",
        "/gantry-init",
    ] {
        let refused = Mount::new("/a".into(), target, true);
        assert!(matches!(refused, Err(MountError::ReservedTarget { .. })), "{target}");
    }
    for target in
        ["/in", "/data", "/mnt/x", "/srv", "/opt/data", "/workspace", "/var/lib/x", "/home/x"]
    {
        assert!(Mount::new("/a".into(), target, true).is_ok(), "{target}");
    }
}

#[test]
fn sources_lie_below_a_root_by_components() {
    assert_eq!(allowed("/data", &["/data"]), Ok(()));
    assert_eq!(allowed("/data/a/b", &["/srv", "/data/"]), Ok(()));
    for source in ["/database", "/dat", "/", "/srv"] {
        assert!(allowed(source, &["/data"]).is_err(), "{source}");
    }
}

#[test]
fn without_roots_the_setting_is_named() {
    for roots in [&[][..], &[""], &["data"], &["/data/.."]] {
        let error = allowed("/data/in", roots).unwrap_err();
        assert!(error.to_string().contains("GANTRY_MOUNT_ROOTS is empty"), "{error}");
        assert!(error.hint().unwrap().contains("add /data/in to GANTRY_MOUNT_ROOTS"));
    }
}

#[test]
fn an_unresolved_source_is_refused() {
    for source in ["data", "/data/../etc"] {
        assert!(matches!(allowed(source, &["/data"]), Err(MountError::NotCanonical(_))));
    }
}

#[test]
fn the_engine_is_never_handed_over() {
    for source in [
        "/",
        "/run",
        "/var",
        "/var/run/docker.sock",
        "/run/docker.sock",
        "/data/docker.sock",
        "/run/user/1000/podman/podman.sock",
        "/proc/1/root",
        "/sys",
        "/dev",
        "/var/lib/docker/volumes",
    ] {
        assert!(matches!(allowed(source, &["/"]), Err(MountError::ForbiddenSource(_))), "{source}");
    }
    let link = Mount::parse("/data/docker.sock:/in").unwrap();
    assert!(link.check_allowed(Path::new("/data/x"), &["/data".into()]).is_err());
}

#[test]
fn mounts_are_checked_together() {
    let mount = |target: &str| Mount::new("/a".into(), target, true).unwrap();
    assert_eq!(check_together(&[mount("/in"), mount("/inner"), mount("/out")]), Ok(()));
    for pair in [["/in", "/in"], ["/in", "/in/x"], ["/in/x", "/in"]] {
        let mounts = pair.map(mount);
        assert!(matches!(check_together(&mounts), Err(MountError::Overlap(..))));
    }
    let many: Vec<Mount> = (0..17).map(|i| mount(&format!("/in{i}"))).collect();
    assert_eq!(check_together(&many), Err(MountError::TooMany(17)));
    assert_eq!(check_together(&many[..16]), Ok(()));
}

#[test]
fn stored_mounts_are_checked_again() {
    let mount: Mount = serde_json::from_str(r#"{"source": "/a", "target": "/in/"}"#).unwrap();
    assert_eq!(mount, Mount::parse("/a:/in").unwrap());
    let json = serde_json::to_string(&mount).unwrap();
    assert_eq!(serde_json::from_str::<Mount>(&json).unwrap(), mount);
    assert!(serde_json::from_str::<Mount>(&json.replace("/in", "/etc")).is_err());
}

proptest! {
    #[test]
    fn any_text_is_a_mount_or_refused(text in any::<String>(), path in "[a./:-]{0,20}") {
        for text in [&text, &path] {
            if let Ok(mount) = Mount::parse(text) {
                prop_assert!(mount.target.starts_with('/') && reserved_target(&mount.target).is_none());
                prop_assert_eq!(normalised(&mount.target), Some(mount.target));
            }
        }
    }

    #[test]
    fn what_is_allowed_is_below_a_root(source in "(/([ab]{1,2}|\\.\\.)){1,4}", root in "(/[ab]{1,2}){0,3}") {
        let mount = Mount::new(PathBuf::from(&source), "/in", true).unwrap();
        let roots = [PathBuf::from(&root)];
        if mount.check_allowed(Path::new(&source), &roots).is_ok() {
            let below = format!("{}/", source.trim_end_matches('/')).starts_with(&format!("{root}/"));
            prop_assert!(below && !source.split('/').any(|part| part == ".."));
        }
    }
}
