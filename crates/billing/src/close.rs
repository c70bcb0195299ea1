//! Closing periods: each stretch of a subscription is rated once its usage is complete, and becomes an invoice.
//!
//! A stretch is a billing period, or the part of one before or after a change of plan. Base fee, included units, steps,
//! minimum, commitment and included credit are prorated to the second (`domain::rating::proration`); live calls only are rated. A stretch
//! without fee and usage is closed without an invoice. Within a stretch a plan's threshold cuts it ([`threshold`]): the close rates all
//! of it all the same, and takes off what was billed.

pub(crate) mod advance;
mod by_team;
mod compared;
mod coupons;
mod late;
mod lines;
mod metered;
mod overdraft;
mod stranded;
mod threshold;

pub(crate) use coupons::{closed_coupons, less, open_coupons};
pub(crate) use late::when;
pub(crate) use lines::Usage;
pub(crate) use metered::{billed_meters, metered};
pub(crate) use overdraft::charges as overdraft_charges;
pub(crate) use threshold::{charges as billed_before, of_usage, sum as sum_billed_before};

use crate::BillingError;
use advance::Back;
use compared::{Known, Ready};
use coupons::CouponsOf;
use domain::{
    id::{InvoiceId, PartnerId, SubscriptionId},
    money::Money,
    period::Period,
    rating::{self, LineKind, MeterUsed, PlanPeriod, Rated, Used, proration},
};
use jiff::{SignedDuration, Timestamp};
use late::LateLines;
use std::collections::HashMap;
use store::{
    Beside, BillGround, Closed, NewInvoice, NewInvoiceLine, OpenSubscription, Store, outside::ToldMark,
    reconcile::Finding,
};
use tokio::task::{self, JoinSet};

/// Partners whose stretches are closed at once, or compared: the first of a month is the end of most periods. Each holds a connection to
/// Postgres, and others need some as well.
const AT_ONCE: usize = 3;

/// When a stretch may be closed.
#[derive(Debug, Clone, Copy)]
pub struct Closing {
    /// How long after the end of a stretch its last calls may still be recorded: longer than the longest call takes.
    pub grace: SignedDuration,
    /// Until when all usage of all nodes is taken in ([`Store::ingested_through`]); `None` closes nothing.
    pub ingested_through: Option<Timestamp>,
}

/// What a run did.
#[derive(Debug, Default)]
pub struct ClosingReport {
    pub invoices: Vec<InvoiceId>,
    /// Stretches without fee and usage.
    pub empty: u32,
    /// Stretches that have ended and wait for their last usage.
    pub waiting: u32,
    /// Of those, the ones that wait because two places that count usage do not say the same.
    pub doubtful: Vec<(PartnerId, Finding)>,
    /// Partners whose stretch could not be closed; the others were. `None` where it is not one partner's.
    pub problems: Vec<(Option<PartnerId>, BillingError)>,
}

impl ClosingReport {
    fn add(&mut self, other: Self) {
        self.invoices.extend(other.invoices);
        self.empty += other.empty;
        self.waiting += other.waiting;
        self.doubtful.extend(other.doubtful);
        self.problems.extend(other.problems);
    }
}

/// A stretch and the whole period that it is part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stretch {
    pub part: Period,
    pub whole: Period,
}

/// Closes every stretch that has ended and whose usage is complete, and bills what no next invoice would.
pub async fn close_due_periods(store: &Store, closing: Closing, now: Timestamp) -> Result<ClosingReport, BillingError> {
    let mut report = ClosingReport::default();
    let (mut running, mut partners) = (JoinSet::new(), HashMap::new());
    let open = store.all_partners_open_subscriptions().await?;
    let mut groups = compared::groups(&open, closing, now).into_iter();
    let (mut group, mut known) = (groups.next(), Known::new());
    if let Some(first) = &group {
        known = compared::of(store, first, now).await;
    }
    while let Some(this) = group {
        group = groups.next();
        // Postgres has more than one processor: the next partners' usage is compared and read while these are billed.
        let compare_next = async {
            match &group {
                Some(next) => compared::of(store, next, now).await,
                None => Known::new(),
            }
        };
        let at_once = if group.is_some() { AT_ONCE - 1 } else { AT_ONCE };
        let bill_these = async {
            for own in this {
                if running.len() >= at_once {
                    join_next(&mut running, &partners, &mut report).await;
                }
                let (store, own) = (store.clone(), own.subscriptions.to_vec());
                let is_own =
                    |(subscription, _): &(SubscriptionId, Period)| own.iter().any(|own| own.id == *subscription);
                let known: Known = known.extract_if(|stretch, _| is_own(stretch)).collect();
                let partner = own.first().map(|own| own.partner);
                let task = running.spawn(async move { close_subscriptions(&store, own, known, closing, now).await });
                partners.insert(task.id(), partner);
            }
        };
        let (next, ()) = tokio::join!(compare_next, bill_these);
        known = next;
    }
    while !running.is_empty() {
        join_next(&mut running, &partners, &mut report).await;
    }
    if let Err(error) = advance::bill(store, now, &mut report).await {
        tracing::error!(%error, "fees could not be billed in advance");
        report.problems.push((None, error));
    }
    if let Err(error) = threshold::bill(store, closing, now, &mut report).await {
        tracing::error!(%error, "threshold invoices could not be made");
        report.problems.push((None, error));
    }
    // Of what is closed by now the caller is told all the same.
    if let Err(error) = stranded::bill(store, now, &mut report).await {
        tracing::error!(%error, "final invoices could not be made");
        report.problems.push((None, error));
    }
    Ok(report)
}

