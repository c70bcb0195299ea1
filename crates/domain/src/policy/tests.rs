//! What a policy is when nothing is said, and what is wrong with a bad one.

use super::*;

#[test]
fn the_default_is_a_plain_proxy_and_is_written_as_nothing() {
    let text = serde_json::to_string(&Policy::default()).expect("JSON");
    assert_eq!(text, "{}");
    let policy: Policy = serde_json::from_str("{}").expect("a policy");
    assert_eq!(policy, Policy::default());
    assert_eq!(policy.problems(), []);
}

#[test]
fn problems_name_their_field() {
    let policy: Policy = serde_json::from_value(serde_json::json!({
        "authentication": {"accept": [["token", "certificate"], []], "issuers": []},
        "upstream": {"targets": [{"url": "ftp://a", "weight": 0}], "own_weight": 0, "retry": {"attempts": 9}},
        "cache": {"max_body_bytes": 0},
        "idempotency": {"keep_seconds": 1},
        "max_body_bytes": 0,
        "operations": {"pay": {"scope": "a b", "cost": {"json_field": {"pointer": "x", "reserve": 1}}}},
    }))
    .expect("a policy");
    let fields: Vec<String> = policy.problems().into_iter().map(|problem| problem.field).collect();
    assert_eq!(
        fields,
        [
            "authentication.accept",
            "authentication.issuers",
            "authentication.client_authorities",
            "upstream.targets[0].url",
            "upstream.own_weight",
            "upstream.retry.attempts",
            "cache.max_body_bytes",
            "idempotency.keep_seconds",
            "max_body_bytes",
            "operations.pay.scope",
            "operations.pay.cost",
        ]
    );
}
