//! Coupons on a bill: what comes off once all else of it is rated, and what the store notes of that.

use super::{Stretch, advance::back_to_coupons};
use crate::BillingError;
use domain::{
    id::{PartnerId, SubscriptionId},
    money::Money,
    rating::{
        Rated,
        coupon::{self, Billed, Off},
    },
};
use jiff::Timestamp;
use store::{CouponsOfBill, CouponsTaken, OpenSubscription, Store};

/// Whose bill it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct CouponsOf {
    pub partner: PartnerId,
    pub subscription: SubscriptionId,
    /// Whether the partner may have any.
    pub are_there: bool,
}

impl CouponsOf {
    /// Takes off what counts for the bill.
    pub(super) async fn take_off(
        self,
        store: &Store,
        bill: Billed<'_>,
        rated: &mut Rated,
    ) -> Result<CouponsTaken, BillingError> {
        let (of_bill, returned) = self.read(store, bill.whole.start).await?;
        let mut off = Vec::new();
        for redeemed in &of_bill.redeemed {
            off.extend(redeemed.off(bill)?);
        }
        let taken = coupon::take_off(rated, &off)?;
        Ok(CouponsTaken {
            period_start: bill.whole.start,
            part_start: bill.part.start,
            known: of_bill.known,
            taken: off.into_iter().map(|one| one.code).zip(taken).collect(),
            returned,
            late: Vec::new(),
        })
    }

    /// What there is for bills of the period that begins then, and what of that fees gave back.
    async fn read(
        self,
        store: &Store,
        period_start: Timestamp,
    ) -> Result<(CouponsOfBill, Vec<(String, Money)>), BillingError> {
        if !self.are_there {
            return Ok(Default::default());
        }
        let mut of_bill = store.coupons_of_bill(self.partner, self.subscription, period_start).await?;
        if of_bill.redeemed.iter().all(|redeemed| redeemed.taken_micros == 0) {
            return Ok((of_bill, Vec::new()));
        }
        let returned = back_to_coupons(store, self.partner, period_start).await?;
        for redeemed in &mut of_bill.redeemed {
            for (_, money) in returned.iter().filter(|(code, _)| *code == redeemed.code) {
                redeemed.taken_micros = redeemed.taken_micros.saturating_sub(money.micros).max(0);
            }
        }
        Ok((of_bill, returned))
    }
}

/// What counts for the bill of a stretch that is not closed.
pub(crate) async fn open_coupons(
    store: &Store,
    subscription: &OpenSubscription,
    stretch: Stretch,
) -> Result<Vec<Off>, BillingError> {
    let of = CouponsOf { partner: subscription.partner, subscription: subscription.id, are_there: true };
    let (of_bill, _) = of.read(store, stretch.whole.start).await?;
    let off = of_bill.redeemed.iter().map(|redeemed| redeemed.off(billed(subscription, stretch)));
    Ok(off.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
}

/// What counts for a stretch that is closed, where usage comes late.
pub(crate) struct ClosedCoupons {
    /// For the bill as it was, and with what came late.
    pub before: Vec<Off>,
    pub after: Vec<Off>,
    /// Whether the invoice that has the late usage notes what they take: the stretch had no bill of its own that did.
    pub is_noted: bool,
    /// By code, what goes back to them with fees of the period that are given back.
    pub returned: Vec<(String, Money)>,
}

/// What counted for the bill of a stretch that is closed. Where nothing was owed there is no bill, and what would have counted does: of an
/// amount what other bills of the period leave, those among them that are made `now`.
pub(crate) async fn closed_coupons(
    store: &Store,
    subscription: &OpenSubscription,
    stretch: Stretch,
    now: &[CouponsNow],
) -> Result<ClosedCoupons, BillingError> {
    let (partner, id, start) = (subscription.partner, subscription.id, stretch.part.start);
    if !store.was_closed_empty(partner, id, start).await? {
        let coupons = store.coupons_of_closed_bill(partner, id, start).await?;
        return Ok(ClosedCoupons { before: coupons.clone(), after: coupons, is_noted: false, returned: Vec::new() });
    }
    let noted = store.coupons_of_late_usage(partner, id, start).await?;
    let (of_bill, returned) =
        CouponsOf { partner, subscription: id, are_there: true }.read(store, stretch.whole.start).await?;
    let (mut before, mut after) = (Vec::new(), Vec::new());
    for redeemed in &of_bill.redeemed {
        let own = noted.get(&redeemed.code).copied().unwrap_or(0);
        let others = now.iter().filter(|one| one.period_start == stretch.whole.start && one.code == redeemed.code);
        let others = others.fold(0_i64, |sum, one| sum.saturating_add(one.micros));
        if let Some((was, off)) = redeemed.off_late(billed(subscription, stretch), own, others)? {
            before.push(was);
            after.push(off);
        }
    }
    Ok(ClosedCoupons { before, after, is_noted: true, returned })
}

/// What an invoice takes of a coupon that is being made.
#[derive(Debug, Clone)]
pub(crate) struct CouponsNow {
    pub period_start: Timestamp,
    pub code: String,
    pub micros: i64,
}

impl CouponsNow {
    pub(super) fn of<'a>(
        period_start: Timestamp,
        taken: &'a [(String, Money)],
    ) -> impl Iterator<Item = Self> + use<'a> {
        taken.iter().map(move |(code, money)| Self { period_start, code: code.clone(), micros: money.micros })
    }
}

/// The bill with coupons.
pub(crate) fn less(mut rated: Rated, coupons: &[Off]) -> Result<Rated, BillingError> {
    coupon::take_off(&mut rated, coupons)?;
    Ok(rated)
}

pub(super) fn billed(subscription: &OpenSubscription, stretch: Stretch) -> Billed<'_> {
    Billed {
        terms: &subscription.terms,
        cycle: &subscription.cycle,
        trial_until: subscription.trial_until,
        part: stretch.part,
        whole: stretch.whole,
    }
}
