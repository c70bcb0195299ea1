//! Keys of the gateway: made, rotated with an overlap, revoked. Only a keyed hash of the text is kept.

use crate::{
    Store, StoreError, Ts, apps,
    audit::{self, Actor, Entry},
    row::ReadRow as _,
};
use domain::{
    directory::KeyKind,
    id::{AppId, KeyId, PartnerId},
    key_bounds::KeyBounds,
    key_text::Environment,
};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::{PgConnection, Row as _, postgres::PgRow};
use uuid::Uuid;

mod bounds;

/// The longest that a rotated key goes on working.
pub const LONGEST_OVERLAP: SignedDuration = SignedDuration::from_hours(30 * 24);

/// A key as its owners see it: everything but the text and its hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    pub id: KeyId,
    pub app: AppId,
    pub app_name: String,
    /// The stable name that `apply` gave it.
    pub code: Option<String>,
    pub name: String,
    pub environment: Environment,
    pub kind: KeyKind,
    /// As [`KeyKind::identity`] writes it; empty for an API key.
    pub identity: String,
    /// Its expiry is [`Self::expires_at`].
    pub bounds: KeyBounds,
    /// Empty for an identity.
    pub last_four: String,
    pub created_at: Timestamp,
    /// As it was made, or the end of the overlap once it was rotated.
    pub expires_at: Option<Timestamp>,
    pub revoked_at: Option<Timestamp>,
    pub replaced_by: Option<KeyId>,
    pub last_used_at: Option<Timestamp>,
}

/// Whether a key works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyState {
    Active,
    /// Rotated; it works until its overlap ends.
    Expiring,
    Expired,
    Revoked,
}

impl Key {
    /// Whether it works at that moment.
    pub fn state(&self, now: Timestamp) -> KeyState {
        match (self.revoked_at, self.expires_at) {
            (Some(_), _) => KeyState::Revoked,
            (None, Some(end)) if end <= now => KeyState::Expired,
            (None, Some(_)) if self.replaced_by.is_some() => KeyState::Expiring,
            (None, _) => KeyState::Active,
        }
    }
}

/// What is kept of a new key's text, or of an identity's: then there are no last four digits.
#[derive(Clone)]
pub struct NewSecret {
    /// HMAC-SHA-256 of the text under the installation's pepper.
    pub hash: [u8; 32],
    pub last_four: String,
}

#[derive(Clone)]
pub struct NewKey {
    pub app: AppId,
    pub code: Option<String>,
    pub name: String,
    pub environment: Environment,
    pub kind: KeyKind,
    /// As [`KeyKind::identity`] writes it; empty for an API key.
    pub identity: String,
    pub bounds: KeyBounds,
    pub secret: NewSecret,
}

impl NewKey {
    /// An API key without bounds.
    pub fn text(app: AppId, name: impl Into<String>, environment: Environment, secret: NewSecret) -> Self {
        let (kind, identity, bounds) = (KeyKind::Key, String::new(), KeyBounds::default());
        Self { app, code: None, name: name.into(), environment, kind, identity, bounds, secret }
    }
}

impl Store {
    /// Adds a key to an app that is not archived. Only the provider registers identities: a partner could claim another's.
    pub async fn create_key(
        &self,
        partner: PartnerId,
        new: &NewKey,
        actor: Actor,
        now: Timestamp,
    ) -> Result<KeyId, StoreError> {
        if new.kind != KeyKind::Key && matches!(actor, Actor::Member(_)) {
            return Err(StoreError::invalid("kind", "Identities are registered by the provider; ask for it"));
        }
        let new = &NewKey { bounds: bounds::checked(new.bounds.clone(), now)?, ..new.clone() };
        let mut tx = self.begin().await?;
        let app = apps::lock(&mut tx, partner, new.app).await?;
        if app.archived_at.is_some() {
            return Err(StoreError::conflict("app", "This app is archived; choose another"));
        }
        let id = insert(&mut tx, partner, new, now).await?;
        let subject = id.to_string();
        let entry = Entry::new(actor, partner, "key.create", &subject).after(json!({
            "name": new.name, "environment": new.environment, "app": new.app, "kind": new.kind,
            "identity": new.identity, "bounds": bounds::told(&new.bounds),
        }));
        audit::append(&mut tx, entry, now).await?;
        tx.commit().await?;
        Ok(id)
    }

