//! Browser sessions. Only a hash of the id is kept, so a copy of the table signs nobody in.

use crate::{Store, StoreError, Ts, row::ReadRow as _, tokens::Account};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::{PgConnection, Row as _};

/// What a session holds, by SHA-256 of its id.
#[derive(Debug, Clone)]
pub struct SessionRow {
    pub id_hash: [u8; 32],
    pub data: Value,
    /// Who is signed in, once somebody is.
    pub account: Option<Account>,
    pub expires_at: Timestamp,
}

/// One of a person's own sessions, for the list from which they may end it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OwnSession {
    pub id_hash: [u8; 32],
    pub data: Value,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
}

impl Store {
    /// Adds a session; `false` where that id is taken.
    pub async fn create_session(&self, session: &SessionRow, now: Timestamp) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "insert into sessions (id_hash, data, member_id, operator_id, created_at, expires_at)
             values ($1, $2, $3, $4, $5, $6) on conflict do nothing",
        )
        .bind(session.id_hash)
        .bind(&session.data)
        .bind(session.account.and_then(Account::member))
        .bind(session.account.and_then(Account::operator))
        .bind(Ts(now))
        .bind(Ts(session.expires_at))
        .execute(self.pool())
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Overwrites a session. One that was ended meanwhile stays ended.
    pub async fn save_session(&self, session: &SessionRow) -> Result<(), StoreError> {
        sqlx::query(
            "update sessions set data = $2, member_id = $3, operator_id = $4, expires_at = $5 where id_hash = $1",
        )
        .bind(session.id_hash)
        .bind(&session.data)
        .bind(session.account.and_then(Account::member))
        .bind(session.account.and_then(Account::operator))
        .bind(Ts(session.expires_at))
        .execute(self.pool())
        .await?;
        Ok(())
    }

    /// The session of that id, unless it has expired.
    pub async fn load_session(&self, id_hash: [u8; 32], now: Timestamp) -> Result<Option<SessionRow>, StoreError> {
        let row = sqlx::query(
            "select data, member_id, operator_id, expires_at from sessions where id_hash = $1 and expires_at > $2",
        )
        .bind(id_hash)
        .bind(Ts(now))
        .fetch_optional(self.pool())
        .await?;
        let Some(row) = row else { return Ok(None) };
        let member = row.try_get::<Option<_>, _>("member_id")?.map(|id| Account::Member(domain::id::MemberId(id)));
        let operator =
            row.try_get::<Option<_>, _>("operator_id")?.map(|id| Account::Operator(domain::id::OperatorId(id)));
        Ok(Some(SessionRow {
            id_hash,
            data: row.try_get("data")?,
            account: member.or(operator),
            expires_at: row.at("expires_at")?,
        }))
    }

    /// Ends a session, as when its person signs out.
    pub async fn delete_session(&self, id_hash: [u8; 32]) -> Result<(), StoreError> {
        sqlx::query("delete from sessions where id_hash = $1").bind(id_hash).execute(self.pool()).await?;
        Ok(())
    }

    /// Forgets what has expired, and says how many.
    pub async fn delete_expired_sessions(&self, now: Timestamp) -> Result<u64, StoreError> {
        let done =
            sqlx::query("delete from sessions where expires_at <= $1").bind(Ts(now)).execute(self.pool()).await?;
        Ok(done.rows_affected())
    }

    /// A person's own sessions, newest first.
    pub async fn own_sessions(&self, account: Account, now: Timestamp) -> Result<Vec<OwnSession>, StoreError> {
        let rows = sqlx::query(
            "select id_hash, data, created_at, expires_at from sessions
             where (member_id = $1 or operator_id = $2) and expires_at > $3 order by created_at desc",
        )
        .bind(account.member())
        .bind(account.operator())
        .bind(Ts(now))
        .fetch_all(self.pool())
        .await?;
        let read = |row: &sqlx::postgres::PgRow| {
            Ok(OwnSession {
                id_hash: row.hash("id_hash")?,
                data: row.try_get("data")?,
                created_at: row.at("created_at")?,
                expires_at: row.at("expires_at")?,
            })
        };
        Ok(rows.iter().map(read).collect::<Result<_, sqlx::Error>>()?)
    }

    /// Ends one of a person's own sessions.
    pub async fn end_own_session(&self, account: Account, id_hash: [u8; 32]) -> Result<(), StoreError> {
        let done = sqlx::query("delete from sessions where id_hash = $1 and (member_id = $2 or operator_id = $3)")
            .bind(id_hash)
            .bind(account.member())
            .bind(account.operator())
            .execute(self.pool())
            .await?;
        if done.rows_affected() == 0 { Err(StoreError::NotFound) } else { Ok(()) }
    }

    /// Ends a person's sessions, all but the one that asks.
    pub async fn end_other_sessions(&self, account: Account, keep: Option<[u8; 32]>) -> Result<u64, StoreError> {
        let mut connection = self.pool().acquire().await?;
        end_all(&mut connection, account, keep).await
    }
}

