//! Features that a plan opens: for an operation, and for its query parameters.

use super::world::World;
use domain::{
    directory::Directory,
    policy::{FeatureGate, OperationPolicy, ParameterGate},
    refusal::Code,
    usage::Outcome,
};

fn gate(directory: &mut Directory, path: &str, feature: &str, parameter: Option<(&str, &[&str])>) {
    let product = &mut directory.products[0];
    let operation = product.operations.iter().find(|operation| operation.path == path && operation.method == "GET");
    let code = operation.expect("the operation").code.clone();
    let parameter = parameter.map(|(name, values)| ParameterGate {
        name: name.to_owned(),
        values: values.iter().map(|value| (*value).to_owned()).collect(),
    });
    let policy: &mut OperationPolicy = product.policy.operations.entry(code).or_default();
    policy.gates.push(FeatureGate { feature: feature.to_owned(), parameter });
}

#[tokio::test]
async fn an_operation_and_a_parameter_need_their_features_however_they_are_spelled() {
    let mut world = World::with(|directory, _| {
        gate(directory, "/heavy", "bulk", None);
        gate(directory, "/items/{id}", "export", Some(("format", &["csv"])));
    })
    .await;
    let refused = world.get("/payments/heavy").await;
    assert_eq!((refused.status, refused.code().as_str()), (403, "feature-not-in-plan"));
    assert!(refused.body.contains("the feature bulk"), "{}", refused.body);
    let closed = [
        "format=csv",
        "format=json&format=csv",
        "f%6Frmat=%63sv",
        "a=1;format=csv",
        "format[]=csv",
        "FORMAT=Csv",
        "+format=csv",
    ];
    for query in closed {
        let refused = world.get(&format!("/payments/items/1?{query}")).await;
        assert_eq!((refused.status, refused.code().as_str()), (403, "feature-not-in-plan"), "{query}");
        assert!(refused.body.contains("the query parameter format"), "{}", refused.body);
    }
    assert_eq!(world.upstream.seen().len(), 0);
    let event = world.events_once(1 + closed.len()).await.pop().expect("an event");
    assert_eq!((event.outcome, event.units), (Outcome::Refused(Code::FeatureNotInPlan), 0));
    assert!(event.operation.is_some());

    let open = "q=a%2Bb+c&format=json&x=%66;y&&%zz=%E9";
    assert_eq!(world.get(&format!("/payments/items/1?{open}")).await.status, 200);
    assert!(world.upstream.last().target.ends_with(&format!("/items/1?{open}")), "the same bytes are forwarded");

    world.change(|directory| directory.plans[0].terms.opens_features = vec!["bulk".to_owned(), "export".to_owned()]);
    assert_eq!(world.get("/payments/heavy").await.status, 200);
    for query in closed {
        assert_eq!(world.get(&format!("/payments/items/1?{query}")).await.status, 200, "{query}");
    }
}