    /// All of the partner's keys, newest first.
    pub async fn keys(&self, partner: PartnerId) -> Result<Vec<Key>, StoreError> {
        let rows = sqlx::query(
            "select k.*, a.name as app_name, u.at as last_used_at from keys k
             join apps a on a.partner_id = k.partner_id and a.id = k.app_id
             left join key_last_used u on u.partner_id = k.partner_id and u.key_id = k.id
             where k.partner_id = $1 order by k.created_at desc, k.id desc",
        )
        .bind(partner.0)
        .fetch_all(self.pool())
        .await?;
        Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
    }

    /// One key, whatever its state.
    pub async fn key(&self, partner: PartnerId, key: KeyId) -> Result<Key, StoreError> {
        let row = sqlx::query(
            "select k.*, a.name as app_name, u.at as last_used_at from keys k
             join apps a on a.partner_id = k.partner_id and a.id = k.app_id
             left join key_last_used u on u.partner_id = k.partner_id and u.key_id = k.id
             where k.partner_id = $1 and k.id = $2",
        )
        .bind(partner.0)
        .bind(key.0)
        .fetch_one(self.pool())
        .await?;
        Ok(read(&row)?)
    }

    /// The key that carries the code now: neither revoked nor replaced.
    pub async fn find_key_by_code(&self, partner: PartnerId, code: &str) -> Result<Option<Key>, StoreError> {
        let row = sqlx::query(
            "select k.*, a.name as app_name, u.at as last_used_at from keys k
             join apps a on a.partner_id = k.partner_id and a.id = k.app_id
             left join key_last_used u on u.partner_id = k.partner_id and u.key_id = k.id
             where k.partner_id = $1 and k.code = $2 and k.replaced_by is null and k.revoked_at is null",
        )
        .bind(partner.0)
        .bind(code)
        .fetch_optional(self.pool())
        .await?;
        Ok(row.as_ref().map(read).transpose()?)
    }

    /// Makes a successor of the same name, app and environment; the old key works until `overlap` is over.
    pub async fn rotate_key(
        &self,
        partner: PartnerId,
        key: KeyId,
        secret: NewSecret,
        overlap: SignedDuration,
        actor: Actor,
        now: Timestamp,
    ) -> Result<KeyId, StoreError> {
        if overlap.is_negative() || overlap > LONGEST_OVERLAP {
            return Err(StoreError::invalid("overlap", "The old key can go on working for up to 30 days"));
        }
        let end = now.saturating_add(overlap).unwrap_or(now);
        let mut tx = self.begin().await?;
        let old = lock(&mut tx, partner, key).await?;
        if old.kind != KeyKind::Key {
            return Err(StoreError::conflict("", "An identity has no text to rotate; revoke it and register another"));
        }
        match old.state(now) {
            KeyState::Active => {}
            KeyState::Revoked => return Err(StoreError::conflict("", "This key is revoked; create a new one")),
            KeyState::Expired => return Err(StoreError::conflict("", "This key has expired; create a new one")),
            KeyState::Expiring => return Err(StoreError::conflict("", "This key was already rotated")),
        }
        let id = KeyId(Uuid::now_v7());
        // First the old one gives up its code, which only one key at a time may carry.
        sqlx::query("update keys set expires_at = $3, replaced_by = $4 where partner_id = $1 and id = $2")
            .bind(partner.0)
            .bind(key.0)
            .bind(Ts(end))
            .bind(id.0)
            .execute(&mut *tx)
            .await?;
        let bounds = KeyBounds { expires_at: old.next_expiry(now), ..old.bounds.clone() };
        let new = NewKey {
            app: old.app,
            code: old.code,
            name: old.name,
            environment: old.environment,
            kind: old.kind,
            identity: old.identity,
            bounds,
            secret,
        };
        insert_as(&mut tx, partner, id, &new, now).await?;
        let subject = key.to_string();
        let entry = Entry::new(actor, partner, "key.rotate", &subject)
            .after(json!({"replaced_by": id, "expires_at": end.to_string()}));
        audit::append(&mut tx, entry, now).await?;
        tx.commit().await?;
        Ok(id)
    }

