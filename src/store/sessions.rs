//! Sessions of signed-in browsers.

use chrono::{DateTime, Utc};
use sqlx::FromRow;

use super::connection::{in_transaction, on_reader, on_writer};
use super::rows::Row;
use super::{Store, StoreError};
use crate::domain::token::TokenHash;

/// Most concurrent sessions of one token; the oldest end first.
const MAX_OF_TOKEN: i64 = 100;

/// Session to store.
#[derive(Debug, Clone)]
pub struct NewSession {
    /// Hash of its secret.
    pub hash: TokenHash,
    /// Token id.
    pub token_id: i64,
    /// Time at which it begins.
    pub created_at: DateTime<Utc>,
    /// Time at which it expires.
    pub expires_at: DateTime<Utc>,
}

/// Stored session.
#[derive(Debug, Clone)]
pub struct Session {
    /// Hash of its secret.
    pub hash: TokenHash,
    /// Token id.
    pub token_id: i64,
    /// Time at which it expires.
    pub expires_at: DateTime<Utc>,
}

#[derive(FromRow)]
struct SessionRow {
    hash: Vec<u8>,
    token_id: i64,
    expires_at: DateTime<Utc>,
}

impl Store {
    /// Stores a session, and deletes sessions that have expired or exceed the limit.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn insert_session(&self, session: &NewSession) -> Result<(), StoreError> {
        const FORGET: &str = "DELETE FROM sessions WHERE expires_at <= $1";
        const BOUND: &str = "DELETE FROM sessions WHERE selector IN (SELECT selector FROM sessions \
             WHERE token_id = $1 ORDER BY created_at DESC LIMIT 1000 OFFSET $2)";
        const INSERT: &str = "INSERT INTO sessions \
             (selector, hash, token_id, created_at, expires_at) VALUES ($1, $2, $3, $4, $5)";
        in_transaction!(self, tx => {
            sqlx::query(FORGET).bind(session.created_at).execute(&mut *tx).await?;
            sqlx::query(BOUND)
                .bind(session.token_id)
                .bind(MAX_OF_TOKEN - 1)
                .execute(&mut *tx)
                .await?;
            sqlx::query(INSERT)
                .bind(session.hash.selector())
                .bind(session.hash.0.as_slice())
                .bind(session.token_id)
                .bind(session.created_at)
                .bind(session.expires_at)
                .execute(&mut *tx)
                .await?;
        });
        Ok(())
    }

    /// Session with this selector, including an expired one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn session_selected(&self, selector: &str) -> Result<Option<Session>, StoreError> {
        const SELECT: &str = "SELECT hash, token_id, expires_at FROM sessions WHERE selector = $1";
        let row: Option<SessionRow> = on_reader!(self, pool =>
            sqlx::query_as(SELECT).bind(selector).fetch_optional(pool).await)?;
        let Some(SessionRow { hash, token_id, expires_at }) = row else { return Ok(None) };
        let at = Row { table: "sessions", id: &token_id };
        let hash = hash.try_into().map_err(|_| at.impossible("hash"))?;
        Ok(Some(Session { hash: TokenHash(hash), token_id, expires_at }))
    }

    /// Deletes a session.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn delete_session(&self, selector: &str) -> Result<(), StoreError> {
        const DELETE: &str = "DELETE FROM sessions WHERE selector = $1";
        on_writer!(self, pool =>
            sqlx::query(DELETE).bind(selector).execute(pool).await.map(|_| ()))?;
        Ok(())
    }
}
