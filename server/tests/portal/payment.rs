//! The ways to pages of Stripe's, and what a member is told who comes back: never more than Stripe has said.

use crate::{
    company::{Company, new_plan, open_catalogue},
    portal::{Options, Portal},
};
use app::{payment_letters, state::StripeAccess};
use axum::http::StatusCode;
use billing::{
    Recipient,
    payment::{Desk, PaymentNews, StripePages},
    stripe::{SecretKey, Stripe, StripeSettings},
};
use domain::{
    id::PartnerId,
    money::{Currency, Money},
    plan::Approval,
    role::OperatorRole,
};
use serde_json::{Value, json};
use store::{Actor, NewPlanCheckout, PagePayment};
use stripe_stand_in::StandIn;

const STRIPE: &str = "https://billing.stripe.com https://checkout.stripe.com";

async fn with_stripe() -> (Portal, StandIn) {
    let stand_in = StandIn::start(stripe_stand_in::Options::default()).await.expect("starts");
    let settings =
        StripeSettings { base_url: stand_in.url(), ..StripeSettings::new(SecretKey::new("sk_test_the_secret")) };
    let stripe = Stripe::new(settings).expect("settings");
    let access = StripeAccess { stripe, pages: StripePages::usual() };
    let portal = Portal::with(Options { stripe: Some(access), ..Options::default() }).await;
    open_catalogue(&portal).await;
    (portal, stand_in)
}

/// Events that were kept are applied, as the task does it.
async fn apply(portal: &Portal) {
    let access = portal.state.stripe.clone().expect("there");
    let letters = |to: &Recipient, news: &PaymentNews| payment_letters::letter(&portal.state.settings, to, news);
    let desk = Desk { store: &portal.store, stripe: &access.stripe, letters: &letters };
    billing::apply_pending_webhooks(desk, portal.now()).await.expect("applied");
}

