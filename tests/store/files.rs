//! Files, their holders, folders and uploads.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use gantry::domain::file::{FileDigest, Holder, UploadKeep};
use gantry::store::{FileViewer, NewFileRef, NewTree, Page, Upload};
use uuid::Uuid;

use crate::database::{Database, on_both};
use crate::samples::{audit, now, token};

on_both! {
    a_file_is_held_until_nobody_holds_it,
    a_reference_keeps_the_later_end_and_its_name,
    what_is_missing_is_told_and_nothing_is_held,
    a_folder_holds_its_files,
    uploads_are_counted_and_come_to_an_end,
    files_are_listed_and_summed_by_token,
    many_files_are_one_statement_after_the_other,
    holds_and_collections_at_once_lose_nothing,
}

const EXECUTION: Holder = Holder::Execution(Uuid::from_u128(1));

fn digest(number: u32) -> FileDigest {
    FileDigest::of(&number.to_be_bytes())
}

fn file(number: u32) -> NewFileRef {
    let (name, media_type) = (Some(format!("{number}.mov")), None);
    NewFileRef {
        digest: digest(number),
        bytes: u64::from(number),
        name,
        media_type,
        is_tree: false,
    }
}

fn page(limit: u32, offset: u64) -> Page {
    Page { limit, offset }
}

/// Collects all that nobody has held since this time.
async fn collected(database: &Database, before: DateTime<Utc>) -> Vec<FileDigest> {
    let unheld = database.store.unheld_files(before, None, 10_000).await.unwrap();
    let digests: Vec<_> = unheld.into_iter().map(|it| it.digest).collect();
    database.store.delete_unheld(&digests, before).await.unwrap()
}

async fn a_file_is_held_until_nobody_holds_it(database: Database) {
    let (store, now) = (&database.store, now());
    let (holder, later) = (Holder::Token(1), now + TimeDelta::days(2));
    store.keep_files(&[file(1), file(2), file(1)], &holder, Some(now), now).await.unwrap();
    assert_eq!(store.file_bytes(digest(2)).await.unwrap(), Some(2));
    assert_eq!(store.file_bytes(digest(3)).await.unwrap(), None);
    assert_eq!(store.hold_files(&[digest(1)], &EXECUTION, None, now).await.unwrap(), []);
    assert!(collected(&database, later).await.is_empty());
    assert_eq!(store.delete_expired_refs(now).await.unwrap(), 2);
    // Used a moment ago.
    assert!(collected(&database, now).await.is_empty());
    assert_eq!(collected(&database, later).await, [digest(2)]);
    store.release_files(&EXECUTION, now).await.unwrap();
    assert_eq!(collected(&database, later).await, [digest(1)]);
    assert_eq!(store.sum_of_objects().await.unwrap().files, 0);
}

async fn a_reference_keeps_the_later_end_and_its_name(database: Database) {
    let (store, now, holder) = (&database.store, now(), Holder::Token(1));
    let end = |days| Some(now + TimeDelta::days(days));
    let nameless = NewFileRef { name: None, is_tree: true, ..file(1) };
    for (new, until, expected) in
        [(file(1), end(2), end(2)), (nameless, end(1), end(2)), (file(1), end(3), end(3))]
    {
        store.keep_files(&[new], &holder, until, now).await.unwrap();
        let found = store.file_ref(digest(1), &holder, now).await.unwrap().unwrap();
        assert_eq!((found.name.as_deref(), found.expires_at), (Some("1.mov"), expected));
    }
    assert!(store.file_ref(digest(1), &holder, now).await.unwrap().unwrap().is_tree);
    let renewed = store.renew_files(&[digest(2), digest(1)], &holder, end(5).unwrap(), now).await;
    assert_eq!(renewed.unwrap(), [digest(2)]);
    let found = store.file_ref(digest(1), &holder, now).await.unwrap().unwrap();
    assert_eq!(found.expires_at, end(5));
    store.keep_files(&[file(1)], &holder, None, now).await.unwrap();
    store.keep_files(&[file(1)], &holder, end(1), now).await.unwrap();
    let found = store.file_ref(digest(1), &holder, now).await.unwrap().unwrap();
    assert_eq!(found.expires_at, None);
    let far = now + TimeDelta::days(9);
    assert!(store.renew_files(&[digest(1)], &holder, far, now).await.unwrap().is_empty());
    assert_eq!(store.file_ref(digest(1), &holder, far).await.unwrap().unwrap().expires_at, None);
    assert!(store.release_file(digest(1), &holder, now).await.unwrap());
    assert!(!store.release_file(digest(1), &holder, now).await.unwrap());
}

