//! Coupons through forms: an operator makes one, a member redeems it, an operator gives another and takes it back.

use crate::{
    company::{Company, new_plan, open_catalogue},
    portal::Portal,
};
use domain::{plan::Approval, role::OperatorRole};
use store::Actor;

#[tokio::test(flavor = "multi_thread")]
async fn what_an_operator_makes_a_member_redeems_and_sees_on_the_bill_so_far() {
    let portal = Portal::open().await;
    open_catalogue(&portal).await;
    let acme = Company::found(&portal, "acme").await;
    let (store, now) = (&portal.store, portal.now());
    let mut plan = new_plan("paid", "acme-ledger", true, Approval::Automatic);
    plan.terms.base_fee_micros = 100_000_000;
    let plan = store.create_plan(&plan, Actor::System, now).await.expect("a plan");
    let version = store.plan(plan).await.expect("a plan").versions[0].id;
    store.assign_plan_version(acme.id, version, Actor::System, now).await.expect("changed");
    let mut console = portal.as_operator(portal.operator(OperatorRole::Admin).await).await;
    let mut owner = portal.as_member(acme.owner).await;

    let mut coupon = vec![
        ("coupon[code]", "SPRING25"),
        ("coupon[name]", "Spring"),
        ("coupon[percent]", "a lot"),
        ("coupon[periods]", "3"),
        ("coupon[redeem_until]", "2099-05-31"),
    ];
    let back = console.post("/do/console/coupons/save", &coupon).await;
    let page = console.get(back.location()).await.text;
    assert!(page.contains("Enter a percentage") && page.contains("value=\"SPRING25\""), "{page}");
    coupon[2].1 = "25";
    let back = console.post("/do/console/coupons/save", &coupon).await;
    let page = console.get(back.location()).await.text;
    assert!(page.contains("25 % off each bill, for 3 billing periods") && page.contains("31 May 2099"), "{page}");
    let page = console.get("/console/coupons?coupon=spring25").await.text;
    assert!(page.contains("Change Spring") && page.contains("value=\"2099-05-31\""), "{page}");

    let back = owner.post("/do/plan/coupon", &[("code", "winter")]).await;
    assert!(owner.get(back.location()).await.text.contains("There is no coupon of this code"));
    let back = owner.post("/do/plan/coupon", &[("code", "Spring25")]).await;
    let page = owner.get(back.location()).await.text;
    assert!(page.contains("Spring: 25 % off each bill, for 3 billing periods."), "{page}");
    let page = owner.get("/plan").await.text;
    assert!(page.contains("Coupon Spring, 25 % off") && page.contains("0 of 3"), "{page}");

    let of_acme = format!("/console/partners/{}", acme.id);
    let thanks = [("coupon[code]", "thanks"), ("coupon[name]", "Thanks"), ("coupon[percent]", "5")];
    console.post("/do/console/coupons/save", &thanks).await;
    assert!(console.get(&of_acme).await.text.contains("Thanks, 5 % off each bill, for good"));
    let id = acme.id.to_string();
    let given = console.post("/do/console/coupons/give", &[("partner", id.as_str()), ("coupon", "thanks")]).await;
    assert!(console.get(given.location()).await.text.contains("Thanks is given"));
    assert!(owner.get("/plan").await.text.contains("Coupon Thanks, 5 % off"));
    console.post("/do/console/coupons/take-back", &[("partner", id.as_str()), ("coupon", "thanks")]).await;
    assert!(!owner.get("/plan").await.text.contains("Coupon Thanks, 5 % off"));
    assert!(console.get(&of_acme).await.text.contains("Taken back"));
}
