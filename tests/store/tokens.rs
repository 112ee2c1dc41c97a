//! Tokens, and the audit log.

use gantry::domain::share::ShareGrants;
use gantry::domain::token::{Role, TokenHash};
use gantry::store::{NewAuditEntry, NewToken, StoreError};
use serde_json::json;

use crate::database::{Database, on_both};
use crate::samples::{audit, now, token};

on_both! {
    a_token_is_read_back_as_it_was_made,
    a_name_works_for_one_token_at_a_time,
    a_token_is_revoked_once,
    tokens_are_listed_newest_first,
    the_audit_log_is_read_newest_first,
    json_in_the_audit_log_is_the_same_on_both_databases,
}

async fn a_token_is_read_back_as_it_was_made(database: Database) {
    let store = &database.store;
    for (place, role) in Role::ALL.into_iter().enumerate() {
        let scope = [None, Some(vec![]), Some(vec![1, i64::MAX]), Some(vec![7])][place].clone();
        let grants = ["media/film3", "stock"].map(|it| it.parse().unwrap());
        let shares = ShareGrants::new(grants.into_iter().take(place).collect()).unwrap();
        let new = NewToken { role, scope, shares, expires_at: Some(now()), ..token(role.name()) };
        let id = store.insert_token(&new, &audit("token.create")).await.unwrap();
        let found = store.token(id).await.unwrap().unwrap();
        let selected = store.token_selected(&new.hash.selector()).await.unwrap();
        assert_eq!(selected, Some(found.clone()));
        assert_eq!((found.name, found.role, found.scope), (new.name, new.role, new.scope));
        assert_eq!((found.hash, found.expires_at), (new.hash, new.expires_at));
        assert_eq!(found.shares, new.shares);
        assert_eq!((found.last_used_at, found.revoked_at), (None, None));
        let used_at = now();
        store.touch_token(id, used_at).await.unwrap();
        assert_eq!(store.token(id).await.unwrap().unwrap().last_used_at, Some(used_at));
    }
    let nobody = TokenHash::of("nobody").selector();
    assert_eq!(store.token_selected(&nobody).await.unwrap(), None);
}

async fn a_name_works_for_one_token_at_a_time(database: Database) {
    let store = &database.store;
    let first = store.insert_token(&token("ci"), &audit("token.create")).await.unwrap();
    let error = store.insert_token(&token("ci"), &audit("token.create")).await.unwrap_err();
    assert!(matches!(error, StoreError::NameConflict), "{error:?}");
    assert_eq!(store.count_audit(None).await.unwrap(), 1);
    assert!(store.revoke_token(first, now(), &audit("token.revoke")).await.unwrap());
    store.insert_token(&token("ci"), &audit("token.create")).await.unwrap();
    assert_eq!(store.count_tokens().await.unwrap(), 2);
}

async fn a_token_is_revoked_once(database: Database) {
    let store = &database.store;
    let id = store.insert_token(&token("ci"), &audit("token.create")).await.unwrap();
    let revoked_at = now();
    assert!(store.revoke_token(id, revoked_at, &audit("token.revoke")).await.unwrap());
    assert!(!store.revoke_token(id, now(), &audit("token.revoke")).await.unwrap());
    assert!(!store.revoke_token(id + 1, now(), &audit("token.revoke")).await.unwrap());
    assert_eq!(store.token(id).await.unwrap().unwrap().revoked_at, Some(revoked_at));
    assert_eq!(store.count_audit(None).await.unwrap(), 2);
}

async fn tokens_are_listed_newest_first(database: Database) {
    let store = &database.store;
    for name in ["a", "b", "c"] {
        store.insert_token(&token(name), &audit("token.create")).await.unwrap();
    }
    let found = store.tokens(2, 1).await.unwrap();
    assert_eq!(found.iter().map(|it| it.name.as_str()).collect::<Vec<_>>(), ["b", "a"]);
}

async fn the_audit_log_is_read_newest_first(database: Database) {
    let store = &database.store;
    for place in 0..5 {
        let subject = format!("script:{}", place % 2);
        store.note(&NewAuditEntry { subject, ..audit("script.update") }).await.unwrap();
    }
    let all = store.audit(None, 10, 0).await.unwrap();
    assert!(all.windows(2).all(|pair| pair[0].id > pair[1].id));
    assert_eq!((all.len(), store.count_audit(None).await.unwrap()), (5, 5));
    let of_one = store.audit(Some("script:0"), 2, 1).await.unwrap();
    assert_eq!(of_one, [all[2].clone(), all[4].clone()]);
    assert_eq!(store.count_audit(Some("script:0")).await.unwrap(), 3);
    assert_eq!(store.count_audit(Some("script:\0")).await.unwrap(), 0);
}

async fn json_in_the_audit_log_is_the_same_on_both_databases(database: Database) {
    let store = &database.store;
    let entry = NewAuditEntry {
        before: Some(json!(null)),
        after: Some(json!({ "b": 1e16, "a": [1, 1.0, -0.0, 0.1, "\u{0}%"], "": {}, "c\u{0}": 1 })),
        ..audit("script.update")
    };
    store.note(&entry).await.unwrap();
    let found = store.audit(None, 1, 0).await.unwrap().remove(0);
    let after = json!({
        "b": 10_000_000_000_000_000_u64,
        "a": [1, 1, 0, 0.1, "\u{fffd}%"],
        "": {},
        "c\u{fffd}": 1
    });
    assert_eq!((found.before, found.after), (entry.before, Some(after)));
    assert_eq!((found.at, found.actor, found.subject), (entry.at, entry.actor, entry.subject));
}
