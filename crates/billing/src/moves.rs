//! Bulk moves with notice: what they mean for each partner before they are ordered, and the news of them.

use crate::{
    Affected, BillingError, ChangeRefused, Impact, MOST_RATED,
    change::{Letters, News, recipients},
    impact::impact_of,
    shown,
};
use domain::{
    id::{PartnerId, PlanMoveId},
    period::PeriodError,
    plan::PlanTerms,
    plan_move,
};
use jiff::{SignedDuration, Timestamp};
use std::collections::{HashMap, hash_map::Entry};
use store::{
    Actor, Cancelled, MoveTarget, NewMail, NewPlanMove, PlanHolder, ShownMove, Store, StoreError, Subscription,
};

/// How long after it was shown partners may be told and have the date that was shown: an order is taken for less, and whoever hears of it
/// later, as after an outage, has the whole notice from then.
const TOLD_WITHIN: SignedDuration = SignedDuration::from_mins(15);

const MOVED: &str = "Partners came to the plan, left it or have another change of plan planned since this was shown, so nothing was \
                     ordered. Look at what it means now, and order again";

/// What a move would mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MovePreview {
    /// At most [`MOST_RATED`] partners.
    pub impact: Impact,
    /// When each of them would have it, in the same order.
    pub at: Vec<Timestamp>,
    /// Whether a change of its plan waits already, in the same order: it is moved if it stays after all.
    pub waits: Vec<bool>,
    /// What the order carries.
    pub token: String,
}

/// All whom a move is for and what it is for each, by name, as it is shown at an instant.
struct Parts {
    shown_at: Timestamp,
    notice_from: Timestamp,
    holders: Vec<PlanHolder>,
    at: Vec<Timestamp>,
    waits: Vec<bool>,
}

impl Parts {
    async fn read(store: &Store, new: &NewPlanMove, shown_at: Timestamp) -> Result<Self, BillingError> {
        let shown_at = shown::exact(shown_at);
        let notice_from = shown_at.checked_add(TOLD_WITHIN).map_err(|_| PeriodError::OutOfRange)?;
        let (mut holders, _) = store.all_partners_on_plan(new.from, u32::MAX).await?;
        holders.retain(|holder| {
            holder.version.id != new.to && new.from_version.is_none_or(|version| version == holder.version.id)
        });
        let waiting = store.all_partners_with_a_change_of(new.from).await?;
        let at = holders
            .iter()
            .map(|holder| plan_move::in_force_at(&holder.cycle, holder.trial_until, new.notice_days, notice_from))
            .collect::<Result<_, _>>()?;
        let waits = holders.iter().map(|holder| waiting.contains(&holder.partner)).collect();
        Ok(Self { shown_at, notice_from, holders, at, waits })
    }

    /// The order, and each partner's version, date and whether it is moved only if it stays. What their last periods cost is not among it:
    /// late usage changes that.
    fn token(&self, new: &NewPlanMove) -> String {
        let of_each = self.holders.iter().zip(&self.at).zip(&self.waits);
        let mut parts: Vec<_> =
            of_each.map(|((holder, at), waits)| (holder.partner, holder.version.id, at, waits)).collect();
        parts.sort_by_key(|(partner, ..)| partner.0);
        let order = (new.from, new.from_version, new.to, new.notice_days, new.reason.trim());
        shown::token(self.shown_at, &serde_json::to_vec(&(order, parts)).unwrap_or_default())
    }
}

/// Who would be moved, when, and what their last period would have cost. Nothing is changed.
///
/// # Errors
/// What is wrong with the move, as ordering it would say.
pub async fn preview_move(store: &Store, new: &NewPlanMove, now: Timestamp) -> Result<MovePreview, BillingError> {
    store.check_plan_move(new).await?;
    let parts = Parts::read(store, new, now).await?;
    let token = parts.token(new);
    let Parts { mut holders, mut at, mut waits, .. } = parts;
    let in_all = holders.len() as u64;
    holders.truncate(MOST_RATED as usize);
    at.truncate(holders.len());
    waits.truncate(holders.len());
    let terms = store.plan_version_terms(new.to).await?;
    let impact = impact_of(store, holders, in_all, &terms, now).await?;
    Ok(MovePreview { impact, at, waits, token })
}

