//! Everybody tries everything, and gets exactly what the table below says.
//!
//! The table is written by hand, beside the application's own list: a role that is let in by mistake has to be let in
//! twice. A new page or form needs a line in both.

use crate::{
    browser::{Answer, Browser},
    company::{Company, open_catalogue},
    portal::{Options, Portal},
};
use app::{access::RULES, routes::App};
use axum::http::StatusCode;
use domain::{
    id::{MemberId, OperatorId},
    role::OperatorRole,
};
use leptos_axum::generate_route_list;
use server_fn::axum::server_fn_paths;
use std::collections::BTreeSet;

/// Who may, and what. The letters: `o`wner, `a`dmin, `d`eveloper, `b`illing, `v`iewer of a partner; operators that `r`ead
/// only, and those that may also write, `w`; `-` is nobody in particular.
const TABLE: &[(&str, &[&str])] = &[
    (
        EVERYBODY,
        &[
            "GET /",
            "GET /pricing",
            "GET /docs/errors",
            "GET /docs/errors/{code}",
            "GET /sign-up",
            "GET /check-your-mail",
            "GET /verify",
            "GET /sign-in",
            "GET /reset",
            "GET /reset/choose",
            "GET /invitation",
            "GET /console/sign-in",
            "GET /console/welcome",
            "POST /do/theme",
            "POST /do/sign-up",
            "POST /do/verify",
            "POST /do/sign-in",
            "POST /do/reset",
            "POST /do/reset/choose",
            "POST /do/invitation",
            "POST /do/console/sign-in",
            "POST /do/console/welcome",
            "POST /do/sign-out",
        ],
    ),
    (
        "oadbv",
        &[
            "GET /home",
            "GET /products",
            "GET /products/{product}",
            "GET /products/{product}/openapi.json",
            "GET /products/{product}/openapi.yaml",
            "GET /products/{product}/{operation}",
            "GET /apps",
            "GET /apps/{app}",
            "GET /apps/{app}/keys/{key}",
            "GET /usage",
            "GET /usage.csv",
            "GET /requests",
            "GET /requests/{place}",
            "GET /plan",
            "GET /plan/bill-so-far.csv",
            "GET /team",
            "GET /settings",
            "POST /do/settings/name",
            "POST /do/settings/password",
            "POST /do/settings/end-session",
            "POST /do/settings/end-other-sessions",
        ],
    ),
    (
        "oad",
        &[
            "GET /tokens",
            "POST /do/try",
            "POST /do/apps/create",
            "POST /do/apps/rename",
            "POST /do/apps/archive",
            "POST /do/keys/bound",
            "POST /do/keys/create",
            "POST /do/keys/rotate",
            "POST /do/keys/revoke",
            "POST /do/tokens/create",
            "POST /do/tokens/revoke",
        ],
    ),
    (
        "oab",
        &[
            "GET /plan/change",
            "GET /plan/cancel",
            "GET /plan/move",
            "GET /credit",
            "POST /do/credit/buy",
            "POST /do/credit/top-up/save",
            "POST /do/credit/top-up/stop",
            "GET /invoices",
            "GET /invoices/{invoice}",
            "GET /invoices/{invoice}/lines/{position}",
            "GET /invoices/{invoice}/lines.csv",
            "GET /invoices/{invoice}/teams.csv",
            "GET /invoices/{invoice}/invoice.json",
            "GET /invoices/{invoice}/invoice.pdf",
            "GET /invoices/download",
            "GET /disputes",
            "GET /disputes/{dispute}",
            "POST /do/disputes/open",
            "POST /do/disputes/withdraw",
            "GET /credit-notes/{note}/credit-note.csv",
            "GET /credit-notes/{note}/credit-note.json",
            "GET /credit-notes/{note}/credit-note.pdf",
            "POST /do/plan/choose",
            "POST /do/plan/cancel",
            "POST /do/plan/keep",
            "POST /do/plan/withdraw",
            "POST /do/plan/coupon",
            "POST /do/payment/portal",
            "POST /do/payment/checkout",
        ],
    ),
    (
        "oa",
        &[
            "GET /team/{member}/remove",
            "POST /do/members/invite",
            "POST /do/members/invite-again",
            "POST /do/members/withdraw",
            "POST /do/members/role",
            "POST /do/members/remove",
            "POST /do/settings/company",
            "POST /do/apps/team",
            "POST /do/teams/create",
            "POST /do/credit/allocate",
            "POST /do/credit/give-back",
        ],
    ),
    (
        "rw",
        &[
            "GET /console",
            "GET /console/partners",
            "GET /console/partners/{partner}",
            "GET /console/partners/{partner}/plan",
            "GET /console/partners/{partner}/identities",
            "GET /console/partners/{partner}/credit",
            "GET /console/partners/{partner}/invoices/{invoice}",
            "GET /console/partners/{partner}/invoices/{invoice}/lines/{position}",
            "GET /console/partners/{partner}/invoices/{invoice}/lines.csv",
            "GET /console/partners/{partner}/invoices/{invoice}/teams.csv",
            "GET /console/partners/{partner}/invoices/{invoice}/invoice.json",
            "GET /console/partners/{partner}/invoices/{invoice}/invoice.pdf",
            "GET /console/usage",
            "GET /console/usage.csv",
            "GET /console/usage.jsonl",
            "GET /console/hooks",
            "GET /console/reconciliation",
            "GET /console/conflicts",
            "GET /console/late-usage",
            "GET /console/deliveries",
            "GET /console/stripe-drift",
            "GET /console/stripe-events",
            "GET /console/requests",
            "GET /console/corrections",
            "GET /console/corrections/{correction}",
            "GET /console/trace",
            "GET /console/unknown-requests",
            "GET /console/unknown-requests/{attempt}",
            "GET /console/products",
            "GET /console/products/{product}",
            "GET /console/products/{product}/policy",
            "GET /console/products/{product}/policy/{operation}",
            "GET /console/plans",
            "GET /console/plans/{plan}",
            "GET /console/plans/{plan}/impact",
            "GET /console/plans/{plan}/moves",
            "GET /console/invoices",
            "GET /console/invoices/download",
            "GET /console/credit-packages",
            "GET /console/coupons",
            "GET /console/unpaid",
            "GET /console/partners/{partner}/unpaid",
            "GET /console/disputes",
            "GET /console/disputes/{dispute}",
            "GET /console/revenue",
            "GET /console/revenue/download",
            "GET /console/credit-notes",
            "GET /console/credit-notes/{note}",
            "GET /console/credit-notes/{note}/credit-note.csv",
            "GET /console/credit-notes/{note}/credit-note.json",
            "GET /console/credit-notes/{note}/credit-note.pdf",
            "GET /console/audit",
        ],
    ),
    (
        "w",
        &[
            "POST /do/console/credit/grant",
            "POST /do/console/dunning/pause",
            "POST /do/console/dunning/resume",
            "POST /do/console/dunning/days",
            "POST /do/console/partners/threshold",
            "POST /do/console/invoices/dispute",
            "POST /do/console/disputes/accept",
            "POST /do/console/disputes/refuse",
            "POST /do/console/credit/void",
            "POST /do/console/credit/sell",
            "POST /do/console/credit/allocate",
            "POST /do/console/credit/give-back",
            "POST /do/console/credit-packages/save",
            "POST /do/console/coupons/save",
            "POST /do/console/plans/order-move",
            "POST /do/console/plans/cancel-move",
            "POST /do/console/coupons/give",
            "POST /do/console/coupons/take-back",
            "POST /do/console/invoices/paid",
            "GET /console/partners/{partner}/correct",
            "GET /console/partners/{partner}/invoices/{invoice}/credit",
            "GET /console/products/new",
            "GET /console/plans/new",
            "GET /console/tokens",
            "POST /do/console/identities/register",
            "POST /do/console/identities/revoke",
            "POST /do/console/partners/assign",
            "POST /do/console/partners/keep-plan",
            "POST /do/console/partners/suspend",
            "POST /do/console/partners/reactivate",
            "POST /do/console/hooks/create",
            "POST /do/console/hooks/change",
            "POST /do/console/reconciliation/run",
            "POST /do/console/reconciliation/accept",
            "POST /do/console/conflicts/resolve",
            "POST /do/console/deliveries/replay",
            "POST /do/console/stripe-drift/compare",
            "POST /do/console/stripe-drift/write",
            "POST /do/console/stripe-drift/accept",
            "POST /do/console/stripe-events/replay",
            "POST /do/console/requests/approve",
            "POST /do/console/requests/decline",
            "POST /do/console/corrections/draft",
            "POST /do/console/corrections/approve",
            "POST /do/console/corrections/apply",
            "POST /do/console/corrections/revert",
            "POST /do/console/corrections/refuse",
            "POST /do/console/credit-notes/draft",
            "POST /do/console/credit-notes/issue",
            "POST /do/console/credit-notes/discard",
            "POST /do/console/unknown-requests/resolve",
            "POST /do/console/policies/product",
            "POST /do/console/policies/operation",
            "POST /do/console/policies/secrets",
            "POST /do/console/products/create",
            "POST /do/console/products/update",
            "POST /do/console/products/weights",
            "POST /do/console/products/archive",
            "POST /do/console/products/invite",
            "POST /do/console/products/uninvite",
            "POST /do/console/plans/save",
            "POST /do/console/plans/publish",
            "POST /do/console/plans/move",
            "POST /do/console/plans/archive",
            "POST /do/console/plans/payment-method",
            "POST /do/console/plans/name",
            "POST /do/console/plans/unname",
            "POST /do/console/tokens/create",
            "POST /do/console/tokens/revoke",
        ],
    ),
];

