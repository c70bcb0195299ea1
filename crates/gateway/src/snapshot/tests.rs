//! Whatever changes in whatever order: a snapshot that was patched decides as one that was compiled from the same directory.

use super::*;
use domain::{
    directory::{self, Changes, PlanVersion, Subscription as Subscribed},
    dunning::UnpaidRules,
    id::{InvoiceId, SubscriptionId},
    limit::Window,
    money::Currency,
    period::Interval,
    plan::{Grant as Opened, PlanTerms},
    product,
};
use proptest::prelude::*;
use std::collections::BTreeSet;
use uuid::Uuid;

/// Kinds of steps, see [`Truth::step`].
const STEPS: u8 = 16;

/// The directory as Postgres would have it, and all that ever was in it.
#[derive(Default)]
struct Truth {
    directory: Directory,
    names: [u8; 4],
    made: u64,
    products: Vec<ProductId>,
    keys: Vec<(KeyId, [u8; 32])>,
}

/// What was changed since the version before.
#[derive(Default)]
struct Noted {
    products: BTreeSet<ProductId>,
    partners: BTreeSet<PartnerId>,
    keys: BTreeSet<KeyId>,
    plans: BTreeSet<PlanVersionId>,
}

/// Bits that look random, the same for each number.
fn mixed(number: u64) -> u128 {
    let mix = |seed: u64| {
        let bits = seed.wrapping_add(0x9e37_79b9_7f4a_7c15).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (bits ^ bits >> 31).wrapping_mul(0x94d0_49bb_1331_11eb)
    };
    u128::from(mix(number)) << 64 | u128::from(mix(number ^ 0xffff))
}

fn place(of: usize, choice: u64) -> Option<usize> {
    (of > 0).then(|| choice as usize % of)
}

impl Truth {
    fn id(&mut self) -> Uuid {
        self.made += 1;
        Uuid::from_u128(mixed(self.made))
    }

    fn plan(&self, choice: u64) -> PlanVersion {
        let number = choice % 4;
        let products: Vec<_> = (0..=number)
            .map(|number| Opened {
                product: format!("product-{number}"),
                operations: (number % 2 == 1).then(|| vec!["read".to_owned()]),
            })
            .collect();
        PlanVersion {
            id: PlanVersionId(Uuid::from_u128(u128::from(number))),
            plan_code: format!("plan-{}", 9 - number),
            plan_name: format!("Plan {}", self.names[number as usize]),
            version: 1,
            terms: PlanTerms {
                currency: Currency::Eur,
                interval: Interval::Month,
                periods: Default::default(),
                products,
                limits: Vec::new(),
                quota: None,
                base_fee_micros: 0,
                fee_due: Default::default(),
                price: Default::default(),
                meters: Vec::new(),
                minimum_micros: 0,
                discounts: Vec::new(),
                phases: Vec::new(),
                promotions: Vec::new(),
                offered: Default::default(),
                commitment: None,
                trial: None,
                invoice_threshold_micros: None,
                included_credit_micros: 0,
                features: Vec::new(),
                opens_features: Vec::new(),
                admission: Default::default(),
                collect: Default::default(),
                changes: Default::default(),
                unpaid: number.is_multiple_of(2).then(|| UnpaidRules {
                    grace_days: 14,
                    limited_days: 14,
                    limited_percent: None,
                    limited_limits: vec![Limit { calls: 1, window: Window::Hour }],
                    minimum_micros: 0,
                }),
            },
        }
    }

    fn subscription(&mut self, choice: u64) -> Subscribed {
        let zone = if choice % 7 == 3 { "Atlantis/Harbour" } else { "UTC" };
        let plan = self.plan(choice);
        let larger = PlanTerms { limits: vec![Limit { calls: 9_999, window: Window::Minute }], ..plan.terms.clone() };
        let kept = (choice % 5 == 2).then(|| domain::plan_change::Kept::new(&larger, &plan.terms, Timestamp::MAX));
        Subscribed {
            id: SubscriptionId(self.id()),
            plan_version: plan.id,
            cycle: Cycle { anchor: Timestamp::UNIX_EPOCH, interval: Interval::Month, time_zone: zone.to_owned() },
            counts_from: None,
            quota: None,
            trial_until: None,
            ends_at: None,
            kept,
        }
    }