async fn join_next(
    running: &mut JoinSet<ClosingReport>,
    partners: &HashMap<task::Id, Option<PartnerId>>,
    report: &mut ClosingReport,
) {
    match running.join_next().await {
        Some(Ok(of_partner)) => report.add(of_partner),
        // A panic. The other partners are closed all the same.
        Some(Err(ended)) => {
            let partner = partners.get(&ended.id()).copied().flatten();
            tracing::error!(?partner, %ended, "a billing period could not be closed");
            report.problems.push((partner, BillingError::Ended(ended.to_string())));
        }
        None => {}
    }
}

/// One partner's, the oldest first: an invoice takes what the one before it has left.
async fn close_subscriptions(
    store: &Store,
    own: Vec<OpenSubscription>,
    mut known: Known,
    closing: Closing,
    now: Timestamp,
) -> ClosingReport {
    let mut report = ClosingReport::default();
    for subscription in own {
        let partner = subscription.partner;
        if let Err(error) = close_stretches(store, subscription, &mut known, closing, now, &mut report).await {
            tracing::error!(%partner, %error, "a billing period could not be closed");
            report.problems.push((Some(partner), error));
        }
    }
    report
}

async fn close_stretches(
    store: &Store,
    mut subscription: OpenSubscription,
    known: &mut Known,
    closing: Closing,
    now: Timestamp,
    report: &mut ClosingReport,
) -> Result<(), BillingError> {
    while let Some(stretch) = next_stretch(&subscription)? {
        if now < stretch.part.end {
            break;
        }
        if !is_complete(stretch, closing, now) {
            report.waiting += 1;
            break;
        }
        let ground = match compared::ready(store, known, &subscription, stretch.part, now).await? {
            Ready::Agrees(ground) => ground,
            Ready::NotYet => {
                report.waiting += 1;
                break;
            }
            Ready::Differs(finding) => {
                report.waiting += 1;
                report.doubtful.push((subscription.partner, finding));
                break;
            }
        };
        let mark = mark(store, &subscription, stretch.part, ground.mark).await?;
        let invoice = invoice(store, &subscription, stretch, ground, now).await?;
        if let Some(finding) = doubt_before(store, &subscription, stretch.part, invoice.as_ref()).await? {
            report.waiting += 1;
            report.doubtful.push((subscription.partner, finding));
            break;
        }
        let made = (invoice, mark);
        match store.close_billing_period(subscription.partner, subscription.id, stretch.part, made, now).await? {
            Closed::Invoiced(id) => {
                tracing::info!(partner = %subscription.partner, invoice = %id, "closed a billing period");
                report.invoices.push(id);
            }
            Closed::Empty => report.empty += 1,
            Closed::Already => break,
            // The next run reads the usage again.
            Closed::Changed => {
                report.waiting += 1;
                break;
            }
            Closed::Doubtful => {
                report.waiting += 1;
                let finding = store.doubt(subscription.partner, stretch.part).await?;
                report.doubtful.extend(finding.map(|finding| (subscription.partner, finding)));
                break;
            }
        }
        subscription.billed_until = stretch.part.end;
    }
    Ok(())
}

/// What makes hours doubtful that are billed with the stretch although they were before it: units beyond all credit under an earlier plan.
async fn doubt_before(
    store: &Store,
    subscription: &OpenSubscription,
    part: Period,
    invoice: Option<&NewInvoice>,
) -> Result<Option<Finding>, BillingError> {
    let hours = invoice.into_iter().flat_map(|invoice| &invoice.overdrawn).map(|one| one.hour);
    match hours.min().filter(|first| *first < part.start) {
        Some(start) => Ok(store.doubt(subscription.partner, Period { start, end: part.start }).await?),
        None => Ok(None),
    }
}

/// Whether the stretch has ended and all of its usage is there.
fn is_complete(stretch: Stretch, closing: Closing, now: Timestamp) -> bool {
    let complete_at = stretch.part.end.saturating_add(closing.grace).unwrap_or(Timestamp::MAX);
    now >= complete_at && closing.ingested_through.is_some_and(|through| through >= complete_at)
}

/// How far the usage of the stretch was when its units were read, with that of its meters, before they are.
async fn mark(
    store: &Store,
    subscription: &OpenSubscription,
    part: Period,
    units: ToldMark,
) -> Result<ToldMark, BillingError> {
    // Units tell by themselves whether some came meanwhile.
    if subscription.terms.meters.is_empty() {
        return Ok(units);
    }
    Ok(ToldMark { metered: Some(store.metered_calls(subscription.partner, part).await?), ..units })
}