/// The same, for what is there in development installs only.
const DEVELOPMENT: &[(&str, &[&str])] = &[
    (EVERYBODY, &["GET /gallery", "GET /dev/inbox", "GET /dev/inbox/{id}"]),
    ("w", &["GET /console/clock", "POST /do/console/clock/advance"]),
];

const EVERYBODY: &str = "-oadbvrw";

/// Files that stand beside the pages.
const DOWNLOADS: [&str; 23] = [
    "GET /products/{product}/openapi.json",
    "GET /products/{product}/openapi.yaml",
    "GET /usage.csv",
    "GET /plan/bill-so-far.csv",
    "GET /invoices/{invoice}/lines.csv",
    "GET /invoices/{invoice}/teams.csv",
    "GET /invoices/{invoice}/invoice.json",
    "GET /invoices/{invoice}/invoice.pdf",
    "GET /invoices/download",
    "GET /console/partners/{partner}/invoices/{invoice}/lines.csv",
    "GET /console/partners/{partner}/invoices/{invoice}/teams.csv",
    "GET /console/partners/{partner}/invoices/{invoice}/invoice.json",
    "GET /console/partners/{partner}/invoices/{invoice}/invoice.pdf",
    "GET /console/invoices/download",
    "GET /credit-notes/{note}/credit-note.csv",
    "GET /credit-notes/{note}/credit-note.json",
    "GET /credit-notes/{note}/credit-note.pdf",
    "GET /console/credit-notes/{note}/credit-note.csv",
    "GET /console/credit-notes/{note}/credit-note.json",
    "GET /console/credit-notes/{note}/credit-note.pdf",
    "GET /console/revenue/download",
    "GET /console/usage.csv",
    "GET /console/usage.jsonl",
];

