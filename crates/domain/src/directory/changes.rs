//! What differs between two versions of the directory, so that one change of a large one costs what the change is worth.

use super::{Directory, Key, Partner, PlanVersion, ProductSecret, UpstreamHeader};
use crate::id::{KeyId, PartnerId, PlanVersionId, ProductId};
use serde::{Deserialize, Serialize};
use std::{collections::HashSet, hash::Hash};

/// Parts of a directory that were read anew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changes {
    /// The version that they follow.
    pub since: i64,
    /// Read anew with their operations, headers and secrets. What is not found is gone, here and below.
    pub products: Vec<ProductId>,
    pub partners: Vec<PartnerId>,
    pub keys: Vec<KeyId>,
    /// What was found of them at the new version, with the plan versions that these partners are on and those that have a
    /// new name.
    pub found: Directory,
}

/// What changes concerned.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Touched {
    /// The version that was changed.
    pub since: i64,
    /// Products that changed themselves, or their headers or secrets.
    pub products: Vec<ProductId>,
    /// Plan versions came, went or have another name.
    pub plans: bool,
    pub partners: Vec<PartnerId>,
    pub keys: Vec<KeyId>,
}

impl Directory {
    /// Puts its lists in the order that everything below relies on. A directory from the store has it.
    pub fn sort(&mut self) {
        self.products.sort_by(|a, b| a.code.cmp(&b.code));
        self.headers.sort_by(|a, b| header_place(a).cmp(&header_place(b)));
        self.secrets.sort_by(|a, b| secret_place(a).cmp(&secret_place(b)));
        self.plans.sort_by(|a, b| plan_place(a).cmp(&plan_place(b)));
        self.partners.sort_by_key(partner_id);
        self.keys.sort_by_key(key_id);
    }

    /// Takes changes in; `None`, and nothing is changed, where they follow another version than this.
    pub fn apply(&mut self, changes: Changes) -> Option<Touched> {
        let Changes { since, products, partners, keys, found } = changes;
        if since != self.version {
            return None;
        }
        (self.version, self.edition) = (found.version, found.edition);
        if !products.is_empty() {
            let anew: HashSet<ProductId> = products.iter().copied().collect();
            let stays = |id: &ProductId| !anew.contains(id);
            self.products.retain(|product| stays(&product.id));
            self.headers.retain(|header| stays(&header.product));
            self.secrets.retain(|secret| stays(&secret.product));
            self.products.extend(found.products);
            self.headers.extend(found.headers);
            self.secrets.extend(found.secrets);
            self.products.sort_by(|a, b| a.code.cmp(&b.code));
            self.headers.sort_by(|a, b| header_place(a).cmp(&header_place(b)));
            self.secrets.sort_by(|a, b| secret_place(a).cmp(&secret_place(b)));
        }
        put(&mut self.partners, &partners, found.partners, partner_id);
        put(&mut self.keys, &keys, found.keys, key_id);
        let plans = (!partners.is_empty() || !found.plans.is_empty()) && self.put_plans(found.plans);
        Some(Touched { since, products, plans, partners, keys })
    }

    /// Whether that changed anything. A plan version that no partner is on any more goes.
    fn put_plans(&mut self, found: Vec<PlanVersion>) -> bool {
        let in_use: HashSet<PlanVersionId> = self.partners.iter().filter_map(plan_version).collect();
        let before = self.plans.len();
        self.plans.retain(|plan| in_use.contains(&plan.id));
        let mut changed = self.plans.len() != before;
        for plan in found {
            match self.plans.iter_mut().find(|known| known.id == plan.id) {
                Some(known) if *known == plan => continue,
                Some(known) => *known = plan,
                None => self.plans.push(plan),
            }
            changed = true;
        }
        self.plans.sort_by(|a, b| plan_place(a).cmp(&plan_place(b)));
        changed
    }

    /// The partner of that id, in a directory whose lists are in order.
    pub fn partner(&self, id: PartnerId) -> Option<&Partner> {
        self.partners.get(self.partners.binary_search_by_key(&id, partner_id).ok()?)
    }

    /// The key of that id, in a directory whose lists are in order.
    pub fn key(&self, id: KeyId) -> Option<&Key> {
        self.keys.get(self.keys.binary_search_by_key(&id, key_id).ok()?)
    }
}

/// Puts what was found in the place of what was read anew, in one pass however many there are.
fn put<T, Id: Ord + Hash + Copy>(list: &mut Vec<T>, anew: &[Id], found: Vec<T>, id: fn(&T) -> Id) {
    let mut gone: HashSet<Id> = anew.iter().copied().collect();
    let mut added = Vec::new();
    for one in found {
        gone.remove(&id(&one));
        let place = list.binary_search_by_key(&id(&one), id).ok();
        match place.and_then(|at| list.get_mut(at)) {
            Some(known) => *known = one,
            None => added.push(one),
        }
    }
    if gone.iter().any(|gone| list.binary_search_by_key(gone, id).is_ok()) {
        list.retain(|one| !gone.contains(&id(one)));
    }
    if !added.is_empty() {
        list.extend(added);
        list.sort_by_key(id);
    }
}

fn partner_id(partner: &Partner) -> PartnerId {
    partner.id
}

fn key_id(key: &Key) -> KeyId {
    key.id
}

fn plan_version(partner: &Partner) -> Option<PlanVersionId> {
    partner.subscription.as_ref().map(|subscription| subscription.plan_version)
}

fn plan_place(plan: &PlanVersion) -> (&str, i32, PlanVersionId) {
    (&plan.plan_code, plan.version, plan.id)
}

fn header_place(header: &UpstreamHeader) -> (ProductId, &str) {
    (header.product, &header.name)
}

fn secret_place(secret: &ProductSecret) -> (ProductId, &str) {
    (secret.product, &secret.name)
}
