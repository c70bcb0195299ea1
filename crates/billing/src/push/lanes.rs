//! Invoices of several partners at a time, each partner's one after the other.
//!
//! An invoice takes some ten requests, and Stripe answers one in a few tenths of a second: one invoice after the other, a month's end of a
//! thousand partners would take most of an hour, and Stripe's drafts take usage for no longer. Stripe takes one meter event of a customer
//! and meter at a time, so a partner's invoices stay in one lane; and some 25 requests a second of one kind
//! (<https://docs.stripe.com/rate-limits>), which so few lanes seldom come to. What it refuses waits for the next run.
//!
//! Usage that Stripe's meters will not take for much longer goes first, whoever's it is. Where that fails the rest is tried all the same, as the
//! same few may fail each time.

use super::{ENOUGH_FAILURES, Push, Reconciled};
use crate::BillingError;
use domain::{id::PartnerId, plan::Collect};
use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
};
use store::{Invoice, StoreError};

/// What is left to do, and what came of it.
struct Shared<'a> {
    /// Each partner's, in the order of their first ones.
    left: VecDeque<Vec<&'a Invoice>>,
    /// In a row, whoever's they are.
    failures: u32,
    /// Nothing more is begun: Stripe is down or refuses the key, or Postgres does not answer.
    is_over: bool,
    report: Reconciled,
}

type Lanes<'a> = Mutex<Shared<'a>>;

impl Push<'_> {
    /// Pushes them, and says whether Stripe is down.
    pub(super) async fn all(&self, target: &[Invoice]) -> Result<(Reconciled, bool), BillingError> {
        let (soon, rest): (Vec<_>, Vec<_>) = target.iter().partition(|invoice| self.is_metered_in_time(invoice));
        let (mut report, soon_is_over) = self.in_lanes(&soon).await?;
        if rest.is_empty() {
            return Ok((report, soon_is_over));
        }
        let (more, is_over) = self.in_lanes(&rest).await?;
        report.pushed.extend(more.pushed);
        report.problems.extend(more.problems);
        report.waiting += more.waiting;
        Ok((report, is_over))
    }

    fn is_metered_in_time(&self, invoice: &Invoice) -> bool {
        invoice.collect == Collect::MeterEvents && !self.is_late(invoice)
    }

    async fn in_lanes(&self, target: &[&Invoice]) -> Result<(Reconciled, bool), BillingError> {
        let (left, failures, is_over, report) = (by_partner(target), 0, false, Reconciled::default());
        let lanes = Mutex::new(Shared { left, failures, is_over, report });
        let lane = || self.lane(&lanes);
        // Each to its end: a request that is broken off may have been carried out.
        let ended: [_; 4] = tokio::join!(lane(), lane(), lane(), lane()).into();
        let mut failed = ended.into_iter().filter_map(Result::err);
        if let Some(error) = failed.next() {
            failed.for_each(|error| tracing::warn!(%error, "another lane to Stripe was ended by an error, too"));
            return Err(error);
        }
        let Shared { mut report, is_over, .. } = lanes.into_inner().unwrap_or_else(PoisonError::into_inner);
        let place: HashMap<_, _> = target.iter().enumerate().map(|(place, invoice)| (invoice.id, place)).collect();
        report.pushed.sort_by_key(|invoice| place.get(invoice));
        report.problems.sort_by_key(|(invoice, _)| place.get(invoice));
        Ok((report, is_over))
    }

    async fn lane(&self, lanes: &Lanes<'_>) -> Result<(), BillingError> {
        let mut push = Push::new(self.store, self.stripe, self.settings, self.clock);
        loop {
            let Some(invoices) = of(lanes).left.pop_front() else { return Ok(()) };
            for invoice in invoices {
                if of(lanes).is_over {
                    of(lanes).report.waiting += 1;
                } else if let Err(error) = push.one_of(invoice, lanes).await {
                    of(lanes).end();
                    return Err(error);
                }
            }
        }
    }

    /// Errors are those that no other invoice would fare better with.
    async fn one_of(&mut self, invoice: &Invoice, lanes: &Lanes<'_>) -> Result<(), BillingError> {
        match self.one(invoice).await {
            Ok(()) => {
                let mut shared = of(lanes);
                shared.failures = 0;
                shared.report.pushed.push(invoice.id);
            }
            Err(BillingError::Store(error @ StoreError::Unavailable(_))) => return Err(error.into()),
            Err(BillingError::Stripe(error)) if error.is_unauthorized() => return Err(error.into()),
            Err(BillingError::Stripe(error)) if error.is_passing() => {
                tracing::warn!(invoice = %invoice.id, %error, "an invoice waits for Stripe");
                self.store.note_push_try(invoice.partner, invoice.id, self.now()).await?;
                let mut shared = of(lanes);
                shared.report.waiting += 1;
                shared.failures += 1;
                if shared.failures >= ENOUGH_FAILURES {
                    shared.end();
                }
            }
            Err(BillingError::TooSoon(what)) => {
                tracing::info!(invoice = %invoice.id, what, "an invoice waits");
                of(lanes).report.waiting += 1;
            }
            Err(error) => {
                tracing::error!(invoice = %invoice.id, %error, "an invoice could not be pushed to Stripe");
                self.store.set_push_problem(invoice.partner, invoice.id, &error.to_string(), self.now()).await?;
                of(lanes).report.problems.push((invoice.id, error.to_string()));
            }
        }
        Ok(())
    }
}

impl Shared<'_> {
    /// What is not begun waits for the next run.
    fn end(&mut self) {
        self.is_over = true;
        let left: usize = self.left.drain(..).map(|invoices| invoices.len()).sum();
        self.report.waiting += u32::try_from(left).unwrap_or(u32::MAX);
    }
}

/// Held for a moment, never while something is waited for.
fn of<'a, 'b>(lanes: &'b Lanes<'a>) -> MutexGuard<'b, Shared<'a>> {
    lanes.lock().unwrap_or_else(PoisonError::into_inner)
}

fn by_partner<'a>(target: &[&'a Invoice]) -> VecDeque<Vec<&'a Invoice>> {
    let (mut groups, mut places) = (VecDeque::<Vec<&'a Invoice>>::new(), HashMap::<PartnerId, usize>::new());
    for invoice in target {
        let place = *places.entry(invoice.partner).or_insert(groups.len());
        match groups.get_mut(place) {
            Some(group) => group.push(invoice),
            None => groups.push_back(vec![invoice]),
        }
    }
    groups
}
