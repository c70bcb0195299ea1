//! What a correction does to bills, tried dry, and its way to being carried out.
//!
//! The same rating as at the close says what each period costs with it and without. An approval is for the hash of all that: of each
//! event that changes, and of what closed periods cost. What an open period costs moves with every call, so the hash has its
//! changes and not its price.

use crate::{
    BillingError,
    close::{Stretch, billed_meters, closed_coupons, less, metered, next_stretch, open_coupons, rate},
};
use domain::{
    correction::NewCorrection,
    id::{CorrectionId, PartnerId, PlanVersionId, SubscriptionId},
    key_text::Environment,
    money::{Currency, Money},
    period::Period,
    rating::{
        Used,
        coupon::Off,
        late::{Shift, shifted},
    },
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use store::{
    Actor, Store,
    corrections::{Approval, Draft, Effect, Hit},
};
use uuid::Uuid;

/// What a correction would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DryRun {
    /// Events that change; one for a back-fill.
    pub events: u64,
    /// What those events count now, and would.
    pub calls_before: i64,
    pub calls_after: i64,
    pub units_before: i64,
    pub units_after: i64,
    /// Units of the current and earlier quotas that become free again; below zero where more are used.
    pub quota_back: i64,
    /// Units of prepaid credit that come back.
    pub credit_back: i64,
    /// By period, the oldest first.
    pub bills: Vec<Bill>,
    /// Units of it that are in no bill: test calls, and times without a plan.
    pub unbilled_units: i64,
    /// What changes of closed bills is on an invoice of its own: the partner has left, or pays in another currency by now, and no next
    /// invoice would have it.
    #[serde(default)]
    pub has_final_invoice: bool,
    /// The currencies in which it is. Dry runs from before this was kept have none.
    #[serde(default)]
    pub final_in: Vec<Currency>,
    pub tried_at: Timestamp,
}

/// What a period costs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bill {
    pub subscription: SubscriptionId,
    pub plan_version: PlanVersionId,
    pub period: Period,
    /// Its bill stands, and the difference is on the next one.
    pub is_closed: bool,
    /// By how much its units change.
    pub units: i64,
    /// Of an open period: so far.
    pub before: Money,
    pub after: Money,
}

/// Where a bill's difference is to be found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BilledOn {
    /// The period is open.
    ItsOwn,
    Next,
    /// Nothing else follows in that currency.
    Final,
}

impl DryRun {
    pub fn billed_on(&self, bill: &Bill) -> BilledOn {
        let is_final = match self.final_in.as_slice() {
            [] => self.has_final_invoice,
            some => some.contains(&bill.before.currency),
        };
        match (bill.is_closed, is_final) {
            (false, _) => BilledOn::ItsOwn,
            (true, false) => BilledOn::Next,
            (true, true) => BilledOn::Final,
        }
    }
}

type Codes = (String, String);

/// Tries it, and keeps nothing.
pub async fn try_correction(
    store: &Store,
    partner: PartnerId,
    new: NewCorrection,
    now: Timestamp,
) -> Result<DryRun, BillingError> {
    let effect = store.correction_effect(partner, &new, now).await?;
    dry_run(store, partner, &effect, now).await
}

/// Tries it, and keeps it as a draft.
pub async fn draft_correction(
    store: &Store,
    partner: PartnerId,
    new: NewCorrection,
    (four_eyes, actor): (bool, Actor),
    now: Timestamp,
) -> Result<CorrectionId, BillingError> {
    let (draft, _) = try_dry(store, partner, new, now).await?;
    Ok(store.draft_correction(partner, &draft, four_eyes, actor, now).await?)
}

/// As [`draft_correction`], at most once for this attempt of an API call ([`store::ApiRequest::Fresh`]).
pub async fn draft_correction_once(
    store: &Store,
    partner: PartnerId,
    (new, attempt): (NewCorrection, Uuid),
    (four_eyes, actor): (bool, Actor),
    now: Timestamp,
) -> Result<CorrectionId, BillingError> {
    let (draft, _) = try_dry(store, partner, new, now).await?;
    Ok(store.draft_correction_once(partner, (&draft, attempt), four_eyes, actor, now).await?)
}

/// Approves what was seen, by the hash of it, if it would still do just that.
pub async fn approve_correction(
    store: &Store,
    id: CorrectionId,
    approval: Approval,
    actor: Actor,
    now: Timestamp,
) -> Result<(), BillingError> {
    let held = store.correction_of_any_partner(id).await?;
    let (again, _) = try_dry(store, held.partner, held.new, now).await?;
    Ok(store.approve_correction(held.partner, id, (approval, &again), actor, now).await?)
}

