//! The store of files on a real database and a real file system.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use chrono::TimeDelta;
use tempfile::TempDir;
use uuid::Uuid;

use super::*;
use crate::store::DatabaseUrl;

/// Bytes that the files of a token may have.
const QUOTA: u64 = 10_000_000;

/// A store of its own, which goes with the test.
struct Fixture {
    files: Files,
    data: TempDir,
    url: DatabaseUrl,
}

impl Fixture {
    async fn new() -> Self {
        Self::with_grace(DEFAULT_GRACE).await
    }

    async fn with_grace(grace: Duration) -> Self {
        let data = tempfile::tempdir().unwrap();
        let url = DatabaseUrl::in_data_dir(data.path());
        let files = started(&url, data.path(), grace).await.unwrap();
        Self { files, data, url }
    }

    fn left(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.data.path().join(name);
        fs::write(&path, content).unwrap();
        path
    }

    fn object(&self, digest: FileDigest) -> PathBuf {
        let hex = digest.hex();
        self.data.path().join("files/sha256").join(&hex[..2]).join(hex)
    }

    async fn uploaded(&self, content: &'static [u8], until: Option<DateTime<Utc>>) -> FileDigest {
        let mut incoming = self.files.begin().await.unwrap();
        incoming.write(content.into()).await.unwrap();
        let label = FileLabel::default();
        let kept = self.files.keep(incoming, None, &Holder::Token(1), label, until).await;
        kept.unwrap().digest
    }

    fn unfinished(&self) -> usize {
        fs::read_dir(self.data.path().join("files/uploads")).unwrap().count()
    }
}

async fn started(url: &DatabaseUrl, data: &Path, grace: Duration) -> io::Result<Files> {
    let store = Store::open(url).await.unwrap();
    let reserve = DiskReserve::new(Some(0));
    let settings = FilesSettings { folder: data.join("files"), reserve, grace, quota: QUOTA };
    Files::start(store, settings)
}

fn execution() -> Holder {
    Holder::Execution(Uuid::from_u128(7))
}

async fn content(files: &Files, digest: FileDigest) -> Option<Vec<u8>> {
    let mut open = files.open(digest).await.unwrap()?;
    let mut read = Vec::new();
    io::Read::read_to_end(&mut open.file, &mut read).unwrap();
    assert_eq!(read.len() as u64, open.bytes);
    Some(read)
}

#[tokio::test]
async fn a_file_is_taken_over_and_read_only() {
    let fixture = Fixture::new().await;
    let left = fixture.left("left", b"content");
    fs::set_permissions(&left, fs::Permissions::from_mode(0o4777)).unwrap();
    let stored = fixture.files.take(&left, None, &execution()).await.unwrap();
    assert_eq!(stored, StoredFile { digest: FileDigest::of(b"content"), bytes: 7 });
    assert!(!left.exists());
    assert_eq!(content(&fixture.files, stored.digest).await.unwrap(), b"content");
    let object = fs::metadata(fixture.object(stored.digest)).unwrap();
    assert_eq!((object.mode() & 0o7777, object.nlink()), (0o444, 1));
    assert_eq!(fixture.unfinished(), 0);
}

#[tokio::test]
async fn one_content_is_there_once() {
    let fixture = Fixture::new().await;
    let lefts: Vec<_> = (0..40).map(|it| fixture.left(&it.to_string(), b"same")).collect();
    let other = fixture.left("other", b"other");
    let files = lefts.iter().chain([&other]).map(|path| (path.clone(), None)).collect();
    let stored = fixture.files.take_all(files, &execution()).await.unwrap();
    assert_eq!(stored.len(), 41);
    assert!(stored[..40].iter().all(|it| it.digest == FileDigest::of(b"same")));
    assert_eq!(stored[40].digest, FileDigest::of(b"other"));
    assert!(lefts.iter().chain([&other]).all(|path| !path.exists()));
    let digest = fixture.uploaded(b"same", None).await;
    assert_eq!(fs::metadata(fixture.object(digest)).unwrap().nlink(), 1);
    assert_eq!(fixture.files.0.store.sum_of_objects().await.unwrap().files, 2);
}

#[tokio::test]
async fn nothing_but_plain_files_is_taken() {
    let fixture = Fixture::new().await;
    let outside = fixture.left("outside", b"secret");
    let link = fixture.data.path().join("link");
    std::os::unix::fs::symlink(&outside, &link).unwrap();
    let pipe = fixture.data.path().join("pipe");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &pipe,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o666),
        0,
    )
    .unwrap();
    for path in [link, pipe, fixture.data.path().to_owned()] {
        let refused = fixture.files.take(&path, None, &execution()).await.unwrap_err();
        assert!(matches!(refused, FilesError::NotAFile(_)), "{refused:?}");
    }
    let gone = fixture.files.take(Path::new("/no/such/file"), None, &execution()).await;
    assert!(matches!(gone, Err(FilesError::Io { .. })));
    assert_eq!(fixture.files.0.store.sum_of_objects().await.unwrap().files, 0);
}

