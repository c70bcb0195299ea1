//! The partners, their plans and what they use, repeatable from a seed.

use domain::{
    id::{AppId, InvoiceId, KeyId, OperationId, PartnerId, PlanVersionId, ProductId},
    key_text::Environment,
    period::Period,
    plan::Approval,
    product::Visibility,
    setup::PlanSetup,
    usage::UsageEvent,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use store::{Actor, InvoiceStatus, NewOperation, NewPartner, NewPlan, NewProduct, PlanMeta, Store, ingest::Position};
use uuid::Uuid;

pub const OPERATIONS: [&str; 3] = ["create", "list", "refund"];
const ZONES: [&str; 7] = [
    "UTC",
    "Europe/Zurich",
    "America/New_York",
    "Pacific/Auckland",
    "Asia/Kolkata",
    "America/Sao_Paulo",
    "Australia/Lord_Howe",
];
/// Who is on the first of these goes over to the second.
const CHANGES: [(&str, &str); 3] =
    [("month-flat", "month-offers"), ("month-offers", "month-promised"), ("month-promised", "month-flat")];
/// Plans with a threshold, for a few: usage of these partners is looked at each day.
const CUT: [&str; 2] = ["cut-graduated", "cut-volume"];
const CUT_ONE_IN: usize = 125;
/// Which of so many it is.
const CUT_AT: usize = 5;
const DAY: u64 = 86_400;

/// SplitMix64.
pub struct Dice(u64);

impl Dice {
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `bound`.
    pub const fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % bound
    }
}

/// A plan, from when to when.
pub struct Stay {
    pub plan: &'static str,
    pub since: Timestamp,
    pub until: Option<Timestamp>,
}

pub struct Partner {
    pub id: PartnerId,
    pub zone: &'static str,
    pub stays: Vec<Stay>,
    /// When, with which operation, how many units.
    pub used: Vec<(Timestamp, usize, u64)>,
    /// Threshold invoices that were made void, by start and end.
    pub void: Vec<(Timestamp, Timestamp)>,
    /// When the plan changes.
    change: Option<(Timestamp, &'static str)>,
    /// How much of it there is.
    size: u64,
}

pub struct Town {
    pub plans: BTreeMap<String, Value>,
    pub partners: Vec<Partner>,
    versions: BTreeMap<String, PlanVersionId>,
    product: ProductId,
    operations: Vec<OperationId>,
    dice: Dice,
    told: u64,
}

impl Town {
    pub async fn build(store: &Store, first: Timestamp, partners: usize, dice: Dice) -> Self {
        let plans: BTreeMap<String, Value> = serde_json::from_str(include_str!("plans.json")).expect("plans");
        let product = store.create_product(&product(), Actor::System, first).await.expect("a product");
        let listed = store.product(product).await.expect("a product").operations;
        let id_of = |code: &str| listed.iter().find(|operation| operation.code == code).expect("an operation").id;
        let operations = OPERATIONS.into_iter().map(id_of).collect();
        let mut town =
            Self { versions: BTreeMap::new(), plans, partners: Vec::new(), product, operations, dice, told: 0 };
        for (position, (code, plan)) in (0..).zip(&town.plans) {
            let setup: PlanSetup = serde_json::from_value(plan.clone()).expect("a plan");
            let meta = PlanMeta {
                name: setup.name.clone(),
                summary: String::new(),
                position,
                private: false,
                approval: Approval::Automatic,
            };
            let new = NewPlan { code: code.clone(), meta, terms: setup.terms().expect("terms") };
            let id = store.create_plan(&new, Actor::System, first).await.expect("a plan");
            town.versions.insert(code.clone(), store.plan(id).await.expect("a plan").versions[0].id);
        }
        for number in 0..partners {
            town.settle(store, number, first).await;
        }
        town
    }