/// What there is.
fn routes() -> BTreeSet<String> {
    let pages = generate_route_list(App).into_iter().map(|page| format!("GET {}", page.path()));
    let forms = server_fn_paths().map(|(path, method)| format!("{method} {path}"));
    let downloads = DOWNLOADS.into_iter().map(str::to_owned);
    pages.chain(forms).chain(downloads).collect()
}

/// What the application's list has.
fn ruled() -> BTreeSet<String> {
    RULES.iter().map(|rule| format!("{} {}", rule.method, rule.path)).collect()
}

/// What the table has.
fn tabled() -> BTreeSet<String> {
    lines().map(|(_, line, _)| line.to_owned()).collect()
}

/// Who may, what, and whether in development only.
fn lines() -> impl Iterator<Item = (&'static str, &'static str, bool)> {
    let of = |table: &'static [(&'static str, &'static [&'static str])], development| {
        table.iter().flat_map(move |(who, lines)| lines.iter().map(move |line| (*who, *line, development)))
    };
    of(TABLE, false).chain(of(DEVELOPMENT, true))
}

#[test]
fn every_page_form_and_download_is_in_the_list_and_nothing_else_is() {
    let (routes, ruled) = (routes(), ruled());
    assert!(routes.len() > 80, "{routes:?}");
    assert_eq!(routes.difference(&ruled).collect::<Vec<_>>(), Vec::<&String>::new(), "not in access::RULES");
    assert_eq!(ruled.difference(&routes).collect::<Vec<_>>(), Vec::<&String>::new(), "rules for nothing");
    assert_eq!(ruled.len(), RULES.len(), "a line is there twice, and only the first would count");
    // The check sees a line that is missing.
    let without: BTreeSet<String> = ruled.iter().filter(|line| *line != "POST /do/keys/create").cloned().collect();
    assert_eq!(routes.difference(&without).collect::<Vec<_>>(), ["POST /do/keys/create"]);
}