/// Carries it out, once; false where it was already. Where it takes two people by now, two must have agreed.
pub async fn apply_correction(
    store: &Store,
    id: CorrectionId,
    (four_eyes, actor): (bool, Actor),
    now: Timestamp,
) -> Result<bool, BillingError> {
    let held = store.correction_of_any_partner(id).await?;
    let (partner, new) = (held.partner, held.new.clone());
    let (again, effect) = match try_dry(store, partner, new, now).await {
        Ok(tried) => tried,
        // What is done changes nothing a second time.
        Err(_) if held.applied.is_some() => (Draft { new: held.new, dry_run: held.dry_run, hash: held.hash }, [0; 32]),
        Err(error) => return Err(error),
    };
    Ok(store.apply_correction(partner, id, (&again, effect, four_eyes), actor, now).await?)
}

/// The hash as text: 64 hex digits.
pub fn write_hash(hash: &[u8; 32]) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The hash of such a text.
pub fn read_hash(text: &str) -> Option<[u8; 32]> {
    let digits: Vec<u8> = text.chars().map(|digit| u8::try_from(digit.to_digit(16)?).ok()).collect::<Option<_>>()?;
    let bytes: Vec<u8> = digits.chunks_exact(2).filter_map(|pair| Some((pair.first()? << 4) | pair.get(1)?)).collect();
    (digits.len() == 64).then(|| bytes.try_into().ok())?
}

/// What it would do, and the hash of the events alone.
async fn try_dry(
    store: &Store,
    partner: PartnerId,
    new: NewCorrection,
    now: Timestamp,
) -> Result<(Draft, [u8; 32]), BillingError> {
    let effect = store.correction_effect(partner, &new, now).await?;
    let of_events = effect.hash()?;
    let dry_run = dry_run(store, partner, &effect, now).await?;
    let closed: Vec<&Bill> = dry_run.bills.iter().filter(|bill| bill.is_closed).collect();
    let written = |value: &serde_json::Value| value.to_string();
    let closed = serde_json::to_value(&closed).map_err(unwritten)?;
    let hash = Sha256::new().chain_update(of_events).chain_update(written(&closed)).finalize().into();
    let dry_run = serde_json::to_value(&dry_run).map_err(unwritten)?;
    Ok((Draft { new, dry_run, hash }, of_events))
}

fn unwritten(error: serde_json::Error) -> BillingError {
    BillingError::Differs(format!("what the correction does cannot be written down: {error}"))
}

async fn dry_run(store: &Store, partner: PartnerId, effect: &Effect, now: Timestamp) -> Result<DryRun, BillingError> {
    let sum = |of: fn(&Hit) -> i64| effect.hits.iter().fold(0_i64, |sum, hit| sum.saturating_add(of(hit)));
    let held = |hit: &&Hit| hit.kind == 0 && hit.environment == Environment::Live && hit.quota_start.is_some();
    let back =
        |of: fn(&Hit) -> i64| effect.hits.iter().filter(held).fold(0_i64, |sum, hit| sum.saturating_sub(of(hit)));
    let mut bills = closed_bills(store, partner, effect).await?;
    let open = open_bills(store, partner, effect, now).await?;
    bills.extend(open);
    bills.sort_by_key(|bill| (bill.period.start, bill.period.end));
    let units = sum(|hit| hit.delta.units);
    let mut final_in = Vec::new();
    for currency in bills.iter().filter(|bill| bill.is_closed).map(|bill| bill.before.currency) {
        if !final_in.contains(&currency) && !store.has_next_invoice(partner, currency).await? {
            final_in.push(currency);
        }
    }
    Ok(DryRun {
        events: effect.hits.len() as u64,
        calls_before: sum(|hit| hit.before.calls),
        calls_after: sum(|hit| hit.before.calls.saturating_add(hit.delta.calls)),
        units_before: sum(|hit| hit.before.units),
        units_after: sum(|hit| hit.before.units.saturating_add(hit.delta.units)),
        quota_back: back(|hit| hit.delta.units.saturating_sub(hit.delta.credits)),
        credit_back: back(|hit| hit.delta.credits),
        unbilled_units: units.saturating_sub(bills.iter().map(|bill| bill.units).sum()),
        bills,
        has_final_invoice: !final_in.is_empty(),
        final_in,
        tried_at: now,
    })
}