#[tokio::test]
async fn a_file_appears_in_another_folder_as_the_same_file() {
    let fixture = Fixture::new().await;
    let digest = fixture.uploaded(b"plate", None).await;
    let to = fixture.data.path().join("in");
    assert_eq!(fixture.files.link_all(&[(digest, to.clone())]).await.unwrap(), 0);
    let inode = |path: &Path| fs::metadata(path).unwrap().ino();
    assert_eq!(inode(&to), inode(&fixture.object(digest)));
    assert!(fixture.files.link_all(&[(digest, to)]).await.is_err());
    let missing = FileDigest::of(b"missing");
    let at = fixture.data.path().join("missing");
    match fixture.files.link_all(&[(missing, at.clone())]).await {
        Err(FilesError::Missing(digests)) => assert_eq!(digests, [missing]),
        other => panic!("{other:?}"),
    }
    assert!(!at.exists());
}

#[tokio::test]
async fn a_digest_that_was_said_is_checked() {
    let fixture = Fixture::new().await;
    let mut incoming = fixture.files.begin().await.unwrap();
    incoming.write("content".into()).await.unwrap();
    let expected = Some(FileDigest::of(b"other"));
    let holder = Holder::Token(1);
    let kept = fixture.files.keep(incoming, expected, &holder, FileLabel::default(), None).await;
    assert!(matches!(kept, Err(FilesError::Mismatch { .. })));
    assert_eq!(fixture.unfinished(), 0);
    assert_eq!(content(&fixture.files, FileDigest::of(b"content")).await, None);
}

#[tokio::test]
async fn pieces_of_any_size_make_the_file() {
    let fixture = Fixture::new().await;
    let mut incoming = fixture.files.begin().await.unwrap();
    let mut all = Vec::new();
    for size in [0, 1, 300_000, 17, 0, 262_144, 5] {
        let piece = vec![u8::try_from(size % 251).unwrap(); size];
        all.extend_from_slice(&piece);
        incoming.write(piece.into()).await.unwrap();
    }
    let label = FileLabel::default();
    let kept = fixture.files.keep(incoming, None, &Holder::Token(1), label, None).await.unwrap();
    assert_eq!((kept.digest, kept.bytes), (FileDigest::of(&all), all.len() as u64));
    assert_eq!(content(&fixture.files, kept.digest).await.unwrap(), all);
}

#[tokio::test]
async fn what_nobody_holds_goes_and_what_somebody_holds_stays() {
    let fixture = Fixture::with_grace(Duration::ZERO).await;
    let past = Some(clock::now() - TimeDelta::seconds(1));
    let (expired, held) = (fixture.uploaded(b"a", past).await, fixture.uploaded(b"b", past).await);
    let kept = fixture.uploaded(b"c", None).await;
    fixture.files.hold(&[held], &execution(), None).await.unwrap();
    let collected = fixture.files.collect().await.unwrap();
    assert_eq!(collected, Collected { expired: 2, files: 1 });
    assert!(!fixture.object(expired).exists());
    assert!(fixture.object(held).exists() && fixture.object(kept).exists());
    match fixture.files.hold(&[held, expired], &Holder::Token(2), None).await {
        Err(FilesError::Missing(missing)) => assert_eq!(missing, [expired]),
        other => panic!("{other:?}"),
    }
    fixture.files.release(&execution()).await.unwrap();
    assert_eq!(fixture.files.collect().await.unwrap().files, 1);
    assert!(!fixture.object(held).exists());
}

#[tokio::test]
async fn what_was_used_a_moment_ago_stays() {
    let fixture = Fixture::new().await;
    let past = Some(clock::now() - TimeDelta::seconds(1));
    let digest = fixture.uploaded(b"a", past).await;
    assert_eq!(fixture.files.collect().await.unwrap(), Collected { expired: 1, files: 0 });
    fixture.files.hold(&[digest], &execution(), None).await.unwrap();
}