    fn add_product(&mut self, choice: u64) -> ProductId {
        let id = ProductId(self.id());
        let operation = |code: &str, number| product::Operation {
            id: OperationId(Uuid::from_u128(id.0.as_u128() ^ number)),
            code: code.to_owned(),
            method: "GET".to_owned(),
            path: format!("/{code}"),
            summary: String::new(),
            weight: 1,
            deprecated: false,
            removed: false,
        };
        let taken = |code: &String| self.directory.products.iter().any(|product| product.code == *code);
        let code = (choice..).map(|number| format!("product-{}", number % 50)).find(|code| !taken(code));
        let code = code.expect("fewer than fifty products");
        self.directory.products.push(product::Product {
            id,
            name: code.clone(),
            // Two products may want one route.
            route: format!("/{}", choice % 5),
            code,
            upstream_url: "http://127.0.0.1:4000".to_owned(),
            timeout_ms: 1000,
            visibility: Visibility::Public,
            policy: Default::default(),
            invited: Vec::new(),
            operations: vec![operation("read", 1), operation("write", 2)],
        });
        self.products.push(id);
        id
    }

    fn add_key(&mut self, partner: PartnerId, choice: u64) -> KeyId {
        let id = KeyId(self.id());
        let mut hash = [0; 32];
        hash[..16].copy_from_slice(&mixed(choice % 1000).to_be_bytes());
        // An identity that was revoked and registered again.
        let again = place(self.keys.len(), choice).map(|at| self.keys[at].1).filter(|_| choice.is_multiple_of(5));
        let hash = again.unwrap_or(hash);
        self.directory.keys.push(directory::Key {
            id,
            hash,
            partner,
            app: AppId(partner.0),
            team: None,
            environment: Environment::Live,
            kind: KeyKind::Key,
            allowed_addresses: if choice % 4 == 1 { vec!["everywhere".to_owned()] } else { Vec::new() },
            scopes: if choice % 3 == 1 { vec!["read".to_owned()] } else { Vec::new() },
            expires_at: None,
            revoked_at: None,
        });
        self.keys.push((id, hash));
        id
    }

    fn step(&mut self, (kind, choice): (u8, u64), noted: &mut Noted) {
        let (products, partners, keys) =
            (self.directory.products.len(), self.directory.partners.len(), self.directory.keys.len());
        match kind % STEPS {
            0 => _ = noted.products.insert(self.add_product(choice)),
            1 => {
                let id = PartnerId(self.id());
                let subscription = (choice % 6 > 0).then(|| self.subscription(choice));
                self.directory.partners.push(directory::Partner {
                    id,
                    suspended: false,
                    subscription,
                    unpaid: None,
                    allocations: Vec::new(),
                    bound: Vec::new(),
                });
                noted.partners.insert(id);
                self.directory.sort();
            }
            2..=5 => {
                let Some(at) = place(partners, choice) else { return };
                noted.keys.insert(self.add_key(self.directory.partners[at].id, choice));
            }
            6 | 7 => {
                let Some(at) = place(keys, choice) else { return };
                let key = &mut self.directory.keys[at];
                key.revoked_at = Some(Timestamp::UNIX_EPOCH);
                noted.keys.insert(key.id);
            }
            8 => {
                let Some(at) = place(keys, choice) else { return };
                noted.keys.insert(self.directory.keys.remove(at).id);
            }
            9 => {
                let Some(at) = place(partners, choice) else { return };
                let partner = &mut self.directory.partners[at];
                partner.suspended = !partner.suspended;
                partner.unpaid = (choice % 4 > 0).then(|| Unpaid {
                    stage: Stage::ALL[usize::try_from(choice % 4).unwrap_or(0)],
                    invoice: InvoiceId(Uuid::from_u128(1)),
                    number: 1,
                });
                noted.partners.insert(partner.id);
            }
            10 | 11 => {
                let Some(at) = place(partners, choice) else { return };
                let subscription = (choice % 6 > 0).then(|| self.subscription(choice));
                let partner = &mut self.directory.partners[at];
                partner.subscription = subscription;
                noted.partners.insert(partner.id);
            }
            12 => {
                let Some(at) = place(products, choice) else { return };
                let product = &mut self.directory.products[at];
                match choice % 5 {
                    0 => product.upstream_url = "not a place".to_owned(),
                    1 => product.upstream_url = format!("http://127.0.0.1:{}", 1 + choice % 1000),
                    2 => product.policy.authentication.identity_headers ^= true,
                    3 => product.visibility = Visibility::Invitation,
                    _ => product.operations.reverse(),
                }
                noted.products.insert(product.id);
            }
            13 => {
                let Some(at) = place(products, choice) else { return };
                let (product, name) = (self.directory.products[at].id, "identity-signing".to_owned());
                self.directory.secrets.retain(|secret| secret.product != product);
                if choice % 3 > 0 {
                    self.directory.secrets.push(ProductSecret { product, name, sealed_value: vec![7; 32] });
                }
                self.directory.headers.retain(|header| header.product != product);
                if choice % 4 > 0 {
                    let sealed_value = choice.to_string().into_bytes();
                    self.directory.headers.push(UpstreamHeader { product, name: "x-from".to_owned(), sealed_value });
                }
                noted.products.insert(product);
            }
            14 => {
                let Some(at) = place(products, choice) else { return };
                noted.products.insert(self.directory.products.remove(at).id);
            }
            _ if choice.is_multiple_of(8) => {
                // A partner is gone, which is rare.
                let Some(at) = place(partners, choice) else { return };
                let gone = self.directory.partners.remove(at).id;
                noted.partners.insert(gone);
                let its = |key: &&directory::Key| key.partner == gone;
                noted.keys.extend(self.directory.keys.iter().filter(its).map(|key| key.id));
                self.directory.keys.retain(|key| key.partner != gone);
            }
            _ => {
                let number = choice as usize % 4;
                self.names[number] += 1;
                noted.plans.insert(self.plan(number as u64).id);
            }
        }
        self.settle();
    }