async fn what_is_missing_is_told_and_nothing_is_held(database: Database) {
    let (store, now) = (&database.store, now());
    store.keep_files(&[file(1)], &Holder::Token(1), None, now).await.unwrap();
    let wanted = [digest(1), digest(2), digest(2)];
    let missing = store.hold_files(&wanted, &EXECUTION, None, now).await.unwrap();
    assert_eq!(missing, [digest(2)]);
    assert_eq!(store.sum_of_files(&EXECUTION, now).await.unwrap().files, 0);
    let all = HashMap::from([(digest(1), 1)]);
    let token = |id| FileViewer::Token { id, scope: None };
    for (viewer, expected) in
        [(FileViewer::Everything, all.clone()), (token(1), all), (token(2), HashMap::new())]
    {
        assert_eq!(store.usable_files(&wanted, &viewer, now).await.unwrap(), expected);
    }
    assert_eq!(store.unknown_files(&[digest(1), digest(2)]).await.unwrap(), [digest(2)]);
}

async fn a_folder_holds_its_files(database: Database) {
    let (store, now) = (&database.store, now());
    let (holder, later) = (Holder::Token(1), now + TimeDelta::days(1));
    store.keep_files(&[file(1)], &holder, Some(now), now).await.unwrap();
    let tree = |digests| NewTree {
        manifest: NewFileRef { is_tree: true, ..file(9) },
        files: 2,
        bytes: 2,
        digests,
    };
    let missing = store.keep_tree(&tree(vec![digest(1), digest(2)]), &holder, None, now).await;
    assert_eq!(missing.unwrap(), [digest(2)]);
    assert!(!store.is_tree(digest(9)).await.unwrap());
    let whole = tree(vec![digest(1), digest(1)]);
    for _ in 0..2 {
        assert!(store.keep_tree(&whole, &holder, None, now).await.unwrap().is_empty());
    }
    assert!(store.is_tree(digest(9)).await.unwrap());
    store.delete_expired_refs(now).await.unwrap();
    assert!(collected(&database, later).await.is_empty());
    store.release_files(&holder, now).await.unwrap();
    assert_eq!(collected(&database, later).await, [digest(9)]);
    assert!(!store.is_tree(digest(9)).await.unwrap());
    assert_eq!(collected(&database, later).await, [digest(1)]);
}

async fn uploads_are_counted_and_come_to_an_end(database: Database) {
    let (store, now) = (&database.store, now());
    let token_id = store.insert_token(&token("one"), &audit("token.create")).await.unwrap();
    let upload = |id: u128, length| Upload {
        id: Uuid::from_u128(id),
        token_id,
        length,
        received: 0,
        digest: None,
        name: Some("a\0b".to_owned()),
        media_type: None,
        keep: UploadKeep::Forever,
        metadata: "filename YQ==".to_owned(),
        created_at: now,
        expires_at: now + TimeDelta::days(1),
        completed_at: None,
    };
    assert!(store.insert_upload(&upload(1, Some(10)), 2).await.unwrap());
    assert!(store.insert_upload(&upload(2, None), 2).await.unwrap());
    assert!(!store.insert_upload(&upload(3, None), 2).await.unwrap());
    let id = Uuid::from_u128(2);
    let later = now + TimeDelta::days(2);
    assert!(store.advance_upload(id, 4, None, later).await.unwrap());
    for (who, uploads, bytes) in [(Some(token_id), 2, 14), (None, 2, 14), (Some(0), 0, 0)] {
        let sum = store.sum_of_uploads(who).await.unwrap();
        assert_eq!((sum.uploads, sum.bytes), (uploads, bytes));
    }
    assert!(store.advance_upload(id, 5, Some(7), later).await.unwrap());
    assert!(store.advance_upload(id, 6, Some(8), later).await.unwrap());
    let found = store.upload(id).await.unwrap().unwrap();
    assert_eq!((found.length, found.received, found.expires_at), (Some(7), 6, later));
    assert_eq!((found.keep, found.name.as_deref()), (UploadKeep::Forever, Some("a\u{fffd}b")));
    store.complete_upload(id, digest(1), 7, now).await.unwrap();
    assert!(!store.advance_upload(id, 1, None, later).await.unwrap());
    let found = store.upload(id).await.unwrap().unwrap();
    assert_eq!((found.digest, found.received), (Some(digest(1)), 7));
    assert_eq!(store.sum_of_uploads(None).await.unwrap().uploads, 1);
    let expired = store.expired_uploads(now + TimeDelta::days(1), 10).await.unwrap();
    assert_eq!(expired, [Uuid::from_u128(1)]);
    assert!(store.delete_upload(id).await.unwrap());
    assert!(!store.delete_upload(id).await.unwrap());
    assert_eq!(store.upload(id).await.unwrap(), None);
}

