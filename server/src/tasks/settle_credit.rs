//! Books prepaid credit: what hours that are over used of which grant, grants that begin, grants that expire; and tells partners of
//! what expires soon.

use super::TaskError;
use app::{
    mail,
    state::{Clock, Settings},
};
use jiff::SignedDuration;
use std::{sync::Arc, time::Duration};
use store::Store;

pub const NAME: &str = "settle_credit";
/// For so long at most gateways can still take units of a grant that is over.
pub const PERIOD: Duration = Duration::from_secs(5);
const DAY_HOURS: i64 = 24;

/// `notice_days` before a grant expires its partner is told; none is told where it is zero.
///
/// # Errors
/// Postgres does not answer, or one partner's credit could not be booked; the others' is.
pub async fn run(store: Store, clock: Clock, settings: Arc<Settings>, notice_days: u32) -> Result<(), TaskError> {
    let now = clock.now();
    let mut failed = None;
    for partner in store.all_partners_credit_due(now).await? {
        if let Err(error) = store.settle_credit(partner, now).await {
            tracing::error!(%partner, %error, "prepaid credit could not be booked");
            failed = Some(error);
        }
    }
    if notice_days > 0 {
        let until = now.saturating_add(SignedDuration::from_hours(DAY_HOURS * i64::from(notice_days)));
        for expiring in store.all_partners_expiring_credit(now, until.unwrap_or(now)).await? {
            let letters: Vec<_> =
                expiring.recipients.iter().map(|to| mail::credit_expires(&settings, to, &expiring)).collect();
            store.tell_of_expiring_credit(expiring.partner, expiring.grant, &letters, now).await?;
        }
    }
    let allocated = store.all_partners_allocated_credit().await?;
    metrics::gauge!("turnpike_credit_allocated_units").set(allocated.left as f64);
    metrics::gauge!("turnpike_credit_allocations_used_up").set(allocated.used_up as f64);
    failed.map_or(Ok(()), |error| Err(error.into()))
}