#[tokio::test]
async fn a_folder_holds_its_files_and_goes_with_them() {
    let fixture = Fixture::with_grace(Duration::ZERO).await;
    let past = Some(clock::now() - TimeDelta::seconds(1));
    let digest = fixture.uploaded(b"frame", past).await;
    let entry = |path: &str, digest| TreeEntry {
        path: path.to_owned(),
        digest,
        bytes: 5,
        executable: false,
    };
    let tree = Tree::new(vec![entry("a/1.exr", digest), entry("a/2.exr", digest)]).unwrap();
    let keep =
        |tree, until| fixture.files.keep_tree(tree, &Holder::Token(1), FileLabel::default(), until);
    let stored = keep(tree.clone(), None).await.unwrap();
    assert_eq!(stored.digest, FileDigest::of(&tree.manifest()));
    assert_eq!(fixture.files.tree(stored.digest).await.unwrap(), Some(tree.clone()));
    assert_eq!(fixture.files.tree(digest).await.unwrap(), None);
    assert_eq!(fixture.files.collect().await.unwrap().files, 0);
    fixture.files.release(&Holder::Token(1)).await.unwrap();
    assert_eq!(fixture.files.collect().await.unwrap().files, 2);
    assert!(!fixture.object(digest).exists());
    assert_eq!(fixture.files.tree(stored.digest).await.unwrap(), None);
    match keep(tree, None).await {
        Err(FilesError::Missing(missing)) => assert_eq!(missing, [digest]),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_restart_removes_what_was_unfinished_and_has_the_rest() {
    let fixture = Fixture::with_grace(Duration::ZERO).await;
    let digest = fixture.uploaded(b"kept", None).await;
    let Fixture { files, data, url } = fixture;
    let incoming = files.begin().await.unwrap();
    // As after a kill.
    std::mem::forget(incoming);
    let stray = FileDigest::of(b"stray");
    let again = started(&url, data.path(), Duration::ZERO).await.unwrap_err();
    assert_eq!(again.kind(), io::ErrorKind::WouldBlock);
    drop(files);
    let files = started(&url, data.path(), Duration::ZERO).await.unwrap();
    let fixture = Fixture { files, data, url };
    assert_eq!(fixture.unfinished(), 0);
    fs::write(fixture.object(stray), "stray").unwrap();
    let upload = fixture.data.path().join("files/uploads").join(Uuid::nil().simple().to_string());
    fs::write(&upload, "stray").unwrap();
    assert_eq!(content(&fixture.files, stray).await, None);
    assert_eq!(content(&fixture.files, digest).await.unwrap(), b"kept");
    assert_eq!(fixture.files.sweep().await.unwrap(), 2);
    assert!(!upload.exists() && !fixture.object(stray).exists() && fixture.object(digest).exists());
}

#[tokio::test]
async fn a_file_that_lost_bytes_is_whole_again_when_it_comes_again() {
    let fixture = Fixture::new().await;
    let digest = fixture.uploaded(b"whole", None).await;
    fs::remove_file(fixture.object(digest)).unwrap();
    fs::write(fixture.object(digest), "wh").unwrap();
    fixture.uploaded(b"whole", None).await;
    assert_eq!(content(&fixture.files, digest).await.unwrap(), b"whole");
    fs::remove_file(fixture.object(digest)).unwrap();
    assert!(fixture.files.open(digest).await.unwrap().is_none());
}

#[tokio::test]
async fn a_look_at_all_files_finds_what_is_wrong() {
    let fixture = Fixture::new().await;
    let look = || async {
        let folder = fixture.data.path().join("files");
        check(&fixture.files.0.store, &folder, |_, _| {}).await.unwrap()
    };
    let [sound, missing, damaged] = [
        fixture.uploaded(b"sound", None).await,
        fixture.uploaded(b"missing", None).await,
        fixture.uploaded(b"damaged", None).await,
    ];
    let checked = look().await;
    assert_eq!((checked.sound, checked.bytes), (3, 19));
    assert_eq!((checked.missing, checked.damaged.count), (Told::default(), 0));
    fs::remove_file(fixture.object(missing)).unwrap();
    fs::remove_file(fixture.object(damaged)).unwrap();
    fs::write(fixture.object(damaged), "damagee").unwrap();
    let stray = FileDigest::of(b"stray");
    fs::write(fixture.object(stray), "stray").unwrap();
    let checked = look().await;
    assert_eq!((checked.sound, checked.bytes), (1, 5));
    assert_eq!(checked.missing.some, [missing.hex()]);
    assert_eq!(checked.damaged.some, [damaged.hex()]);
    assert_eq!(checked.unknown.some, [stray.hex()]);
    assert!(fixture.object(sound).exists() && fixture.object(stray).exists());
}

/// Uploads, holds and collections of the same few files at once: whoever was told that a file
/// is held finds it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_is_held_is_there_whatever_is_collected_beside() {
    let fixture = std::sync::Arc::new(Fixture::with_grace(Duration::ZERO).await);
    let contents: [&'static [u8]; 3] = [b"one", b"two", b"three"];
    let collecting = tokio::spawn({
        let fixture = std::sync::Arc::clone(&fixture);
        async move {
            for _ in 0..60 {
                fixture.files.collect().await.unwrap();
                fixture.files.sweep().await.unwrap();
            }
        }
    });
    let users = (0..6_u128).map(|user| {
        let fixture = std::sync::Arc::clone(&fixture);
        tokio::spawn(async move {
            for round in 0..20_u128 {
                let content = contents[usize::try_from((user + round) % 3).unwrap()];
                let past = Some(clock::now() - TimeDelta::seconds(1));
                let digest = fixture.uploaded(content, past).await;
                let holder = Holder::Execution(Uuid::from_u128(user));
                if fixture.files.hold(&[digest], &holder, None).await.is_ok() {
                    let to = fixture.data.path().join(format!("{user}-{round}"));
                    fixture.files.link_all(&[(digest, to.clone())]).await.unwrap();
                    assert_eq!(fs::read(to).unwrap(), content);
                    fixture.files.release(&holder).await.unwrap();
                }
            }
        })
    });
    for user in users.collect::<Vec<_>>() {
        user.await.unwrap();
    }
    collecting.await.unwrap();
}
