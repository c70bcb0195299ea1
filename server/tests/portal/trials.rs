//! Trials on pages: how an operator offers one, how a partner sees it before and while it runs.

use crate::{
    company::{Company, open_catalogue},
    portal::Portal,
};
use axum::http::StatusCode;
use domain::{quota::Beyond, rating::discount::DiscountOn, role::OperatorRole};

#[tokio::test(flavor = "multi_thread")]
async fn a_trial_is_offered_by_a_form_shown_before_it_is_chosen_and_told_while_it_runs() {
    let portal = Portal::open().await;
    open_catalogue(&portal).await;
    let mut admin = portal.as_operator(portal.operator(OperatorRole::Admin).await).await;
    let mut fields = vec![
        ("plan[code]", "premium"),
        ("plan[name]", "Premium"),
        ("plan[currency]", "EUR"),
        ("plan[interval]", "month"),
        ("plan[base_fee]", "900.00"),
        ("plan[model]", "free"),
        ("plan[opens][open-ledger]", "all"),
        ("plan[trial_free]", "base_fee"),
        ("plan[trial_units]", "1,000"),
        ("plan[trial_beyond]", "warn"),
        ("plan[trial_days]", "0"),
    ];
    let refused = admin.post("/do/console/plans/save", &fields).await;
    assert!(refused.problems().contains("trial.days: A trial is 1 to 366 days long"), "{}", refused.problems());
    let page = admin.get("/console/plans/new").await.text;
    assert!(page.contains("1 to 366 days") && page.contains("value=\"1,000\""), "{page}");
    fields.pop();
    fields.push(("plan[trial_days]", "14"));
    let saved = admin.post("/do/console/plans/save", &fields).await;
    assert!(saved.problems().is_empty(), "{}", saved.problems());
    let plan = portal.store.find_plan_by_code("premium").await.expect("answered").expect("a plan");
    let trial = plan.versions[0].terms.trial.expect("a trial");
    assert_eq!((trial.days, trial.free), (14, DiscountOn::BaseFee));
    assert_eq!(trial.quota.map(|quota| (quota.units, quota.beyond)), Some((1_000, Beyond::Warn)));
    let page = admin.get(&format!("/console/plans/{}", plan.id)).await.text;
    assert!(page.contains("name=\"plan[trial_days]\"") && page.contains("value=\"14\""), "{page}");

    let words = "14 days without base fee to begin with, 1,000 units a month";
    assert!(portal.browser().get("/pricing").await.text.contains(words));
    let acme = Company::found(&portal, "acme").await;
    let mut owner = portal.as_member(acme.owner).await;
    let shown = owner.get("/plan/change?to=premium").await;
    assert_eq!(shown.status, StatusCode::OK);
    assert!(shown.text.contains(words) && shown.text.contains("€0.00 for the first period"), "{}", shown.text);
    let token = shown.hidden("preview");
    let made = owner.post("/do/plan/choose", &[("plan", "premium"), ("preview", &token)]).await;
    assert!(made.problems().is_empty(), "{}", made.problems());
    let own = portal.store.subscription(acme.id).await.expect("answered").expect("a plan");
    assert_eq!(own.trial_until, Some(own.anchor), "the commit is what was shown");
    let page = owner.get("/plan").await.text;
    assert!(page.contains("You are trying this plan") && page.contains("€900.00"), "{page}");
    // Going back to a smaller plan waits for the trial's end, and not for a month.
    let back = owner.get("/plan/change?to=starter").await.text;
    assert!(back.contains("when the period ends"), "{back}");
    assert!(back.contains("Base fee until then") && back.contains("€0.00 for Premium"), "{back}");
}
