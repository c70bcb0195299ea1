//! Who did what: one entry in the transaction of each change, never altered afterwards.

use crate::{Store, StoreError, Ts, page::Page, row::ReadRow as _};
use domain::id::{MemberId, OperatorId, PartnerId, TokenId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::{PgConnection, Row as _, postgres::PgRow};
use uuid::Uuid;

/// On whose behalf something is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Actor {
    Member(MemberId),
    Operator(OperatorId),
    /// A token of the REST API.
    Token(TokenId),
    /// Turnpike itself, as `apply` and the background tasks.
    System,
}

impl Actor {
    /// As the table has it: `member`, `operator`, `token` or `system`.
    pub const fn kind(self) -> &'static str {
        match self {
            Self::Member(_) => "member",
            Self::Operator(_) => "operator",
            Self::Token(_) => "token",
            Self::System => "system",
        }
    }

    /// The person's or the token's id.
    pub const fn id(self) -> Option<Uuid> {
        match self {
            Self::Member(MemberId(id)) | Self::Operator(OperatorId(id)) | Self::Token(TokenId(id)) => Some(id),
            Self::System => None,
        }
    }
}

/// One line of the audit log.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AuditEntry {
    pub id: i64,
    pub at: Timestamp,
    /// `member`, `operator`, `token` or `system`.
    pub actor_kind: String,
    /// The person's e-mail address or the token's name, where they still exist; to a partner, operators have none.
    pub actor: String,
    pub partner: Option<PartnerId>,
    /// Noun and verb, as `key.revoke`.
    pub action: String,
    /// What it was done to, as an identifier or a name.
    pub subject: String,
    pub before: Option<Value>,
    pub after: Option<Value>,
}

/// What [`append`] writes.
pub(crate) struct Entry<'a> {
    pub actor: Actor,
    pub partner: Option<PartnerId>,
    pub action: &'static str,
    pub subject: &'a str,
    pub before: Option<Value>,
    pub after: Option<Value>,
}

impl<'a> Entry<'a> {
    pub fn new(actor: Actor, partner: impl Into<Option<PartnerId>>, action: &'static str, subject: &'a str) -> Self {
        Self { actor, partner: partner.into(), action, subject, before: None, after: None }
    }

    pub fn before(self, before: Value) -> Self {
        Self { before: Some(before), ..self }
    }

    pub fn after(self, after: Value) -> Self {
        Self { after: Some(after), ..self }
    }
}

pub(crate) async fn append(tx: &mut PgConnection, entry: Entry<'_>, now: Timestamp) -> Result<(), StoreError> {
    sqlx::query(
        "insert into audit_log (at, actor_kind, actor_id, partner_id, action, subject, before, after)
         values ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(Ts(now))
    .bind(entry.actor.kind())
    .bind(entry.actor.id())
    .bind(entry.partner.map(|partner| partner.0))
    .bind(entry.action)
    .bind(entry.subject)
    .bind(entry.before)
    .bind(entry.after)
    .execute(tx)
    .await?;
    Ok(())
}

impl Store {
    /// What was done for or by a partner, newest first; `after` is the previous page's `next`.
    pub async fn audit_page(
        &self,
        partner: PartnerId,
        after: Option<&str>,
        size: u32,
    ) -> Result<Page<AuditEntry>, StoreError> {
        let rows = sqlx::query(
            "select a.*, coalesce(m.email, t.name, '') as actor from audit_log a
             left join members m on a.actor_kind = 'member' and m.partner_id = a.partner_id and m.id = a.actor_id
             left join api_tokens t on a.actor_kind = 'token' and t.id = a.actor_id
             where a.partner_id = $1 and a.id < $2 order by a.id desc limit $3",
        )
        .bind(partner.0)
        .bind(cursor(after)?)
        .bind(Page::<()>::rows(size))
        .fetch_all(self.pool())
        .await?;
        page(&rows, size)
    }

    /// What was done by anybody, newest first.
    pub async fn all_audit_page(&self, after: Option<&str>, size: u32) -> Result<Page<AuditEntry>, StoreError> {
        let rows = sqlx::query(
            "select a.*, coalesce(m.email, o.email, t.name, '') as actor from audit_log a
             left join members m on a.actor_kind = 'member' and m.id = a.actor_id
             left join operators o on a.actor_kind = 'operator' and o.id = a.actor_id
             left join api_tokens t on a.actor_kind = 'token' and t.id = a.actor_id
             where a.id < $1 order by a.id desc limit $2",
        )
        .bind(cursor(after)?)
        .bind(Page::<()>::rows(size))
        .fetch_all(self.pool())
        .await?;
        page(&rows, size)
    }
}

fn cursor(after: Option<&str>) -> Result<i64, StoreError> {
    match after {
        None => Ok(i64::MAX),
        Some(text) => text.parse().map_err(|_| StoreError::invalid("after", "This is not a page of this list")),
    }
}

fn page(rows: &[PgRow], size: u32) -> Result<Page<AuditEntry>, StoreError> {
    let entries = rows.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    Ok(Page::cut(entries, size, |entry| entry.id.to_string()))
}

fn read(row: &PgRow) -> Result<AuditEntry, sqlx::Error> {
    Ok(AuditEntry {
        id: row.try_get("id")?,
        at: row.at("at")?,
        actor_kind: row.try_get("actor_kind")?,
        actor: row.try_get("actor")?,
        partner: row.try_get::<Option<_>, _>("partner_id")?.map(PartnerId),
        action: row.try_get("action")?,
        subject: row.try_get("subject")?,
        before: row.try_get("before")?,
        after: row.try_get("after")?,
    })
}

#[cfg(test)]
mod tests {
    use crate::{test_db, test_db::world::World};

    #[tokio::test]
    async fn a_partner_reads_its_own_entries_page_by_page_and_nobody_can_change_one() {
        let store = test_db::store().await;
        let world = World::new(&store).await;
        let other = World::named(&store, "other").await;
        for name in ["Acme 1", "Acme 2", "Acme 3"] {
            store.rename_partner(world.partner, name, world.actor(), world.now).await.expect("renamed");
        }
        let first = store.audit_page(world.partner, None, 2).await.expect("a page");
        assert_eq!(first.items.len(), 2);
        assert_eq!(first.items[0].actor, "owner@acme.example");
        let second = store.audit_page(world.partner, first.next.as_deref(), 2).await.expect("a page");
        assert!(second.items[0].id < first.items[1].id);
        assert!(
            store
                .audit_page(other.partner, None, 50)
                .await
                .expect("a page")
                .items
                .iter()
                .all(|entry| entry.action != "partner.rename")
        );
        assert!(store.all_audit_page(None, 50).await.expect("a page").items.len() >= 5);
        let changed = sqlx::query("update audit_log set action = 'x'").execute(store.pool()).await;
        assert!(changed.is_err());
    }
}
