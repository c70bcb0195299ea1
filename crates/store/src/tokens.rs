//! One-time tokens: single-use links of which only a hash is kept.

use crate::{StoreError, Ts};
use domain::id::{MemberId, OperatorId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, Row as _};

/// A person who can sign in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Account {
    Member(MemberId),
    Operator(OperatorId),
}

impl Account {
    pub(crate) fn member(self) -> Option<uuid::Uuid> {
        if let Self::Member(id) = self { Some(id.0) } else { None }
    }

    pub(crate) fn operator(self) -> Option<uuid::Uuid> {
        if let Self::Operator(id) = self { Some(id.0) } else { None }
    }
}

/// A token as it is stored: the caller keeps the text, which is in the link.
#[derive(Clone, Copy)]
pub struct NewToken {
    /// SHA-256 of the text.
    pub hash: [u8; 32],
    pub expires_at: Timestamp,
}

impl std::fmt::Debug for NewToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "NewToken until {}", self.expires_at)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    VerifyEmail,
    ResetPassword,
    InviteMember,
    OperatorSignIn,
}

impl Purpose {
    const fn code(self) -> &'static str {
        match self {
            Self::VerifyEmail => "verify_email",
            Self::ResetPassword => "reset_password",
            Self::InviteMember => "invite_member",
            Self::OperatorSignIn => "operator_sign_in",
        }
    }
}

/// Adds a token; those of the same purpose and person that were not used stop working.
pub(crate) async fn add(
    tx: &mut PgConnection,
    purpose: Purpose,
    account: Account,
    token: NewToken,
    now: Timestamp,
) -> Result<(), StoreError> {
    withdraw(tx, purpose, account, now).await?;
    sqlx::query(
        "insert into one_time_tokens (token_hash, purpose, member_id, operator_id, expires_at, created_at)
         values ($1, $2, $3, $4, $5, $6)",
    )
    .bind(token.hash)
    .bind(purpose.code())
    .bind(account.member())
    .bind(account.operator())
    .bind(Ts(token.expires_at))
    .bind(Ts(now))
    .execute(tx)
    .await?;
    Ok(())
}

/// Ends the unused tokens of that purpose and person.
pub(crate) async fn withdraw(
    tx: &mut PgConnection,
    purpose: Purpose,
    account: Account,
    now: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query(
        "update one_time_tokens set expires_at = $4
         where purpose = $1 and (member_id = $2 or operator_id = $3) and used_at is null and expires_at > $4",
    )
    .bind(purpose.code())
    .bind(account.member())
    .bind(account.operator())
    .bind(Ts(now))
    .execute(tx)
    .await?;
    Ok(())
}

/// Uses a token up, in one statement, so that of two racing requests one wins. `NotFound` where it is unknown, used
/// or old.
pub(crate) async fn consume(
    tx: &mut PgConnection,
    purpose: Purpose,
    hash: [u8; 32],
    now: Timestamp,
) -> Result<Account, StoreError> {
    let row = sqlx::query(
        "update one_time_tokens set used_at = $3
         where token_hash = $1 and purpose = $2 and used_at is null and expires_at > $3
         returning member_id, operator_id",
    )
    .bind(hash)
    .bind(purpose.code())
    .bind(Ts(now))
    .fetch_one(tx)
    .await?;
    account(&row)
}

/// Whose an unused token is, without using it: to show the form that will.
pub(crate) async fn peek(
    tx: &mut PgConnection,
    purpose: Purpose,
    hash: [u8; 32],
    now: Timestamp,
) -> Result<Account, StoreError> {
    let row = sqlx::query(
        "select member_id, operator_id from one_time_tokens
         where token_hash = $1 and purpose = $2 and used_at is null and expires_at > $3",
    )
    .bind(hash)
    .bind(purpose.code())
    .bind(Ts(now))
    .fetch_one(tx)
    .await?;
    account(&row)
}

fn account(row: &sqlx::postgres::PgRow) -> Result<Account, StoreError> {
    let member: Option<_> = row.try_get("member_id")?;
    let operator: Option<_> = row.try_get("operator_id")?;
    member
        .map(|id| Account::Member(MemberId(id)))
        .or(operator.map(|id| Account::Operator(OperatorId(id))))
        .ok_or(StoreError::NotFound)
}

impl crate::Store {
    /// Forgets tokens that were over before that moment.
    pub async fn prune_tokens(&self, before: Timestamp) -> Result<u64, StoreError> {
        let done = sqlx::query("delete from one_time_tokens where expires_at < $1")
            .bind(Ts(before))
            .execute(self.pool())
            .await?;
        Ok(done.rows_affected())
    }
}
