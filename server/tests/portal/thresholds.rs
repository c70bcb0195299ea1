//! Threshold invoices on pages: an operator sets a plan's threshold and a partner's own, and a threshold invoice is called one.

use crate::{
    company::{Company, open_catalogue},
    portal::Portal,
};
use domain::{
    money::{Currency, Money},
    rating::OwnThreshold,
    role::OperatorRole,
};

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
