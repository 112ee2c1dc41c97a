use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;

use tempfile::TempDir;

use super::*;
use crate::domain::share::ShareGrants;

/// Two customers' folders in the share `media`, beside a folder that is none.
struct Host {
    folder: TempDir,
    shares: Shares,
}

impl Host {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["media/film3/reels", "media/film", "outside"] {
            fs::create_dir_all(folder.path().join(name)).unwrap();
        }
        fs::write(folder.path().join("media/film3/17.mov"), "seventeen").unwrap();
        fs::write(folder.path().join("media/film/1.mov"), "one").unwrap();
        fs::write(folder.path().join("outside/secret"), "secret").unwrap();
        let root = folder.path().join("media");
        let shares = Shares::new([(ShareName::new("media").unwrap(), root)].into());
        Self { folder, shares }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().canonicalize().unwrap().join(name)
    }

    /// The grant `media/film3` alone.
    async fn resolve(&self, path: &str) -> Result<SharedPath, ShareFault> {
        let grants = ShareGrants::new(vec!["media/film3".parse().unwrap()]).unwrap();
        self.shares.resolve(&ShareAccess::Granted(grants), "media", path).await
    }

    async fn resolve_any(&self, path: &str) -> Result<SharedPath, ShareFault> {
        self.shares.resolve(&ShareAccess::All, "media", path).await
    }
}

#[tokio::test]
async fn a_file_and_a_folder_are_found() {
    let host = Host::new();
    let file = host.resolve("film3/17.mov").await.unwrap();
    assert_eq!(file.kind, SharedKind::File { bytes: 9 });
    assert_eq!(file.source, host.path("media/film3/17.mov"));
    let folder = host.resolve("film3").await.unwrap();
    assert_eq!((folder.kind, &folder.source), (SharedKind::Folder, &host.path("media/film3")));
    let root = host.resolve_any("").await.unwrap();
    assert_eq!((root.kind, &root.source), (SharedKind::Folder, &host.path("media")));
    let mount = file.mounted_at("/work/in/plate.mov".to_owned());
    assert!(mount.read_only && mount.target == "/work/in/plate.mov");
    assert_eq!(host.shares.check(&[mount]).await, Ok(()));
}

#[tokio::test]
async fn another_customers_part_is_not_open_and_not_told_of() {
    let host = Host::new();
    for path in ["film/1.mov", "film", "", "film4/not-there", "film3x"] {
        let found = host.resolve(path).await;
        assert!(matches!(found, Err(ShareFault::NotGranted(_))), "{path}: {found:?}");
    }
    let access = ShareAccess::Granted(ShareGrants::default());
    for share in ["media", "stock", "../media"] {
        let found = host.shares.resolve(&access, share, "film3").await;
        assert!(matches!(found, Err(ShareFault::NotGranted(_))), "{share}: {found:?}");
    }
    let unknown = host.shares.resolve(&ShareAccess::All, "stock", "a").await;
    assert_eq!(unknown, Err(ShareFault::Unknown("stock".to_owned())));
}

#[tokio::test]
async fn no_link_is_followed_wherever_it_leads() {
    let host = Host::new();
    let film3 = host.path("media/film3");
    for (name, target) in [
        ("out", "../../outside"),
        ("secret", "../../outside/secret"),
        ("absolute", "/etc/passwd"),
        ("other", "../film"),
        ("within", "reels"),
        ("dangling", "nowhere"),
        ("self", "self"),
    ] {
        symlink(target, film3.join(name)).unwrap();
        for path in [format!("film3/{name}"), format!("film3/{name}/1.mov")] {
            let found = host.resolve(&path).await;
            let is_link = matches!(found, Err(ShareFault::Link(_)));
            assert!(is_link, "{path}: {found:?}");
        }
    }
}

#[tokio::test]
async fn two_dots_lead_nowhere_even_if_a_reference_had_them() {
    let host = Host::new();
    for path in ["film3/../film/1.mov", "../outside/secret", ".."] {
        assert!(host.resolve_any(path).await.is_err(), "{path}");
    }
}

#[tokio::test]
async fn what_is_no_file_and_no_folder_is_refused() {
    let host = Host::new();
    let film3 = host.path("media/film3");
    let _socket = UnixListener::bind(film3.join("socket")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        film3.join("pipe"),
        FileType::Fifo,
        Mode::RWXU,
        Default::default(),
    )
    .unwrap();
    for name in ["socket", "pipe"] {
        let found = host.resolve(&format!("film3/{name}")).await;
        assert!(matches!(found, Err(ShareFault::Special(_))), "{name}: {found:?}");
    }
    let found = host.resolve("film3/17.mov/more").await;
    assert!(matches!(found, Err(ShareFault::Missing(_))), "{found:?}");
    let found = host.resolve("film3/18.mov").await.unwrap_err();
    assert_eq!(found.to_string(), "share:media/film3/18.mov does not exist");
}

#[tokio::test]
async fn a_share_whose_disk_is_gone_says_so_and_comes_back() {
    let host = Host::new();
    fs::rename(host.path("media"), host.path("unmounted")).unwrap();
    let found = host.resolve("film3/17.mov").await.unwrap_err();
    assert_eq!(found, ShareFault::Gone("media".to_owned()));
    assert!(found.is_outage());
    fs::rename(host.path("unmounted"), host.path("media")).unwrap();
    assert!(host.resolve("film3/17.mov").await.is_ok());
}

#[tokio::test]
async fn what_controls_the_machine_is_refused_below_any_root() {
    let name = ShareName::new("all").unwrap();
    let shares = Shares::new([(name, PathBuf::from("/"))].into());
    for path in ["", "proc", "proc/self", "sys", "run"] {
        let found = shares.resolve(&ShareAccess::All, "all", path).await;
        let is_refused = matches!(found, Err(ShareFault::Forbidden(_) | ShareFault::Link(_)));
        assert!(is_refused, "{path}: {found:?}");
    }
}

#[tokio::test]
async fn what_was_swapped_for_a_link_meanwhile_is_told() {
    let host = Host::new();
    let mount = host.resolve("film3/17.mov").await.unwrap().mounted_at("/work/in/a".to_owned());
    fs::rename(host.path("media/film3"), host.path("media/film5")).unwrap();
    symlink("film", host.path("media/film3")).unwrap();
    fs::write(host.path("media/film/17.mov"), "another's").unwrap();
    let found = host.shares.check(&[mount]).await;
    assert!(matches!(found, Err(ShareFault::Moved(_))), "{found:?}");
}