#[test]
fn the_table_of_this_test_has_a_line_for_each_rule() {
    let (ruled, tabled) = (ruled(), tabled());
    assert_eq!(tabled.difference(&ruled).collect::<Vec<_>>(), Vec::<&String>::new(), "no longer in access::RULES");
    assert_eq!(ruled.difference(&tabled).collect::<Vec<_>>(), Vec::<&String>::new(), "add to this test's table");
}

#[test]
fn nothing_that_changes_something_is_reached_by_a_link() {
    let by_get: Vec<_> = server_fn_paths().filter(|(_, method)| *method != "POST").collect();
    assert_eq!(by_get, []);
    assert!(server_fn_paths().all(|(path, _)| path.starts_with("/do/")));
}

/// Somebody at a browser.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Visitor {
    Nobody,
    Member(char, MemberId),
    /// The owner of another partner.
    Stranger(MemberId),
    Operator(char, OperatorId),
}

impl Visitor {
    async fn browser(self, portal: &Portal) -> Browser {
        match self {
            Self::Nobody => portal.browser(),
            Self::Member(_, id) | Self::Stranger(id) => portal.as_member(id).await,
            Self::Operator(_, id) => portal.as_operator(id).await,
        }
    }

    const fn letter(self) -> char {
        match self {
            Self::Nobody => '-',
            Self::Member(letter, _) | Self::Operator(letter, _) => letter,
            Self::Stranger(_) => 'o',
        }
    }
}

/// What the guard has to make of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expected {
    Reached,
    /// Reached, but what the address names is somebody else's.
    NotTheirs,
    To(&'static str),
    Status(StatusCode),
}

fn expected(who: &str, line: &str, only_in_development: bool, visitor: Visitor, development: bool) -> Expected {
    let (page, console) = (line.starts_with("GET "), line.contains("/console"));
    if only_in_development && !development {
        return Expected::Status(StatusCode::NOT_FOUND);
    }
    if who.contains(visitor.letter()) {
        let names_something = line.contains('{') && !line.contains("{code}") && !line.contains("{id}");
        let stranger = matches!(visitor, Visitor::Stranger(_));
        return if stranger && names_something { Expected::NotTheirs } else { Expected::Reached };
    }
    match visitor {
        Visitor::Nobody if !page => Expected::Status(StatusCode::UNAUTHORIZED),
        Visitor::Nobody if console => Expected::To("/console/sign-in?next="),
        Visitor::Nobody => Expected::To("/sign-in?next="),
        // The console does not exist for partners.
        Visitor::Member(..) | Visitor::Stranger(_) if console => Expected::Status(StatusCode::NOT_FOUND),
        _ => Expected::Status(StatusCode::FORBIDDEN),
    }
}

fn is_as_expected(expected: Expected, page: bool, answer: &Answer) -> bool {
    let (status, to) = (answer.status, answer.location());
    match expected {
        Expected::Status(wanted) => status == wanted && to.is_empty(),
        Expected::To(begin) => status == StatusCode::SEE_OTHER && to.starts_with(begin),
        Expected::NotTheirs => status == StatusCode::NOT_FOUND,
        // Who is signed in is sent on from the front page.
        Expected::Reached if page => status == StatusCode::OK || (status == StatusCode::SEE_OTHER && !to.contains('?')),
        // The walk's forms are empty: what they reach says so.
        Expected::Reached => status == StatusCode::SEE_OTHER || status == StatusCode::BAD_REQUEST,
    }
}

