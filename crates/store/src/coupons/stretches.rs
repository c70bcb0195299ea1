//! When each of a partner's coupons counts: the stretches of time in which it had a plan whose bills the coupon lowers.

use crate::row::ReadRow as _;
use domain::{id::PartnerId, period::Period};
use jiff::Timestamp;
use sqlx::{PgConnection, Row as _};
use std::collections::HashMap;

/// From when on the redemption `r` counts. It waits to the end of a fee that was billed when it was redeemed, but not where the plan that
/// the fee was for ended before: the rest is given back then, and the next bill is another one.
macro_rules! starts_at {
    () => {
        "least(r.starts_at, (
             select greatest(s.ended_at, r.redeemed_at) from subscriptions s
             where s.partner_id = r.partner_id and s.started_at <= r.redeemed_at and s.ended_at > r.redeemed_at
             order by s.started_at desc limit 1))"
    };
}
pub(super) use starts_at;

/// By code, in their order and disjoint; what has no end yet ends with time.
pub(super) async fn of_partner(
    tx: &mut PgConnection,
    partner: PartnerId,
) -> Result<HashMap<String, Vec<Period>>, sqlx::Error> {
    // A trial ends before it counts; a plan that was left within the trial was not there.
    let rows = sqlx::query(concat!(
        "select r.code, greatest(s.started_at, s.trial_until, r.counts_from) as start, s.ended_at
         from (select r.*, ",
        starts_at!(),
        " as counts_from from coupon_redemptions r where r.partner_id = $1) as r
         join subscriptions s on s.partner_id = r.partner_id and s.started_at is not null
             and (s.ended_at is null or s.ended_at > greatest(s.started_at, s.trial_until, r.counts_from))
         join plan_versions v on v.id = s.plan_version_id
         where coupon_is_for(r.terms, v.plan_id)
             and coalesce(v.terms ->> 'collect', 'invoice_items') = 'invoice_items'
             and (r.terms ->> 'currency' is null or r.terms ->> 'currency' = v.terms ->> 'currency')
         order by r.code, s.started_at",
    ))
    .bind(partner.0)
    .fetch_all(tx)
    .await?;
    let mut all: HashMap<String, Vec<Period>> = HashMap::new();
    for row in &rows {
        let end = row.at_if_any("ended_at")?.unwrap_or(Timestamp::MAX);
        all.entry(row.try_get("code")?).or_default().push(Period { start: row.at("start")?, end });
    }
    Ok(all)
}