    /// Plans are those that somebody is on.
    fn settle(&mut self) {
        let in_use: BTreeSet<_> = self.directory.partners.iter().filter_map(plan_of).collect();
        let plans = (0..4).map(|number| self.plan(number)).filter(|plan| in_use.contains(&plan.id));
        self.directory.plans = plans.collect();
        self.directory.sort();
    }

    /// What a store would read of it.
    fn changes(&self, since: i64, noted: Noted) -> Changes {
        let all = self.directory.clone();
        let touched = |partner: &directory::Partner| noted.partners.contains(&partner.id);
        let on: BTreeSet<_> = all.partners.iter().filter(|partner| touched(partner)).filter_map(plan_of).collect();
        let found = Directory {
            version: all.version,
            edition: all.edition,
            products: all.products.into_iter().filter(|one| noted.products.contains(&one.id)).collect(),
            headers: all.headers.into_iter().filter(|one| noted.products.contains(&one.product)).collect(),
            secrets: all.secrets.into_iter().filter(|one| noted.products.contains(&one.product)).collect(),
            plans: all.plans.into_iter().filter(|one| on.contains(&one.id) || noted.plans.contains(&one.id)).collect(),
            partners: all.partners.into_iter().filter(|one| noted.partners.contains(&one.id)).collect(),
            keys: all.keys.into_iter().filter(|one| noted.keys.contains(&one.id)).collect(),
        };
        Changes {
            since,
            products: noted.products.into_iter().collect(),
            partners: noted.partners.into_iter().collect(),
            keys: noted.keys.into_iter().collect(),
            found,
        }
    }
}

fn plan_of(partner: &directory::Partner) -> Option<PlanVersionId> {
    partner.subscription.as_ref().map(|on| on.plan_version)
}

fn open(sealed: Sealed<'_>) -> Result<Vec<u8>, String> {
    let (Sealed::Header(UpstreamHeader { sealed_value, .. }) | Sealed::Secret(ProductSecret { sealed_value, .. })) =
        sealed;
    Ok(sealed_value.clone())
}

