//! Making hooks, and what becomes of them.

use super::MOST_HOOKS;
use crate::{
    Actor, Store, StoreError,
    audit::{self, Entry},
    row::{ReadRow as _, unreadable},
    time::Ts,
};
use domain::id::{HookId, PartnerId};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use sqlx::{PgConnection, Row as _, postgres::PgRow};
use std::str::FromStr;
use uuid::Uuid;

/// How long both secrets sign after a rotation.
const OVERLAP: SignedDuration = SignedDuration::from_hours(24);
/// After that time without one delivery that worked a hook is switched off.
const GIVE_UP: SignedDuration = SignedDuration::from_hours(24 * 5);
/// The longest address, and what is kept of what went wrong.
const MAX_URL: usize = 2_000;
const MAX_MESSAGE: usize = 300;

/// What a hook does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HookState {
    Active,
    /// Somebody stopped it. It goes on where it was.
    Paused,
    /// It failed for too long, or its receiver said that it is gone.
    Disabled,
}

impl HookState {
    /// As the table has it.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Paused => "paused",
            Self::Disabled => "disabled",
        }
    }
}

impl FromStr for HookState {
    type Err = sqlx::Error;
    fn from_str(text: &str) -> Result<Self, sqlx::Error> {
        let known = [Self::Active, Self::Paused, Self::Disabled].into_iter().find(|state| state.code() == text);
        known.ok_or_else(|| unreadable("state", format!("{text} is not known")))
    }
}

/// A hook to be made.
pub struct NewHook {
    /// Chosen by whoever seals the secret for it.
    pub id: HookId,
    /// Whose events; `None` for those of all partners.
    pub partner: Option<PartnerId>,
    pub url: String,
    pub sealed_secret: Vec<u8>,
}

/// A hook.
#[derive(Clone)]
pub struct Hook {
    pub id: HookId,
    pub partner: Option<PartnerId>,
    /// Empty for all partners.
    pub partner_name: String,
    pub url: String,
    pub sealed_secret: Vec<u8>,
    /// The secret before, while it signs too.
    pub sealed_previous: Option<Vec<u8>>,
    pub state: HookState,
    /// What went wrong last, or why it was switched off.
    pub message: String,
    pub created_at: Timestamp,
    pub failing_since: Option<Timestamp>,
    /// Tries that failed since then.
    pub failures: u32,
    pub next_try_at: Option<Timestamp>,
    /// Events that were delivered.
    pub delivered: u64,
    pub delivered_at: Option<Timestamp>,
    /// Somebody wants to see whether it works.
    pub test_asked: bool,
    pub tested_at: Option<Timestamp>,
    pub test_result: String,
}

impl std::fmt::Debug for Hook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hook").field("id", &self.id).field("state", &self.state).finish_non_exhaustive()
    }
}

impl Hook {
    /// Its address as people see it: what stands behind a `?` may let whoever knows it in, and is left out.
    pub fn shown_url(&self) -> String {
        shown(&self.url)
    }
}

fn shown(url: &str) -> String {
    url.split_once('?').map_or_else(|| url.to_owned(), |(shown, _)| format!("{shown}?…"))
}

macro_rules! hooks {
    ($rest:literal) => {
        concat!(
            "select h.*, case when h.previous_until > $1 then h.sealed_previous end as previous,
                 coalesce(p.name, '') as partner_name
             from export_hooks h left join partners p on p.id = h.partner_id ",
            $rest
        )
    };
}

impl Store {
    /// Makes a hook. It gets what is taken in from now on.
    pub async fn create_hook(&self, new: &NewHook, actor: Actor, now: Timestamp) -> Result<(), StoreError> {
        let NewHook { id, partner, url, sealed_secret } = new;
        if url.len() > MAX_URL {
            return Err(StoreError::invalid("url", format!("An address is at most {MAX_URL} characters long")));
        }
        let mut tx = self.begin().await?;
        sqlx::query("lock table export_hooks in share row exclusive mode").execute(&mut *tx).await?;
        let hooks: i64 = sqlx::query_scalar("select count(*) from export_hooks").fetch_one(&mut *tx).await?;
        if hooks >= MOST_HOOKS {
            return Err(StoreError::conflict(
                "",
                format!("There are {MOST_HOOKS} hooks; delete one that nobody needs"),
            ));
        }
        if let Some(partner) = partner {
            sqlx::query("select from partners where id = $1 for key share").bind(partner.0).fetch_one(&mut *tx).await?;
        }
        sqlx::query(
            "insert into export_hooks (id, partner_id, url, sealed_secret, state, created_at) values ($1, $2, $3, $4, 'active', $5)",
        )
        .bind(id.0)
        .bind(partner.map(|partner| partner.0))
        .bind(url)
        .bind(sealed_secret)
        .bind(Ts(now))
        .execute(&mut *tx)
        .await?;
        // What is taken in just now and not seen here yet is behind it, in its lane.
        sqlx::query(
            "insert into export_cursors (hook_id, node, lane, whose, sequence)
             select $1, node, lane, whose, max(past_sequence) from usage_batches group by node, lane, whose",
        )
        .bind(id.0)
        .execute(&mut *tx)
        .await?;
        note(&mut tx, "hook.create", (*id, *partner), json!({ "url": shown(url) }), actor, now).await?;
        tx.commit().await?;
        Ok(())
    }

