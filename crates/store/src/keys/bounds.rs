//! Changing where, for what and until when a key works.

use super::{Key, lock};
use crate::{
    Store, StoreError, Ts,
    audit::{self, Actor, Entry},
};
use domain::{
    id::{KeyId, PartnerId},
    key_bounds::KeyBounds,
};
use jiff::Timestamp;
use serde_json::{Value, json};

impl Store {
    /// Gives a key that works other bounds. The expiry of a key that was rotated stays: it is the end of its overlap.
    pub async fn bound_key(
        &self,
        partner: PartnerId,
        key: KeyId,
        bounds: KeyBounds,
        actor: Actor,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut bounds = checked(bounds, now)?;
        let mut tx = self.begin().await?;
        let old = lock(&mut tx, partner, key).await?;
        if old.revoked_at.is_some() || old.expires_at.is_some_and(|end| end <= now) {
            return Err(StoreError::conflict("", "This key no longer works; create a new one"));
        }
        if old.replaced_by.is_some() {
            bounds.expires_at = old.expires_at;
        }
        sqlx::query(
            "update keys set allowed_addresses = $3, scopes = $4, expires_at = $5 where partner_id = $1 and id = $2",
        )
        .bind(partner.0)
        .bind(key.0)
        .bind(&bounds.allowed_addresses)
        .bind(&bounds.scopes)
        .bind(bounds.expires_at.map(Ts))
        .execute(&mut *tx)
        .await?;
        let subject = key.to_string();
        let entry = Entry::new(actor, partner, "key.bound", &subject).before(told(&old.bounds)).after(told(&bounds));
        audit::append(&mut tx, entry, now).await?;
        tx.commit().await?;
        Ok(())
    }
}

/// The bounds as they are kept, if they can be.
pub(super) fn checked(bounds: KeyBounds, now: Timestamp) -> Result<KeyBounds, StoreError> {
    if bounds.expires_at.is_some_and(|end| end <= now) {
        return Err(StoreError::invalid("expires_at", "The key would have expired already; choose a later time"));
    }
    Ok(bounds.tidy()?)
}

/// For the audit log.
pub(super) fn told(bounds: &KeyBounds) -> Value {
    json!({
        "allowed_addresses": bounds.allowed_addresses,
        "scopes": bounds.scopes,
        "expires_at": bounds.expires_at.map(|end| end.to_string()),
    })
}

impl Key {
    /// Until when its successor works: as long from now as it was meant to work itself.
    pub(super) fn next_expiry(&self, now: Timestamp) -> Option<Timestamp> {
        let lifetime = self.bounds.expires_at?.duration_since(self.created_at);
        now.checked_add(lifetime).ok()
    }
}
