use std::time::Duration;

use super::*;
use crate::store::DatabaseUrl;

struct Fixture {
    access: Access,
    store: Store,
    _folder: tempfile::TempDir,
}

async fn fixture() -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&DatabaseUrl::in_data_dir(folder.path())).await.unwrap();
    Fixture { access: Access::new(store.clone()), store, _folder: folder }
}

fn runner(name: &str) -> TokenRequest {
    TokenRequest {
        name: name.to_owned(),
        role: Role::Runner,
        scope: None,
        shares: ShareGrants::default(),
        expires_at: None,
    }
}

const GIVEN: &str = "a-token-that-was-given";

#[tokio::test]
async fn a_token_is_known_by_its_text_alone_and_kept_as_a_hash() {
    let it = fixture().await;
    let created = it.access.create("root", runner("ci")).await.unwrap();
    assert!(created.secret.starts_with(PREFIX) && created.secret.len() == PREFIX.len() + 43);
    let token = it.access.verify(&created.secret).await.unwrap();
    assert_eq!((token.id, token.name.as_str()), (created.id, "ci"));
    let mut other = created.secret.clone();
    other.push('x');
    for wrong in [other.as_str(), "", "gantry_", &"x".repeat(10_000)] {
        assert!(matches!(it.access.verify(wrong).await, Err(AccessError::Unknown)), "{wrong}");
    }
}

#[tokio::test]
async fn a_revoked_token_ends_at_once_although_it_was_just_seen() {
    let it = fixture().await;
    let created = it.access.create("root", runner("ci")).await.unwrap();
    it.access.verify(&created.secret).await.unwrap();
    assert_eq!(it.access.revoke("root", created.id).await.unwrap(), Some(true));
    assert!(matches!(it.access.verify(&created.secret).await, Err(AccessError::Unknown)));
    assert_eq!(it.access.revoke("root", created.id).await.unwrap(), Some(false));
    assert_eq!(it.access.revoke("root", 4_711).await.unwrap(), None);
}

#[tokio::test]
async fn what_was_read_before_a_revocation_is_not_kept_after_it() {
    let it = fixture().await;
    let created = it.access.create("root", runner("ci")).await.unwrap();
    let hash = TokenHash::of(&created.secret);
    let generation = it.access.cache.generation();
    let read = Arc::new(it.store.token(created.id).await.unwrap().unwrap());
    it.access.revoke("root", created.id).await.unwrap();
    it.access.cache.insert(hash, &read, generation);
    assert!(it.access.cache.find(&hash).is_none());
}

#[tokio::test]
async fn an_expired_token_does_not_work() {
    let it = fixture().await;
    let end = clock::now() + Duration::from_millis(30);
    let request = TokenRequest { expires_at: Some(end), ..runner("ci") };
    let created = it.access.create("root", request.clone()).await.unwrap();
    while clock::now() < end {
        tokio::task::yield_now().await;
    }
    assert!(matches!(it.access.verify(&created.secret).await, Err(AccessError::Unknown)));
    let again = TokenRequest { name: "other".to_owned(), ..request };
    assert!(matches!(it.access.create("root", again).await, Err(AccessError::Expired)));
}