/// Whether the line is a page, and its address with something of the company in it.
pub fn address(line: &str, company: &Company, mail: i64) -> (bool, String) {
    let (method, path) = line.split_once(' ').expect("a method and a path");
    let console = path.starts_with("/console/");
    let product = if console { company.product.to_string() } else { company.product_code.clone() };
    let parts = [
        ("{product}", product),
        ("{operation}", company.operation.clone()),
        ("{app}", company.app.to_string()),
        ("{key}", company.key.to_string()),
        ("{place}", company.place.to_string()),
        ("{invoice}", company.invoice.to_string()),
        ("{position}", "0".to_owned()),
        ("{note}", company.credit_note.to_string()),
        ("{dispute}", company.dispute.to_string()),
        ("{member}", company.viewer.to_string()),
        ("{partner}", company.id.to_string()),
        ("{plan}", company.plan.to_string()),
        ("{attempt}", company.attempt.to_string()),
        ("{correction}", company.correction.to_string()),
        ("{code}", "limit-exceeded".to_owned()),
        ("{id}", mail.to_string()),
    ];
    let mut path = parts.into_iter().fold(path.to_owned(), |path, (name, value)| path.replace(name, &value));
    if path == "/plan/change" {
        path.push_str("?to=starter");
    }
    if path.ends_with("/invoices/download") || path.ends_with("/revenue/download") {
        path.push_str("?from=2026-01-01&to=2026-12-31&format=csv");
    }
    (method == "GET", path)
}

async fn walk(development: bool) {
    let portal = Portal::with(Options { development, ..Options::default() }).await;
    open_catalogue(&portal).await;
    let company = Company::found(&portal, "acme").await;
    let other = Company::found(&portal, "bolt").await;
    let (reads, writes) = (portal.operator(OperatorRole::Viewer).await, portal.operator(OperatorRole::Admin).await);
    let visitors = [
        Visitor::Nobody,
        Visitor::Member('o', company.owner),
        Visitor::Member('a', company.admin),
        Visitor::Member('d', company.developer),
        Visitor::Member('b', company.billing),
        Visitor::Member('v', company.viewer),
        Visitor::Stranger(other.owner),
        Visitor::Operator('r', reads),
        Visitor::Operator('w', writes),
    ];
    let mail = portal.store.all_mails(1).await.expect("mails").first().expect("a mail").id;
    let mut wrong = Vec::new();
    let mut reached = 0;
    for (who, line, only_in_development) in lines() {
        let (page, path) = address(line, &company, mail);
        for visitor in visitors {
            // A browser for each try: some forms end sessions.
            let mut browser = visitor.browser(&portal).await;
            let answer = if page { browser.get(&path).await } else { browser.post(&path, &[]).await };
            let expected = expected(who, line, only_in_development, visitor, development);
            reached += usize::from(expected == Expected::Reached);
            if !is_as_expected(expected, page, &answer) {
                let (status, to) = (answer.status, answer.location());
                wrong.push(format!("{line} as {visitor:?}: {expected:?}, and it was {status} {to}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(reached > 300, "{reached}");
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_reaches_what_the_table_says_in_development() {
    walk(true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_reaches_what_the_table_says_in_production() {
    walk(false).await;
}

#[tokio::test]
async fn a_method_that_the_list_does_not_have_does_not_exist() {
    let portal = Portal::open().await;
    open_catalogue(&portal).await;
    let company = Company::found(&portal, "acme").await;
    let mut browser = portal.as_member(company.owner).await;
    assert_eq!(browser.get("/home").await.status, StatusCode::OK);
    assert_eq!(browser.post("/home", &[]).await.status, StatusCode::NOT_FOUND);
    assert_eq!(browser.get("/do/sign-out").await.status, StatusCode::NOT_FOUND);
    assert_eq!(browser.get("/home").await.status, StatusCode::OK, "nobody was signed out");
}

#[tokio::test]
async fn a_member_who_may_not_sign_in_reaches_nothing() {
    let portal = Portal::open().await;
    open_catalogue(&portal).await;
    let company = Company::found(&portal, "acme").await;
    // Neither verified nor with a password, though with a session that somebody wrote into the table.
    let answer = portal.as_member(company.invited).await.get("/home").await;
    assert_eq!((answer.status, answer.location()), (StatusCode::SEE_OTHER, "/sign-in?next=/home"));
}