    /// All hooks, oldest first; of one partner where it is named.
    pub async fn all_hooks(&self, partner: Option<PartnerId>, now: Timestamp) -> Result<Vec<Hook>, StoreError> {
        let rows = sqlx::query(hooks!("where $2::uuid is null or h.partner_id = $2 order by h.created_at, h.id"))
            .bind(Ts(now))
            .bind(partner.map(|partner| partner.0))
            .fetch_all(self.pool())
            .await?;
        Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
    }

    /// One of them, whosever it is.
    pub async fn hook_of_any_partner(&self, id: HookId, now: Timestamp) -> Result<Hook, StoreError> {
        let row = sqlx::query(hooks!("where h.id = $2")).bind(Ts(now)).bind(id.0).fetch_one(self.pool()).await?;
        Ok(read(&row)?)
    }

    /// Lets it go on, or stops it. Going on begins at once and with a clean slate.
    pub async fn set_hook_state(
        &self,
        id: HookId,
        active: bool,
        actor: Actor,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (state, action) =
            if active { (HookState::Active, "hook.resume") } else { (HookState::Paused, "hook.pause") };
        let mut tx = self.begin().await?;
        let row = sqlx::query(
            "update export_hooks set state = $2, failing_since = null, failures = 0, next_try_at = null, message = ''
             where id = $1 returning partner_id",
        )
        .bind(id.0)
        .bind(state.code())
        .fetch_one(&mut *tx)
        .await?;
        let partner = row.try_get::<Option<Uuid>, _>("partner_id")?.map(PartnerId);
        note(&mut tx, action, (id, partner), json!({ "state": state.code() }), actor, now).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Gives it another secret. The one before signs too for a day.
    pub async fn rotate_hook_secret(
        &self,
        id: HookId,
        sealed_secret: &[u8],
        actor: Actor,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let row = sqlx::query(
            "update export_hooks set sealed_previous = sealed_secret, previous_until = $3, sealed_secret = $2 where id = $1
             returning partner_id",
        )
        .bind(id.0)
        .bind(sealed_secret)
        .bind(Ts(now + OVERLAP))
        .fetch_one(&mut *tx)
        .await?;
        let partner = row.try_get::<Option<Uuid>, _>("partner_id")?.map(PartnerId);
        note(&mut tx, "hook.rotate", (id, partner), json!({ "both_until": now + OVERLAP }), actor, now).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Deletes it, and forgets how far it was.
    pub async fn delete_hook(&self, id: HookId, actor: Actor, now: Timestamp) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let row = sqlx::query("delete from export_hooks where id = $1 returning partner_id, url")
            .bind(id.0)
            .fetch_one(&mut *tx)
            .await?;
        let partner = row.try_get::<Option<Uuid>, _>("partner_id")?.map(PartnerId);
        let url: &str = row.try_get("url")?;
        note(&mut tx, "hook.delete", (id, partner), json!({ "url": shown(url) }), actor, now).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Asks for one message without usage, whatever its state is: whoever sends tries it within seconds.
    pub async fn ask_hook_test(&self, id: HookId, now: Timestamp) -> Result<(), StoreError> {
        let asked = sqlx::query("update export_hooks set test_asked_at = $2 where id = $1")
            .bind(id.0)
            .bind(Ts(now))
            .execute(self.pool())
            .await?;
        if asked.rows_affected() == 0 { Err(StoreError::NotFound) } else { Ok(()) }
    }

    /// How the test went.
    pub async fn note_hook_test(&self, id: HookId, result: &str, now: Timestamp) -> Result<(), StoreError> {
        sqlx::query("update export_hooks set test_asked_at = null, tested_at = $3, test_result = $2 where id = $1")
            .bind(id.0)
            .bind(shortened(result))
            .bind(Ts(now))
            .execute(self.pool())
            .await?;
        Ok(())
    }

    /// Hooks with something to do that nobody else does; they are the caller's until `until`. Where there is none nothing is written.
    pub async fn claim_hooks(&self, now: Timestamp, until: Timestamp) -> Result<Vec<Hook>, StoreError> {
        let rows = sqlx::query(concat!(
            lanes!(),
            ", claimed as (
                 update export_hooks h set claimed_until = $2
                 where (claimed_until is null or claimed_until <= $1)
                     and (test_asked_at is not null or state = 'active' and (next_try_at is null or next_try_at <= $1)
                         and (failures > 0 or exists (
                             select from lanes l
                             left join export_cursors c on c.hook_id = h.id and c.node = l.node and c.lane = l.lane and c.whose = l.whose
                             where (h.partner_id is null or l.whose in (h.partner_id, '00000000-0000-0000-0000-000000000000'))
                                 and exists (
                                     select from usage_batches b where b.node = l.node and b.lane = l.lane and b.whose = l.whose
                                         and b.past_sequence > coalesce(c.sequence, 0)))))
                 returning *
             )
             select h.*, case when h.previous_until > $1 then h.sealed_previous end as previous,
                 coalesce(p.name, '') as partner_name
             from claimed h left join partners p on p.id = h.partner_id"
        ))
        .bind(Ts(now))
        .bind(Ts(until))
        .fetch_all(self.pool())
        .await?;
        Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
    }

    /// Lets others have it.
    pub async fn release_hook(&self, id: HookId) -> Result<(), StoreError> {
        sqlx::query("update export_hooks set claimed_until = null where id = $1")
            .bind(id.0)
            .execute(self.pool())
            .await?;
        Ok(())
    }

    /// A delivery failed: it is tried again at that time. Returns the hook's state after it; one that failed for five days, or whose
    /// receiver says that it is `gone`, is switched off.
    pub async fn note_hook_failure(
        &self,
        id: HookId,
        message: &str,
        gone: bool,
        next_try_at: Timestamp,
        now: Timestamp,
    ) -> Result<HookState, StoreError> {
        let mut tx = self.begin().await?;
        let row = sqlx::query(
            "update export_hooks set failures = failures + 1, failing_since = coalesce(failing_since, $3), next_try_at = $4,
                 message = $2,
                 state = case when state = 'active' and ($5 or coalesce(failing_since, $3) <= $6) then 'disabled' else state end
             where id = $1 returning state, partner_id, failing_since",
        )
        .bind(id.0)
        .bind(shortened(message))
        .bind(Ts(now))
        .bind(Ts(next_try_at))
        .bind(gone)
        .bind(Ts(now - GIVE_UP))
        .fetch_one(&mut *tx)
        .await?;
        let state: HookState = row.try_get::<&str, _>("state")?.parse()?;
        if state == HookState::Disabled {
            let partner = row.try_get::<Option<Uuid>, _>("partner_id")?.map(PartnerId);
            let why = json!({ "failing_since": row.at_if_any("failing_since")?, "last": shortened(message) });
            note(&mut tx, "hook.disable", (id, partner), why, Actor::System, now).await?;
        }
        tx.commit().await?;
        Ok(state)
    }
}

async fn note(
    tx: &mut PgConnection,
    action: &'static str,
    (id, partner): (HookId, Option<PartnerId>),
    after: serde_json::Value,
    actor: Actor,
    now: Timestamp,
) -> Result<(), StoreError> {
    let subject = id.to_string();
    audit::append(tx, Entry::new(actor, partner, action, &subject).after(after), now).await
}

fn shortened(message: &str) -> String {
    message.chars().take(MAX_MESSAGE).collect()
}

fn read(row: &PgRow) -> Result<Hook, sqlx::Error> {
    let failures: i32 = row.try_get("failures")?;
    Ok(Hook {
        id: HookId(row.try_get("id")?),
        partner: row.try_get::<Option<Uuid>, _>("partner_id")?.map(PartnerId),
        partner_name: row.try_get("partner_name")?,
        url: row.try_get("url")?,
        sealed_secret: row.try_get("sealed_secret")?,
        sealed_previous: row.try_get("previous")?,
        state: row.try_get::<&str, _>("state")?.parse()?,
        message: row.try_get("message")?,
        created_at: row.at("created_at")?,
        failing_since: row.at_if_any("failing_since")?,
        failures: u32::try_from(failures).unwrap_or_default(),
        next_try_at: row.at_if_any("next_try_at")?,
        delivered: row.count("delivered")?,
        delivered_at: row.at_if_any("delivered_at")?,
        test_asked: row.at_if_any("test_asked_at")?.is_some(),
        tested_at: row.at_if_any("tested_at")?,
        test_result: row.try_get("test_result")?,
    })
}