#[tokio::test]
async fn a_use_is_noted_once_a_minute() {
    let it = fixture().await;
    let created = it.access.create("root", runner("ci")).await.unwrap();
    let token = it.access.verify(&created.secret).await.unwrap();
    let now = clock::now();
    assert!(!it.access.cache.is_use_due(&token, now));
    assert!(it.access.cache.is_use_due(&token, now + Duration::from_secs(61)));
    while it.store.token(created.id).await.unwrap().unwrap().last_used_at.is_none() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn names_and_scopes_that_can_not_be_are_refused() {
    let it = fixture().await;
    let long = "x".repeat(MAX_NAME_BYTES + 1);
    for name in ["", " a", "a\0", "a\n", "\u{202e}a", long.as_str()] {
        let refused = it.access.create("root", runner(name)).await;
        assert!(matches!(refused, Err(AccessError::Name(_))), "{name:?}");
    }
    let scoped = |role, scope| TokenRequest { role, scope: Some(scope), ..runner("ci") };
    let refused = it.access.create("root", scoped(Role::Viewer, vec![1])).await;
    assert!(matches!(refused, Err(AccessError::Scope(Role::Viewer))));
    let refused = it.access.create("root", scoped(Role::Runner, Vec::new())).await;
    assert!(matches!(refused, Err(AccessError::ScopeSize(0))));
    it.access.create("root", runner("ci")).await.unwrap();
    let refused = it.access.create("root", runner("ci")).await;
    assert!(matches!(refused, Err(AccessError::NameConflict(_))));
}

#[tokio::test]
async fn the_first_admin_is_made_once() {
    let it = fixture().await;
    let printed = it.access.first_admin(None).await.unwrap().unwrap();
    assert_eq!(it.access.verify(&printed).await.unwrap().role, Role::Admin);
    assert_eq!(it.access.first_admin(None).await.unwrap(), None);
}

#[tokio::test]
async fn a_given_token_works_and_those_given_before_do_not() {
    let it = fixture().await;
    assert_eq!(it.access.first_admin(Some(GIVEN)).await.unwrap(), None);
    assert_eq!(it.access.first_admin(Some(GIVEN)).await.unwrap(), None);
    assert_eq!(it.access.verify(GIVEN).await.unwrap().role, Role::Admin);
    it.access.first_admin(Some("another-token-that-was-given")).await.unwrap();
    assert!(it.access.verify("another-token-that-was-given").await.is_ok());
    assert!(matches!(it.access.verify(GIVEN).await, Err(AccessError::Unknown)));
    // Whoever revoked it had a reason.
    assert!(matches!(it.access.first_admin(Some(GIVEN)).await, Err(AccessError::Unusable(_))));
}

#[tokio::test]
async fn the_token_of_the_environment_is_shown_as_admin() {
    let it = fixture().await;
    it.access.first_admin(Some(GIVEN)).await.unwrap();
    let token = it.access.verify(GIVEN).await.unwrap();
    // Older versions that share the database look for this name.
    assert_eq!((token.name.as_str(), token.shown_name()), ("environment", "admin"));
    let other = it.access.create("admin", runner("environment-2")).await.unwrap();
    assert_eq!(it.access.verify(&other.secret).await.unwrap().shown_name(), "environment-2");
}

#[tokio::test]
async fn a_token_that_could_be_guessed_is_refused() {
    let it = fixture().await;
    let refused = it.access.first_admin(Some("short")).await;
    assert!(matches!(refused, Err(AccessError::TooShort(5))));
    let refused = it.access.first_admin(Some("with a space, and more")).await;
    assert!(matches!(refused, Err(AccessError::NotAToken)));
}

#[tokio::test]
async fn tokens_that_nobody_has_seen_wait_for_each_other_alone() {
    let it = fixture().await;
    let seen = it.access.create("root", runner("ci")).await.unwrap();
    let new = it.access.create("root", runner("new")).await.unwrap();
    it.access.verify(&seen.secret).await.unwrap();
    let flood = it.access.unknown_lookups.acquire_many(MAX_UNKNOWN_LOOKUPS as u32).await.unwrap();
    for token in [new.secret.as_str(), "gantry_made-up"] {
        assert!(matches!(it.access.verify(token).await, Err(AccessError::TooManyUnknown)));
    }
    // Also when the database is to be asked for it again.
    it.access.cache.invalidate_all();
    assert!(it.access.cache.find(&TokenHash::of(&seen.secret)).is_none());
    it.access.verify(&seen.secret).await.unwrap();
    drop(flood);
    it.access.verify(&new.secret).await.unwrap();
    assert!(matches!(it.access.verify("gantry_made-up").await, Err(AccessError::Unknown)));
}

#[tokio::test]
async fn a_session_is_its_token_without_telling_it() {
    let it = fixture().await;
    let created = it.access.create("root", runner("ci")).await.unwrap();
    let secret = it.access.sign_in(&created.secret).await.unwrap();
    assert_ne!(secret, created.secret);
    assert_eq!(it.access.session(&secret).await.unwrap().id, created.id);
    // Neither is the other.
    assert!(matches!(it.access.verify(&secret).await, Err(AccessError::Unknown)));
    assert!(matches!(it.access.session(&created.secret).await, Err(AccessError::Unknown)));
    assert!(matches!(it.access.sign_in("gantry_nothing").await, Err(AccessError::Unknown)));
}

#[tokio::test]
async fn a_session_ends_with_its_token_and_when_somebody_signs_out() {
    let it = fixture().await;
    let created = it.access.create("root", runner("ci")).await.unwrap();
    let first = it.access.sign_in(&created.secret).await.unwrap();
    let second = it.access.sign_in(&created.secret).await.unwrap();
    it.access.session(&first).await.unwrap();
    it.access.sign_out(&first).await.unwrap();
    assert!(matches!(it.access.session(&first).await, Err(AccessError::Unknown)));
    it.access.session(&second).await.unwrap();
    it.access.revoke("root", created.id).await.unwrap();
    assert!(matches!(it.access.session(&second).await, Err(AccessError::Unknown)));
}

#[tokio::test]
async fn a_session_that_is_over_is_none() {
    let it = fixture().await;
    let created = it.access.create("root", runner("ci")).await.unwrap();
    let now = clock::now();
    let session = |secret: &str, expires_at| crate::store::NewSession {
        hash: TokenHash::of(secret),
        token_id: created.id,
        created_at: now - SESSION_LIFETIME,
        expires_at,
    };
    it.store.insert_session(&session("over", now)).await.unwrap();
    it.store.insert_session(&session("lasts", now + SESSION_LIFETIME)).await.unwrap();
    assert!(matches!(it.access.session("over").await, Err(AccessError::Unknown)));
    it.access.session("lasts").await.unwrap();
}
