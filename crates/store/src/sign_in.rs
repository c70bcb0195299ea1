//! Failed sign-ins, counted by account and by address, so that guessing is slow and nobody is locked out for ever.

use crate::{Store, StoreError, Ts};
use jiff::Timestamp;

impl Store {
    /// Notes a failure for each subject: `account:<hash of the address typed>`, `address:<ip>`.
    pub async fn note_failed_sign_in(&self, subjects: &[String], now: Timestamp) -> Result<(), StoreError> {
        sqlx::query("insert into sign_in_attempts (subject, at) select unnest($1::text[]), $2")
            .bind(subjects)
            .bind(Ts(now))
            .execute(self.pool())
            .await?;
        Ok(())
    }

    /// How often the subject failed after `since`.
    pub async fn failed_sign_ins(&self, subject: &str, since: Timestamp) -> Result<u64, StoreError> {
        let count: i64 = sqlx::query_scalar("select count(*) from sign_in_attempts where subject = $1 and at > $2")
            .bind(subject)
            .bind(Ts(since))
            .fetch_one(self.pool())
            .await?;
        Ok(count.unsigned_abs())
    }

    /// Forgets the subject's failures, after a success.
    pub async fn forget_failed_sign_ins(&self, subject: &str) -> Result<(), StoreError> {
        sqlx::query("delete from sign_in_attempts where subject = $1").bind(subject).execute(self.pool()).await?;
        Ok(())
    }

    /// Forgets every failure before that moment.
    pub async fn prune_sign_in_attempts(&self, before: Timestamp) -> Result<u64, StoreError> {
        let done =
            sqlx::query("delete from sign_in_attempts where at < $1").bind(Ts(before)).execute(self.pool()).await?;
        Ok(done.rows_affected())
    }
}

#[cfg(test)]
mod tests {
    use crate::{test_db, test_db::world};
    use jiff::SignedDuration;

    #[tokio::test]
    async fn failures_count_within_their_window_and_a_success_clears_only_its_account() {
        let store = test_db::store().await;
        let now = world::now();
        let (account, address) = ("account:x".to_owned(), "address:192.0.2.1".to_owned());
        for second in 0..3 {
            let at = now + SignedDuration::from_secs(second * 60);
            store.note_failed_sign_in(&[account.clone(), address.clone()], at).await.expect("noted");
        }
        assert_eq!(store.failed_sign_ins(&account, now).await.expect("counted"), 2);
        store.forget_failed_sign_ins(&account).await.expect("forgotten");
        let long_ago = now - SignedDuration::from_hours(1);
        assert_eq!(store.failed_sign_ins(&account, long_ago).await.expect("counted"), 0);
        assert_eq!(store.failed_sign_ins(&address, long_ago).await.expect("counted"), 3);
        assert_eq!(store.prune_sign_in_attempts(now + SignedDuration::from_secs(61)).await.expect("pruned"), 2);
    }
}