/// What the snapshot answers to every question that a call asks, a line for each.
fn answers(snapshot: &Snapshot, truth: &Truth) -> Vec<String> {
    let mut lines = vec![format!("version {}", snapshot.version())];
    let mut problems: Vec<_> = snapshot.problems().iter().map(|problem| format!("{problem:?}")).collect();
    problems.sort();
    lines.extend(problems);
    for (id, hash) in &truth.keys {
        let by_hash = snapshot.key_by_hash(hash).map(|place| snapshot.key(place).id);
        let by_id = snapshot.key_by_id(*id).map(|place| {
            let key = snapshot.key(place);
            let Key { id, partner: _, app, team, environment, kind, bounds, expires_at, revoked_at } = key;
            let partner = snapshot.partner_of(key);
            let on = partner.subscription.as_ref().map(|on| (&on.cycle, snapshot.plans.get(on.plan)));
            let on = on.map(|(cycle, plan)| {
                let own = plan.map(|plan| (plan.id, &plan.code, &plan.name, partner.own(plan, true)));
                let opens =
                    |plan: &Plan| (0..snapshot.products.len()).map(|at| plan.opens_some_of(at)).collect::<Vec<_>>();
                (cycle, own.map(|(id, code, name, own)| (id, code, name, &own.limits, opens(own))))
            });
            let own = (id, app, team, environment, kind, bounds, expires_at, revoked_at);
            format!("{own:?} of {:?} {:?} on {on:?}", partner.id, (partner.suspended, partner.unpaid))
        });
        lines.push(format!("key {id} {by_id:?}, by hash {by_hash:?}"));
    }
    for product in snapshot.products.iter() {
        let Product { id, visibility, invited, operations, upstream, entry, route, .. } = &**product;
        let at = snapshot.product_at(route).map(|at| snapshot.products[at].id);
        let invited: BTreeSet<_> = invited.iter().collect();
        lines.push(format!(
            "product {id} {visibility:?} {invited:?} {operations:?} {upstream:?} {entry:?} {route} {at:?}"
        ));
    }
    for plan in snapshot.plans.iter() {
        let products = snapshot.products.iter().enumerate();
        let opens = |(place, product): (usize, &Arc<Product>)| (product.id, plan.opens(place, 0), plan.opens(place, 1));
        lines.push(format!("plan {} {} {:?}", plan.id, plan.name, products.map(opens).collect::<Vec<_>>()));
    }
    lines
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn a_patched_snapshot_decides_as_one_that_was_compiled(
        transactions in prop::collection::vec(prop::collection::vec((any::<u8>(), any::<u64>()), 1..5), 1..40),
    ) {
        let mut truth = Truth::default();
        let mut known = Directory::default();
        let mut snapshot = Snapshot::compile(&known, &open);
        for steps in transactions {
            let mut noted = Noted::default();
            steps.into_iter().for_each(|step| truth.step(step, &mut noted));
            truth.directory.version += 1;
            let touched = known.apply(truth.changes(known.version, noted)).expect("the changes follow");
            prop_assert_eq!(&known, &truth.directory);
            snapshot = snapshot.patch(&known, &touched, &open);
            let compiled = Snapshot::compile(&known, &open);
            prop_assert_eq!(answers(&snapshot, &truth), answers(&compiled, &truth));
        }
    }
}

/// A hundred partners with ten keys each, and their directory's snapshot.
fn crowd() -> (Truth, Snapshot) {
    let (mut truth, mut noted) = (Truth::default(), Noted::default());
    (0..5).for_each(|number| truth.step((0, number), &mut noted));
    for _ in 0..100 {
        truth.step((1, 1), &mut noted);
    }
    for number in 0..1000 {
        let partner = truth.directory.partners[number as usize % 100].id;
        truth.add_key(partner, number * 5 + 2);
    }
    truth.settle();
    let snapshot = Snapshot::compile(&truth.directory, &open);
    (truth, snapshot)
}

#[test]
fn a_new_key_leaves_everything_but_its_own_shard_as_it_was() {
    let (mut truth, before) = crowd();
    let mut known = truth.directory.clone();
    let mut noted = Noted::default();
    truth.step((2, 7), &mut noted);
    truth.directory.version += 1;
    let touched = known.apply(truth.changes(0, noted)).expect("the changes follow");
    let after = before.patch(&known, &touched, &open);
    assert_eq!(after.keys.shared_with(&before.keys), 255);
    assert!(Arc::ptr_eq(&after.products, &before.products) && Arc::ptr_eq(&after.plans, &before.plans));
    assert!(Arc::ptr_eq(&after.credentials, &before.credentials) && Arc::ptr_eq(&after.routes, &before.routes));
    assert_eq!(answers(&after, &truth), answers(&Snapshot::compile(&known, &open), &truth));
}

#[test]
fn another_policy_leaves_other_products_and_all_partners_as_they_were() {
    let (mut truth, before) = crowd();
    let mut known = truth.directory.clone();
    let mut noted = Noted::default();
    truth.step((12, 13), &mut noted);
    truth.directory.version += 1;
    let touched = known.apply(truth.changes(0, noted)).expect("the changes follow");
    let after = before.patch(&known, &touched, &open);
    let same = after.products.iter().zip(before.products.iter()).filter(|(new, old)| Arc::ptr_eq(new, old)).count();
    assert_eq!(same, 4);
    assert_eq!(after.keys.shared_with(&before.keys), 256);
    assert_eq!(answers(&after, &truth), answers(&Snapshot::compile(&known, &open), &truth));
}

#[test]
fn changes_of_another_version_are_no_reason_to_believe_what_is_there() {
    let (mut truth, before) = crowd();
    let known = truth.directory.clone();
    let revoked = truth.keys[3];
    truth.directory.keys.retain(|key| key.hash != revoked.1);
    truth.directory.version = 9;
    let after = before.patch(&truth.directory, &Touched { since: 8, ..Touched::default() }, &open);
    assert_eq!(after.key_by_hash(&revoked.1), None);
    assert!(Snapshot::compile(&known, &open).key_by_hash(&revoked.1).is_some());
}