pub(crate) async fn end_all(
    tx: &mut PgConnection,
    account: Account,
    keep: Option<[u8; 32]>,
) -> Result<u64, StoreError> {
    let done = sqlx::query(
        "delete from sessions where (member_id = $1 or operator_id = $2) and ($3::bytea is null or id_hash <> $3)",
    )
    .bind(account.member())
    .bind(account.operator())
    .bind(keep)
    .execute(tx)
    .await?;
    Ok(done.rows_affected())
}

#[cfg(test)]
mod tests {
    use super::SessionRow;
    use crate::{Account, StoreError, test_db, test_db::world::World};
    use jiff::SignedDuration;
    use serde_json::json;

    #[tokio::test]
    async fn a_session_lives_until_it_expires_or_is_ended_and_is_not_brought_back() {
        let store = test_db::store().await;
        let world = World::new(&store).await;
        let account = Account::Member(world.owner);
        let expires_at = world.now + SignedDuration::from_hours(1);
        let mut session = SessionRow { id_hash: [1; 32], data: json!({"a": 1}), account: None, expires_at };
        assert!(store.create_session(&session, world.now).await.expect("created"));
        assert!(!store.create_session(&session, world.now).await.expect("answered"), "an id is taken once");
        session.account = Some(account);
        session.data = json!({"a": 2});
        store.save_session(&session).await.expect("saved");
        let loaded = store.load_session([1; 32], world.now).await.expect("loaded").expect("a session");
        assert_eq!((loaded.data, loaded.account), (json!({"a": 2}), Some(account)));
        assert!(store.load_session([1; 32], expires_at).await.expect("loaded").is_none());

        let other = World::named(&store, "other").await;
        let stranger = Account::Member(other.owner);
        assert!(matches!(store.end_own_session(stranger, [1; 32]).await, Err(StoreError::NotFound)));
        assert_eq!(store.own_sessions(account, world.now).await.expect("sessions").len(), 1);
        store.end_own_session(account, [1; 32]).await.expect("ended");
        store.save_session(&session).await.expect("nothing to save");
        assert!(store.load_session([1; 32], world.now).await.expect("loaded").is_none());
    }

    #[tokio::test]
    async fn expired_sessions_are_deleted_and_others_stay() {
        let store = test_db::store().await;
        let world = World::new(&store).await;
        for (id, hours) in [(1, 1), (2, 3)] {
            let expires_at = world.now + SignedDuration::from_hours(hours);
            let session = SessionRow { id_hash: [id; 32], data: json!({}), account: None, expires_at };
            store.create_session(&session, world.now).await.expect("created");
        }
        let later = world.now + SignedDuration::from_hours(2);
        assert_eq!(store.delete_expired_sessions(later).await.expect("deleted"), 1);
        assert!(store.load_session([2; 32], later).await.expect("loaded").is_some());
    }
}