    /// Ends a key at once, and for good.
    pub async fn revoke_key(
        &self,
        partner: PartnerId,
        key: KeyId,
        actor: Actor,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        if lock(&mut tx, partner, key).await?.revoked_at.is_some() {
            return Err(StoreError::conflict("", "This key is already revoked"));
        }
        sqlx::query("update keys set revoked_at = $3 where partner_id = $1 and id = $2")
            .bind(partner.0)
            .bind(key.0)
            .bind(Ts(now))
            .execute(&mut *tx)
            .await?;
        audit::append(&mut tx, Entry::new(actor, partner, "key.revoke", &key.to_string()), now).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Gives the key another name; its text stays.
    pub async fn rename_key(
        &self,
        partner: PartnerId,
        key: KeyId,
        name: &str,
        actor: Actor,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let old = lock(&mut tx, partner, key).await?;
        sqlx::query("update keys set name = $3 where partner_id = $1 and id = $2")
            .bind(partner.0)
            .bind(key.0)
            .bind(name.trim())
            .execute(&mut *tx)
            .await?;
        let subject = key.to_string();
        let entry = Entry::new(actor, partner, "key.rename", &subject).before(json!({"name": old.name}));
        audit::append(&mut tx, entry.after(json!({"name": name.trim()})), now).await?;
        tx.commit().await?;
        Ok(())
    }
}

async fn insert(tx: &mut PgConnection, partner: PartnerId, new: &NewKey, now: Timestamp) -> Result<KeyId, StoreError> {
    let id = KeyId(Uuid::now_v7());
    insert_as(tx, partner, id, new, now).await?;
    Ok(id)
}

async fn insert_as(
    tx: &mut PgConnection,
    partner: PartnerId,
    id: KeyId,
    new: &NewKey,
    now: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query(
        "insert into keys (partner_id, id, app_id, code, name, environment, hash, last_four, created_at,
                           kind, identity, allowed_addresses, scopes, expires_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
    )
    .bind(partner.0)
    .bind(id.0)
    .bind(new.app.0)
    .bind(&new.code)
    .bind(new.name.trim())
    .bind(new.environment.code())
    .bind(new.secret.hash)
    .bind(&new.secret.last_four)
    .bind(Ts(now))
    .bind(new.kind.code())
    .bind(&new.identity)
    .bind(&new.bounds.allowed_addresses)
    .bind(&new.bounds.scopes)
    .bind(new.bounds.expires_at.map(Ts))
    .execute(tx)
    .await?;
    Ok(())
}

/// The key and its app, held until the transaction ends: in the order of those who archive an app, so that nobody waits for
/// another in a circle.
async fn lock(tx: &mut PgConnection, partner: PartnerId, key: KeyId) -> Result<Key, StoreError> {
    let app = sqlx::query_scalar("select app_id from keys where partner_id = $1 and id = $2")
        .bind(partner.0)
        .bind(key.0)
        .fetch_one(&mut *tx)
        .await?;
    apps::lock(tx, partner, AppId(app)).await?;
    let row = sqlx::query(
        "select k.*, a.name as app_name, null::timestamptz as last_used_at from keys k
         join apps a on a.partner_id = k.partner_id and a.id = k.app_id
         where k.partner_id = $1 and k.id = $2 for update of k",
    )
    .bind(partner.0)
    .bind(key.0)
    .fetch_one(&mut *tx)
    .await?;
    Ok(read(&row)?)
}

fn read(row: &PgRow) -> Result<Key, sqlx::Error> {
    Ok(Key {
        id: KeyId(row.try_get("id")?),
        app: AppId(row.try_get("app_id")?),
        app_name: row.try_get("app_name")?,
        code: row.try_get("code")?,
        name: row.try_get("name")?,
        environment: row.parsed("environment")?,
        kind: row.parsed("kind")?,
        identity: row.try_get("identity")?,
        bounds: KeyBounds {
            allowed_addresses: row.try_get("allowed_addresses")?,
            scopes: row.try_get("scopes")?,
            expires_at: row.at_if_any("expires_at")?,
        },
        last_four: row.try_get("last_four")?,
        created_at: row.at("created_at")?,
        expires_at: row.at_if_any("expires_at")?,
        revoked_at: row.at_if_any("revoked_at")?,
        replaced_by: row.try_get::<Option<_>, _>("replaced_by")?.map(KeyId),
        last_used_at: row.at_if_any("last_used_at")?,
    })
}

#[cfg(test)]
pub(crate) mod tests;
