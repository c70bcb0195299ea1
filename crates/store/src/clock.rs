//! How far a development install's clock has been moved ahead; zero in production. Whoever asks checks that it may.

use crate::{
    Store, StoreError,
    audit::{self, Actor, Entry},
};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

impl Store {
    /// How far ahead of the real time it is.
    pub async fn clock_ahead(&self) -> Result<SignedDuration, StoreError> {
        let seconds: i64 = sqlx::query_scalar("select ahead_seconds from clock").fetch_one(self.pool()).await?;
        Ok(SignedDuration::from_secs(seconds))
    }

    /// Moves the clock further ahead, by whole seconds, and says how far it is then. Time never goes back.
    pub async fn advance_clock(
        &self,
        by: SignedDuration,
        actor: Actor,
        now: Timestamp,
    ) -> Result<SignedDuration, StoreError> {
        // Ten years keep every date within what calendars and Postgres know.
        if by.as_secs() <= 0 || by > SignedDuration::from_hours(24 * 366 * 10) {
            return Err(StoreError::invalid("by", "The clock moves forward, by up to ten years at once"));
        }
        let mut tx = self.begin().await?;
        let ahead: i64 =
            sqlx::query_scalar("update clock set ahead_seconds = ahead_seconds + $1 returning ahead_seconds")
                .bind(by.as_secs())
                .fetch_one(&mut *tx)
                .await?;
        let entry = Entry::new(actor, None, "clock.advance", "").after(json!({"ahead_seconds": ahead}));
        audit::append(&mut tx, entry, now).await?;
        tx.commit().await?;
        Ok(SignedDuration::from_secs(ahead))
    }
}

#[cfg(test)]
mod tests {
    use crate::{Actor, StoreError, test_db, test_db::world};
    use jiff::SignedDuration;

    #[tokio::test]
    async fn the_clock_only_goes_forward() {
        let store = test_db::store().await;
        assert_eq!(store.clock_ahead().await.expect("answered"), SignedDuration::ZERO);
        let day = SignedDuration::from_hours(24);
        store.advance_clock(day, Actor::System, world::now()).await.expect("moved");
        assert_eq!(store.advance_clock(day, Actor::System, world::now()).await.expect("moved"), day * 2);
        for by in [SignedDuration::ZERO, -day] {
            let refused = store.advance_clock(by, Actor::System, world::now()).await;
            assert!(matches!(refused, Err(StoreError::Invalid { .. })));
        }
        assert_eq!(store.clock_ahead().await.expect("answered"), day * 2);
    }
}
