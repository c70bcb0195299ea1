//! Private plans: nobody but the partners who are named for one learns its name, on any page and over no form.

use crate::{
    company::{Company, new_plan, open_catalogue},
    portal::Portal,
};
use axum::http::StatusCode;
use domain::{plan::Approval, role::OperatorRole};
use store::{Actor, NewPlan, PlanMeta};

#[tokio::test(flavor = "multi_thread")]
async fn a_private_plan_is_seen_and_chosen_by_the_partner_who_is_named_and_by_nobody_else() {
    let portal = Portal::open().await;
    open_catalogue(&portal).await;
    let (acme, bolt) = (Company::found(&portal, "acme").await, Company::found(&portal, "bolt").await);
    let plan = new_plan("velvet", "open-ledger", true, Approval::Automatic);
    let meta = PlanMeta { name: "Velvet".to_owned(), ..plan.meta };
    let plan = portal.store.create_plan(&NewPlan { meta, ..plan }, Actor::System, portal.now()).await.expect("a plan");
    let mut admin = portal.as_operator(portal.operator(OperatorRole::Admin).await).await;
    let (plan_text, acme_text) = (plan.to_string(), acme.id.to_string());
    let fields = [("plan", plan_text.as_str()), ("partner", acme_text.as_str())];
    let named = admin.post("/do/console/plans/name", &fields).await;
    assert!(named.flash.notice.is_some(), "{}", named.problems());
    let page = admin.get(&format!("/console/plans/{plan}")).await.text;
    assert!(page.contains("Partners who may choose it") && page.contains(">acme</a>"), "{page}");
    assert!(admin.get(&format!("/console/partners/{}", acme.id)).await.text.contains("Velvet"));

    let pages = ["/pricing", "/plan", "/home", "/products", "/docs/errors"];
    let mut owner = portal.as_member(acme.owner).await;
    for path in &pages[..2] {
        let text = owner.get(path).await.text;
        assert!(text.contains("Velvet"), "{path}: {text}");
    }
    assert!(owner.get("/plan/change?to=velvet").await.text.contains("Change to Velvet"));
    let mut others = vec![("stranger", portal.browser())];
    for member in [bolt.owner, bolt.developer] {
        others.push(("bolt", portal.as_member(member).await));
    }
    for (who, other) in &mut others {
        for path in pages {
            let text = other.get(path).await.text;
            assert!(!text.to_lowercase().contains("velvet"), "{who} at {path}: {text}");
        }
    }
    let other = &mut others[1].1;
    let (there, nothing) = (other.get("/plan/change?to=velvet").await, other.get("/plan/change?to=nosuch").await);
    assert_eq!((there.status, nothing.status), (StatusCode::NOT_FOUND, StatusCode::NOT_FOUND));
    assert!(!there.text.contains("Velvet"), "{}", there.text);
    let refused = other.post("/do/plan/choose", &[("plan", "velvet"), ("preview", "")]).await;
    let unknown = other.post("/do/plan/choose", &[("plan", "nosuch"), ("preview", "")]).await;
    assert_eq!(refused.problems(), unknown.problems());

    admin.post("/do/console/plans/unname", &fields).await;
    for path in pages {
        let text = owner.get(path).await.text;
        assert!(!text.contains("Velvet"), "{path}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_gives_a_partner_terms_of_its_own_in_one_go() {
    let portal = Portal::open().await;
    open_catalogue(&portal).await;
    let (acme, bolt) = (Company::found(&portal, "acme").await, Company::found(&portal, "bolt").await);
    let starter = portal.store.find_plan_by_code("starter").await.expect("answered").expect("a plan");
    let from = starter.versions[0].id.to_string();
    let mut admin = portal.as_operator(portal.operator(OperatorRole::Admin).await).await;
    let new = format!("/console/plans/new?for={}&from={from}", acme.id);
    let page = admin.get(&new).await.text;
    assert!(page.contains("Own terms for acme") && page.contains("value=\"49.00\""), "{page}");
    let acme_text = acme.id.to_string();
    let mut fields = vec![
        ("plan[partner]", acme_text.as_str()),
        ("plan[from]", from.as_str()),
        ("plan[name]", "Starter"),
        ("plan[currency]", "EUR"),
        ("plan[interval]", "month"),
        ("plan[base_fee]", "29.00"),
        ("plan[model]", "free"),
        ("plan[opens][open-ledger]", "all"),
    ];
    let refused = admin.post("/do/console/plans/save", &fields).await;
    assert!(refused.problems().contains("code") && refused.location() == new, "{}", refused.problems());
    fields.push(("plan[code]", "starter-acme"));
    let saved = admin.post("/do/console/plans/save", &fields).await;
    let next = saved.location().to_owned();
    assert!(next.starts_with(&format!("/console/partners/{}/plan?version=", acme.id)), "{}", saved.problems());
    assert!(admin.get(&next).await.text.contains("€29.00"));
    let own = portal.store.find_plan_by_code("starter-acme").await.expect("answered").expect("a plan");
    assert!(own.meta.private);
    let page = admin.get(&format!("/console/plans/{}", own.id)).await.text;
    assert!(page.contains("One partner&#x27;s own terms") || page.contains("One partner's own terms"), "{page}");
    assert!(page.contains("€49.00 a month") && page.contains("€29.00 a month"), "what is otherwise: {page}");
    let bolt_text = bolt.id.to_string();
    let own_text = own.id.to_string();
    let other = admin.post("/do/console/plans/name", &[("plan", &own_text), ("partner", &bolt_text)]).await;
    assert!(other.problems().contains("one partner's own"), "{}", other.problems());
}
