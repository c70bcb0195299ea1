//! Packages of credit through forms: an operator offers one, a member buys it, the operator says that it is paid.

use crate::{
    company::{Company, new_plan, open_catalogue},
    portal::Portal,
};
use domain::{plan::Approval, role::OperatorRole};
use store::Actor;

#[tokio::test(flavor = "multi_thread")]
async fn what_an_operator_offers_a_member_buys_once_and_can_use_when_it_is_paid() {
    let portal = Portal::open().await;
    open_catalogue(&portal).await;
    let acme = Company::found(&portal, "acme").await;
    let (store, now) = (&portal.store, portal.now());
    let mut plan = new_plan("prepaid", "acme-ledger", true, Approval::Automatic);
    plan.terms.admission.credit.required = true;
    let plan = store.create_plan(&plan, Actor::System, now).await.expect("a plan");
    let version = store.plan(plan).await.expect("a plan").versions[0].id;
    store.assign_plan_version(acme.id, version, Actor::System, now).await.expect("changed");
    let operator = portal.operator(OperatorRole::Admin).await;
    let mut console = portal.as_operator(operator).await;
    let mut owner = portal.as_member(acme.owner).await;
    let page = owner.get("/credit").await.text;
    assert!(!page.contains("Buy units"), "nothing is for sale");
    assert!(page.contains("No prepaid units yet") && page.contains("Ask "), "{page}");

    let mut package = vec![
        ("package[code]", "million"),
        ("package[name]", "One million"),
        ("package[units]", "1,000,000"),
        ("package[price]", "a lot"),
        ("package[currency]", "EUR"),
        ("package[discounts]", "10: 15"),
        ("package[valid_days]", "365"),
    ];
    let back = console.post("/do/console/credit-packages/save", &package).await;
    let page = console.get(back.location()).await.text;
    assert!(page.contains("Enter an amount") && page.contains("value=\"1,000,000\""), "{page}");
    package[3].1 = "1000.00";
    let back = console.post("/do/console/credit-packages/save", &package).await;
    let page = console.get(back.location()).await.text;
    assert!(page.contains("1,000,000 units for €1,000.00, 15 % off from 10"), "{page}");
    let page = console.get("/console/credit-packages?package=million").await.text;
    assert!(page.contains("Change One million") && page.contains("value=\"10: 15\""), "{page}");

    let page = owner.get("/credit").await.text;
    assert!(page.contains("Buy units") && page.contains("Automatic top-up"), "{page}");
    assert!(page.contains("Buy a package above"), "{page}");
    let shown =
        page.split_once("name=\"shown\" value=\"").and_then(|(_, rest)| rest.split_once('"')).expect("the offer").0;
    let buy = |quantity| [("package", "million"), ("quantity", quantity), ("once", "form-1"), ("shown", shown)];
    let other =
        [("package", "million"), ("quantity", "10"), ("once", "form-0"), ("shown", "million: 1 unit for €1.00")];
    let back = owner.post("/do/credit/buy", &other).await;
    assert!(owner.get(back.location()).await.text.contains("The offer has changed"), "not at another price");
    let back = owner.post("/do/credit/buy", &buy("none")).await;
    assert!(owner.get(back.location()).await.text.contains("Enter how many packages"));
    let bought = owner.post("/do/credit/buy", &buy("10")).await.location().to_owned();
    assert_eq!(owner.post("/do/credit/buy", &buy("10")).await.location(), bought, "a second click buys nothing");
    let sheet = owner.get(&bought).await.text;
    assert!(sheet.contains("10 × One million: 10,000,000 prepaid units, 15 % off"), "{sheet}");
    assert!(sheet.contains("Bought by itself") && !sheet.contains("Usage of this period"), "{sheet}");
    let line = owner.get(&format!("{bought}/lines/0")).await.text;
    assert!(line.contains("These are prepaid units"), "{line}");
    assert_eq!(store.credit(acme.id).await.expect("a standing").balance, 0);

    let id = bought.rsplit('/').next().expect("an id").to_owned();
    let at = format!("/console/partners/{}/invoices/{id}", acme.id);
    assert!(console.get(&at).await.text.contains("Mark as paid"));
    let paid = [("partner", acme.id.to_string()), ("invoice", id)];
    let paid = paid.each_ref().map(|(name, value)| (*name, value.as_str()));
    console.post("/do/console/invoices/paid", &paid).await;
    assert!(!console.get(&at).await.text.contains("Mark as paid"));
    assert_eq!(store.credit(acme.id).await.expect("a standing").balance, 10_000_000);

    let order = |cap, shown| {
        [("below", "100,000"), ("package", "million"), ("quantity", "1"), ("monthly_cap", cap), ("shown", shown)]
    };
    let back = owner.post("/do/credit/top-up/save", &order("10.00", shown)).await;
    assert!(owner.get(back.location()).await.text.contains("One purchase costs €1,000.00"));
    // Dearer since the page was opened: what they saw is not what they would agree to.
    package[3].1 = "1100.00";
    console.post("/do/console/credit-packages/save", &package).await;
    let back = owner.post("/do/credit/top-up/save", &order("5000.00", shown)).await;
    let page = owner.get(back.location()).await.text;
    assert!(page.contains("The offer has changed since this page was opened: 1,000,000 units for €1,100.00"), "{page}");
    assert!(page.contains("Nothing is ordered now") && page.contains("value=\"5000.00\""), "{page}");
    assert!(page.contains("One million: 1,000,000 units for €1,100.00"), "{page}");
    package[3].1 = "1000.00";
    console.post("/do/console/credit-packages/save", &package).await;
    owner.post("/do/credit/top-up/save", &order("5000.00", shown)).await;
    let told = "Below 100,000 units 1 × million is bought for €1,000.00, and never for more, up to €5,000.00 in a calendar month";
    assert!(owner.get("/credit").await.text.contains(told));
    let page = console.get(&format!("/console/partners/{}/credit", acme.id)).await.text;
    assert!(page.contains(told) && page.contains("€8,500.00"), "{page}");
    owner.post("/do/credit/top-up/stop", &[]).await;
    assert!(!owner.get("/credit").await.text.contains(told));
}
