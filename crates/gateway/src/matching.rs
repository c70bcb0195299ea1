//! Which operation is called, and whether the caller's plan opens it: a [`Target`].
//!
//! A product that the caller may not know of answers exactly as a path that does not exist.

use crate::{
    authenticate::Caller,
    path,
    respond::Refusal,
    router::Found,
    snapshot::{Operation, Plan, Product, Snapshot, Subscription},
};
use domain::refusal::Code;
use http::{Method, Uri};
use jiff::Timestamp;

/// Whether calls with that method are ever forwarded: to change a connection or to see it is none of a call's business.
pub(crate) fn is_forwarded(method: &Method) -> bool {
    !matches!(*method, Method::CONNECT | Method::TRACE)
}

const MAX_URI_BYTES: usize = 8 * 1024;

/// An operation that the caller may call, and the path that is forwarded.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub caller: Caller,
    product: usize,
    operation: usize,
    /// The canonical path below the product's route; starts with a slash.
    pub path_below: String,
    /// Units that the call costs whatever its operation says.
    pub price: Option<u64>,
}

/// What is known of a call when it is refused here.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Reached {
    pub product: Option<usize>,
    pub operation: Option<usize>,
}

impl Target {
    pub(crate) fn product(&self) -> &Product {
        &self.caller.snapshot().products[self.product]
    }

    pub(crate) fn operation(&self) -> &Operation {
        &self.product().operations[self.operation]
    }

    /// Units that are held for the call.
    pub(crate) fn reserved(&self) -> u64 {
        self.price.unwrap_or(self.operation().reserved)
    }

    pub(crate) const fn reached(&self) -> Reached {
        Reached { product: Some(self.product), operation: Some(self.operation) }
    }

    /// The subscription and plan that opened the operation.
    pub(crate) fn terms(&self) -> Option<(&Subscription, &Plan)> {
        terms(&self.caller)
    }
}

/// The caller's subscription and plan.
pub(crate) fn terms(caller: &Caller) -> Option<(&Subscription, &Plan)> {
    let partner = caller.partner();
    let subscription = partner.subscription.as_ref()?;
    Some((subscription, partner.own(caller.snapshot().plans.get(subscription.plan)?, caller.keeps())))
}

/// The product whose route the path lies under, whoever asks.
pub(crate) fn product_at(snapshot: &Snapshot, uri: &Uri) -> Option<usize> {
    let path = path::canonical(uri.path()).ok()?;
    snapshot.product_at(&path)
}

/// Finds the operation of the caller's plan, and notes in `reached` how far it came.
pub(crate) fn find(
    caller: Caller,
    (method, uri): (&Method, &Uri),
    now: Timestamp,
    reached: &mut Reached,
) -> Result<Target, (Refusal, Caller)> {
    // The whole call goes by what holds now, whatever its steps see of the clock.
    let caller = caller.at(now);
    match find_for(&caller, (method, uri), now, reached) {
        Ok((product, operation, path_below)) => Ok(Target { caller, product, operation, path_below, price: None }),
        Err(refusal) => Err((refusal, caller)),
    }
}

fn find_for(
    caller: &Caller,
    (method, uri): (&Method, &Uri),
    now: Timestamp,
    reached: &mut Reached,
) -> Result<(usize, usize, String), Refusal> {
    if uri.path_and_query().is_some_and(|whole| whole.as_str().len() > MAX_URI_BYTES) {
        return Err(Refusal::new(Code::UriTooLong, format!("Path and query are at most {MAX_URI_BYTES} bytes long.")));
    }
    if caller.partner().suspended {
        return Err(Refusal::of(Code::PartnerSuspended));
    }
    if let Some(unpaid) = caller.partner().refused_for() {
        return Err(Refusal::unpaid(unpaid));
    }
    let in_force = terms(caller).filter(|(subscription, _)| !subscription.is_over(now));
    let (_, plan) = in_force.ok_or_else(|| Refusal::of(Code::NoSubscription))?;
    let path = path::canonical(uri.path()).map_err(|problem| Refusal::new(Code::BadRequest, format!("{problem}.")))?;
    let snapshot = caller.snapshot();
    let known = snapshot.product_at(&path).filter(|&product| {
        let opens = plan.opens_some_of(product);
        snapshot.products[product].is_known_to(caller.partner().id, opens)
    });
    let product = known.ok_or_else(|| Refusal::of(Code::NotFound))?;
    let entry = &snapshot.products[product];
    let below = match &path[entry.route_bytes..] {
        "" => "/",
        below => below,
    };
    match entry.router.find(method, below) {
        Found::Operation(operation) => {
            *reached = Reached { product: Some(product), operation: Some(operation) };
            if !plan.opens(product, operation) {
                let detail = format!("The plan {} does not open this operation.", plan.name);
                return Err(Refusal::new(Code::OperationNotInPlan, detail));
            }
            Ok((product, operation, below.to_owned()))
        }
        Found::OtherMethods(others) => {
            let open = others.into_iter().filter(|&operation| plan.opens(product, operation));
            let mut allowed: Vec<&str> = open.map(|operation| entry.operations[operation].method.as_str()).collect();
            if allowed.contains(&"GET") && !allowed.contains(&"HEAD") {
                allowed.push("HEAD");
            }
            allowed.sort_unstable();
            allowed.dedup();
            if allowed.is_empty() {
                return Err(Refusal::of(Code::NotFound));
            }
            reached.product = Some(product);
            let allow = allowed.join(", ");
            Err(Refusal::new(Code::MethodNotAllowed, format!("This path takes {allow}.")).allow(allow))
        }
        Found::Nothing => Err(Refusal::of(Code::NotFound)),
    }
}
