//! Partners at places that they keep from one snapshot to the next, so that keys can point at them.

use super::{Allocation, Bound, Kept, Partner, Plan, Problem, Subscription, compile};
use crate::quick_hash::QuickMap;
use arc_swap::ArcSwapOption;
use domain::{
    credit::bound::Purse,
    directory::{self, Directory},
    id::{PartnerId, PlanVersionId},
    period,
};
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

#[derive(Debug, Clone, Default)]
pub(super) struct Partners {
    all: Arc<[Arc<Partner>]>,
    places: Arc<QuickMap<PartnerId, usize>>,
    problems: Arc<[Problem]>,
}

impl Partners {
    pub(super) fn compile(directory: &Directory) -> Self {
        let order = directory.partners.iter();
        Self::of(order, directory)
    }

    /// These partners where plans came or went, at their old places; `None` where one of them is gone.
    pub(super) fn recompile(&self, directory: &Directory, anew: &[PartnerId]) -> Option<Self> {
        let known: Option<Vec<_>> = self.all.iter().map(|partner| directory.partner(partner.id)).collect();
        let added = anew.iter().filter(|id| !self.places.contains_key(id)).filter_map(|id| directory.partner(*id));
        Some(Self::of(known?.into_iter().chain(added), directory))
    }

    /// These partners with some as they are in the directory now; `None` where one of them is gone.
    pub(super) fn patch(&self, directory: &Directory, anew: &[PartnerId]) -> Option<Self> {
        let plans = plan_places(directory);
        let (mut all, mut places) = (self.all.to_vec(), self.places.clone());
        let subjects: HashSet<String> = anew.iter().map(PartnerId::to_string).collect();
        let mut problems: Vec<_> =
            self.problems().filter(|known| !subjects.contains(&known.subject)).cloned().collect();
        for &id in anew {
            let place = places.get(&id).copied();
            match (directory.partner(id), place.and_then(|place| all.get_mut(place))) {
                (Some(from), Some(known)) => *known = Arc::new(partner(from, (directory, &plans), &mut problems)),
                (Some(from), None) => {
                    Arc::make_mut(&mut places).insert(id, all.len());
                    all.push(Arc::new(partner(from, (directory, &plans), &mut problems)));
                }
                (None, Some(_)) => return None,
                (None, None) => {}
            }
        }
        Some(Self { all: all.into(), places, problems: problems.into() })
    }

    fn of<'a>(order: impl Iterator<Item = &'a directory::Partner>, directory: &Directory) -> Self {
        let plans = plan_places(directory);
        let (mut places, mut problems) = (QuickMap::default(), Vec::new());
        let compile = |(place, from): (usize, &directory::Partner)| {
            places.insert(from.id, place);
            Arc::new(partner(from, (directory, &plans), &mut problems))
        };
        let all: Vec<_> = order.enumerate().map(compile).collect();
        Self { all: all.into(), places: Arc::new(places), problems: problems.into() }
    }

    pub(super) fn place(&self, id: PartnerId) -> Option<usize> {
        self.places.get(&id).copied()
    }

    pub(super) fn at(&self, place: usize) -> &Partner {
        &self.all[place]
    }

    /// Whether a partner has terms of its own for some days, which hold places of products.
    pub(super) fn any_keeps(&self) -> bool {
        self.all.iter().any(|partner| partner.subscription.as_ref().is_some_and(|own| own.kept.is_some()))
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    pub(super) fn problems(&self) -> impl Iterator<Item = &Problem> {
        self.problems.iter()
    }
}

/// Places in the snapshot's plans, which are in the directory's order.
fn plan_places(directory: &Directory) -> HashMap<PlanVersionId, usize> {
    directory.plans.iter().enumerate().map(|(place, plan)| (plan.id, place)).collect()
}

fn partner(
    from: &directory::Partner,
    (directory, plans): (&Directory, &HashMap<PlanVersionId, usize>),
    problems: &mut Vec<Problem>,
) -> Partner {
    let subscription = from.subscription.as_ref().and_then(|subscription| {
        let compiled = subscribe(subscription, directory, plans.get(&subscription.plan_version).copied());
        compiled.map_err(|message| problems.push(Problem { subject: from.id.to_string(), message })).ok()
    });
    Partner {
        id: from.id,
        suspended: from.suspended,
        unpaid: from.unpaid,
        subscription,
        credit: Default::default(),
        allocations: allocations(from),
        bound: bound(from),
    }
}

fn bound(from: &directory::Partner) -> Box<[Bound]> {
    let mut purses = from.bound.clone();
    purses.sort_unstable_by_key(Purse::place);
    purses.into_iter().map(|purse| Bound { purse, partner: from.id, account: Default::default() }).collect()
}

fn allocations(from: &directory::Partner) -> Box<[Allocation]> {
    let compiled = |&directory::Allocation { id, of, spend }: &directory::Allocation| Allocation {
        id,
        of,
        spend,
        partner: from.id,
        account: Default::default(),
    };
    let mut all: Vec<Allocation> = from.allocations.iter().map(compiled).collect();
    all.sort_unstable_by_key(|one| one.of);
    all.into()
}

fn subscribe(
    from: &directory::Subscription,
    directory: &Directory,
    plan: Option<usize>,
) -> Result<Subscription, String> {
    let plan = plan.ok_or("The partner's plan version is not in the directory")?;
    period::zone(&from.cycle.time_zone).map_err(|error| error.to_string())?;
    let kept = from.kept.as_ref().zip(directory.plans.get(plan)).map(|(kept, version)| {
        let version = directory::PlanVersion { terms: kept.over(&version.terms), ..version.clone() };
        let plan = Plan { is_kept: true, ..compile::plan(&version, &directory.products) };
        Kept { until: kept.until, plan: Box::new(plan) }
    });
    Ok(Subscription {
        kept,
        plan,
        cycle: from.cycle.clone(),
        counts_from: from.counts_from,
        own_quota: from.quota,
        trial_until: from.trial_until,
        ends_at: from.ends_at,
        current: ArcSwapOption::empty(),
    })
}
