//! The way of a correction: draft, approved, applied, reverted; or refused. Each step is on record.

use super::{
    effect::{self, Hit, within},
    post::{Posting, Step},
};
use crate::{
    Store, StoreError, Ts, api_requests,
    audit::{self, Actor, Entry},
    ingest::days,
    outside,
    row::ReadRow as _,
};
use domain::{
    correction::{Counted, NewCorrection, State},
    id::{AllocationId, CorrectionId, OperationId, OperatorId, PartnerId, ProductId, TeamId},
};
use jiff::Timestamp;
use serde_json::{Value, json};
use sqlx::{Postgres, Row as _, Transaction, postgres::PgRow, types::Json};
use uuid::Uuid;

/// A correction that was tried dry.
#[derive(Debug, Clone)]
pub struct Draft {
    pub new: NewCorrection,
    /// What it would do, for people.
    pub dry_run: Value,
    /// The same for the same doing.
    pub hash: [u8; 32],
}

/// What is approved, and by which rule.
#[derive(Debug, Clone, Copy)]
pub struct Approval {
    /// Of the dry run that was looked at.
    pub seen: [u8; 32],
    /// Whether it takes two people.
    pub four_eyes: bool,
}

/// What is locked of a correction.
struct Held {
    new: NewCorrection,
    state: State,
    hash: [u8; 32],
    made_by: (String, Option<Uuid>),
    /// Empty before somebody approved it.
    approved_by: (String, Option<Uuid>),
    applied_number: Option<i64>,
}

impl Store {
    /// Keeps a correction that was tried dry.
    ///
    /// # Errors
    /// Where it takes two people, only an operator may make one: nobody knows who uses a token.
    pub async fn draft_correction(
        &self,
        partner: PartnerId,
        draft: &Draft,
        four_eyes: bool,
        actor: Actor,
        now: Timestamp,
    ) -> Result<CorrectionId, StoreError> {
        let mut tx = self.begin().await?;
        let id = keep_draft(&mut tx, partner, (draft, four_eyes), actor, now).await?;
        tx.commit().await?;
        Ok(id)
    }

    /// As [`Store::draft_correction`], at most once for this attempt of an API call ([`crate::ApiRequest::Fresh`]).
    ///
    /// # Errors
    /// As there; or another attempt has taken the call over.
    pub async fn draft_correction_once(
        &self,
        partner: PartnerId,
        (draft, attempt): (&Draft, Uuid),
        four_eyes: bool,
        actor: Actor,
        now: Timestamp,
    ) -> Result<CorrectionId, StoreError> {
        let mut tx = self.begin().await?;
        let id = keep_draft(&mut tx, partner, (draft, four_eyes), actor, now).await?;
        api_requests::made(&mut tx, attempt, id.0).await?;
        tx.commit().await?;
        Ok(id)
    }

