//! Tokens of our own REST API, of a partner or of the provider. Only a keyed hash of the text is kept.

use crate::{
    Store, StoreError, Ts,
    audit::{self, Actor, Entry},
    row::ReadRow as _,
};
use domain::{
    id::{PartnerId, TokenId},
    scope::Scope,
};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::{Row as _, postgres::PgRow};
use uuid::Uuid;

/// How exactly the last use is known.
const TOUCH_EVERY: SignedDuration = SignedDuration::from_mins(1);

/// A token as its owners see it: everything but the text and its hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiToken {
    pub id: TokenId,
    /// `None` for the provider's own.
    pub partner: Option<PartnerId>,
    pub name: String,
    pub last_four: String,
    pub scopes: Vec<String>,
    pub created_at: Timestamp,
    pub expires_at: Option<Timestamp>,
    pub revoked_at: Option<Timestamp>,
    /// To the minute.
    pub last_used_at: Option<Timestamp>,
}

#[derive(Clone)]
pub struct NewApiToken {
    pub name: String,
    /// HMAC-SHA-256 of the text under the installation's pepper.
    pub hash: [u8; 32],
    pub last_four: String,
    /// Codes of [`domain::scope::Scope`].
    pub scopes: Vec<String>,
    pub expires_at: Option<Timestamp>,
}

