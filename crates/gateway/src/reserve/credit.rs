//! The credit of a call: what its app or team has for itself, and what is common to the partner.

use crate::{leases::Account, snapshot::Allocation};
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
    own: Option<Own>,
    pub common: Part,
}

/// Of what an app or team has for itself.
#[derive(Debug)]
struct Own {
    id: AllocationId,
    spend: Spend,
    part: Part,
}

impl Credit {
    pub(super) fn units(&self) -> u64 {
        self.own.as_ref().map_or(0, |own| own.part.units) + self.common.units
    }

    pub(super) fn allocated(&self) -> Option<Allocated> {
        let Own { id, part, .. } = self.own.as_ref()?;
        (part.units > 0).then_some(Allocated { allocation: *id, units: part.units })
    }

    pub(super) fn overdrawn(&self) -> u64 {
        self.common.overdrawn
    }

    /// What is common goes back first: it was taken last.
    pub(super) fn release(&mut self, units: u64) {
        let common = units.min(self.common.units);
        self.common.release(common);
        if let Some(own) = &mut self.own {
            own.part.release(units - common);
        }
    }

    /// Takes as many of the units as this node holds, and says how many.
    pub(super) fn take_up_to(&mut self, units: u64) -> u64 {
        let mut taken = 0;
        if let Some(own) = &mut self.own {
            taken = own.part.account.take_up_to(units, None);
            own.part.units += taken;
            if own.spend == Spend::Only {
                return taken;
            }
        }
        let common = self.common.account.take_up_to(units - taken, None);
        self.common.units += common;
        taken + common
    }

    pub(super) fn spent(&mut self) {
        if let Some(own) = &mut self.own {
            own.part.units = 0;
        }
        (self.common.units, self.common.overdrawn) = (0, 0);
    }
}

/// The credit that a call may take.
pub(super) struct Purse<'a> {
    pub own: Option<(&'a Allocation, &'a Arc<Account>)>,
    pub common: &'a Arc<Account>,
}

impl Purse<'_> {
    /// Whether what is common may be taken.
    pub(super) fn is_open(&self) -> bool {
        self.own.is_none_or(|(own, _)| own.spend == Spend::First)
    }

    /// So much of what the app or team has for itself, and so much of what is common, of which nobody had granted the last.
    pub(super) fn credit(&self, own: u64, (units, overdrawn): (u64, u64)) -> Credit {
        let part = |account: &Arc<Account>, units, overdrawn| Part { account: account.clone(), units, overdrawn };
        let of_own = |(of, account): (&Allocation, &Arc<Account>)| Own {
            id: of.id,
            spend: of.spend,
            part: part(account, own, 0),
        };
        Credit { own: self.own.map(of_own), common: part(self.common, units, overdrawn) }
    }
}
