//! Mail that waits in the transaction that causes it, so that it is sent if and only if the change happened.

use crate::{Store, StoreError, Ts, row::ReadRow as _};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, Row as _, postgres::PgRow};

/// How long one server has to send what it took, before another may try.
const LEASE: SignedDuration = SignedDuration::from_mins(5);
const LONGEST_WAIT: SignedDuration = SignedDuration::from_hours(6);

/// A message as it is queued. Its body may hold a one-time link, so it prints without it.
#[derive(Clone, PartialEq, Eq)]
pub struct NewMail {
    pub recipient: String,
    pub subject: String,
    pub body_text: String,
    pub body_html: String,
}

impl std::fmt::Debug for NewMail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewMail")
            .field("recipient", &self.recipient)
            .field("subject", &self.subject)
            .finish_non_exhaustive()
    }
}

/// A message and what became of it.
#[derive(Clone, Serialize, Deserialize)]
pub struct Mail {
    pub id: i64,
    pub recipient: String,
    pub subject: String,
    pub body_text: String,
    pub body_html: String,
    pub created_at: Timestamp,
    pub sent_at: Option<Timestamp>,
    pub attempts: i32,
    pub next_attempt_at: Timestamp,
    pub last_error: Option<String>,
}

impl std::fmt::Debug for Mail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mail").field("id", &self.id).field("recipient", &self.recipient).finish_non_exhaustive()
    }
}

pub(crate) async fn queue(tx: &mut PgConnection, mail: &NewMail, now: Timestamp) -> Result<i64, StoreError> {
    let id = sqlx::query_scalar(
        "insert into mails (recipient, subject, body_text, body_html, created_at, next_attempt_at)
         values ($1, $2, $3, $4, $5, $5) returning id",
    )
    .bind(&mail.recipient)
    .bind(&mail.subject)
    .bind(&mail.body_text)
    .bind(&mail.body_html)
    .bind(Ts(now))
    .fetch_one(tx)
    .await?;
    Ok(id)
}

impl Store {
    /// Queues a message that belongs to no other change.
    pub async fn queue_mail(&self, mail: &NewMail, now: Timestamp) -> Result<i64, StoreError> {
        let mut connection = self.pool().acquire().await?;
        queue(&mut connection, mail, now).await
    }

    /// Takes what is due, oldest first. What is taken is due again in five minutes unless it is reported on before.
    pub async fn take_mails_to_send(&self, most: u32, now: Timestamp) -> Result<Vec<Mail>, StoreError> {
        let rows = sqlx::query(
            "update mails set next_attempt_at = $2 where id in (
                 select id from mails where sent_at is null and next_attempt_at <= $1
                 order by next_attempt_at limit $3 for update skip locked)
             returning *",
        )
        .bind(Ts(now))
        .bind(Ts(now.saturating_add(LEASE).unwrap_or(Timestamp::MAX)))
        .bind(i64::from(most))
        .fetch_all(self.pool())
        .await?;
        Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
    }

    /// Notes that a message is on its way; it is not due again. Its words are forgotten, as they may hold a link that lets
    /// somebody in.
    pub async fn mail_was_sent(&self, id: i64, now: Timestamp) -> Result<(), StoreError> {
        sqlx::query(
            "update mails set sent_at = $2, attempts = attempts + 1, last_error = null, body_text = '', body_html = ''
             where id = $1",
        )
        .bind(id)
        .bind(Ts(now))
        .execute(self.pool())
        .await?;
        Ok(())
    }

    /// Tries again after 1, 2, 4, … minutes, at most six hours apart.
    pub async fn mail_failed(&self, id: i64, error: &str, now: Timestamp) -> Result<(), StoreError> {
        sqlx::query(
            "update mails set attempts = attempts + 1, last_error = left($2, 500),
             next_attempt_at = $3::timestamptz + least(make_interval(mins => 1 << least(attempts, 20)), make_interval(secs => $4))
             where id = $1 and sent_at is null",
        )
        .bind(id)
        .bind(error)
        .bind(Ts(now))
        .bind(LONGEST_WAIT.as_secs_f64())
        .execute(self.pool())
        .await?;
        Ok(())
    }

    /// Every partner's mail, newest first: the dev inbox.
    pub async fn all_mails(&self, most: u32) -> Result<Vec<Mail>, StoreError> {
        let rows = sqlx::query("select * from mails order by id desc limit $1")
            .bind(i64::from(most))
            .fetch_all(self.pool())
            .await?;
        Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
    }

    /// One message of the dev inbox, whoever it is for.
    pub async fn mail_to_anybody(&self, id: i64) -> Result<Mail, StoreError> {
        let row = sqlx::query("select * from mails where id = $1").bind(id).fetch_one(self.pool()).await?;
        Ok(read(&row)?)
    }

    /// Forgets what was sent before that moment.
    pub async fn prune_mails(&self, before: Timestamp) -> Result<u64, StoreError> {
        let done = sqlx::query("delete from mails where sent_at < $1").bind(Ts(before)).execute(self.pool()).await?;
        Ok(done.rows_affected())
    }
}

fn read(row: &PgRow) -> Result<Mail, sqlx::Error> {
    Ok(Mail {
        id: row.try_get("id")?,
        recipient: row.try_get("recipient")?,
        subject: row.try_get("subject")?,
        body_text: row.try_get("body_text")?,
        body_html: row.try_get("body_html")?,
        created_at: row.at("created_at")?,
        sent_at: row.at_if_any("sent_at")?,
        attempts: row.try_get("attempts")?,
        next_attempt_at: row.at("next_attempt_at")?,
        last_error: row.try_get("last_error")?,
    })
}

#[cfg(test)]
mod tests {
    use crate::{test_db, test_db::world};
    use jiff::SignedDuration;

    #[tokio::test]
    async fn a_mail_is_taken_once_and_again_later_when_it_failed() {
        let store = test_db::store().await;
        let now = world::now();
        let id = store.queue_mail(&world::mail("a@b.example"), now).await.expect("queued");
        assert_eq!(store.take_mails_to_send(10, now).await.expect("due").len(), 1);
        assert!(store.take_mails_to_send(10, now).await.expect("due").is_empty());
        store.mail_failed(id, "no route to host", now).await.expect("noted");
        let soon = now + SignedDuration::from_secs(59);
        assert!(store.take_mails_to_send(10, soon).await.expect("due").is_empty());
        let later = now + SignedDuration::from_secs(60);
        assert_eq!(store.take_mails_to_send(10, later).await.expect("due")[0].attempts, 1);
        store.mail_failed(id, "no route to host", later).await.expect("noted");
        assert_eq!(
            store.mail_to_anybody(id).await.expect("a mail").next_attempt_at,
            later + SignedDuration::from_mins(2)
        );
        store.mail_was_sent(id, later).await.expect("noted");
        let sent = store.mail_to_anybody(id).await.expect("a mail");
        assert_eq!((sent.body_text.as_str(), sent.body_html.as_str()), ("", ""), "links outlive no mail");
        let much_later = now + SignedDuration::from_hours(48);
        assert!(store.take_mails_to_send(10, much_later).await.expect("due").is_empty());
        assert_eq!(store.all_mails(10).await.expect("mails").len(), 1);
        assert_eq!(store.prune_mails(much_later).await.expect("pruned"), 1);
    }
}
