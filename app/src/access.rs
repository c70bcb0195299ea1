//! Who may open which page and send which form: one list. What is not in it is refused.
//!
//! Paths are as the router has them, with `{name}` for a parameter. The whole-router test walks this list as nobody, as
//! each role, as another partner's member and as an operator, and fails where a page or server function is missing here.

use crate::viewer::Viewer;
use domain::role::{MemberRole, OperatorRole};

/// Who may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// Everybody, signed in or not.
    Anyone,
    /// Any member of a partner.
    Members,
    /// Members who may make apps and keys.
    Developers,
    /// Members who may change the plan.
    Billing,
    /// Members who may change people and the company.
    Admins,
    /// Operators of either role.
    Operators,
    /// Operators who may change things.
    OperatorAdmins,
    /// Everybody, in a development install only.
    Development,
    /// Operators who may change things, in a development install only.
    DevelopmentOperators,
}

/// One line of the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// `GET` for pages, `POST` for forms.
    pub method: &'static str,
    pub path: &'static str,
    pub who: Who,
}

/// What the guard does with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Allow,
    /// Nobody is signed in: go to the members' or the operators' sign-in.
    SignInAsMember,
    SignInAsOperator,
    /// Signed in, but not for this.
    Refuse,
    /// As if it did not exist.
    Hide,
}

impl Who {
    /// Whether this viewer may, in an install that is or is not for development.
    pub fn judge(self, viewer: &Viewer, development: bool) -> Verdict {
        use MemberRole::{Admin, Billing, Developer, Owner};
        let for_members = |roles: &[MemberRole]| match viewer {
            Viewer::Member(member) if roles.contains(&member.role) => Verdict::Allow,
            Viewer::Nobody => Verdict::SignInAsMember,
            _ => Verdict::Refuse,
        };
        let for_operators = |admin_only: bool| match viewer {
            Viewer::Operator(operator) if !admin_only || operator.role == OperatorRole::Admin => Verdict::Allow,
            Viewer::Operator(_) => Verdict::Refuse,
            Viewer::Nobody => Verdict::SignInAsOperator,
            Viewer::Member(_) => Verdict::Hide,
        };
        match self {
            Self::Anyone => Verdict::Allow,
            Self::Members => for_members(&MemberRole::ALL),
            Self::Developers => for_members(&[Owner, Admin, Developer]),
            Self::Billing => for_members(&[Owner, Admin, Billing]),
            Self::Admins => for_members(&[Owner, Admin]),
            Self::Operators => for_operators(false),
            Self::OperatorAdmins => for_operators(true),
            Self::Development if development => Verdict::Allow,
            Self::DevelopmentOperators if development => for_operators(true),
            Self::Development | Self::DevelopmentOperators => Verdict::Hide,
        }
    }
}

/// Who may use this method and path, if the list has them.
pub fn who_may(method: &str, path: &str) -> Option<Who> {
    let method = if method == "HEAD" { "GET" } else { method };
    let path = if path.len() > 1 { path.trim_end_matches('/') } else { path };
    RULES.iter().find(|rule| rule.method == method && rule.path == path).map(|rule| rule.who)
}

const fn page(path: &'static str, who: Who) -> Rule {
    Rule { method: "GET", path, who }
}

const fn form(path: &'static str, who: Who) -> Rule {
    Rule { method: "POST", path, who }
}