impl Store {
    /// Adds a token of the partner, or of the provider where there is none.
    pub async fn create_api_token(
        &self,
        partner: Option<PartnerId>,
        new: &NewApiToken,
        actor: Actor,
        now: Timestamp,
    ) -> Result<TokenId, StoreError> {
        if new.scopes.is_empty() {
            return Err(StoreError::invalid("scopes", "Choose at least one scope"));
        }
        if let Some(unknown) = new.scopes.iter().find(|scope| scope.parse::<Scope>().is_err()) {
            return Err(StoreError::invalid("scopes", format!("{unknown:?} is not a scope")));
        }
        if new.expires_at.is_some_and(|end| end <= now) {
            return Err(StoreError::invalid("expires_at", "Choose a moment in the future"));
        }
        let mut tx = self.begin().await?;
        let id = TokenId(Uuid::now_v7());
        sqlx::query(
            "insert into api_tokens (id, partner_id, name, hash, last_four, scopes, created_at, expires_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(id.0)
        .bind(partner.map(|partner| partner.0))
        .bind(new.name.trim())
        .bind(new.hash)
        .bind(&new.last_four)
        .bind(&new.scopes)
        .bind(Ts(now))
        .bind(new.expires_at.map(Ts))
        .execute(&mut *tx)
        .await?;
        let entry = Entry::new(actor, partner, "token.create", new.name.trim()).after(json!({"scopes": new.scopes}));
        audit::append(&mut tx, entry, now).await?;
        tx.commit().await?;
        Ok(id)
    }

    /// The partner's tokens, or the provider's own, newest first.
    pub async fn api_tokens(&self, partner: Option<PartnerId>) -> Result<Vec<ApiToken>, StoreError> {
        let rows = sqlx::query(
            "select * from api_tokens where partner_id is not distinct from $1 order by created_at desc, id desc",
        )
        .bind(partner.map(|partner| partner.0))
        .fetch_all(self.pool())
        .await?;
        Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
    }

    /// Ends a token at once, and for good. `NotFound` where it is somebody else's.
    pub async fn revoke_api_token(
        &self,
        partner: Option<PartnerId>,
        token: TokenId,
        actor: Actor,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let row =
            sqlx::query("select * from api_tokens where id = $1 and partner_id is not distinct from $2 for update")
                .bind(token.0)
                .bind(partner.map(|partner| partner.0))
                .fetch_one(&mut *tx)
                .await?;
        let old = read(&row)?;
        if old.revoked_at.is_some() {
            return Err(StoreError::conflict("", "This token is already revoked"));
        }
        sqlx::query("update api_tokens set revoked_at = $2 where id = $1")
            .bind(token.0)
            .bind(Ts(now))
            .execute(&mut *tx)
            .await?;
        audit::append(&mut tx, Entry::new(actor, partner, "token.revoke", &old.name), now).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Whose token that is, for a request that has nothing but the token. Revoked and expired ones are not found.
    /// The use is noted, at most once a minute.
    pub async fn find_api_token_of_any_partner(
        &self,
        hash: [u8; 32],
        now: Timestamp,
    ) -> Result<Option<ApiToken>, StoreError> {
        let row = sqlx::query(
            "select * from api_tokens
             where hash = $1 and revoked_at is null and (expires_at is null or expires_at > $2)",
        )
        .bind(hash)
        .bind(Ts(now))
        .fetch_optional(self.pool())
        .await?;
        let Some(found) = row.as_ref().map(read).transpose()? else { return Ok(None) };
        let stale = now.saturating_sub(TOUCH_EVERY).unwrap_or(now);
        if found.last_used_at.is_none_or(|used| used <= stale) {
            sqlx::query(
                "update api_tokens set last_used_at = $2 where id = $1 and (last_used_at is null or last_used_at < $2)",
            )
            .bind(found.id.0)
            .bind(Ts(now))
            .execute(self.pool())
            .await?;
        }
        Ok(Some(found))
    }
}

fn read(row: &PgRow) -> Result<ApiToken, sqlx::Error> {
    Ok(ApiToken {
        id: TokenId(row.try_get("id")?),
        partner: row.try_get::<Option<_>, _>("partner_id")?.map(PartnerId),
        name: row.try_get("name")?,
        last_four: row.try_get("last_four")?,
        scopes: row.try_get("scopes")?,
        created_at: row.at("created_at")?,
        expires_at: row.at_if_any("expires_at")?,
        revoked_at: row.at_if_any("revoked_at")?,
        last_used_at: row.at_if_any("last_used_at")?,
    })
}

#[cfg(test)]
mod tests {
    use super::NewApiToken;
    use crate::{Actor, StoreError, test_db, test_db::world::World};
    use jiff::SignedDuration;

    fn new(byte: u8, scopes: &[&str]) -> NewApiToken {
        NewApiToken {
            name: "CI".to_owned(),
            hash: [byte; 32],
            last_four: "wxyz".to_owned(),
            scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
            expires_at: None,
        }
    }

    #[tokio::test]
    async fn a_token_is_found_until_it_expires_or_is_revoked() {
        let store = test_db::store().await;
        let world = World::new(&store).await;
        let (partner, actor, now) = (Some(world.partner), world.actor(), world.now);
        let end = now + SignedDuration::from_hours(1);
        let short = NewApiToken { expires_at: Some(end), ..new(1, &["keys:read"]) };
        store.create_api_token(partner, &short, actor, now).await.expect("created");
        assert_eq!(
            store.find_api_token_of_any_partner([1; 32], now).await.expect("answered").expect("found").partner,
            partner
        );
        assert!(store.find_api_token_of_any_partner([1; 32], end).await.expect("answered").is_none());
        let id = store.create_api_token(partner, &new(2, &["usage:read"]), actor, now).await.expect("created");
        store.revoke_api_token(partner, id, actor, now).await.expect("revoked");
        assert!(store.find_api_token_of_any_partner([2; 32], now).await.expect("answered").is_none());
    }

    #[tokio::test]
    async fn the_last_use_is_noted_once_a_minute() {
        let store = test_db::store().await;
        let now = crate::test_db::world::now();
        store.create_api_token(None, &new(1, &["plans:write"]), Actor::System, now).await.expect("created");
        for (second, seen) in [(0, 0), (59, 0), (60, 60), (100, 60)] {
            let at = now + SignedDuration::from_secs(second);
            store.find_api_token_of_any_partner([1; 32], at).await.expect("answered").expect("found");
            let noted = store.api_tokens(None).await.expect("tokens")[0].last_used_at;
            assert_eq!(noted, Some(now + SignedDuration::from_secs(seen)), "after {second} s");
        }
    }

    #[tokio::test]
    async fn a_partner_and_the_provider_cannot_reach_each_others_tokens() {
        let store = test_db::store().await;
        let (world, other) = (World::new(&store).await, World::named(&store, "other").await);
        let (actor, now) = (world.actor(), world.now);
        let theirs = store.create_api_token(Some(other.partner), &new(1, &["keys:read"]), other.actor(), now).await;
        let theirs = theirs.expect("created");
        let ours = store.create_api_token(None, &new(2, &["keys:read"]), Actor::System, now).await.expect("created");
        for token in [theirs, ours] {
            let revoked = store.revoke_api_token(Some(world.partner), token, actor, now).await;
            assert!(matches!(revoked, Err(StoreError::NotFound)));
        }
        assert!(store.api_tokens(Some(world.partner)).await.expect("tokens").is_empty());
        assert_eq!(store.api_tokens(None).await.expect("tokens").len(), 1);
    }

    #[tokio::test]
    async fn unknown_and_missing_scopes_are_refused() {
        let store = test_db::store().await;
        for scopes in [&["keys:everything"][..], &[]] {
            let made = store.create_api_token(None, &new(1, scopes), Actor::System, crate::test_db::world::now()).await;
            assert!(matches!(made, Err(StoreError::Invalid { field, .. }) if field == "scopes"));
        }
    }
}
