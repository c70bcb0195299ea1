//! What a partner reads of the rule that says which calls count.

use crate::{
    company::{Company, open_catalogue},
    portal::Portal,
};
use domain::policy::{CountedRefusals, Counting, Policy, StatusClass};
use store::Actor;

#[tokio::test(flavor = "multi_thread")]
async fn the_products_page_says_what_counts() {
    let portal = Portal::open().await;
    open_catalogue(&portal).await;
    let acme = Company::found(&portal, "acme").await;
    let mut developer = portal.as_member(acme.developer).await;
    let page = format!("/products/{}", acme.product_code);
    let usual = developer.get(&page).await.text;
    assert!(usual.contains("Calls that the API answers with 2xx, 3xx and 4xx count."), "{usual}");
    let refusals = Some(CountedRefusals { codes: ["limit-exceeded".to_owned()].into(), units: 2 });
    let counting = Counting { statuses: [StatusClass::Success].into(), refusals, ..Counting::default() };
    let policy = Policy { counting, ..Policy::default() };
    portal.store.set_product_policy(acme.product, &policy, Actor::System, portal.now()).await.expect("a policy");
    let changed = developer.get(&page).await.text;
    assert!(changed.contains("Calls that the API answers with 2xx count."), "{changed}");
    assert!(changed.contains("A call that we refuse with limit-exceeded costs 2 units."), "{changed}");
}