/// Orders the move that `token` was shown for: for the partners who were shown, each with the date that was shown if it is told soon.
///
/// # Errors
/// What is wrong with the move, or that it would not be as it was shown.
pub async fn order_move(
    store: &Store,
    new: &NewPlanMove,
    token: &str,
    actor: Actor,
    now: Timestamp,
) -> Result<PlanMoveId, ChangeRefused> {
    store.check_plan_move(new).await?;
    let parts = Parts::read(store, new, shown::instant(token, now)?).await?;
    if parts.token(new) != token {
        return Err(ChangeRefused::Moved(MOVED));
    }
    let shown = ShownMove {
        partners: parts.holders.into_iter().map(|holder| holder.partner).collect(),
        notice_from: parts.notice_from,
    };
    Ok(store.order_plan_move(new, &shown, actor, now).await?)
}

/// What the last full period of one partner would have cost with the terms that it comes to.
pub async fn impact_of_own_move(
    store: &Store,
    own: &Subscription,
    terms: &PlanTerms,
    now: Timestamp,
) -> Result<Option<Affected>, BillingError> {
    let holder = store.plan_holder(own.partner, own.plan).await?;
    Ok(impact_of(store, holder.into_iter().collect(), 1, terms, now).await?.partners.pop())
}

/// Plans the changes of all moves that are not planned yet, and tells of them; gives how many partners were told.
pub async fn follow_moves(store: &Store, letters: Letters<'_>, now: Timestamp) -> Result<u32, StoreError> {
    let (mut told, mut after) = (0, None);
    loop {
        let some = store.all_partners_to_move(after).await?;
        let Some(last) = some.last() else { return Ok(told) };
        after = Some(last.partner);
        for target in some {
            match plan_and_tell(store, &target, letters, now).await {
                Ok(is_told) => told += u32::from(is_told),
                Err(error @ StoreError::Unavailable(_)) => return Err(error),
                // The others are told all the same; the next run tries this one again.
                Err(error) => {
                    tracing::error!(partner = %target.partner, plan_move = %target.id, %error, "a partner's part of a move could not be planned");
                }
            }
        }
    }
}

/// The partner took back what it had planned: if the provider moves its partners, its part of that waits again, with no moment between
/// in which the date that it was told could pass.
pub(crate) async fn resume_move(
    store: &Store,
    partner: PartnerId,
    letters: Letters<'_>,
    now: Timestamp,
) -> Result<(), StoreError> {
    if let Some(target) = store.partner_to_move(partner).await? {
        plan_and_tell(store, &target, letters, now).await?;
    }
    Ok(())
}

async fn plan_and_tell(
    store: &Store,
    target: &MoveTarget,
    letters: Letters<'_>,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let hear = recipients(store, target.partner).await?;
    let mails = |at: Timestamp| -> Vec<NewMail> {
        let (from, to, why) = (target.from_name.clone(), target.to_name.clone(), target.reason.clone());
        let news = News::Moved { from, to, at, why };
        hear.iter().map(|recipient| letters(recipient, &news)).collect()
    };
    let planned = store.plan_move_of(target, &mails, now).await?;
    if let Some(at) = planned {
        tracing::info!(partner = %target.partner, plan_move = %target.id, %at, "planned a partner's part of a move");
    }
    Ok(planned.is_some())
}

/// Cancels a move, and tells whoever stays. False where it was cancelled before.
pub async fn cancel_move(
    store: &Store,
    id: PlanMoveId,
    letters: Letters<'_>,
    actor: Actor,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let plan = store.plan_move(id).await?.from_name;
    let mut mails: HashMap<PartnerId, Vec<NewMail>> = HashMap::new();
    loop {
        for partner in store.all_partners_of_move(id).await? {
            if let Entry::Vacant(unwritten) = mails.entry(partner) {
                let news = News::Kept { plan: plan.clone() };
                let hear = recipients(store, partner).await?;
                unwritten.insert(hear.iter().map(|recipient| letters(recipient, &news)).collect());
            }
        }
        match store.cancel_plan_move(id, &mails, actor, now).await? {
            Cancelled::Done { .. } => return Ok(true),
            Cancelled::Before => return Ok(false),
            Cancelled::OthersWait => {}
        }
    }
}
