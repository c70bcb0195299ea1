//! Coupons on a bill: what comes off once all else of it is rated, and what the store notes of that.

use super::{Stretch, advance::back_to_coupons};
use crate::BillingError;
use domain::{
    id::{PartnerId, SubscriptionId},
    money::Money,
    rating::{
        Rated,
        coupon::{self, Billed, Off, OffWhat},
    },
};
use jiff::Timestamp;
use store::{CouponsOfBill, CouponsTaken, OpenSubscription, Store};

/// Whose bill it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct CouponsOf {
    pub partner: PartnerId,
    pub subscription: SubscriptionId,
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
        })
    }

    /// What there is for bills of the period that begins then, and what of that fees gave back.
    async fn read(
        self,
        store: &Store,
        period_start: Timestamp,
    ) -> Result<(CouponsOfBill, Vec<(String, Money)>), BillingError> {
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
    let of = CouponsOf { partner: subscription.partner, subscription: subscription.id };
    let (of_bill, _) = of.read(store, stretch.whole.start).await?;
    let off = of_bill.redeemed.iter().map(|redeemed| redeemed.off(billed(subscription, stretch)));
    Ok(off.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
}

/// What counted for the bill of a stretch that is closed. Where nothing was owed there is no bill, and what was not noted is what would
/// have counted. Of an amount a part of a period has nothing then: the bills of its other parts may have taken it.
pub(super) async fn closed_coupons(
    store: &Store,
    subscription: &OpenSubscription,
    stretch: Stretch,
) -> Result<Vec<Off>, BillingError> {
    let (partner, subscription_id, start) = (subscription.partner, subscription.id, stretch.part.start);
    if !store.was_closed_empty(partner, subscription_id, start).await? {
        return Ok(store.coupons_of_closed_bill(partner, subscription_id, start).await?);
    }
    let mut coupons = open_coupons(store, subscription, stretch).await?;
    coupons.retain(|off| stretch.part == stretch.whole || matches!(off.what, OffWhat::Percent(_)));
    Ok(coupons)
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
