//! Whose usage is compared together before it is billed, and read: that of partners whose stretches begin and end about together, as most
//! do at the end of a month.

use super::{Closing, is_complete, next_stretch};
use domain::{
    id::{PartnerId, SubscriptionId},
    period::Period,
};
use jiff::{SignedDuration, Timestamp};
use std::collections::HashMap;
use store::{
    BillGround, OpenSubscription, Store, StoreError,
    reconcile::{Compared, Finding},
};

/// Partners that are compared together at the most. The last of them is billed a moment after it was compared.
const MOST: usize = 16;
/// Their stretches begin and end within that time of each other: all of it is compared of all of them.
const ABOUT: SignedDuration = SignedDuration::from_hours(72);

/// What is known of stretches that may be closed.
pub(super) type Known = HashMap<(SubscriptionId, Period), Ready>;

/// Whether a stretch may be billed.
#[derive(Debug)]
pub(super) enum Ready {
    /// With what it was used for, read after it was compared.
    Agrees(BillGround),
    /// As [`Compared`] has them.
    Differs(Finding),
    NotYet,
}

/// A partner's subscriptions, and which stretch of them may be closed first.
#[derive(Debug, Clone, Copy)]
pub(super) struct Own<'a> {
    pub subscriptions: &'a [OpenSubscription],
    due: Option<Due>,
}

#[derive(Debug, Clone, Copy)]
struct Due {
    partner: PartnerId,
    subscription: SubscriptionId,
    part: Period,
}

/// All partners' subscriptions by groups that are compared together; those of whom nothing can be closed come first.
pub(super) fn groups(open: &[OpenSubscription], closing: Closing, now: Timestamp) -> Vec<Vec<Own<'_>>> {
    let own = open.chunk_by(|one, next| one.partner == next.partner);
    let mut own: Vec<Own<'_>> = own.map(|subscriptions| Own::new(subscriptions, closing, now)).collect();
    // Months with months and days with days: what ends on one day began together where it is as long.
    own.sort_by_key(|own| own.due.map(|due| (due.part.start, due.part.end)));
    let mut groups: Vec<Vec<Own<'_>>> = Vec::new();
    for own in own {
        match groups.last_mut() {
            Some(group) if group.len() < MOST && group.first().is_some_and(|first| first.goes_with(&own)) => {
                group.push(own);
            }
            _ => groups.push(vec![own]),
        }
    }
    groups
}

impl<'a> Own<'a> {
    fn new(subscriptions: &'a [OpenSubscription], closing: Closing, now: Timestamp) -> Self {
        let due = subscriptions.iter().find_map(|subscription| {
            // What cannot be told is told when it is to be closed.
            let stretch = next_stretch(subscription).ok()??;
            let due = Due { partner: subscription.partner, subscription: subscription.id, part: stretch.part };
            is_complete(stretch, closing, now).then_some(due)
        });
        Self { subscriptions, due }
    }

    fn goes_with(&self, other: &Self) -> bool {
        let near = |one: Timestamp, other: Timestamp| one.duration_since(other).abs() <= ABOUT;
        match (self.due, other.due) {
            (Some(one), Some(other)) => near(one.part.start, other.part.start) && near(one.part.end, other.part.end),
            (one, other) => one.is_none() && other.is_none(),
        }
    }
}

/// Compares what the group's first stretches were used for, and reads it. Where that fails nothing is known, and each partner is compared
/// by itself: it may be one of them.
pub(super) async fn of(store: &Store, group: &[Own<'_>], now: Timestamp) -> Known {
    let due: Vec<Due> = group.iter().filter_map(|own| own.due).collect();
    make_ready(store, &due, now).await.unwrap_or_else(|error| {
        tracing::warn!(%error, partners = due.len(), "usage could not be compared together; it is compared partner by partner");
        Known::new()
    })
}

async fn make_ready(store: &Store, due: &[Due], now: Timestamp) -> Result<Known, StoreError> {
    let stretches: Vec<_> = due.iter().map(|due| (due.partner, due.part)).collect();
    let compared = compare(store, &stretches, now).await?;
    let agreed = due.iter().zip(&compared).filter(|(_, compared)| **compared == Compared::Agrees);
    let agreed: Vec<_> = agreed.map(|(due, _)| (due.partner, due.subscription, due.part)).collect();
    let mut grounds = store.bill_grounds(&agreed).await?.into_iter();
    let ready = due.iter().zip(compared).map(|(due, compared)| {
        let ready = match compared {
            Compared::Agrees => grounds.next().map_or(Ready::NotYet, Ready::Agrees),
            Compared::Differs(finding) => Ready::Differs(finding),
            Compared::NotYet => Ready::NotYet,
        };
        ((due.subscription, due.part), ready)
    });
    Ok(ready.collect())
}

/// In the order of the stretches. What was found earlier is known at once; else all of the stretch is compared, now that its last usage is
/// there.
async fn compare(
    store: &Store,
    stretches: &[(PartnerId, Period)],
    now: Timestamp,
) -> Result<Vec<Compared>, StoreError> {
    if stretches.is_empty() {
        return Ok(Vec::new());
    }
    let doubts = store.doubts(stretches).await?;
    let unknown = stretches.iter().zip(&doubts).filter(|(_, doubt)| doubt.is_none());
    let unknown: Vec<_> = unknown.map(|(stretch, _)| *stretch).collect();
    let mut compared = store.compare_partners(&unknown, now).await?.into_iter();
    let known = doubts.into_iter().map(|doubt| match doubt {
        Some(finding) => Compared::Differs(finding),
        None => compared.next().unwrap_or(Compared::NotYet),
    });
    Ok(known.collect())
}

/// What is known of a stretch, or else it is compared and read.
pub(super) async fn ready(
    store: &Store,
    known: &mut Known,
    subscription: &OpenSubscription,
    part: Period,
    now: Timestamp,
) -> Result<Ready, StoreError> {
    let stretch = (subscription.id, part);
    if let Some(ready) = known.remove(&stretch) {
        return Ok(ready);
    }
    let due = Due { partner: subscription.partner, subscription: subscription.id, part };
    Ok(make_ready(store, &[due], now).await?.remove(&stretch).unwrap_or(Ready::NotYet))
}

/// Compares one partner's usage.
pub(super) async fn compared(
    store: &Store,
    partner: PartnerId,
    part: Period,
    now: Timestamp,
) -> Result<Compared, StoreError> {
    Ok(compare(store, &[(partner, part)], now).await?.pop().unwrap_or(Compared::NotYet))
}