/// Each closed stretch beside its bill and what was adjusted of it, with and without.
async fn closed_bills(store: &Store, partner: PartnerId, effect: &Effect) -> Result<Vec<Bill>, BillingError> {
    let mut of_stretch: BTreeMap<(SubscriptionId, Timestamp, Timestamp), Vec<(Codes, Shift)>> = BTreeMap::new();
    for hit in &effect.hits {
        let Some((subscription, period)) = hit.closed else { continue };
        of_stretch.entry((subscription, period.start, period.end)).or_default().push(change(hit));
    }
    let mut bills = Vec::with_capacity(of_stretch.len());
    for ((subscription, start, end), changes) in of_stretch {
        let standing = store.adjusted_units(partner, subscription, Period { start, end }).await?;
        let whole = standing.subscription.cycle.period_at(start)?;
        let stretch = Stretch { part: standing.period, whole };
        let units = store.billed_units(partner, subscription, standing.period).await?;
        let used: Vec<Used> = units.into_iter().map(|line| line.used).collect();
        let adjusted = standing.moved.iter().map(|moved| {
            let codes = (moved.product_code.clone(), moved.operation_code.clone());
            let units = moved.billed.saturating_add(moved.waiting);
            (codes, Shift { units, prepaid: moved.prepaid_billed.saturating_add(moved.prepaid_waiting) })
        });
        let used = shifted(&used, adjusted);
        let meters = billed_meters(store, &standing.subscription, standing.period).await?;
        let coupons = closed_coupons(store, &standing.subscription, stretch, &[]).await?;
        let total = |used: &[Used], coupons: &[Off]| -> Result<Money, BillingError> {
            Ok(less(rate(&standing.subscription, stretch, used, &meters)?, coupons)?.total)
        };
        bills.push(Bill {
            subscription,
            plan_version: standing.subscription.plan_version,
            period: standing.period,
            is_closed: true,
            units: changes.iter().map(|(_, shift)| shift.units).sum(),
            before: total(&used, &coupons.before)?,
            after: total(&shifted(&used, changes.into_iter()), &coupons.after)?,
        });
    }
    Ok(bills)
}

/// Each stretch that is not billed yet, so far, with and without.
async fn open_bills(
    store: &Store,
    partner: PartnerId,
    effect: &Effect,
    now: Timestamp,
) -> Result<Vec<Bill>, BillingError> {
    let is_open = |hit: &&Hit| hit.closed.is_none() && hit.environment == Environment::Live && hit.delta.units != 0;
    let open: Vec<&Hit> = effect.hits.iter().filter(is_open).collect();
    let mut bills = Vec::new();
    if open.is_empty() {
        return Ok(bills);
    }
    for mut subscription in store.open_subscriptions(partner).await? {
        while let Some(stretch) = next_stretch(&subscription)?.filter(|stretch| stretch.part.start <= now) {
            let within = open.iter().filter(|hit| stretch.part.contains(hit.at));
            let changes: Vec<(Codes, Shift)> = within.map(|hit| change(hit)).collect();
            if !changes.is_empty() {
                let units = store.units_between(partner, stretch.part, Environment::Live).await?;
                let used: Vec<Used> = units.into_iter().map(|line| line.used).collect();
                let meters = metered(store, &subscription, stretch.part, now).await?;
                let meters: Vec<_> = meters.into_iter().map(|line| line.used).collect();
                let coupons = open_coupons(store, &subscription, stretch).await?;
                let total = |used: &[Used]| -> Result<Money, BillingError> {
                    Ok(less(rate(&subscription, stretch, used, &meters)?, &coupons)?.total)
                };
                bills.push(Bill {
                    subscription: subscription.id,
                    plan_version: subscription.plan_version,
                    period: stretch.part,
                    is_closed: false,
                    units: changes.iter().map(|(_, shift)| shift.units).sum(),
                    before: total(&used)?,
                    after: total(&shifted(&used, changes.into_iter()))?,
                });
            }
            subscription.billed_until = stretch.part.end;
        }
    }
    Ok(bills)
}

fn change(hit: &Hit) -> (Codes, Shift) {
    let shift = Shift { units: hit.delta.units, prepaid: hit.delta.credits };
    ((hit.product_code.clone(), hit.operation_code.clone()), shift)
}
