//! One fetch for many: calls that miss the same answer at the same time wait for the first of them.
//!
//! Nobody waits for an answer that turns out to be for one client only, and what was not kept is not waited for again
//! for a while.

use super::key::{Address, Scope};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::watch;

/// How long an address whose answer was not kept is fetched by everybody for himself, in nanoseconds.
const ALONE: u64 = 10_000_000_000;
/// Addresses that are remembered for it.
const MAX_REMEMBERED: usize = 10_000;

/// How far the first call's fetch is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// Waiting for the answer's head.
    Asked,
    /// The answer is going to be kept; its body is on its way.
    Coming,
    /// It is kept.
    Kept,
    /// It is not: everybody has to ask.
    Alone,
}

type Place = (Address, Scope);

#[derive(Debug)]
enum Slot {
    Flying(watch::Receiver<Progress>),
    /// Until then, in monotonic nanoseconds, everybody asks.
    Alone(u64),
}

#[derive(Debug, Default)]
pub(super) struct Flights {
    slots: Mutex<HashMap<Place, Slot>>,
}

/// What a call that missed does.
#[derive(Debug)]
pub(super) enum Role {
    Leads(Lead),
    Follows(watch::Receiver<Progress>),
    Alone,
}

/// The fetch that others wait for. Its drop lets them go.
#[derive(Debug)]
pub(super) struct Lead {
    flights: Arc<Flights>,
    place: Place,
    progress: watch::Sender<Progress>,
}

impl Flights {
    pub(super) fn join(self: &Arc<Self>, address: &Address, scope: &Scope, now: u64) -> Role {
        let place = (address.clone(), scope.clone());
        let mut slots = self.lock();
        match slots.get(&place) {
            Some(Slot::Flying(progress)) => return Role::Follows(progress.clone()),
            Some(Slot::Alone(until)) if now < *until => return Role::Alone,
            _ => {}
        }
        let (progress, followers) = watch::channel(Progress::Asked);
        slots.insert(place.clone(), Slot::Flying(followers));
        Role::Leads(Lead { flights: self.clone(), place, progress })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Place, Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lead {
    /// The answer is going to be kept.
    pub(super) fn comes(&self) {
        self.progress.send_replace(Progress::Coming);
    }

    /// The answer can be found.
    pub(super) fn landed(self) {
        self.progress.send_replace(Progress::Kept);
    }

    /// The answer is not for anybody else, and the next ones will not be either.
    pub(super) fn leave(self, now: u64) {
        let mut slots = self.flights.lock();
        if slots.len() >= MAX_REMEMBERED {
            slots.retain(|_, slot| match slot {
                Slot::Flying(_) => true,
                Slot::Alone(until) => now < *until,
            });
        }
        if slots.len() < MAX_REMEMBERED {
            slots.insert(self.place.clone(), Slot::Alone(now.saturating_add(ALONE)));
        }
    }
}

impl Drop for Lead {
    fn drop(&mut self) {
        let mut slots = self.flights.lock();
        if let Some(Slot::Flying(_)) = slots.get(&self.place) {
            slots.remove(&self.place);
        }
        drop(slots);
        self.progress.send_if_modified(|progress| {
            let lost = *progress != Progress::Kept;
            if lost {
                *progress = Progress::Alone;
            }
            lost
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::key_text::Environment;

    fn place() -> Place {
        let scope = Scope { partner: None, key: None, environment: Environment::Live, host: Box::default() };
        (Address { path: "/a".into(), query: None }, scope)
    }

    #[test]
    fn the_first_leads_the_others_follow_and_are_let_go_whatever_happens() {
        let flights = Arc::new(Flights::default());
        let (address, scope) = place();
        let Role::Leads(lead) = flights.join(&address, &scope, 0) else { panic!("the first leads") };
        let Role::Follows(follower) = flights.join(&address, &scope, 0) else { panic!("the second follows") };
        lead.comes();
        assert_eq!(*follower.borrow(), Progress::Coming);
        lead.landed();
        assert_eq!(*follower.borrow(), Progress::Kept);
        let Role::Leads(lead) = flights.join(&address, &scope, 0) else { panic!("that flight is over") };
        let Role::Follows(follower) = flights.join(&address, &scope, 0) else { panic!("the second follows") };
        drop(lead);
        assert_eq!(*follower.borrow(), Progress::Alone);
    }

    #[test]
    fn an_answer_for_one_client_is_not_waited_for_again_for_a_while() {
        let flights = Arc::new(Flights::default());
        let (address, scope) = place();
        let Role::Leads(lead) = flights.join(&address, &scope, 0) else { panic!("the first leads") };
        lead.leave(0);
        assert!(matches!(flights.join(&address, &scope, ALONE - 1), Role::Alone));
        assert!(matches!(flights.join(&address, &scope, ALONE), Role::Leads(_)));
    }
}
