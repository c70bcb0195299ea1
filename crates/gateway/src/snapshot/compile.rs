//! From the directory's lists to the snapshot's tables.

use super::{
    Bounds, Credentials, Entry, Grant, Key, Operation, Partner, Plan, Problem, Product, Sealed, Snapshot, Subscription,
    Upstream, upstream,
};
use crate::{
    admit::{self, PlanAdmission},
    cache,
    cost::Cost,
    observe::{PlanMetrics, ProductMetrics},
    quick_hash::QuickMap,
    respond,
    router::Router,
};
use arc_swap::ArcSwapOption;
use domain::{
    directory::{self, Directory},
    period,
    policy::{self, AllowanceOutage, Policy},
    product::{self, route_problem},
};
use http::Method;
use std::{collections::HashMap, time::Duration};

pub(super) type Unseal<'a> = &'a dyn Fn(Sealed<'_>) -> Result<Vec<u8>, String>;

pub(super) fn compile(directory: &Directory, unseal: Unseal) -> Snapshot {
    let mut problems = Vec::new();
    let mut say = |subject: &str, message: String| problems.push(Problem { subject: subject.to_owned(), message });

    let mut headers: HashMap<_, Vec<_>> = HashMap::new();
    directory.headers.iter().for_each(|header| headers.entry(header.product).or_default().push(header));
    let mut credentials = Credentials::default();
    let mut products = Vec::with_capacity(directory.products.len());
    let mut routes = QuickMap::default();
    for from in &directory.products {
        if let Some(problem) = route_problem(&from.route) {
            say(&from.code, problem.to_owned());
        } else if routes.contains_key(from.route.as_str()) {
            say(&from.code, format!("The route {} belongs to another product", from.route));
        } else {
            routes.insert(Box::from(from.route.as_str()), products.len());
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
        products.push(product(from, upstream, entry));
    }

    let mut plans = Vec::with_capacity(directory.plans.len());
    let mut plan_indexes = HashMap::new();
    for from in &directory.plans {
        plan_indexes.insert(from.id, plans.len());
        plans.push(plan(from, &directory.products));
    }

    let mut partners = Vec::with_capacity(directory.partners.len());
    let mut partner_indexes = HashMap::new();
    for from in &directory.partners {
        let subscription = from.subscription.as_ref().and_then(|subscription| {
            let known = plan_indexes.get(&subscription.plan_version);
            let compiled = subscription_of(subscription, known.copied());
            compiled.map_err(|message| say(&from.id.to_string(), message)).ok()
        });
        partner_indexes.insert(from.id, partners.len());
        partners.push(Partner { id: from.id, suspended: from.suspended, subscription, credit: Default::default() });
    }

    let mut keys = Vec::with_capacity(directory.keys.len());
    let mut keys_by_hash = QuickMap::with_capacity_and_hasher(directory.keys.len(), Default::default());
    let mut keys_by_id = QuickMap::with_capacity_and_hasher(directory.keys.len(), Default::default());
    for from in &directory.keys {
        let Some(&partner) = partner_indexes.get(&from.partner) else {
            say(&from.id.to_string(), "The key's partner is not in the directory".to_owned());
            continue;
        };
        let (bounds, problem) = Bounds::read(from);
        if let Some(problem) = problem {
            say(&from.id.to_string(), problem);
        }
        keys_by_hash.insert(from.hash, keys.len());
        keys_by_id.insert(from.id, keys.len());
        keys.push(Key {
            id: from.id,
            partner,
            app: from.app,
            team: from.team,
            environment: from.environment,
            kind: from.kind,
            bounds,
            expires_at: from.expires_at,
            revoked_at: from.revoked_at,
        });
    }

    let client_authorities = super::authorities::union(&directory.products, &mut say);
    let route_depth = directory.products.iter().map(|product| product.route.matches('/').count()).max().unwrap_or(0);
    let version = directory.version;
    Snapshot {
        version,
        problems,
        keys,
        keys_by_hash,
        keys_by_id,
        partners,
        plans,
        products,
        routes,
        route_depth,
        client_authorities,
        credentials,
    }
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
        route: from.route.clone(),
        idempotency: from.policy.idempotency,
        metrics: ProductMetrics::new(&from.code),
        max_in_flight: from.policy.upstream.max_in_flight,
    }
}

fn compile_operation(from: &product::Operation, policy: &Policy) -> Operation {
    let own = policy.operation(&from.code);
    let cost = own.and_then(|own| own.cost.as_ref());
    Operation {
        id: from.id,
        method: Method::from_bytes(from.method.as_bytes()).unwrap_or(Method::TRACE),
        path: from.path.clone(),
        weight: u64::from(from.weight),
        reserved: u64::from(from.weight.max(cost.map_or(0, policy::Cost::reserve))),
        cost: cost.map(Cost::new),
        gates: own.map_or_else(Vec::new, |own| own.gates.clone()),
        scope: own.and_then(|own| own.scope.clone()),
        idempotency_key: own.map(|own| own.idempotency_key).unwrap_or_default(),
        total: own.and_then(|own| own.total_timeout_ms).map(|total| Duration::from_millis(u64::from(total))),
        never_cached: own.is_some_and(|own| own.never_cached),
    }
}

fn plan(from: &directory::PlanVersion, products: &[product::Product]) -> Plan {
    let grant = |product: &product::Product| {
        let grant = from.terms.grant(&product.code)?;
        Some(match grant.operations {
            None => Grant::All,
            Some(_) => Grant::Some(product.operations.iter().map(|operation| grant.opens(&operation.code)).collect()),
        })
    };
    let mut plan = Plan {
        id: from.id,
        code: from.plan_code.clone(),
        name: from.plan_name.clone(),
        limits: from.terms.limits.clone(),
        quota: from.terms.quota,
        admission: PlanAdmission::new(&from.terms, &from.plan_code),
        features: from.terms.opens_features.iter().cloned().collect(),
        takes_credit: from.terms.admission.credit.required,
        credit_pace: admit::credit_pace(&from.terms.admission.credit),
        limits_policy: None,
        grants: products.iter().map(grant).collect(),
        metrics: PlanMetrics::new(&from.plan_code),
    };
    plan.limits_policy = respond::policy(plan.scopes(), None);
    plan
}

fn subscription_of(from: &directory::Subscription, plan: Option<usize>) -> Result<Subscription, String> {
    let plan = plan.ok_or("The partner's plan version is not in the directory")?;
    period::zone(&from.cycle.time_zone).map_err(|error| error.to_string())?;
    Ok(Subscription { plan, cycle: from.cycle.clone(), current: ArcSwapOption::empty() })
}