/// The list.
pub const RULES: &[Rule] = &[
    // Everybody
    page("/", Who::Anyone),
    form("/do/theme", Who::Anyone),
    page("/pricing", Who::Anyone),
    page("/docs/errors", Who::Anyone),
    page("/docs/errors/{code}", Who::Anyone),
    // Ways in and out
    page("/sign-up", Who::Anyone),
    form("/do/sign-up", Who::Anyone),
    page("/check-your-mail", Who::Anyone),
    page("/verify", Who::Anyone),
    form("/do/verify", Who::Anyone),
    page("/sign-in", Who::Anyone),
    form("/do/sign-in", Who::Anyone),
    page("/reset", Who::Anyone),
    form("/do/reset", Who::Anyone),
    page("/reset/choose", Who::Anyone),
    form("/do/reset/choose", Who::Anyone),
    page("/invitation", Who::Anyone),
    form("/do/invitation", Who::Anyone),
    page("/console/sign-in", Who::Anyone),
    form("/do/console/sign-in", Who::Anyone),
    page("/console/welcome", Who::Anyone),
    form("/do/console/welcome", Who::Anyone),
    form("/do/sign-out", Who::Anyone),
    // Team and settings
    page("/team", Who::Members),
    page("/team/{member}/remove", Who::Admins),
    form("/do/members/invite", Who::Admins),
    form("/do/members/invite-again", Who::Admins),
    form("/do/members/withdraw", Who::Admins),
    form("/do/members/role", Who::Admins),
    form("/do/members/remove", Who::Admins),
    page("/settings", Who::Members),
    form("/do/settings/company", Who::Admins),
    form("/do/settings/name", Who::Members),
    form("/do/settings/password", Who::Members),
    form("/do/settings/end-session", Who::Members),
    form("/do/settings/end-other-sessions", Who::Members),
    // A partner's work
    page("/home", Who::Members),
    page("/products", Who::Members),
    page("/products/{product}", Who::Members),
    page("/products/{product}/openapi.json", Who::Members),
    page("/products/{product}/openapi.yaml", Who::Members),
    page("/products/{product}/{operation}", Who::Members),
    form("/do/try", Who::Developers),
    page("/apps", Who::Members),
    form("/do/apps/create", Who::Developers),
    form("/do/apps/rename", Who::Developers),
    form("/do/apps/team", Who::Admins),
    form("/do/teams/create", Who::Admins),
    form("/do/apps/archive", Who::Developers),
    page("/apps/{app}", Who::Members),
    page("/apps/{app}/keys/{key}", Who::Members),
    form("/do/keys/bound", Who::Developers),
    form("/do/keys/create", Who::Developers),
    form("/do/keys/rotate", Who::Developers),
    form("/do/keys/revoke", Who::Developers),
    page("/usage", Who::Members),
    page("/usage.csv", Who::Members),
    page("/requests", Who::Members),
    page("/requests/{place}", Who::Members),
    page("/plan", Who::Members),
    page("/plan/bill-so-far.csv", Who::Members),
    page("/plan/change", Who::Billing),
    page("/plan/cancel", Who::Billing),
    page("/plan/move", Who::Billing),
    form("/do/plan/choose", Who::Billing),
    form("/do/plan/cancel", Who::Billing),
    form("/do/plan/keep", Who::Billing),
    form("/do/plan/withdraw", Who::Billing),
    form("/do/plan/coupon", Who::Billing),
    form("/do/payment/portal", Who::Billing),
    form("/do/payment/checkout", Who::Billing),
    page("/credit", Who::Billing),
    form("/do/credit/buy", Who::Billing),
    form("/do/credit/allocate", Who::Admins),
    form("/do/credit/give-back", Who::Admins),
    form("/do/credit/top-up/save", Who::Billing),
    form("/do/credit/top-up/stop", Who::Billing),
    page("/invoices", Who::Billing),
    page("/invoices/{invoice}", Who::Billing),
    page("/invoices/{invoice}/lines/{position}", Who::Billing),
    page("/invoices/{invoice}/lines.csv", Who::Billing),
    page("/invoices/{invoice}/teams.csv", Who::Billing),
    page("/invoices/{invoice}/invoice.json", Who::Billing),
    page("/invoices/{invoice}/invoice.pdf", Who::Billing),
    page("/invoices/download", Who::Billing),
    page("/disputes", Who::Billing),
    page("/disputes/{dispute}", Who::Billing),
    form("/do/disputes/open", Who::Billing),
    form("/do/disputes/withdraw", Who::Billing),
    page("/credit-notes/{note}/credit-note.csv", Who::Billing),
    page("/credit-notes/{note}/credit-note.json", Who::Billing),
    page("/credit-notes/{note}/credit-note.pdf", Who::Billing),
    page("/tokens", Who::Developers),
    form("/do/tokens/create", Who::Developers),
    form("/do/tokens/revoke", Who::Developers),
    // The console
    page("/console", Who::Operators),
    page("/console/partners", Who::Operators),
    page("/console/partners/{partner}", Who::Operators),
    page("/console/partners/{partner}/invoices/{invoice}", Who::Operators),
    page("/console/partners/{partner}/invoices/{invoice}/lines/{position}", Who::Operators),
    page("/console/partners/{partner}/invoices/{invoice}/lines.csv", Who::Operators),
    page("/console/partners/{partner}/invoices/{invoice}/teams.csv", Who::Operators),
    page("/console/partners/{partner}/invoices/{invoice}/invoice.json", Who::Operators),
    page("/console/partners/{partner}/invoices/{invoice}/invoice.pdf", Who::Operators),
    page("/console/partners/{partner}/plan", Who::Operators),
    page("/console/partners/{partner}/identities", Who::Operators),
    page("/console/partners/{partner}/credit", Who::Operators),
    form("/do/console/credit/grant", Who::OperatorAdmins),
    form("/do/console/credit/void", Who::OperatorAdmins),
    form("/do/console/credit/sell", Who::OperatorAdmins),
    form("/do/console/credit/allocate", Who::OperatorAdmins),
    form("/do/console/credit/give-back", Who::OperatorAdmins),
    page("/console/credit-packages", Who::Operators),
    form("/do/console/credit-packages/save", Who::OperatorAdmins),
    page("/console/coupons", Who::Operators),
    form("/do/console/coupons/save", Who::OperatorAdmins),
    form("/do/console/coupons/give", Who::OperatorAdmins),
    form("/do/console/coupons/take-back", Who::OperatorAdmins),
    form("/do/console/identities/register", Who::OperatorAdmins),
    form("/do/console/identities/revoke", Who::OperatorAdmins),
    form("/do/console/partners/assign", Who::OperatorAdmins),
    form("/do/console/partners/keep-plan", Who::OperatorAdmins),
    form("/do/console/partners/suspend", Who::OperatorAdmins),
    page("/console/unpaid", Who::Operators),
    page("/console/partners/{partner}/unpaid", Who::Operators),
    form("/do/console/dunning/pause", Who::OperatorAdmins),
    form("/do/console/dunning/resume", Who::OperatorAdmins),
    form("/do/console/dunning/days", Who::OperatorAdmins),
    form("/do/console/partners/threshold", Who::OperatorAdmins),
    form("/do/console/invoices/paid", Who::OperatorAdmins),
    form("/do/console/invoices/dispute", Who::OperatorAdmins),
    form("/do/console/partners/reactivate", Who::OperatorAdmins),
    page("/console/usage", Who::Operators),
    page("/console/usage.csv", Who::Operators),
    page("/console/usage.jsonl", Who::Operators),
    page("/console/hooks", Who::Operators),
    form("/do/console/hooks/create", Who::OperatorAdmins),
    form("/do/console/hooks/change", Who::OperatorAdmins),
    page("/console/reconciliation", Who::Operators),
    form("/do/console/reconciliation/run", Who::OperatorAdmins),
    form("/do/console/reconciliation/accept", Who::OperatorAdmins),
    page("/console/conflicts", Who::Operators),
    form("/do/console/conflicts/resolve", Who::OperatorAdmins),
    page("/console/late-usage", Who::Operators),
    page("/console/deliveries", Who::Operators),
    form("/do/console/deliveries/replay", Who::OperatorAdmins),
    page("/console/stripe-drift", Who::Operators),
    form("/do/console/stripe-drift/compare", Who::OperatorAdmins),
    form("/do/console/stripe-drift/write", Who::OperatorAdmins),
    form("/do/console/stripe-drift/accept", Who::OperatorAdmins),
    page("/console/stripe-events", Who::Operators),
    form("/do/console/stripe-events/replay", Who::OperatorAdmins),
    page("/console/requests", Who::Operators),
    form("/do/console/requests/approve", Who::OperatorAdmins),
    form("/do/console/requests/decline", Who::OperatorAdmins),
    page("/console/corrections", Who::Operators),
    page("/console/corrections/{correction}", Who::Operators),
    page("/console/partners/{partner}/correct", Who::OperatorAdmins),
    form("/do/console/corrections/draft", Who::OperatorAdmins),
    form("/do/console/corrections/approve", Who::OperatorAdmins),
    form("/do/console/corrections/apply", Who::OperatorAdmins),
    form("/do/console/corrections/revert", Who::OperatorAdmins),
    form("/do/console/corrections/refuse", Who::OperatorAdmins),
    page("/console/trace", Who::Operators),
    page("/console/unknown-requests", Who::Operators),
    page("/console/unknown-requests/{attempt}", Who::Operators),
    form("/do/console/unknown-requests/resolve", Who::OperatorAdmins),
    page("/console/products", Who::Operators),
    page("/console/products/new", Who::OperatorAdmins),
    page("/console/products/{product}", Who::Operators),
    page("/console/products/{product}/policy", Who::Operators),
    page("/console/products/{product}/policy/{operation}", Who::Operators),
    form("/do/console/policies/product", Who::OperatorAdmins),
    form("/do/console/policies/operation", Who::OperatorAdmins),
    form("/do/console/policies/secrets", Who::OperatorAdmins),
    form("/do/console/products/create", Who::OperatorAdmins),
    form("/do/console/products/update", Who::OperatorAdmins),
    form("/do/console/products/weights", Who::OperatorAdmins),
    form("/do/console/products/archive", Who::OperatorAdmins),
    form("/do/console/products/invite", Who::OperatorAdmins),
    form("/do/console/products/uninvite", Who::OperatorAdmins),
    page("/console/plans", Who::Operators),
    page("/console/plans/new", Who::OperatorAdmins),
    page("/console/plans/{plan}", Who::Operators),
    form("/do/console/plans/payment-method", Who::OperatorAdmins),
    page("/console/plans/{plan}/impact", Who::Operators),
    page("/console/plans/{plan}/moves", Who::Operators),
    form("/do/console/plans/order-move", Who::OperatorAdmins),
    form("/do/console/plans/cancel-move", Who::OperatorAdmins),
    form("/do/console/plans/save", Who::OperatorAdmins),
    form("/do/console/plans/publish", Who::OperatorAdmins),
    form("/do/console/plans/move", Who::OperatorAdmins),
    form("/do/console/plans/archive", Who::OperatorAdmins),
    form("/do/console/plans/name", Who::OperatorAdmins),
    form("/do/console/plans/unname", Who::OperatorAdmins),
    page("/console/invoices", Who::Operators),
    page("/console/invoices/download", Who::Operators),
    page("/console/partners/{partner}/invoices/{invoice}/credit", Who::OperatorAdmins),
    page("/console/disputes", Who::Operators),
    page("/console/disputes/{dispute}", Who::Operators),
    form("/do/console/disputes/accept", Who::OperatorAdmins),
    form("/do/console/disputes/refuse", Who::OperatorAdmins),
    page("/console/revenue", Who::Operators),
    page("/console/revenue/download", Who::Operators),
    page("/console/credit-notes", Who::Operators),
    page("/console/credit-notes/{note}", Who::Operators),
    page("/console/credit-notes/{note}/credit-note.csv", Who::Operators),
    page("/console/credit-notes/{note}/credit-note.json", Who::Operators),
    page("/console/credit-notes/{note}/credit-note.pdf", Who::Operators),
    form("/do/console/credit-notes/draft", Who::OperatorAdmins),
    form("/do/console/credit-notes/issue", Who::OperatorAdmins),
    form("/do/console/credit-notes/discard", Who::OperatorAdmins),
    page("/console/audit", Who::Operators),
    page("/console/tokens", Who::OperatorAdmins),
    form("/do/console/tokens/create", Who::OperatorAdmins),
    form("/do/console/tokens/revoke", Who::OperatorAdmins),
    page("/console/clock", Who::DevelopmentOperators),
    form("/do/console/clock/advance", Who::DevelopmentOperators),
    // Development
    page("/gallery", Who::Development),
    page("/dev/inbox", Who::Development),
    page("/dev/inbox/{id}", Who::Development),
];