    /// Approves what was seen, if a new dry run is the same; else the new one is kept, to be looked at.
    ///
    /// # Errors
    /// It waits for no approval, the maker approves although it takes two, or what it would do is no longer what was seen.
    pub async fn approve_correction(
        &self,
        partner: PartnerId,
        id: CorrectionId,
        (approval, again): (Approval, &Draft),
        actor: Actor,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let held = hold(&mut tx, partner, id).await?;
        if held.state != State::Draft {
            return Err(StoreError::conflict(
                "",
                format!("This correction is {}; only a draft can be approved", held.state),
            ));
        }
        if approval.four_eyes {
            by_another(&held, actor)?;
        }
        if again.hash != held.hash || again.hash != approval.seen {
            redraft(&mut tx, partner, id, again).await?;
            tx.commit().await?;
            return Err(changed());
        }
        sqlx::query(
            "update usage_corrections set state = 'approved', approved_by_kind = $3, approved_by = $4, approved_at = $5
             where partner_id = $1 and id = $2",
        )
        .bind(partner.0)
        .bind(id.0)
        .bind(actor.kind())
        .bind(actor.id())
        .bind(Ts(now))
        .execute(&mut *tx)
        .await?;
        record(&mut tx, actor, partner, "correction.approve", id, json!({"dry_run": again.dry_run}), now).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Carries an approved correction out, once; false where it was already. `again` is a new dry run, and `effect` the hash of what
    /// it found.
    ///
    /// # Errors
    /// It is not approved, or it would do something else than what was approved, or it takes two people by now and took one when it was
    /// approved: then it is a draft again.
    pub async fn apply_correction(
        &self,
        partner: PartnerId,
        id: CorrectionId,
        (again, effect, four_eyes): (&Draft, [u8; 32], bool),
        actor: Actor,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut tx = self.begin().await?;
        let number = enter(&mut tx, partner).await?;
        let held = hold(&mut tx, partner, id).await?;
        match held.state {
            State::Approved => (),
            State::Applied => return Ok(false),
            state => return Err(StoreError::conflict("", format!("This correction is {state}; approve it first"))),
        }
        if again.hash != held.hash {
            redraft(&mut tx, partner, id, again).await?;
            tx.commit().await?;
            return Err(changed());
        }
        if four_eyes && !is_of_two(&held) {
            redraft(&mut tx, partner, id, again).await?;
            tx.commit().await?;
            return Err(of_one());
        }
        let mut found = effect::read(&mut tx, partner, &held.new, now).await?;
        if found.hash()? != effect {
            return Err(changed());
        }
        let posting = Posting { partner, correction: id, step: Step::Apply, change: &held.new.change, now };
        posting.write(&mut tx, &mut found.hits).await?;
        sqlx::query(
            "update usage_corrections set state = 'applied', applied_by_kind = $3, applied_by = $4, applied_at = $5,
                 applied_number = $6, first_at = $7, last_at = $8
             where partner_id = $1 and id = $2",
        )
        .bind(partner.0)
        .bind(id.0)
        .bind(actor.kind())
        .bind(actor.id())
        .bind(Ts(now))
        .bind(number)
        .bind(found.hits.first().map(|hit| Ts(hit.at)))
        .bind(found.hits.last().map(|hit| Ts(hit.at)))
        .execute(&mut *tx)
        .await?;
        record(&mut tx, actor, partner, "correction.apply", id, json!({"dry_run": again.dry_run}), now).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Takes an applied correction back, once; false where it was already. What lies in a period that was closed meanwhile goes
    /// to the next invoice.
    ///
    /// # Errors
    /// It does not count, a later one counts on it, or its maker takes it back although it takes two.
    pub async fn revert_correction(
        &self,
        partner: PartnerId,
        id: CorrectionId,
        (reason, four_eyes): (&str, bool),
        actor: Actor,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let reason = checked(reason)?;
        let mut tx = self.begin().await?;
        enter(&mut tx, partner).await?;
        let held = hold(&mut tx, partner, id).await?;
        match held.state {
            State::Applied => (),
            State::Reverted => return Ok(false),
            state => {
                return Err(StoreError::conflict(
                    "",
                    format!("This correction is {state}; there is nothing to revert"),
                ));
            }
        }
        if four_eyes {
            by_another(&held, actor)?;
        }
        if let Some(later) = later(&mut tx, partner, id, held.applied_number).await? {
            let message = format!("{later} has corrected the same usage since; revert that one first");
            return Err(StoreError::conflict("", message));
        }
        let mut hits = opposite(&mut tx, partner, id).await?;
        effect::still_kept(&mut tx, &hits).await?;
        let posting = Posting { partner, correction: id, step: Step::Revert, change: &held.new.change, now };
        posting.write(&mut tx, &mut hits).await?;
        end(&mut tx, (partner, id, State::Reverted), reason, actor, now).await?;
        record(&mut tx, actor, partner, "correction.revert", id, json!({"reason": reason}), now).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Gives a correction up that does not count yet.
    ///
    /// # Errors
    /// It counts, or did, or was given up.
    pub async fn refuse_correction(
        &self,
        partner: PartnerId,
        id: CorrectionId,
        reason: &str,
        actor: Actor,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let reason = checked(reason)?;
        let mut tx = self.begin().await?;
        let held = hold(&mut tx, partner, id).await?;
        if !matches!(held.state, State::Draft | State::Approved) {
            return Err(StoreError::conflict("", format!("This correction is {}; it cannot be refused", held.state)));
        }
        end(&mut tx, (partner, id, State::Refused), reason, actor, now).await?;
        record(&mut tx, actor, partner, "correction.refuse", id, json!({"reason": reason}), now).await?;
        tx.commit().await?;
        Ok(())
    }
}

async fn keep_draft(
    tx: &mut Transaction<'static, Postgres>,
    partner: PartnerId,
    (draft, four_eyes): (&Draft, bool),
    actor: Actor,
    now: Timestamp,
) -> Result<CorrectionId, StoreError> {
    if four_eyes && !matches!(actor, Actor::Operator(_)) {
        return Err(of_people());
    }
    let id = CorrectionId(Uuid::now_v7());
    sqlx::query(
        "insert into usage_corrections (partner_id, id, kind, change, filter, reason, state, dry_run, hash, made_by_kind,
             made_by, made_at)
         values ($1, $2, $3, $4, $5, $6, 'draft', $7, $8, $9, $10, $11)",
    )
    .bind(partner.0)
    .bind(id.0)
    .bind(draft.new.change.code())
    .bind(Json(&draft.new.change))
    .bind(Json(&draft.new.filter))
    .bind(draft.new.reason.trim())
    .bind(&draft.dry_run)
    .bind(draft.hash.as_slice())
    .bind(actor.kind())
    .bind(actor.id())
    .bind(Ts(now))
    .execute(&mut **tx)
    .await?;
    let after = json!({"change": draft.new.change, "filter": draft.new.filter, "reason": draft.new.reason.trim(),
        "dry_run": draft.dry_run});
    record(tx, actor, partner, "correction.draft", id, after, now).await?;
    Ok(id)
}

/// Keeps others from taking in, correcting and closing the partner's usage. Says how many corrections were carried out.
async fn enter(tx: &mut Transaction<'_, Postgres>, partner: PartnerId) -> Result<i64, StoreError> {
    sqlx::query("select from partners where id = $1 for key share").bind(partner.0).fetch_one(&mut **tx).await?;
    let mark = outside::lock(tx, partner).await?;
    days::enter(tx).await?;
    Ok(i64::try_from(mark.corrected).unwrap_or(i64::MAX))
}

async fn hold(tx: &mut Transaction<'_, Postgres>, partner: PartnerId, id: CorrectionId) -> Result<Held, StoreError> {
    let row = sqlx::query("select * from usage_corrections where partner_id = $1 and id = $2 for update")
        .bind(partner.0)
        .bind(id.0)
        .fetch_one(&mut **tx)
        .await?;
    Ok(Held {
        new: NewCorrection {
            change: row.try_get::<Json<_>, _>("change")?.0,
            filter: row.try_get::<Json<_>, _>("filter")?.0,
            reason: row.try_get("reason")?,
        },
        state: row.parsed("state")?,
        hash: row.hash("hash")?,
        made_by: (row.try_get("made_by_kind")?, row.try_get("made_by")?),
        approved_by: (
            row.try_get::<Option<_>, _>("approved_by_kind")?.unwrap_or_default(),
            row.try_get("approved_by")?,
        ),
        applied_number: row.try_get("applied_number")?,
    })
}

/// Another operator than the maker. Nobody knows who uses a token, so none counts as either of two people.
fn by_another(held: &Held, actor: Actor) -> Result<(), StoreError> {
    let operator = Actor::kind(actor);
    if !matches!(actor, Actor::Operator(_)) || held.made_by.0 != operator {
        return Err(of_people());
    }
    if held.made_by.1 == actor.id() {
        return Err(StoreError::conflict("", "You have made this correction: it takes another operator to agree"));
    }
    Ok(())
}

/// Whether two operators stand behind it.
fn is_of_two(held: &Held) -> bool {
    let operator = Actor::kind(Actor::Operator(OperatorId(Uuid::nil())));
    held.made_by.0 == operator && held.approved_by.0 == operator && held.made_by.1 != held.approved_by.1
}

fn of_one() -> StoreError {
    let message = "It was approved when one person was enough, and here it takes two operators by now: it is a draft again, which another \
                   operator than its maker approves, or which you refuse and make anew in the console";
    StoreError::conflict("", message)
}

fn of_people() -> StoreError {
    StoreError::conflict("", "Here a correction takes two operators, who make and approve it in the console")
}

fn changed() -> StoreError {
    let message = "The usage has changed since it was tried: look at what the correction does now, and approve that";
    StoreError::conflict("hash", message)
}

fn checked(reason: &str) -> Result<&str, StoreError> {
    let reason = reason.trim();
    match reason.chars().count() {
        1..=500 => Ok(reason),
        _ => Err(StoreError::invalid("reason", "Give a reason of 1 to 500 characters")),
    }
}

async fn redraft(
    tx: &mut Transaction<'_, Postgres>,
    partner: PartnerId,
    id: CorrectionId,
    again: &Draft,
) -> Result<(), StoreError> {
    sqlx::query(
        "update usage_corrections set state = 'draft', dry_run = $3, hash = $4, approved_by_kind = null, approved_by = null,
             approved_at = null
         where partner_id = $1 and id = $2",
    )
    .bind(partner.0)
    .bind(id.0)
    .bind(&again.dry_run)
    .bind(again.hash.as_slice())
    .execute(&mut **tx)
    .await?;
    Ok(())
}

async fn end(
    tx: &mut Transaction<'_, Postgres>,
    (partner, id, state): (PartnerId, CorrectionId, State),
    reason: &str,
    actor: Actor,
    now: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query(
        "update usage_corrections set state = $3, ended_by_kind = $4, ended_by = $5, ended_at = $6, ended_reason = $7
         where partner_id = $1 and id = $2",
    )
    .bind(partner.0)
    .bind(id.0)
    .bind(state.code())
    .bind(actor.kind())
    .bind(actor.id())
    .bind(Ts(now))
    .bind(reason)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// A correction that counts, was carried out later and touches an event of this one.
async fn later(
    tx: &mut Transaction<'_, Postgres>,
    partner: PartnerId,
    id: CorrectionId,
    number: Option<i64>,
) -> Result<Option<CorrectionId>, StoreError> {
    let found: Option<Uuid> = sqlx::query_scalar(
        "select c.id from usage_corrections c
         where c.partner_id = $1 and c.state = 'applied' and c.applied_number > $3 and exists (
             select from usage_correction_events mine
             join usage_correction_events other on other.partner_id = $1 and other.of_at = mine.of_at
                 and other.of_node = mine.of_node and other.of_lane = mine.of_lane and other.of_sequence = mine.of_sequence
                 and other.correction_id = c.id
             where mine.partner_id = $1 and mine.correction_id = $2)
         order by c.applied_number desc limit 1",
    )
    .bind(partner.0)
    .bind(id.0)
    .bind(number)
    .fetch_optional(&mut **tx)
    .await?;
    Ok(found.map(CorrectionId))
}

/// What it changed, with the sign turned, by the periods that are closed now.
async fn opposite(
    tx: &mut Transaction<'_, Postgres>,
    partner: PartnerId,
    id: CorrectionId,
) -> Result<Vec<Hit>, StoreError> {
    let closed = outside::closed_stretches(tx, partner).await?;
    let rows = sqlx::query(
        "select * from usage_correction_events where partner_id = $1 and correction_id = $2 and step = 0
         order by of_at, of_node, of_lane, of_sequence",
    )
    .bind(partner.0)
    .bind(id.0)
    .fetch_all(&mut **tx)
    .await?;
    let hit = |row: &PgRow| {
        let (environment, at) = (row.parsed("environment")?, row.at("of_at")?);
        let delta = Counted {
            calls: row.try_get("calls")?,
            units: row.try_get("units")?,
            credits: row.try_get("credits")?,
            allocated: row.try_get("allocated")?,
            bytes_in: row.try_get("bytes_in")?,
            bytes_out: row.try_get("bytes_out")?,
            duration_us: row.try_get("duration_us")?,
        };
        Ok(Hit {
            at,
            node: row.try_get("of_node")?,
            lane: row.try_get("of_lane")?,
            sequence: row.try_get("of_sequence")?,
            kind: row.try_get("of_kind")?,
            environment,
            product: row.try_get::<Option<Uuid>, _>("product_id")?.map(ProductId),
            operation: row.try_get::<Option<Uuid>, _>("operation_id")?.map(OperationId),
            product_code: String::new(),
            operation_code: String::new(),
            quota_start: row.at_if_any("quota_start")?,
            allocation: row.try_get::<Option<Uuid>, _>("allocation_id")?.map(AllocationId),
            team: row.try_get::<Option<Uuid>, _>("team_id")?.map(TeamId),
            before: Counted::default(),
            delta: delta.turned(),
            closed: within(&closed, environment, at),
        })
    };
    Ok(rows.iter().map(hit).collect::<Result<_, sqlx::Error>>()?)
}

async fn record(
    tx: &mut Transaction<'_, Postgres>,
    actor: Actor,
    partner: PartnerId,
    action: &'static str,
    id: CorrectionId,
    after: Value,
    now: Timestamp,
) -> Result<(), StoreError> {
    let is_carried_out = matches!(action, "correction.apply" | "correction.revert");
    // What does not count yet, or never will, is nothing of the partner's.
    let of = is_carried_out.then_some(partner);
    let mut after = after;
    if let Some(after) = after.as_object_mut() {
        after.insert("partner".to_owned(), json!(partner));
    }
    audit::append(tx, Entry::new(actor, of, action, &id.to_string()).after(after), now).await
}
