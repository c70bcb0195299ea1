//! What a partner may see: a product that it may not know of is a path that does not exist.

use super::world::World;
use http::{HeaderMap, Method};

fn comparable(headers: &HeaderMap) -> Vec<(String, String)> {
    let varies = ["x-request-id", "date"];
    let kept = headers.iter().filter(|(name, _)| !varies.contains(&name.as_str()));
    kept.map(|(name, value)| (name.to_string(), value.to_str().expect("text").to_owned())).collect()
}

#[tokio::test]
async fn a_hidden_product_cannot_be_told_from_a_path_that_does_not_exist() {
    let world = World::start().await;
    let nothing = world.get("/nothing/at/all").await;
    assert_eq!((nothing.status, nothing.code().as_str()), (404, "not-found"));
    for path in
        ["/hidden/items/1", "/hidden", "/uninvited/items/1", "/payments/no-such-operation", "/paymentsx/items/1"]
    {
        let hidden = world.get(path).await;
        assert_eq!(hidden.status, 404, "{path}");
        assert_eq!(comparable(&hidden.headers), comparable(&nothing.headers), "{path}");
        let same = |answer: &super::client::Answer| answer.body.replace(answer.header("x-request-id"), "");
        assert_eq!(same(&hidden), same(&nothing), "{path}");
    }
    let wrong_method = world.call(Method::DELETE, "/hidden/heavy").await;
    assert_eq!(wrong_method.code(), "not-found", "no method tells of a hidden product either");
    assert_eq!(world.upstream.seen().len(), 0);
    assert!(world.events().iter().all(|event| event.product.is_none() && event.path.is_empty()));
}

#[tokio::test]
async fn what_a_partner_may_know_of_but_not_use_is_a_403_that_names_the_plan() {
    let world = World::start().await;
    for path in ["/payments/v2/closed", "/public/items/1"] {
        let answer = world.get(path).await;
        assert_eq!((answer.status, answer.code().as_str()), (403, "operation-not-in-plan"), "{path}");
        assert!(answer.body.contains("Starter"), "{path}");
    }
    assert_eq!(world.get("/payments/v2/open").await.status, 200, "the longest route wins");
    assert_eq!(world.get("/invited/items/1").await.status, 200);
    assert_eq!(world.upstream.seen().len(), 2);
}

#[tokio::test]
async fn the_wrong_method_is_a_405_that_lists_only_what_the_plan_opens() {
    let world = World::start().await;
    let answer = world.call(Method::PUT, "/payments/items/1").await;
    assert_eq!((answer.status, answer.code().as_str()), (405, "method-not-allowed"));
    assert_eq!(answer.header("allow"), "DELETE, GET, HEAD");
    assert_eq!(world.call(Method::POST, "/payments/v2/open").await.header("allow"), "GET, HEAD");
    assert_eq!(world.get("/payments/v2/secret").await.status, 404, "nothing there is open");
    assert_eq!(world.call(Method::TRACE, "/payments/items/1").await.status, 405);
    assert_eq!(world.upstream.seen().len(), 0);
}

#[tokio::test]
async fn an_operation_that_is_removed_does_not_fall_to_a_broader_one() {
    let mut world = World::start().await;
    world.change(|directory| {
        let operations = &mut directory.products[0].operations;
        let broad = operations.iter().find(|operation| operation.path == "/items/{id}").expect("one").clone();
        for (number, path) in
            [(901, "/items/secret"), (902, "/items/{name}.pem"), (903, "/heavy"), (904, "/items/{item}")]
        {
            let id = domain::id::OperationId(uuid::Uuid::from_u128(number));
            operations
                .insert(0, domain::product::Operation { id, path: path.to_owned(), removed: true, ..broad.clone() });
        }
    });
    for path in ["/payments/items/secret", "/payments/items/s%65cret", "/payments/items/key.pem"] {
        for method in [Method::GET, Method::HEAD] {
            assert_eq!(world.call(method.clone(), path).await.status, 404, "{method} {path}");
        }
    }
    assert_eq!(world.upstream.seen().len(), 0);
    assert_eq!(world.get("/payments/items/1").await.status, 200, "another name for the same template");
    assert_eq!(world.get("/payments/heavy").await.status, 200, "it came back with another code");
}

#[tokio::test]
async fn a_suspended_partner_and_one_without_a_plan_are_refused() {
    let mut world = World::start().await;
    world.change(|directory| directory.partners[0].suspended = true);
    assert_eq!(world.get("/payments/items/1").await.code(), "partner-suspended");
    world.change(|directory| {
        directory.partners[0].suspended = false;
        directory.partners[0].subscription = None;
    });
    assert_eq!(world.get("/payments/items/1").await.code(), "no-subscription");
    world.change(|directory| directory.products.clear());
    assert_eq!(world.upstream.seen().len(), 0);
}
