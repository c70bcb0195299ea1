//! Bulk moves with notice: what they mean for each partner before they are ordered, and the news of them.

use crate::{
    Affected, BillingError, Impact, MOST_RATED,
    change::{Letters, News, recipients},
    impact::impact_of,
};
use domain::{
    id::{PartnerId, PlanMoveId},
    plan::PlanTerms,
    plan_move,
};
use jiff::Timestamp;
use std::collections::{HashMap, hash_map::Entry};
use store::{Actor, Cancelled, MoveTarget, NewMail, NewPlanMove, PlanHolder, Store, StoreError, Subscription};

/// What a move would mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MovePreview {
    /// At most [`MOST_RATED`] partners.
    pub impact: Impact,
    /// When each of them would have it if it were told now, in the same order.
    pub at: Vec<Timestamp>,
    /// Whether a change of its plan waits already, in the same order: it is moved if it stays after all.
    pub waits: Vec<bool>,
}

/// Who would be moved, when, and what their last period would have cost. Nothing is changed.
///
/// # Errors
/// What is wrong with the move, as ordering it would say.
pub async fn preview_move(store: &Store, new: &NewPlanMove, now: Timestamp) -> Result<MovePreview, BillingError> {
    store.check_plan_move(new).await?;
    let (holders, _) = store.all_partners_on_plan(new.from, u32::MAX).await?;
    let is_moved = |holder: &PlanHolder| {
        holder.version.id != new.to && new.from_version.is_none_or(|version| version == holder.version.id)
    };
    let mut holders: Vec<PlanHolder> = holders.into_iter().filter(is_moved).collect();
    let in_all = holders.len() as u64;
    holders.truncate(MOST_RATED as usize);
    let (mut at, mut waits) = (Vec::with_capacity(holders.len()), Vec::with_capacity(holders.len()));
    for holder in &holders {
        at.push(plan_move::in_force_at(&holder.cycle, holder.trial_until, new.notice_days, now)?);
        waits.push(store.scheduled_change(holder.partner).await?.is_some());
    }
    let terms = store.plan_version_terms(new.to).await?;
    let impact = impact_of(store, holders, in_all, &terms, now).await?;
    Ok(MovePreview { impact, at, waits })
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