async fn files_are_listed_and_summed_by_token(database: Database) {
    let (store, now) = (&database.store, now());
    let mut ids = Vec::new();
    for name in ["one", "other"] {
        ids.push(store.insert_token(&token(name), &audit("token.create")).await.unwrap());
    }
    let holder = Holder::Token(ids[0]);
    for number in 1..=3 {
        let at = now + TimeDelta::seconds(number.into());
        store.keep_files(&[file(number)], &holder, None, at).await.unwrap();
    }
    store.keep_files(&[file(4)], &holder, Some(now), now).await.unwrap();
    store.keep_files(&[file(3), file(9)], &Holder::Token(ids[1]), None, now).await.unwrap();
    let listed = store.files_of(&holder, page(2, 1), now).await.unwrap();
    let names: Vec<_> = listed.iter().map(|it| it.name.as_deref().unwrap()).collect();
    assert_eq!(names, ["2.mov", "1.mov"]);
    let sum = store.sum_of_files(&holder, now).await.unwrap();
    assert_eq!((sum.files, sum.bytes), (3, 6));
    let by_token = store.files_by_token(10).await.unwrap();
    let sums: Vec<_> = by_token.iter().map(|it| (it.name.as_str(), it.files, it.bytes)).collect();
    assert_eq!(sums, [("other", 2, 12), ("one", 4, 10)]);
    assert_eq!(store.sum_of_objects().await.unwrap().bytes, 19);
    let mut seen = Vec::new();
    while let Some(row) =
        store.objects_after(seen.last().copied(), 1).await.unwrap().into_iter().next()
    {
        seen.push(row.digest);
    }
    assert!(seen.len() == 5 && seen.is_sorted());
}

async fn many_files_are_one_statement_after_the_other(database: Database) {
    let (store, now, holder) = (&database.store, now(), Holder::Token(1));
    let files: Vec<_> = (0..5_000).map(file).collect();
    let digests: Vec<_> = files.iter().map(|it| it.digest).collect();
    store.keep_files(&files, &holder, Some(now), now).await.unwrap();
    assert!(store.hold_files(&digests, &EXECUTION, None, now).await.unwrap().is_empty());
    let asked: Vec<_> = (2_000..12_000).map(digest).collect();
    let missing = store.renew_files(&asked, &EXECUTION, now, now).await.unwrap();
    assert_eq!(missing.len(), 7_000);
    assert_eq!(
        store.usable_files(&asked, &FileViewer::Everything, now).await.unwrap().len(),
        3_000
    );
    assert_eq!(store.delete_expired_refs(now).await.unwrap(), 5_000);
    store.release_files(&EXECUTION, now).await.unwrap();
    assert_eq!(collected(&database, now + TimeDelta::days(1)).await.len(), 5_000);
}

/// Whoever was told that a file is held has a row for it, whatever is collected beside.
async fn holds_and_collections_at_once_lose_nothing(database: Database) {
    let database = std::sync::Arc::new(database);
    let far = now() + TimeDelta::days(1);
    let users = (0..4_u128).map(|user| {
        let database = std::sync::Arc::clone(&database);
        tokio::spawn(async move {
            let holder = Holder::Execution(Uuid::from_u128(user));
            for round in 0..25_u32 {
                let number = (round + u32::try_from(user).unwrap()) % 3;
                let (store, now) = (&database.store, now());
                store.keep_files(&[file(number)], &Holder::Token(1), Some(now), now).await.unwrap();
                store.delete_expired_refs(now).await.unwrap();
                let missing =
                    store.hold_files(&[digest(number)], &holder, None, now).await.unwrap();
                if missing.is_empty() {
                    assert!(store.file_bytes(digest(number)).await.unwrap().is_some());
                    store.release_files(&holder, now).await.unwrap();
                }
            }
        })
    });
    let users: Vec<_> = users.collect();
    for _ in 0..50 {
        // A delete that meets a new reference fails whole; it comes again.
        let unheld = database.store.unheld_files(far, None, 100).await.unwrap();
        let digests: Vec<_> = unheld.into_iter().map(|it| it.digest).collect();
        let _ = database.store.delete_unheld(&digests, now()).await;
    }
    for user in users {
        user.await.unwrap();
    }
}
