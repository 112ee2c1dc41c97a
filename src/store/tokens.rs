//! Tokens: their hashes and their rights.

use chrono::{DateTime, Utc};
use sqlx::FromRow;
use sqlx::types::Json;

use super::audit::note;
use super::connection::{in_transaction, on_reader, on_writer};
use super::rows::Row;
use super::{NewAuditEntry, Store, StoreError};
use crate::domain::share::ShareGrants;
use crate::domain::token::{Role, Token, TokenHash};

/// Token to store.
#[derive(Debug, Clone)]
pub struct NewToken {
    /// Name, unique among tokens that are not revoked.
    pub name: String,
    /// Hash of the token.
    pub hash: TokenHash,
    /// Role.
    pub role: Role,
    /// Ids of the scripts that the token is limited to.
    pub scope: Option<Vec<i64>>,
    /// Parts of the server's shares that it opens.
    pub shares: ShareGrants,
    /// Time at which it expires.
    pub expires_at: Option<DateTime<Utc>>,
    /// Name of the token that creates it.
    pub created_by: String,
    /// Time of its creation.
    pub created_at: DateTime<Utc>,
}

macro_rules! select_token {
    ($where:literal) => {
        concat!(
            "SELECT id, name, hash, role, CAST(scope AS TEXT) AS scope, \
             CAST(shares AS TEXT) AS shares, expires_at, last_used_at, \
             revoked_at, created_by, created_at FROM tokens ",
            $where
        )
    };
}

#[derive(FromRow)]
struct TokenRow {
    id: i64,
    name: String,
    hash: Vec<u8>,
    role: String,
    scope: Option<String>,
    shares: String,
    expires_at: Option<DateTime<Utc>>,
    last_used_at: Option<DateTime<Utc>>,
    revoked_at: Option<DateTime<Utc>>,
    created_by: String,
    created_at: DateTime<Utc>,
}

impl TokenRow {
    fn parse(self) -> Result<Token, StoreError> {
        let row = Row { table: "tokens", id: &self.id };
        let hash = self.hash.try_into().map_err(|_| row.impossible("hash"))?;
        let scope = self.scope.map(|ids| row.json("scope", &ids)).transpose()?;
        Ok(Token {
            hash: TokenHash(hash),
            role: row.word("role", &self.role)?,
            scope,
            shares: row.json("shares", &self.shares)?,
            id: self.id,
            name: self.name,
            expires_at: self.expires_at,
            last_used_at: self.last_used_at,
            revoked_at: self.revoked_at,
            created_by: self.created_by,
            created_at: self.created_at,
        })
    }
}

impl Store {
    /// Stores a token. Returns its id.
    ///
    /// # Errors
    /// [`StoreError::NameConflict`] if a token that is not revoked has the name, and
    /// others.
    pub async fn insert_token(
        &self,
        token: &NewToken,
        audit: &NewAuditEntry,
    ) -> Result<i64, StoreError> {
        const INSERT: &str = "INSERT INTO tokens \
             (name, selector, hash, role, scope, shares, expires_at, created_by, created_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING id";
        let id = in_transaction!(self, tx => {
            let id: i64 = sqlx::query_scalar(INSERT)
                .bind(&token.name)
                .bind(token.hash.selector())
                .bind(token.hash.0.as_slice())
                .bind(token.role.name())
                .bind(token.scope.as_ref().map(Json))
                .bind(Json(&token.shares))
                .bind(token.expires_at)
                .bind(&token.created_by)
                .bind(token.created_at)
                .fetch_one(&mut *tx)
                .await?;
            note!(audit, &mut *tx);
            id
        });
        Ok(id)
    }

    /// Token with this selector, including a revoked or expired one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn token_selected(&self, selector: &str) -> Result<Option<Token>, StoreError> {
        const SELECT: &str = select_token!("WHERE selector = $1");
        let row: Option<TokenRow> = on_reader!(self, pool =>
            sqlx::query_as(SELECT).bind(selector).fetch_optional(pool).await)?;
        row.map(TokenRow::parse).transpose()
    }

    /// Token with this id.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn token(&self, id: i64) -> Result<Option<Token>, StoreError> {
        const SELECT: &str = select_token!("WHERE id = $1");
        let row: Option<TokenRow> =
            on_reader!(self, pool => sqlx::query_as(SELECT).bind(id).fetch_optional(pool).await)?;
        row.map(TokenRow::parse).transpose()
    }

    /// Tokens from `offset` on, newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn tokens(&self, limit: u32, offset: u64) -> Result<Vec<Token>, StoreError> {
        const SELECT: &str = select_token!("ORDER BY id DESC LIMIT $1 OFFSET $2");
        let rows: Vec<TokenRow> = on_reader!(self, pool => sqlx::query_as(SELECT)
            .bind(i64::from(limit))
            .bind(super::rows::number(offset))
            .fetch_all(pool)
            .await)?;
        rows.into_iter().map(TokenRow::parse).collect()
    }

    /// Number of tokens.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn count_tokens(&self) -> Result<i64, StoreError> {
        const COUNT: &str = "SELECT count(*) FROM tokens";
        Ok(on_reader!(self, pool => sqlx::query_scalar(COUNT).fetch_one(pool).await)?)
    }

    /// Revokes a token. Returns false if it was revoked before.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn revoke_token(
        &self,
        id: i64,
        now: DateTime<Utc>,
        audit: &NewAuditEntry,
    ) -> Result<bool, StoreError> {
        const UPDATE: &str =
            "UPDATE tokens SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL";
        let is_revoked = in_transaction!(self, tx => {
            let updated = sqlx::query(UPDATE).bind(id).bind(now).execute(&mut *tx).await?;
            let is_revoked = updated.rows_affected() == 1;
            if is_revoked {
                note!(audit, &mut *tx);
            }
            is_revoked
        });
        Ok(is_revoked)
    }

    /// Stores the time at which a token was last used.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn touch_token(&self, id: i64, now: DateTime<Utc>) -> Result<(), StoreError> {
        const UPDATE: &str = "UPDATE tokens SET last_used_at = $2 WHERE id = $1";
        on_writer!(self, pool =>
            sqlx::query(UPDATE).bind(id).bind(now).execute(pool).await.map(|_| ()))?;
        Ok(())
    }
}
