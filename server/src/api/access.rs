//! Who may call which route of the REST API: one list. What is not in it is refused, and a test walks it.

use axum::http::Method;
use domain::scope::Scope;

/// Whose tokens a route takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// Any valid token.
    Anyone,
    /// A partner's token, for its own things; or the provider's, which names the partner by `?partner=`.
    Partner,
    /// The provider's only.
    Provider,
}

/// One line of the list.
#[derive(Debug, Clone)]
pub struct Rule {
    pub method: Method,
    /// As the router has it, with `{name}` for a parameter.
    pub path: &'static str,
    pub whose: Whose,
    /// What the token must hold, all of it; none where any token will do.
    pub scopes: &'static [Scope],
    /// What a token of the provider's must hold besides.
    pub of_provider: &'static [Scope],
}

const fn rule(method: Method, path: &'static str, whose: Whose, scopes: &'static [Scope]) -> Rule {
    Rule { method, path, whose, scopes, of_provider: &[] }
}

impl Rule {
    /// What a token must hold, all of it.
    pub fn wanted(&self, of_provider: bool) -> impl Iterator<Item = Scope> {
        let besides = if of_provider { self.of_provider } else { &[] };
        self.scopes.iter().chain(besides).copied()
    }
}

/// The list.
pub const RULES: &[Rule] = &[
    Rule { method: Method::GET, path: "/api/me", whose: Whose::Anyone, scopes: &[], of_provider: &[] },
    rule(Method::GET, "/api/apps", Whose::Partner, &[Scope::KeysRead]),
    rule(Method::POST, "/api/apps", Whose::Partner, &[Scope::KeysWrite]),
    rule(Method::GET, "/api/keys", Whose::Partner, &[Scope::KeysRead]),
    rule(Method::POST, "/api/keys", Whose::Partner, &[Scope::KeysWrite]),
    rule(Method::POST, "/api/keys/{key}/rotate", Whose::Partner, &[Scope::KeysWrite]),
    rule(Method::POST, "/api/keys/{key}/revoke", Whose::Partner, &[Scope::KeysWrite]),
    rule(Method::PUT, "/api/keys/{key}/bounds", Whose::Partner, &[Scope::KeysWrite]),
    rule(Method::POST, "/api/identities", Whose::Provider, &[Scope::KeysWrite]),
    rule(Method::GET, "/api/usage", Whose::Partner, &[Scope::UsageRead]),
    rule(Method::GET, "/api/usage/series", Whose::Partner, &[Scope::UsageRead]),
    rule(Method::GET, "/api/usage/query", Whose::Partner, &[Scope::UsageRead]),
    rule(Method::GET, "/api/usage/meters", Whose::Partner, &[Scope::UsageRead]),
    rule(Method::GET, "/api/export/usage", Whose::Provider, &[Scope::PartnersRead]),
    rule(Method::GET, "/api/teams", Whose::Partner, &[Scope::KeysRead]),
    rule(Method::POST, "/api/teams", Whose::Partner, &[Scope::TeamsWrite]),
    rule(Method::PUT, "/api/apps/{app}/team", Whose::Partner, &[Scope::TeamsWrite]),
    rule(Method::GET, "/api/requests", Whose::Partner, &[Scope::UsageRead]),
    rule(Method::GET, "/api/events", Whose::Partner, &[Scope::UsageRead]),
    rule(Method::POST, "/api/events", Whose::Partner, &[Scope::UsageWrite]),
    rule(Method::GET, "/api/events/conflicts", Whose::Partner, &[Scope::UsageRead]),
    rule(Method::POST, "/api/events/conflicts/{conflict}/resolve", Whose::Provider, &[Scope::PartnersWrite]),
    rule(Method::GET, "/api/events/late", Whose::Partner, &[Scope::UsageRead]),
    rule(Method::GET, "/api/corrections", Whose::Partner, &[Scope::UsageRead]),
    rule(Method::POST, "/api/corrections", Whose::Provider, &[Scope::PartnersWrite]),
    rule(Method::GET, "/api/corrections/{correction}", Whose::Provider, &[Scope::PartnersRead]),
    rule(Method::POST, "/api/corrections/{correction}/approve", Whose::Provider, &[Scope::PartnersWrite]),
    rule(Method::POST, "/api/corrections/{correction}/apply", Whose::Provider, &[Scope::PartnersWrite]),
    rule(Method::POST, "/api/corrections/{correction}/revert", Whose::Provider, &[Scope::PartnersWrite]),
    rule(Method::POST, "/api/corrections/{correction}/refuse", Whose::Provider, &[Scope::PartnersWrite]),
    rule(Method::GET, "/api/invoices", Whose::Partner, &[Scope::InvoicesRead]),
    rule(Method::GET, "/api/invoices/draft", Whose::Partner, &[Scope::InvoicesRead]),
    rule(Method::GET, "/api/invoices/export", Whose::Partner, &[Scope::InvoicesRead]),
    rule(Method::GET, "/api/invoices/{invoice}", Whose::Partner, &[Scope::InvoicesRead]),
    rule(
        Method::GET,
        "/api/invoices/{invoice}/lines/{position}",
        Whose::Partner,
        &[Scope::InvoicesRead, Scope::UsageRead],
    ),
    rule(Method::GET, "/api/credit-notes", Whose::Partner, &[Scope::InvoicesRead]),
    rule(Method::GET, "/api/credit-notes/{credit_note}", Whose::Partner, &[Scope::InvoicesRead]),
    rule(Method::POST, "/api/invoices/{invoice}/credit-notes", Whose::Provider, &[Scope::PartnersWrite]),
    rule(Method::POST, "/api/credit-notes/{credit_note}/issue", Whose::Provider, &[Scope::PartnersWrite]),
    rule(Method::POST, "/api/credit-notes/{credit_note}/discard", Whose::Provider, &[Scope::PartnersWrite]),
    rule(Method::GET, "/api/disputes", Whose::Partner, &[Scope::InvoicesRead]),
    rule(Method::GET, "/api/disputes/{dispute}", Whose::Partner, &[Scope::InvoicesRead]),
    Rule {
        method: Method::POST,
        path: "/api/invoices/{invoice}/lines/{position}/disputes",
        whose: Whose::Partner,
        scopes: &[Scope::PlanWrite],
        of_provider: &[Scope::PartnersWrite],
    },
    Rule {
        method: Method::POST,
        path: "/api/disputes/{dispute}/withdraw",
        whose: Whose::Partner,
        scopes: &[Scope::PlanWrite],
        of_provider: &[Scope::PartnersWrite],
    },
    rule(Method::POST, "/api/disputes/{dispute}/accept", Whose::Provider, &[Scope::PartnersWrite]),
    rule(Method::POST, "/api/disputes/{dispute}/refuse", Whose::Provider, &[Scope::PartnersWrite]),
    rule(Method::GET, "/api/journal", Whose::Provider, &[Scope::InvoicesRead]),
    rule(Method::GET, "/api/journal/export", Whose::Provider, &[Scope::InvoicesRead]),
    rule(Method::GET, "/api/dunning", Whose::Partner, &[Scope::InvoicesRead]),
    rule(Method::GET, "/api/unpaid", Whose::Provider, &[Scope::PartnersRead]),
    rule(Method::GET, "/api/partners/{partner}/invoice-threshold", Whose::Provider, &[Scope::PartnersRead]),
    rule(Method::PUT, "/api/partners/{partner}/invoice-threshold", Whose::Provider, &[Scope::PartnersWrite]),
    rule(Method::DELETE, "/api/partners/{partner}/invoice-threshold", Whose::Provider, &[Scope::PartnersWrite]),
    rule(Method::PUT, "/api/partners/{partner}/dunning", Whose::Provider, &[Scope::PartnersWrite]),
    rule(Method::POST, "/api/partners/{partner}/dunning/pause", Whose::Provider, &[Scope::PartnersWrite]),
    rule(Method::POST, "/api/partners/{partner}/dunning/resume", Whose::Provider, &[Scope::PartnersWrite]),
    rule(Method::PUT, "/api/invoices/{invoice}/dispute", Whose::Provider, &[Scope::PartnersWrite]),
    rule(Method::GET, "/api/products", Whose::Partner, &[Scope::PlansRead]),
    rule(Method::PUT, "/api/products/{product}", Whose::Provider, &[Scope::PlansWrite]),
    rule(Method::POST, "/api/products/{product}/purge-cache", Whose::Provider, &[Scope::PlansWrite]),
    rule(Method::GET, "/api/plans", Whose::Partner, &[Scope::PlansRead]),
    rule(Method::POST, "/api/plans/quotes", Whose::Partner, &[Scope::PlansRead]),
    rule(Method::GET, "/api/plan", Whose::Partner, &[Scope::PlansRead]),
    rule(Method::POST, "/api/plan/preview", Whose::Partner, &[Scope::PlansRead]),
    Rule {
        method: Method::POST,
        path: "/api/plan/change",
        whose: Whose::Partner,
        scopes: &[Scope::PlanWrite],
        of_provider: &[Scope::PartnersWrite],
    },
    Rule {
        method: Method::DELETE,
        path: "/api/plan/change",
        whose: Whose::Partner,
        scopes: &[Scope::PlanWrite],
        of_provider: &[Scope::PartnersWrite],
    },
    rule(Method::GET, "/api/payment-method", Whose::Partner, &[Scope::PlanWrite]),
    Rule {
        method: Method::POST,
        path: "/api/payment-method/portal",
        whose: Whose::Partner,
        scopes: &[Scope::PlanWrite],
        of_provider: &[Scope::PartnersWrite],
    },
    Rule {
        method: Method::POST,
        path: "/api/payment-method/checkout",
        whose: Whose::Partner,
        scopes: &[Scope::PlanWrite],
        of_provider: &[Scope::PartnersWrite],
    },
    rule(Method::GET, "/api/payment-method/checkouts/{checkout}", Whose::Partner, &[Scope::PlanWrite]),
    rule(Method::PUT, "/api/plans/{plan}/payment-method", Whose::Provider, &[Scope::PlansWrite]),
    rule(Method::POST, "/api/plans/{plan}/versions", Whose::Provider, &[Scope::PlansWrite]),
    rule(Method::POST, "/api/plans/{plan}/versions/preview", Whose::Provider, &[Scope::PlansWrite]),
    rule(Method::GET, "/api/plans/{plan}/partners", Whose::Provider, &[Scope::PlansRead, Scope::PartnersRead]),
    rule(Method::PUT, "/api/plans/{plan}/partners/{partner}", Whose::Provider, &[Scope::PlansWrite]),
    rule(Method::DELETE, "/api/plans/{plan}/partners/{partner}", Whose::Provider, &[Scope::PlansWrite]),
    rule(Method::POST, "/api/partners/{partner}/plans", Whose::Provider, &[Scope::PlansWrite]),
    rule(Method::GET, "/api/partners", Whose::Provider, &[Scope::PartnersRead]),
    rule(Method::GET, "/api/partners/{partner}", Whose::Provider, &[Scope::PartnersRead]),
    rule(Method::POST, "/api/partners/{partner}/suspend", Whose::Provider, &[Scope::PartnersWrite]),
    rule(Method::POST, "/api/partners/{partner}/reactivate", Whose::Provider, &[Scope::PartnersWrite]),
    rule(Method::POST, "/api/partners/{partner}/plan", Whose::Provider, &[Scope::PartnersWrite]),
    rule(Method::GET, "/api/partners/{partner}/credit", Whose::Provider, &[Scope::PartnersRead]),
    rule(Method::POST, "/api/partners/{partner}/credit", Whose::Provider, &[Scope::PartnersWrite]),
    rule(Method::GET, "/api/plan-moves", Whose::Provider, &[Scope::PlansRead]),
    rule(Method::POST, "/api/plan-moves", Whose::Provider, &[Scope::PlansWrite]),
    rule(Method::POST, "/api/plan-moves/preview", Whose::Provider, &[Scope::PlansRead]),
    rule(Method::POST, "/api/plan-moves/{move}/cancel", Whose::Provider, &[Scope::PlansWrite]),
    rule(Method::GET, "/api/coupons", Whose::Provider, &[Scope::PlansRead]),
    rule(Method::PUT, "/api/coupons/{coupon}", Whose::Provider, &[Scope::PlansWrite]),
    rule(Method::GET, "/api/plan/coupons", Whose::Partner, &[Scope::PlansRead]),
    Rule {
        method: Method::POST,
        path: "/api/plan/coupons",
        whose: Whose::Partner,
        scopes: &[Scope::PlanWrite],
        of_provider: &[Scope::PartnersWrite],
    },
    rule(Method::DELETE, "/api/partners/{partner}/coupons/{coupon}", Whose::Provider, &[Scope::PartnersWrite]),
    Rule {
        method: Method::GET,
        path: "/api/credit",
        whose: Whose::Partner,
        scopes: &[Scope::InvoicesRead],
        of_provider: &[Scope::PartnersRead],
    },
    rule(Method::GET, "/api/credit-packages", Whose::Partner, &[Scope::PlansRead]),
    rule(Method::PUT, "/api/credit-packages/{package}", Whose::Provider, &[Scope::PlansWrite]),
    Rule {
        method: Method::POST,
        path: "/api/credit/purchases",
        whose: Whose::Partner,
        scopes: &[Scope::PlanWrite],
        of_provider: &[Scope::PartnersWrite],
    },
    Rule {
        method: Method::POST,
        path: "/api/credit/checkouts",
        whose: Whose::Partner,
        scopes: &[Scope::PlanWrite],
        of_provider: &[Scope::PartnersWrite],
    },
    rule(Method::GET, "/api/credit/checkouts/{checkout}", Whose::Partner, &[Scope::InvoicesRead]),
    rule(Method::GET, "/api/credit/purchases", Whose::Partner, &[Scope::InvoicesRead]),
    rule(Method::GET, "/api/credit/allocations", Whose::Partner, &[Scope::InvoicesRead]),
    Rule {
        method: Method::POST,
        path: "/api/credit/allocations",
        whose: Whose::Partner,
        scopes: &[Scope::PlanWrite],
        of_provider: &[Scope::PartnersWrite],
    },
    Rule {
        method: Method::POST,
        path: "/api/credit/allocations/{allocation}/give-back",
        whose: Whose::Partner,
        scopes: &[Scope::PlanWrite],
        of_provider: &[Scope::PartnersWrite],
    },
    rule(Method::GET, "/api/credit/top-up", Whose::Partner, &[Scope::InvoicesRead]),
    Rule {
        method: Method::PUT,
        path: "/api/credit/top-up",
        whose: Whose::Partner,
        scopes: &[Scope::PlanWrite],
        of_provider: &[Scope::PartnersWrite],
    },
    Rule {
        method: Method::DELETE,
        path: "/api/credit/top-up",
        whose: Whose::Partner,
        scopes: &[Scope::PlanWrite],
        of_provider: &[Scope::PartnersWrite],
    },
    rule(Method::POST, "/api/invoices/{invoice}/paid", Whose::Provider, &[Scope::PartnersWrite]),
    rule(Method::GET, "/api/partners/{partner}/credit/grants", Whose::Provider, &[Scope::PartnersRead]),
    rule(Method::POST, "/api/partners/{partner}/credit/grants/{grant}/void", Whose::Provider, &[Scope::PartnersWrite]),
    rule(Method::GET, "/api/hooks", Whose::Provider, &[Scope::PartnersRead]),
    rule(Method::POST, "/api/hooks", Whose::Provider, &[Scope::PartnersWrite]),
    rule(Method::DELETE, "/api/hooks/{hook}", Whose::Provider, &[Scope::PartnersWrite]),
    rule(Method::POST, "/api/hooks/{hook}/pause", Whose::Provider, &[Scope::PartnersWrite]),
    rule(Method::POST, "/api/hooks/{hook}/resume", Whose::Provider, &[Scope::PartnersWrite]),
    rule(Method::POST, "/api/hooks/{hook}/rotate", Whose::Provider, &[Scope::PartnersWrite]),
    rule(Method::POST, "/api/hooks/{hook}/test", Whose::Provider, &[Scope::PartnersWrite]),
    rule(Method::GET, "/api/reconciliation", Whose::Provider, &[Scope::PartnersRead]),
    rule(Method::GET, "/api/reconciliation/findings", Whose::Provider, &[Scope::PartnersRead]),
    rule(Method::POST, "/api/reconciliation/findings/{finding}/accept", Whose::Provider, &[Scope::PartnersWrite]),
    rule(Method::POST, "/api/reconciliation/run", Whose::Provider, &[Scope::PartnersWrite]),
    rule(Method::GET, "/api/deliveries", Whose::Provider, &[Scope::PartnersRead]),
    rule(Method::POST, "/api/deliveries/{document}/replay", Whose::Provider, &[Scope::PartnersWrite]),
    rule(Method::GET, "/api/stripe/comparison", Whose::Provider, &[Scope::PartnersRead]),
    rule(Method::POST, "/api/stripe/comparison", Whose::Provider, &[Scope::PartnersWrite]),
    rule(Method::GET, "/api/stripe/drift", Whose::Provider, &[Scope::PartnersRead]),
    rule(Method::POST, "/api/stripe/drift/{drift}/write", Whose::Provider, &[Scope::PartnersWrite]),
    rule(Method::POST, "/api/stripe/drift/{drift}/accept", Whose::Provider, &[Scope::PartnersWrite]),
    rule(Method::GET, "/api/stripe/events", Whose::Provider, &[Scope::PartnersRead]),
    rule(Method::POST, "/api/stripe/events/{event}/replay", Whose::Provider, &[Scope::PartnersWrite]),
    rule(Method::GET, "/api/trace/{request_id}", Whose::Provider, &[Scope::UsageRead, Scope::InvoicesRead]),
    rule(Method::GET, "/api/unknown-requests", Whose::Provider, &[Scope::PartnersRead]),
    rule(Method::POST, "/api/unknown-requests/{attempt}/resolve", Whose::Provider, &[Scope::PartnersWrite]),
];

/// The line of a route.
pub fn find(method: &Method, path: &str) -> Option<&'static Rule> {
    let method = if *method == Method::HEAD { &Method::GET } else { method };
    RULES.iter().find(|rule| rule.method == *method && rule.path == path)
}