    /// A partner that begins in the month's course.
    async fn settle(&mut self, store: &Store, number: usize, first: Timestamp) {
        let zone = ZONES[number % ZONES.len()];
        let is_cut = number % CUT_ONE_IN == CUT_AT;
        let plan = match is_cut {
            true => CUT[number / CUT_ONE_IN % CUT.len()],
            false => {
                let whole: Vec<&String> = self.versions.keys().filter(|code| !CUT.contains(&code.as_str())).collect();
                whole[number % whole.len()].clone().leak()
            }
        };
        let since = first + SignedDuration::from_secs(self.dice.below(31 * DAY).cast_signed());
        let name = format!("Partner {number}");
        let new = NewPartner { code: None, name, time_zone: zone.to_owned() };
        let id = store.create_partner(&new, Actor::System, first).await.expect("a partner");
        store.assign_plan_version(id, self.versions[plan], Actor::System, since).await.expect("a subscription");
        let change =
            CHANGES.iter().find(|(from, _)| *from == plan).filter(|_| self.dice.below(6) == 0).map(|(_, to)| {
                (first + SignedDuration::from_secs((DAY * 150 + self.dice.below(DAY * 60)).cast_signed()), *to)
            });
        let stays = vec![Stay { plan, since, until: None }];
        let size = [1, 10, 60, 250][self.dice.below(4) as usize];
        let size = if is_cut { size.max(100) } else { size };
        self.partners.push(Partner { id, zone, stays, used: Vec::new(), void: Vec::new(), change, size });
    }

    /// Makes some of the threshold invoices void that were made just now.
    pub async fn make_some_void(&mut self, store: &Store, made: &[InvoiceId], now: Timestamp) {
        let is_cut = |partner: &&mut Partner| CUT.contains(&partner.stays[0].plan);
        for partner in self.partners.iter_mut().filter(is_cut) {
            for invoice in store.invoices(partner.id).await.expect("invoices") {
                let is_new = invoice.threshold_number > 0 && made.contains(&invoice.id);
                if is_new && self.dice.below(4) == 0 {
                    let void = InvoiceStatus::Void;
                    store.set_invoice_status(partner.id, invoice.id, void, now).await.expect("void");
                    partner.void.push((invoice.period.start, invoice.period.end));
                }
            }
        }
    }

    /// The changes of plan of a day, and its usage, handed over.
    pub async fn live_a_day(&mut self, store: &Store, day: Timestamp) {
        let end = day + SignedDuration::from_secs(DAY.cast_signed());
        let mut batch = Vec::new();
        for partner in &mut self.partners {
            if let Some((at, to)) = partner.change.take_if(|(at, _)| *at < end) {
                let version = self.versions[to];
                store.assign_plan_version(partner.id, version, Actor::System, at).await.expect("a change");
                partner.stays.last_mut().expect("a stay").until = Some(at);
                partner.stays.push(Stay { plan: to, since: at, until: None });
            }
            let since = partner.stays[0].since;
            for _ in 0..self.dice.below(3) {
                // Some at the very second at which the first period began, which is where others end.
                let second = match self.dice.below(20) {
                    0 => since.as_second().rem_euclid(DAY.cast_signed()),
                    _ => self.dice.below(DAY).cast_signed(),
                };
                let at = day + SignedDuration::from_secs(second);
                let (operation, units) = (self.dice.below(3) as usize, 1 + self.dice.below(2 * partner.size));
                if at >= since {
                    partner.used.push((at, operation, units));
                    batch.push(UsageEvent {
                        request_id: format!("year-{}", self.told),
                        environment: Environment::Live,
                        product: Some(self.product),
                        operation: Some(self.operations[operation]),
                        method: "POST".to_owned(),
                        path: "/".to_owned(),
                        units,
                        period: Some(Period { start: day, end }),
                        ..UsageEvent::new(at, partner.id, AppId(Uuid::from_u128(1)), KeyId(Uuid::from_u128(2)))
                    });
                    self.told += 1;
                }
            }
        }
        let place = |sequence| Position { segment: 0, byte_offset: sequence, sequence };
        let from = self.told - batch.len() as u64;
        let batch: Vec<_> = (from..).zip(batch).collect();
        if !batch.is_empty() {
            store.ingest(("town", 0, batch), place(from), place(self.told), end).await.expect("taken in");
        }
    }

    pub const fn events(&self) -> u64 {
        self.told
    }
}

fn product() -> NewProduct {
    let operation = |code: &str| NewOperation {
        code: code.to_owned(),
        method: "POST".to_owned(),
        path: format!("/{code}"),
        summary: String::new(),
        weight: 1,
        deprecated: false,
    };
    NewProduct {
        code: "payments".to_owned(),
        name: "Payments".to_owned(),
        summary: String::new(),
        route: "/payments".to_owned(),
        upstream_url: "http://127.0.0.1:9".to_owned(),
        timeout_ms: 30_000,
        visibility: Visibility::Public,
        document: json!({ "openapi": "3.1.0" }),
        operations: OPERATIONS.into_iter().map(operation).collect(),
        headers: Vec::new(),
        policy: None,
        secrets: None,
    }
}