/// The partner has no plan any more.
async fn without_plan(portal: &Portal, partner: PartnerId) {
    let (store, now) = (&portal.store, portal.now());
    let (wish, by) = (store::Wish::Nothing, store::OrderedBy::Operator);
    let ends = billing::Wanted { wish, when: domain::plan_change::When::AtOnce, by };
    let token = billing::preview_change(store, partner, ends, now).await.expect("a preview").token;
    let letter = |to: &Recipient, _: &billing::News| store::NewMail {
        recipient: to.email.clone(),
        subject: String::new(),
        body_text: String::new(),
        body_html: String::new(),
    };
    billing::order_change(store, partner, ends, &token, &letter, Actor::System, now).await.expect("ended");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_is_sent_to_stripes_portal_and_nowhere_else() {
    let (portal, _stand_in) = with_stripe().await;
    let acme = Company::found(&portal, "acme").await;
    let mut owner = portal.as_member(acme.owner).await;
    for page in ["/plan", "/invoices"] {
        let answer = owner.get(page).await;
        assert!(answer.text.contains("action=\"/do/payment/portal\""), "{page}");
        let policy = answer.header("content-security-policy");
        assert!(policy.contains(&format!("form-action 'self' {STRIPE};")), "{page}: {policy}");
    }
    for page in ["/home", "/settings", "/team"] {
        let answer = owner.get(page).await;
        assert!(
            answer.header("content-security-policy").contains("form-action 'self';"),
            "only where a form leads there"
        );
    }
    let answer = owner.post("/do/payment/portal", &[]).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    assert!(answer.location().starts_with("https://billing.stripe.com/p/session/"), "{}", answer.location());
    let answer = portal.as_member(acme.developer).await.post("/do/payment/portal", &[]).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert!(!portal.as_member(acme.developer).await.get("/plan").await.text.contains("/do/payment/portal"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_that_asks_waits_for_what_stripe_says_and_not_for_who_comes_back() {
    let (portal, stand_in) = with_stripe().await;
    let acme = Company::found(&portal, "acme").await;
    let (store, now) = (&portal.store, portal.now());
    let plan = new_plan("careful", "open-ledger", false, Approval::Automatic);
    let id = store.create_plan(&plan, Actor::System, now).await.expect("a plan");
    let mut admin = portal.as_operator(portal.operator(OperatorRole::Admin).await).await;
    let fields = [("plan", id.to_string()), ("asks", "true".to_owned())];
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let answer = admin.post("/do/console/plans/payment-method", &fields).await;
    assert!(answer.flash.notice.is_some(), "{}", answer.problems());
    assert!(admin.get(&format!("/console/plans/{id}")).await.text.contains("Ask for a payment method first"));

    let mut owner = portal.as_member(acme.owner).await;
    let shown = owner.get("/plan/change?to=careful").await;
    assert!(shown.text.contains("asks for a payment method first") && !shown.text.contains("/do/plan/choose"));
    let refused = owner.post("/do/plan/choose", &[("plan", "careful"), ("preview", "x")]).await;
    assert!(refused.problems().contains("asks for a payment method first"), "{}", refused.problems());

    let answer = owner.post("/do/payment/checkout", &[("plan", "careful")]).await;
    assert!(answer.location().starts_with("https://checkout.stripe.com/"), "{}", answer.location());
    let state = stand_in.control("GET", "state", Value::Null).await.expect("a state");
    let session = state["checkout_sessions"][0].clone();
    let back = session["success_url"].as_str().expect("an address").replace("http://localhost:3000", "");
    assert!(back.starts_with("/plan?checkout=checkout_"), "{back}");
    let early = owner.get(&back).await.text;
    assert!(
        early.contains("Stripe has not confirmed it yet") && !early.contains("Your payment method is on file"),
        "{early}"
    );
    let theirs = Company::found(&portal, "bolt").await;
    let other = portal.as_member(theirs.owner).await.get(&back).await.text;
    assert!(!other.contains("Stripe has not confirmed"), "another partner learns nothing of it");

    stand_in.control("POST", "checkout", json!({ "session": session["id"], "step": "complete" })).await.expect("left");
    assert!(owner.get(&back).await.text.contains("Stripe has not confirmed it yet"), "not before the webhook");
    let state = stand_in.control("GET", "state", Value::Null).await.expect("a state");
    for event in state["events"].as_array().expect("events") {
        let (id, kind) = (event["id"].as_str().expect("an id"), event["type"].as_str().expect("a type"));
        store.keep_stripe_event(id, kind, event, now).await.expect("kept");
    }
    apply(&portal).await;
    assert!(owner.get(&back).await.text.contains("Your payment method is on file"));
    let shown = owner.get("/plan/change?to=careful").await;
    let done = owner.post("/do/plan/choose", &[("plan", "careful"), ("preview", &shown.hidden("preview"))]).await;
    assert!(done.problems().is_empty() && done.location() == "/plan", "{}", done.problems());
}

#[tokio::test(flavor = "multi_thread")]
async fn where_invoices_do_not_go_to_stripe_nothing_is_asked_for() {
    let portal = Portal::open().await;
    open_catalogue(&portal).await;
    let acme = Company::found(&portal, "acme").await;
    let plan = new_plan("careful", "open-ledger", false, Approval::Automatic);
    let id = portal.store.create_plan(&plan, Actor::System, portal.now()).await.expect("a plan");
    portal.store.set_asks_for_payment_method(id, true, Actor::System, portal.now()).await.expect("set");
    let mut owner = portal.as_member(acme.owner).await;
    let plan = owner.get("/plan").await;
    assert!(!plan.text.contains("/do/payment/portal"));
    assert!(plan.header("content-security-policy").contains("form-action 'self';"));
    assert!(owner.get("/plan/change?to=careful").await.text.contains("/do/plan/choose"));
    let answer = owner.post("/do/payment/portal", &[]).await;
    assert!(answer.problems().contains("no payment methods here"), "{}", answer.problems());
}

#[tokio::test(flavor = "multi_thread")]
async fn units_are_paid_at_stripe_and_are_there_once_stripe_says_so() {
    let (portal, stand_in) = with_stripe().await;
    let acme = Company::found(&portal, "acme").await;
    let (store, now) = (&portal.store, portal.now());
    let mut plan = new_plan("prepaid", "open-ledger", false, Approval::Automatic);
    plan.terms.admission.credit.required = true;
    let id = store.create_plan(&plan, Actor::System, now).await.expect("a plan");
    let version = store.plan(id).await.expect("a plan").versions[0].id;
    store.assign_plan_version(acme.id, version, Actor::System, now).await.expect("a subscription");
    let currency = plan.terms.currency.code();
    let package = json!({ "name": "Thousand", "units": 1000, "currency": currency, "price": "10.00" });
    let package = serde_json::from_value(package).expect("a package");
    store.put_credit_package(("thousand", None), &package, Actor::System, now).await.expect("sold");

    let mut owner = portal.as_member(acme.owner).await;
    let page = owner.get("/credit").await;
    assert!(page.text.contains("Pay at Stripe") && page.text.contains("Buy on an invoice"), "{}", page.text);
    assert!(page.header("content-security-policy").contains(&format!("form-action 'self' {STRIPE};")));
    let hidden = |name: &str| {
        let field = page.text.split(&format!("name=\"{name}\"")).nth(1).expect("a field");
        field.split("value=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a value").replace("&#x27;", "'")
    };
    let (once, shown) = (hidden("once"), hidden("shown"));
    let form = [
        ("package", "thousand"),
        ("quantity", "3"),
        ("once", once.as_str()),
        ("shown", shown.as_str()),
        ("how", "now"),
    ];
    let answer = owner.post("/do/credit/buy", &form).await;
    assert!(
        answer.location().starts_with("https://checkout.stripe.com/"),
        "{} {}",
        answer.location(),
        answer.problems()
    );
    let state = stand_in.control("GET", "state", Value::Null).await.expect("a state");
    let session = state["checkout_sessions"][0].clone();
    assert_eq!(session["amount_total"], 3_000);
    let back = session["success_url"].as_str().expect("an address").replace("http://localhost:3000", "");
    assert!(owner.get(&back).await.text.contains("Stripe has not confirmed the payment yet"));
    assert_eq!(store.credit_purchases(acme.id).await.expect("purchases").len(), 0, "nothing is owed for a page");
    let theirs = Company::found(&portal, "bolt").await;
    let other = portal.as_member(theirs.owner).await.get(&back).await.text;
    assert!(!other.contains("Stripe has not confirmed"), "another partner learns nothing of it");

    stand_in.control("POST", "checkout", json!({ "session": session["id"], "step": "complete" })).await.expect("paid");
    let state = stand_in.control("GET", "state", Value::Null).await.expect("a state");
    for event in state["events"].as_array().expect("events") {
        let (id, kind) = (event["id"].as_str().expect("an id"), event["type"].as_str().expect("a type"));
        store.keep_stripe_event(id, kind, event, now).await.expect("kept");
    }
    apply(&portal).await;
    let page = owner.get(&back).await.text;
    assert!(page.contains("the units can be used") && page.contains("3 × Thousand"), "{page}");
    assert_eq!(store.credit(acme.id).await.expect("a standing").balance, 3_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_whose_first_fee_is_due_is_paid_at_stripe_and_begins_once_stripe_says_so() {
    let (portal, stand_in) = with_stripe().await;
    let acme = Company::found(&portal, "acme").await;
    let (store, now) = (&portal.store, portal.now());
    let mut plan = new_plan("ahead", "open-ledger", false, Approval::Automatic);
    plan.terms.fee_due = domain::rating::FeeDue::Advance;
    plan.terms.base_fee_micros = 30_000_000;
    let id = store.create_plan(&plan, Actor::System, now).await.expect("a plan");
    store.set_asks_for_payment_method(id, true, Actor::System, now).await.expect("set");
    without_plan(&portal, acme.id).await;

    let mut owner = portal.as_member(acme.owner).await;
    let shown = owner.get("/plan/change?to=ahead").await;
    let cost = domain::money::Money::new(plan.terms.currency, 30_000_000).to_string();
    assert!(shown.text.contains(&format!("Pay {cost} and begin")), "{}", shown.text);
    assert!(!shown.text.contains("/do/plan/choose"));
    assert!(owner.post("/do/plan/choose", &[("plan", "ahead"), ("preview", "x")]).await.flash.notice.is_none());
    let unseen = owner.post("/do/payment/checkout", &[("plan", "ahead"), ("preview", "x")]).await;
    assert!(unseen.problems().contains("Look at what the change means first"), "{}", unseen.problems());
    assert_eq!(unseen.location(), "/plan/change?to=ahead", "where the terms are");
    let answer = owner.post("/do/payment/checkout", &[("plan", "ahead"), ("preview", &shown.hidden("preview"))]).await;
    assert!(answer.location().starts_with("https://checkout.stripe.com/"), "{}", answer.problems());
    let state = stand_in.control("GET", "state", Value::Null).await.expect("a state");
    let session = state["checkout_sessions"][0].clone();
    assert_eq!((&session["mode"], &session["amount_total"]), (&json!("payment"), &json!(3_000)));
    let back = session["success_url"].as_str().expect("an address").replace("http://localhost:3000", "");
    assert!(back.starts_with("/plan?checkout=checkout_"), "{back}");
    // Also who comes back in another way.
    for page in [back.as_str(), "/plan"] {
        let early = owner.get(page).await.text;
        assert!(early.contains("ahead is not paid yet") && early.contains("/plan/change?to=ahead"), "{early}");
    }
    let theirs = Company::found(&portal, "bolt").await;
    let other = portal.as_member(theirs.owner).await.get(&back).await.text;
    assert!(!other.contains("is not paid yet"), "another partner learns nothing of it");

    let tell = async || {
        let state = stand_in.control("GET", "state", Value::Null).await.expect("a state");
        for event in state["events"].as_array().expect("events") {
            let (id, kind) = (event["id"].as_str().expect("an id"), event["type"].as_str().expect("a type"));
            store.keep_stripe_event(id, kind, event, now).await.expect("kept");
        }
        apply(&portal).await;
    };
    stand_in.control("POST", "checkout", json!({ "session": session["id"], "step": "expire" })).await.expect("expired");
    tell().await;
    let left = owner.get("/plan").await.text;
    assert!(left.contains("The page at Stripe has expired") && left.contains("Open it again"), "{left}");
    assert!(store.subscription(acme.id).await.expect("asked").is_none());

    let shown = owner.get("/plan/change?to=ahead").await;
    owner.post("/do/payment/checkout", &[("plan", "ahead"), ("preview", &shown.hidden("preview"))]).await;
    let state = stand_in.control("GET", "state", Value::Null).await.expect("a state");
    let session = state["checkout_sessions"][1].clone();
    stand_in.control("POST", "checkout", json!({ "session": session["id"], "step": "complete" })).await.expect("paid");
    tell().await;
    let back = session["success_url"].as_str().expect("an address").replace("http://localhost:3000", "");
    let page = owner.get(&back).await.text;
    assert!(page.contains("ahead has begun") && page.contains("On file at Stripe"), "{page}");
    let own = store.subscription(acme.id).await.expect("asked").expect("a plan");
    assert_eq!(own.plan, id);
    let mut invoices = store.invoices(acme.id).await.expect("invoices");
    invoices.retain(|invoice| invoice.subscription == own.id);
    assert_eq!((invoices.len(), invoices[0].status), (1, store::InvoiceStatus::Paid));
    let mails = store.all_mails(200).await.expect("a list");
    let letters: Vec<_> = mails.iter().filter(|mail| mail.subject == "Your plan is ahead").collect();
    let page = format!("/invoices/{}", invoices[0].id);
    assert!(!letters.is_empty() && letters.iter().all(|letter| letter.body_text.contains(&page)), "{letters:?}");
    assert!(owner.get(&page).await.text.contains("ahead"), "where the letter leads");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_paid_for_nothing_reads_that_it_goes_back_or_why_it_could_not() {
    let (portal, _stand_in) = with_stripe().await;
    let acme = Company::found(&portal, "acme").await;
    let (store, now) = (&portal.store, portal.now());
    let plan = new_plan("ahead", "open-ledger", false, Approval::Automatic);
    let id = store.create_plan(&plan, Actor::System, now).await.expect("a plan");
    let version = store.plan(id).await.expect("a plan").versions[0].id;
    without_plan(&portal, acme.id).await;
    let (description, cost) = ("ahead, first month".to_owned(), Money::new(Currency::Usd, 30_000_000));
    let new = NewPlanCheckout { version, description, lines: Vec::new(), cost };
    let page = store.open_plan_checkout(acme.id, &new, Actor::System, now).await.expect("opened").id;
    store.assign_plan_version(acme.id, version, Actor::System, now).await.expect("an operator's plan");
    let paid = PagePayment { invoice: Some("in_1"), intent: Some("pi_1"), tax: None };
    store.complete_plan_checkout(acme.id, page, paid, &|_| Vec::new(), now).await.expect("it goes back");
    let mut owner = portal.as_member(acme.owner).await;
    assert!(owner.get("/plan").await.text.contains("Stripe is asked to pay it back"));
    store.note_paid_back(acme.id, page, "re_1", now).await.expect("noted");
    assert!(owner.get("/plan").await.text.contains("Stripe has been paying it back since"));
    store.note_refund_failed(acme.id, page, ("re_1", "expired or canceled card"), now).await.expect("noted");
    let told = owner.get("/plan").await.text;
    assert!(told.contains("Stripe could not pay it back (expired or canceled card)"), "{told}");
}
