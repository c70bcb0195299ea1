//! Threshold invoices on pages: an operator sets a plan's threshold and a partner's own, and a threshold invoice is called one.

use crate::{
    company::{Company, new_plan, open_catalogue},
    portal::Portal,
};
use billing::{Closing, close_due_periods};
use domain::{
    money::{Currency, Money},
    plan::Approval,
    rating::{LineKind, OwnThreshold},
    role::OperatorRole,
    usage::UsageEvent,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use store::{Actor, NewPlan, ingest::Position};

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_s_threshold_is_set_by_its_form_and_stands_with_the_plan() {
    let portal = Portal::open().await;
    open_catalogue(&portal).await;
    let mut admin = portal.as_operator(portal.operator(OperatorRole::Admin).await).await;
    let mut fields = vec![
        ("plan[code]", "premium"),
        ("plan[name]", "Premium"),
        ("plan[currency]", "EUR"),
        ("plan[interval]", "month"),
        ("plan[base_fee]", "900.00"),
        ("plan[model]", "per_unit"),
        ("plan[unit_price]", "1"),
        ("plan[opens][open-ledger]", "all"),
        ("plan[invoice_threshold]", "1,500.00"),
        ("plan[collect]", "meter_events"),
    ];
    let refused = admin.post("/do/console/plans/save", &fields).await.problems();
    assert!(refused.contains("invoice_threshold: Stripe rates the usage of this plan itself"), "{refused}");
    let page = admin.get("/console/plans/new").await.text;
    assert!(page.contains("value=\"1,500.00\"") && page.contains("billing thresholds are not used"), "{page}");
    fields.pop();
    let saved = admin.post("/do/console/plans/save", &fields).await;
    assert!(saved.problems().is_empty(), "{}", saved.problems());
    let plan = portal.store.find_plan_by_code("premium").await.expect("answered").expect("a plan");
    assert_eq!(plan.versions[0].terms.invoice_threshold_micros, Some(1_500_000_000));
    let page = admin.get(&format!("/console/plans/{}", plan.id)).await.text;
    assert!(page.contains("name=\"plan[invoice_threshold]\"") && page.contains("value=\"1500.00\""), "{page}");
    let words = "Usage is invoiced whenever it comes to €1,500.00, and the rest when the month ends";
    assert!(portal.browser().get("/pricing").await.text.contains(words));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_gives_a_partner_another_threshold_or_none() {
    let portal = Portal::open().await;
    open_catalogue(&portal).await;
    let acme = Company::found(&portal, "acme").await;
    let mut admin = portal.as_operator(portal.operator(OperatorRole::Admin).await).await;
    let (id, at) = (acme.id.to_string(), format!("/console/partners/{}/unpaid", acme.id));
    assert!(
        admin.get(&format!("/console/partners/{id}")).await.text.contains(&format!("href=\"{at}\"")),
        "it is reached"
    );
    assert!(admin.get(&at).await.text.contains("Usage is invoiced when the period ends."));
    let own = async || portal.store.own_invoice_threshold(acme.id).await.expect("asked");
    let currency = portal.store.subscription(acme.id).await.expect("asked").expect("a plan").terms.currency;
    for (choice, amount, expected) in [
        ("own", "1,250.50", Some(OwnThreshold::At(Money::new(currency, 1_250_500_000)))),
        ("never", "", Some(OwnThreshold::Never)),
        ("plan", "", None),
        ("own", "20", Some(OwnThreshold::At(Money::new(currency, 20_000_000)))),
    ] {
        let fields = [("partner", id.as_str()), ("own", choice), ("amount", amount)];
        let saved = admin.post("/do/console/partners/threshold", &fields).await;
        assert!(saved.problems().is_empty() && saved.location() == at, "{}", saved.problems());
        assert_eq!(own().await, expected);
    }
    assert_ne!(currency, Currency::Jpy);
    for wrong in ["0", "much", "1.001"] {
        let fields = [("partner", id.as_str()), ("own", "own"), ("amount", wrong)];
        let refused = admin.post("/do/console/partners/threshold", &fields).await;
        assert!(refused.problems().contains("invoice_threshold: "), "{wrong}: {}", refused.problems());
    }
    let page = admin.get(&at).await.text;
    assert!(page.contains("whenever usage that is on none comes to") && page.contains("value=\"1.001\""), "{page}");
    let mut viewer = portal.as_operator(portal.operator(OperatorRole::Viewer).await).await;
    assert!(!viewer.get(&at).await.text.contains("console/partners/threshold"), "who may not change it has no form");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_threshold_invoice_is_called_one_in_the_list_and_on_its_page() {
    let portal = Portal::open().await;
    open_catalogue(&portal).await;
    let acme = Company::found(&portal, "acme").await;
    let invoice = portal.store.invoices(acme.id).await.expect("invoices").remove(0);
    let mut owner = portal.as_member(acme.owner).await;
    let at = format!("/invoices/{}", invoice.id);
    assert!(!owner.get(&at).await.text.contains("Threshold"));
    portal.store.make_threshold_invoice(invoice.id, 1).await;
    let page = owner.get(&at).await.text;
    let code = invoice.code();
    assert!(
        page.contains(&format!("Threshold invoice {code}")) && page.contains("Made within the billing period"),
        "{page}"
    );
    assert!(owner.get("/invoices").await.text.contains(">Threshold<"));
    let mut admin = portal.as_operator(portal.operator(OperatorRole::Admin).await).await;
    let console = format!("/console/partners/{}{at}", acme.id);
    assert!(admin.get(&console).await.text.contains(&format!("Threshold invoice {code}")));
    let credit = admin.get(&format!("{console}/credit")).await.text;
    assert!(credit.contains("the next invoice of it bills what this one did"), "{credit}");
}

/// A euro a unit and a threshold of 100: what was used comes to that, and to 20 more until the period ends.
async fn bill_in_parts(portal: &Portal, acme: &Company) {
    let (store, began) = (&portal.store, portal.now());
    let terms = json!({
        "currency": "EUR", "products": [{ "product": acme.product_code }], "base_fee_micros": 49_000_000, "invoice_threshold_micros": 100_000_000,
        "price": { "model": "per_unit", "unit_price": "1" },
    });
    let terms = serde_json::from_value(terms).expect("terms");
    let plan = NewPlan { terms, ..new_plan("in-parts", &acme.product_code, true, Approval::Automatic) };
    let plan = store.create_plan(&plan, Actor::System, began).await.expect("a plan");
    let version = store.plan(plan).await.expect("a plan").versions[0].id;
    store.assign_plan_version(acme.id, version, Actor::System, began).await.expect("a subscription");
    let operation = store.product(acme.product).await.expect("a product").operations[0].id;
    for (hours, units) in [(1, 100), (30, 20)] {
        let at = began + SignedDuration::from_hours(hours);
        let event = UsageEvent {
            product: Some(acme.product),
            operation: Some(operation),
            method: "GET".to_owned(),
            path: "/entries".to_owned(),
            units,
            ..UsageEvent::new(at, acme.id, acme.app, acme.key)
        };
        store.make_partitions(at, 1).await.expect("partitions");
        let (from, to) = (Position::default(), Position { segment: 0, byte_offset: 1, sequence: 1 });
        store.ingest((format!("part-{hours}").as_str(), 0, vec![(0, event)]), from, to, at).await.expect("taken in");
        close(portal, at + SignedDuration::from_hours(3)).await;
    }
    close(portal, began + SignedDuration::from_hours(24 * 32)).await;
}

async fn close(portal: &Portal, now: Timestamp) {
    let closing = Closing { grace: SignedDuration::ZERO, ingested_through: Some(now) };
    let report = close_due_periods(&portal.store, closing, now).await.expect("closes");
    assert!(report.problems.is_empty() && report.doubtful.is_empty(), "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_says_what_of_it_is_disputed_on_the_threshold_invoice_before() {
    let portal = Portal::open().await;
    open_catalogue(&portal).await;
    let acme = Company::found(&portal, "acme").await;
    bill_in_parts(&portal, &acme).await;
    let invoices = portal.store.invoices(acme.id).await.expect("invoices");
    let first = invoices.iter().find(|invoice| invoice.threshold_number == 1).expect("a threshold invoice");
    let same = |start: Timestamp, number: u32| start == first.period.start && number == 0;
    let last = invoices.iter().find(|one| same(one.period.start, one.threshold_number)).expect("the last one");
    let lines = portal.store.invoice(acme.id, last.id).await.expect("an invoice").1;
    let line = lines.iter().find(|line| line.kind == LineKind::Usage).expect("usage");
    let mut owner = portal.as_member(acme.owner).await;
    let page = owner.get(&format!("/invoices/{}/lines/{}", last.id, line.position)).await.text;
    let words = format!("Of this line €20.00 can be disputed on this invoice: {} of the same period", first.code());
    assert!(page.contains(&words) && page.contains("value=\"20.00\""), "{page}");
    let page = owner.get(&format!("/invoices/{}/lines/0", first.id)).await.text;
    assert!(page.contains("value=\"100.00\"") && !page.contains("can be disputed on this invoice"), "{page}");
    let (invoice, position) = (last.id.to_string(), line.position.to_string());
    let fields = [
        ("invoice", invoice.as_str()),
        ("position", position.as_str()),
        ("amount", "20.01"),
        ("reason", "Counted twice"),
    ];
    let refused = owner.post("/do/disputes/open", &fields).await.problems();
    assert!(refused.contains("amount: Of this line €20.00 is left to dispute: "), "{refused}");
}
