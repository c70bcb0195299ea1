//! The credit of a call: what its app or team has for itself, what only calls of its product spend, and what is common to the partner.

use crate::{
    leases::Account,
    snapshot::{Allocation, Bound},
};
use domain::{credit::allocation::Spend, id::AllocationId, usage::Allocated};
use std::sync::Arc;

/// Units of one account.
#[derive(Debug)]
pub(super) struct Part {
    pub account: Arc<Account>,
    pub units: u64,
    /// Of those, units that nobody had granted.
    pub overdrawn: u64,
}

impl Part {
    pub(super) fn release(&mut self, units: u64) {
        let units = units.min(self.units);
        let overdrawn = units.min(self.overdrawn);
        self.account.release_overdrawn(overdrawn);
        self.account.release(units - overdrawn);
        (self.units, self.overdrawn) = (self.units - units, self.overdrawn - overdrawn);
    }
}

/// Credit that is held.
#[derive(Debug)]
pub(super) struct Credit {
    apart: Option<Apart>,
    pub common: Part,
}

/// Of what not all calls of the partner spend.
#[derive(Debug)]
struct Apart {
    id: AllocationId,
    spend: Spend,
    part: Part,
}

impl Credit {
    pub(super) fn units(&self) -> u64 {
        self.apart.as_ref().map_or(0, |apart| apart.part.units) + self.common.units
    }

    pub(super) fn allocated(&self) -> Option<Allocated> {
        let Apart { id, part, .. } = self.apart.as_ref()?;
        (part.units > 0).then_some(Allocated { allocation: *id, units: part.units })
    }

    pub(super) fn overdrawn(&self) -> u64 {
        self.common.overdrawn
    }

    /// What is common goes back first: it was taken last.
    pub(super) fn release(&mut self, units: u64) {
        let common = units.min(self.common.units);
        self.common.release(common);
        if let Some(apart) = &mut self.apart {
            apart.part.release(units - common);
        }
    }

    /// Takes as many of the units as this node holds, and says how many.
    pub(super) fn take_up_to(&mut self, units: u64) -> u64 {
        let mut taken = 0;
        if let Some(apart) = &mut self.apart {
            taken = apart.part.account.take_up_to(units, None);
            apart.part.units += taken;
            if apart.spend == Spend::Only {
                return taken;
            }
        }
        let common = self.common.account.take_up_to(units - taken, None);
        self.common.units += common;
        taken + common
    }

    pub(super) fn spent(&mut self) {
        if let Some(apart) = &mut self.apart {
            apart.part.units = 0;
        }
        (self.common.units, self.common.overdrawn) = (0, 0);
    }
}

/// The credit that a call may take.
pub(super) struct Purse<'a> {
    pub own: Option<(&'a Allocation, &'a Arc<Account>)>,
    /// What only calls of its product spend, in the order in which they do.
    pub bound: Vec<(&'a Bound, &'a Arc<Account>)>,
    pub common: &'a Arc<Account>,
}

/// One of those from which a call takes before it takes what is common.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    id: AllocationId,
    spend: Spend,
    pub account: &'a Arc<Account>,
}

impl<'a> Purse<'a> {
    /// Whether anything but the app's or team's own may be taken.
    pub(super) fn is_open(&self) -> bool {
        self.own.is_none_or(|(own, _)| own.spend == Spend::First)
    }

    /// What is taken before what is common, in this order.
    pub(super) fn sources(&self) -> impl Iterator<Item = Source<'a>> {
        let own = self.own.map(|(of, account)| Source { id: of.id, spend: of.spend, account });
        let bound = self.bound.iter().filter(|_| self.is_open());
        own.into_iter().chain(bound.map(|&(of, account)| Source { id: of.id(), spend: Spend::First, account }))
    }

    /// So much of one of the sources, and so much of what is common, of which nobody had granted the last. A call that took of none takes what it
    /// turns out to cost besides of the first that has any.
    pub(super) fn credit(&self, from: Option<(Source<'a>, u64)>, (units, overdrawn): (u64, u64)) -> Credit {
        let part = |account: &Arc<Account>, units, overdrawn| Part { account: account.clone(), units, overdrawn };
        let from = from.or_else(|| {
            let has_some = |source: &Source<'_>| source.account.left().is_none_or(|left| left > 0);
            self.sources().find(has_some).or_else(|| self.sources().next()).map(|source| (source, 0))
        });
        let apart = from.map(|(source, units)| Apart {
            id: source.id,
            spend: source.spend,
            part: part(source.account, units, 0),
        });
        Credit { apart, common: part(self.common, units, overdrawn) }
    }
}
