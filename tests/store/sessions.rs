//! Browsers that are signed in.

use chrono::TimeDelta;
use gantry::domain::token::TokenHash;
use gantry::store::NewSession;

use crate::database::{Database, on_both};
use crate::samples::{audit, now, token};

on_both! {
    a_session_is_found_until_it_is_deleted,
    those_that_are_over_and_too_many_are_forgotten,
}

async fn token_id(database: &Database) -> i64 {
    database.store.insert_token(&token("browser"), &audit("token.create")).await.unwrap()
}

fn session(secret: &str, token_id: i64, age: TimeDelta) -> NewSession {
    let created_at = now() - age;
    let expires_at = created_at + TimeDelta::hours(12);
    NewSession { hash: TokenHash::of(secret), token_id, created_at, expires_at }
}

async fn is_kept(database: &Database, secret: &str) -> bool {
    let selector = TokenHash::of(secret).selector();
    database.store.session_selected(&selector).await.unwrap().is_some()
}

async fn a_session_is_found_until_it_is_deleted(database: Database) {
    let token_id = token_id(&database).await;
    let new = session("secret", token_id, TimeDelta::zero());
    database.store.insert_session(&new).await.unwrap();
    let selector = new.hash.selector();
    let found = database.store.session_selected(&selector).await.unwrap().unwrap();
    assert_eq!((found.token_id, found.expires_at), (token_id, new.expires_at));
    assert_eq!(found.hash.0, new.hash.0);
    database.store.delete_session(&selector).await.unwrap();
    assert!(!is_kept(&database, "secret").await);
}

async fn those_that_are_over_and_too_many_are_forgotten(database: Database) {
    let token_id = token_id(&database).await;
    let over = session("over", token_id, TimeDelta::hours(13));
    database.store.insert_session(&over).await.unwrap();
    for number in 0..101_i32 {
        let age = TimeDelta::minutes(200 - i64::from(number));
        let new = session(&number.to_string(), token_id, age);
        database.store.insert_session(&new).await.unwrap();
    }
    assert!(!is_kept(&database, "over").await && !is_kept(&database, "0").await);
    assert!(is_kept(&database, "1").await && is_kept(&database, "100").await);
}
