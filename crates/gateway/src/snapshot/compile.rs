//! From the directory's lists to the snapshot's tables.

use super::{
    Credentials, Entry, Grant, Keys, Operation, Partners, Plan, Problem, Product, Routes, Sealed, Snapshot, Upstream,
    upstream,
};
use crate::{
    admit::{self, PlanAdmission},
    cache,
    cost::Cost,
    counting::Counting,
    measure::Measure,
    observe::{PlanMetrics, ProductMetrics},
    respond,
    router::Router,
};
use domain::{
    directory::{self, Directory},
    id::ProductId,
    plan::PlanTerms,
    policy::{self, AllowanceOutage, Policy},
    product::{self, route_problem},
};
use http::Method;
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

pub(super) type Unseal<'a> = &'a dyn Fn(Sealed<'_>) -> Result<Vec<u8>, String>;

pub(super) fn compile(directory: &Directory, unseal: Unseal) -> Snapshot {
    let mut snapshot = Snapshot { version: directory.version, ..Snapshot::default() };
    snapshot.take_products(directory, &[], unseal);
    snapshot.plans = compile_plans(directory);
    snapshot.partners = Partners::compile(directory);
    snapshot.keys = Keys::compile(directory, &snapshot.partners);
    snapshot
}

impl Snapshot {
    /// Puts the directory's products in the place of those that it has. Those that are not `anew`, and have nothing to do
    /// with others, stay as they are.
    pub(super) fn take_products(&mut self, directory: &Directory, anew: &[ProductId], unseal: Unseal) {
        let mut problems = Vec::new();
        let mut say = |subject: &str, message: String| problems.push(Problem { subject: subject.to_owned(), message });

        let anew: HashSet<_> = anew.iter().collect();
        let known: HashMap<_, _> = self.products.iter().map(|product| (product.id, product)).collect();
        let mut headers: HashMap<_, Vec<_>> = HashMap::new();
        directory.headers.iter().for_each(|header| headers.entry(header.product).or_default().push(header));
        let mut credentials = Credentials::default();
        let mut products = Vec::with_capacity(directory.products.len());
        let mut routes = Routes::default();
        for from in &directory.products {
            if let Some(problem) = route_problem(&from.route) {
                say(&from.code, problem.to_owned());
            } else if !routes.add(&from.route, products.len()) {
                say(&from.code, format!("The route {} belongs to another product", from.route));
            }
            let same = known.get(&from.id).filter(|_| !anew.contains(&from.id) && Credentials::need_none(from));
            // One that is closed says so each time.
            if let Some(same) = same.filter(|same| same.upstream.is_some()) {
                products.push(Arc::clone(same));
                continue;
            }
            let added = headers.get(&from.id).map_or(&[][..], Vec::as_slice);
            let source = upstream::Source { product: from, headers: added, secrets: &directory.secrets, unseal };
            let upstream = upstream::compile(source).map_err(|message| say(&from.code, message)).ok();
            let secrets: Vec<_> = directory.secrets.iter().filter(|secret| secret.product == from.id).collect();
            // A product whose way in cannot be checked as its policy says is closed.
            let (upstream, entry) = match credentials.entry(from, &secrets, unseal) {
                Ok(entry) => (upstream, entry),
                Err(message) => {
                    say(&from.code, message);
                    (None, None)
                }
            };
            products.push(Arc::new(product(from, upstream, entry)));
        }
        self.client_authorities = super::authorities::union(&directory.products, &mut say);
        self.products = products.into();
        self.product_problems = problems.into();
        self.routes = Arc::new(routes);
        self.credentials = Arc::new(credentials);
    }
}

/// The directory's plans, in its order.
pub(super) fn compile_plans(directory: &Directory) -> Arc<[Plan]> {
    directory.plans.iter().map(|from| plan(from, &directory.products)).collect()
}

fn product(from: &product::Product, upstream: Option<Upstream>, entry: Option<Box<Entry>>) -> Product {
    let method =
        |operation: &product::Operation| Method::from_bytes(operation.method.as_bytes()).unwrap_or(Method::TRACE);
    // First those that are in force: where one came back under another code, it counts.
    let all = || from.operations.iter().enumerate();
    let in_force = all().filter(|(_, operation)| !operation.removed).map(|(index, operation)| (operation, Some(index)));
    let removed = all().filter(|(_, operation)| operation.removed).map(|(_, operation)| (operation, None));
    let routable =
        in_force.chain(removed).map(|(operation, index)| (method(operation), operation.path.as_str(), index));
    Product {
        id: from.id,
        visibility: from.visibility,
        invited: from.invited.iter().copied().collect(),
        route_bytes: from.route.len(),
        router: Router::new(routable.filter(|(method, ..)| crate::matching::is_forwarded(method))),
        operations: from.operations.iter().map(|operation| compile_operation(operation, &from.policy)).collect(),
        entry,
        upstream,
        overdraft: match from.policy.allowance_outage {
            AllowanceOutage::Closed => None,
            AllowanceOutage::Open { overdraft_units } => Some(overdraft_units),
        },
        cache: from
            .policy
            .cache
            .as_ref()
            .map(|cache| cache::Rules::compile(&from.code, cache, &from.policy.authentication)),
        counting: Counting::new(&from.policy.counting),
        route: from.route.clone(),
        idempotency: from.policy.idempotency,
        metrics: ProductMetrics::new(&from.code),
        max_in_flight: from.policy.upstream.max_in_flight,
    }
}

fn compile_operation(from: &product::Operation, policy: &Policy) -> Operation {
    let own = policy.operation(&from.code);
    let cost = own.and_then(|own| own.cost.as_ref());
    let compiled = cost.map(Cost::new);
    let meters = Measure::all(policy, &from.code);
    let told = || meters.iter().flat_map(Measure::told);
    Operation {
        id: from.id,
        method: Method::from_bytes(from.method.as_bytes()).unwrap_or(Method::TRACE),
        path: from.path.clone(),
        weight: u64::from(from.weight),
        reserved: u64::from(from.weight.max(cost.map_or(0, policy::Cost::reserve))),
        reads_answer: cost.is_some() || told().next().is_some(),
        reads_json: compiled.as_ref().is_some_and(Cost::is_json) || told().any(|told| told.is_json()),
        cost: compiled,
        meters,
        price_rule: price_rule(from.weight, cost),
        gates: own.map_or_else(Vec::new, |own| own.gates.clone()),
        scope: own.and_then(|own| own.scope.clone()),
        idempotency_key: own.map(|own| own.idempotency_key).unwrap_or_default(),
        total: own.and_then(|own| own.total_timeout_ms).map(|total| Duration::from_millis(u64::from(total))),
        never_cached: own.is_some_and(|own| own.never_cached),
    }
}

fn price_rule(weight: u32, cost: Option<&policy::Cost>) -> String {
    match cost {
        None => format!("weight:{weight}"),
        Some(policy::Cost::Header { name, .. }) => format!("header:{}", name.to_ascii_lowercase()),
        Some(policy::Cost::JsonField { pointer, .. }) => format!("json:{pointer}"),
        Some(policy::Cost::Bytes { per, .. }) => format!("bytes:{per}"),
        Some(policy::Cost::Milliseconds { per, .. }) => format!("milliseconds:{per}"),
    }
}

pub(super) fn plan(from: &directory::PlanVersion, products: &[product::Product]) -> Plan {
    // The first of a product counts.
    let grants: HashMap<_, _> = from.terms.products.iter().rev().map(|grant| (grant.product.as_str(), grant)).collect();
    let grant = |product: &product::Product| {
        let grant = *grants.get(product.code.as_str())?;
        Some(match grant.operations {
            None => Grant::All,
            Some(_) => Grant::Some(product.operations.iter().map(|operation| grant.opens(&operation.code)).collect()),
        })
    };
    let lowered = from.terms.unpaid.as_ref().map(|unpaid| {
        let terms = PlanTerms { unpaid: None, ..unpaid.lowered(&from.terms) };
        Box::new(plan(&directory::PlanVersion { terms, ..from.clone() }, products))
    });
    let mut plan = Plan {
        id: from.id,
        code: from.plan_code.clone(),
        name: from.plan_name.clone(),
        limits: from.terms.limits.clone(),
        quota: from.terms.quota,
        trial_quota: from.terms.trial.and_then(|trial| trial.quota),
        admission: PlanAdmission::new(&from.terms, &from.plan_code),
        features: from.terms.opens_features.iter().cloned().collect(),
        trial_frees_usage: from.terms.trial.is_some_and(|trial| trial.frees_usage()),
        takes_credit: from.terms.admission.credit.required,
        credit_overdraft: from.terms.admission.credit.overdraft.map_or(0, |overdraft| overdraft.units),
        credit_pace: admit::credit_pace(&from.terms.admission.credit),
        limits_policy: None,
        lowered,
        is_kept: false,
        grants: products.iter().map(grant).collect(),
        metrics: PlanMetrics::new(&from.plan_code),
    };
    plan.limits_policy = respond::policy(plan.scopes(), None);
    plan
}