/// The first stretch that is not billed; `None` where the subscription is billed to its end.
pub(crate) fn next_stretch(subscription: &OpenSubscription) -> Result<Option<Stretch>, BillingError> {
    let start = subscription.billed_until;
    if subscription.ended_at.is_some_and(|end| end <= start) {
        return Ok(None);
    }
    let whole = subscription.cycle.period_at(start)?;
    let end = subscription.ended_at.map_or(whole.end, |end| end.min(whole.end));
    Ok(Some(Stretch { part: Period { start, end }, whole }))
}

/// The period of the subscription's plan that is all of `whole`.
pub(crate) fn plan_period(subscription: &OpenSubscription, whole: Period) -> Result<PlanPeriod, BillingError> {
    let OpenSubscription { cycle, plan_since, trial_until, .. } = subscription;
    Ok(PlanPeriod::of(cycle, *plan_since, *trial_until, whole)?)
}

/// What the stretch costs with these units, before coupons.
pub(crate) fn rate(
    subscription: &OpenSubscription,
    stretch: Stretch,
    used: &[Used],
    metered: &[MeterUsed],
) -> Result<Rated, BillingError> {
    let terms = subscription.terms.in_force(plan_period(subscription, stretch.whole)?).in_arrears();
    let terms = proration::for_part(&terms, stretch.part, stretch.whole)?;
    let mut rated = rating::rate_all(&terms, used, metered)?;
    if stretch.part != stretch.whole {
        // Else the amount in the words would seem to be the plan's.
        let amounts = rated.charges.iter_mut();
        let amounts = amounts.filter(|charge| matches!(charge.kind, LineKind::Minimum | LineKind::Commitment));
        for label in amounts.filter_map(|charge| charge.label.as_mut()) {
            label.push_str(" (part of the period)");
        }
    }
    Ok(rated)
}

async fn invoice(
    store: &Store,
    subscription: &OpenSubscription,
    stretch: Stretch,
    BillGround { units, teams, beside, .. }: BillGround,
    now: Timestamp,
) -> Result<Option<NewInvoice>, BillingError> {
    let (partner, id) = (subscription.partner, subscription.id);
    let usage = Usage { units, teams, metered: metered(store, subscription, stretch.part, stretch.part.end).await? };
    let mut rated = rate(subscription, stretch, &usage.used(), &usage.of_meters())?;
    let currency = rated.total.currency;
    let of = CouponsOf { partner, subscription: id, are_there: beside.contains(&Beside::Coupons) };
    let mut coupons = of.take_off(store, coupons::billed(subscription, stretch), &mut rated).await?;
    let late = match beside.contains(&Beside::LateUnits) {
        true => late::lines(store, partner, currency, Some(&coupons)).await?,
        false => LateLines::default(),
    };
    coupons.late = late.coupons;
    let back = match beside.contains(&Beside::UnusedFees) {
        true => advance::given_back(store, partner, currency).await?,
        false => Back::default(),
    };
    let overdrawn = match beside.contains(&Beside::Overdraft) {
        true => store.overdrawn_credit(partner, id, stretch.part.end, now).await?,
        false => Vec::new(),
    };
    let beyond = overdraft::lines(&overdrawn, currency)?;
    let before = match beside.contains(&Beside::ThresholdInvoices) {
        true => store.billed_before(partner, id, stretch.part.start).await?,
        false => Vec::new(),
    };
    let lines: Vec<NewInvoiceLine> = rated.charges.into_iter().map(|charge| usage.line(charge, stretch)).collect();
    let costs = match before.is_empty() {
        true => Money::zero(currency),
        false => {
            let coupons = open_coupons(store, subscription, stretch).await?;
            of_usage((subscription, stretch), &usage.used(), &usage.of_meters(), &coupons)?.total
        }
    };
    let taken_off = threshold::taken_off(store, (subscription, stretch), &before, (&lines, costs)).await?;
    let is_empty = late.sequences.is_empty() && back.fees.is_empty() && beyond.is_empty() && taken_off.is_empty();
    if lines.is_empty() && is_empty {
        return Ok(None);
    }
    let extra: Vec<NewInvoiceLine> = taken_off.into_iter().chain(beyond).chain(late.lines).chain(back.lines).collect();
    let total = extra.iter().try_fold(rated.total, |sum, line| sum.checked_add(line.amount))?;
    Ok(Some(NewInvoice {
        plan_version: subscription.plan_version,
        time_zone: subscription.cycle.time_zone.clone(),
        collect: subscription.terms.collect,
        total,
        lines: lines.into_iter().chain(extra).collect(),
        late: late.sequences,
        in_advance: false,
        threshold_number: 0,
        billed_before: threshold::billed_already(&before, costs),
        given_back: back.fees,
        overdrawn,
        coupons: Some(coupons),
    }))
}
