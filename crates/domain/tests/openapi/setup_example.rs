//! The set-up that a first run applies, its document, and the JSON Schema that editors check it by, agree.

use super::reading;
use domain::{
    credit::package::CreditPackage,
    openapi::{Document, filter, to_yaml},
    plan::Approval,
    policy::{Admission, Policy},
    rating::coupon::Coupon,
    setup::{InsteadSetup, Setup},
};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

fn file(path: &str) -> (PathBuf, String) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    (path, text)
}

fn setup() -> Setup {
    Setup::read(&file("examples/turnpike.yaml").1).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

fn document(setup: &Setup) -> Document {
    let product = setup.products.get("payments").expect("is there");
    let (_, text) = file(&format!("examples/{}", product.document));
    Document::read(&text).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

#[test]
fn the_example_sells_what_its_document_has() {
    let setup = setup();
    let document = document(&setup);
    assert_eq!(document.warnings(), []);
    let codes: Vec<&str> = document.operations().iter().map(|operation| operation.code.as_str()).collect();
    let product = setup.products.get("payments").expect("is there");
    assert_eq!(product.operation_problems("payments", &setup.plans, &codes), []);
    let terms = |plan: &str| setup.plans.get(plan).expect("is there").terms().expect("amounts");
    assert!(!terms("starter").opens("payments", "searchPayments"));
    assert!(terms("pro").opens("payments", "searchPayments"));
    assert!(!terms("pro").opens("payments", "getSettlementReport"));
    assert!(codes.iter().all(|code| terms("enterprise").opens("payments", code)));
    assert_eq!(setup.plans.get("enterprise").expect("is there").approval, Approval::Queue);
    let fees = ["starter", "pro", "enterprise"].map(|plan| terms(plan).base_fee().to_string());
    assert_eq!(fees, ["$0.00", "$49.00", "$499.00"]);
}

#[test]
fn each_tier_gets_a_document_that_does_not_name_the_others() {
    let setup = setup();
    let document = document(&setup);
    for (code, plan) in &setup.plans {
        let terms = plan.terms().expect("amounts");
        let filtered =
            filter(&document, |operation| terms.opens("payments", operation), "https://api.example.com/payments");
        let text = to_yaml(&filtered);
        let again = Document::read(&text).unwrap_or_else(|problems| panic!("{code}: {problems:#?}"));
        let open: Vec<&str> = again.operations().iter().map(|operation| operation.code.as_str()).collect();
        reading::assert_names_nothing_hidden(&document, &open, &text);
        reading::keep_for_referee(Path::new(&format!("example-{code}.yaml")), 0, &filtered);
        assert_eq!(text.contains("SearchResult"), terms.opens("payments", "searchPayments"), "{code}");
        assert_eq!(text.contains("Reports"), terms.opens("payments", "getSettlementReport"), "{code}");
        assert!(!text.contains("127.0.0.1"), "{code} names the upstream");
    }
}

/// Every field that is written is in the schema, and the schema has no other.
#[test]
fn the_json_schema_has_the_fields_of_the_file() {
    let schema: Value = serde_json::from_str(&file("docs/turnpike.schema.json").1).expect("JSON");
    let mut whole = setup();
    whole.schema = Some("x".to_owned());
    let mut written = serde_json::to_value(&whole).expect("writes");
    // Written only where they are not empty.
    written["products"]["payments"]["invited"] = json!(["acme"]);
    let key = &mut written["partners"]["acme"]["apps"]["web-shop"]["keys"]["web-shop-test"];
    key["kind"] = json!("token");
    key["issuer"] = json!("https://id.example");
    key["identity"] = json!("web-shop");
    key["allowed_addresses"] = json!(["192.0.2.0/24"]);
    key["scopes"] = json!(["payments"]);
    key["expires_at"] = json!("2027-01-31T00:00:00Z");
    written["partners"]["acme"]["invoice_threshold"] = json!("250");
    written["products"]["payments"]["secrets"] = json!({"identity-signing": "env:KEY"});
    written["credit_packages"]["million"] = json!({
        "name": "One million", "units": 1, "currency": "USD", "price": "1", "valid_days": 1, "plans": ["pro"], "withdrawn": true,
        "discounts": [{"from": 2, "percent": "1"}],
    });
    serde_json::from_value::<CreditPackage>(written["credit_packages"]["million"].clone()).expect("a package");
    written["coupons"]["spring"] = json!({
        "name": "Spring", "amount": "20", "currency": "USD", "periods": 3, "redeem_until": "2027-05-31T00:00:00Z",
        "max_redemptions": 100, "plans": ["pro"], "withdrawn": true,
    });
    serde_json::from_value::<Coupon>(written["coupons"]["spring"].clone()).expect("a coupon");
    written["coupons"]["spring"]["percent"] = json!("20");
    let plans = written["plans"].as_object_mut().expect("plans");
    let meter = json!({"product": "payments", "meter": "tokens", "price": {"model": "free"}});
    let discount = json!({"name": "Launch offer", "percent": "20", "on": "usage", "periods": 3});
    let instead = json!({"base_fee": "49", "price": {"model": "free"}, "meters": [meter], "minimum": "1", "included_credit": "1"});
    serde_json::from_value::<InsteadSetup>(instead.clone()).expect("an offer");
    let commitment = json!({"amount": "10000", "discounts": [{"up_to": "10000", "percent": "5"}, {"percent": "15"}]});
    let unpaid = json!({"grace_days": 7, "limited_days": 7, "limited_percent": 10, "minimum": "5",
        "limited_limits": [{"calls": 60, "window": "minute"}]});
    for plan in plans.values_mut() {
        plan["meters"] = json!([meter]);
        plan["discounts"] = json!([discount]);
        plan["phases"] = json!([{"name": "Ramp", "periods": 3, "instead": instead}]);
        plan["promotions"] =
            json!([{"name": "Launch offer", "from": "2027-01-01", "until": "2027-03-31", "instead": instead}]);
        plan["commitment"] = commitment.clone();
        plan["fee_due"] = json!("advance");
        plan["periods"] = json!("calendar");
        plan["trial"] = json!({"days": 14, "free": "everything", "quota": {"units": 1000, "beyond": "block"}});
        plan["partners"] = json!(["acme"]);
        plan["derived_from"] = json!("pro");
        plan["changes"] = json!({"downgrade": "at_once", "quota": "prorated", "grace_days": 14});
        plan["unpaid"] = unpaid.clone();
        plan["invoice_threshold"] = json!("500");
    }
    let (first, prices): (Vec<Value>, Vec<Value>) =
        plans.values().map(|plan| (plan.clone(), plan["price"].clone())).unzip();
    let fields = |value: &Value| {
        let mut names: Vec<String> = value.as_object().expect("an object").keys().cloned().collect();
        names.sort();
        names
    };
    let partner = &written["partners"]["acme"];
    let app = &partner["apps"]["web-shop"];
    let plan = &schema["$defs"]["plan"]["properties"];
    let of_partner = &schema["$defs"]["partner"]["properties"];
    let package = &schema["$defs"]["credit_package"]["properties"];
    let of_app = &of_partner["apps"]["additionalProperties"]["properties"];
    for (written, described) in [
        (&written, &schema["properties"]),
        (&written["products"]["payments"], &schema["$defs"]["product"]["properties"]),
        (&first[0], plan),
        (&first[0]["products"][0], &plan["products"]["items"]["properties"]),
        (&first[0]["meters"][0], &plan["meters"]["items"]["properties"]),
        (&first[0]["limits"][0], &schema["$defs"]["limit"]["properties"]),
        (&first[0]["quota"], &plan["quota"]["properties"]),
        (&first[0]["discounts"][0], &plan["discounts"]["items"]["properties"]),
        (&first[0]["phases"][0], &plan["phases"]["items"]["properties"]),
        (&first[0]["promotions"][0], &plan["promotions"]["items"]["properties"]),
        (&instead, &schema["$defs"]["instead"]["properties"]),
        (&first[0]["changes"], &plan["changes"]["properties"]),
        (&first[0]["commitment"], &plan["commitment"]["properties"]),
        (&first[0]["trial"], &plan["trial"]["properties"]),
        (
            &first[0]["commitment"]["discounts"][0],
            &plan["commitment"]["properties"]["discounts"]["items"]["properties"],
        ),
        (&prices[0], &plan["price"]["oneOf"][0]["properties"]),
        (&prices[1], &plan["price"]["oneOf"][1]["properties"]),
        (&prices[2], &plan["price"]["oneOf"][2]["properties"]),
        (&prices[2]["steps"][0], &schema["$defs"]["steps"]["items"]["properties"]),
        (&written["coupons"]["spring"], &schema["$defs"]["coupon"]["properties"]),
        (&written["credit_packages"]["million"], package),
        (&written["credit_packages"]["million"]["discounts"][0], &package["discounts"]["items"]["properties"]),
        (&first[0]["unpaid"], &plan["unpaid"]["properties"]),
        (partner, of_partner),
        (&partner["members"][0], &of_partner["members"]["items"]["properties"]),
        (app, of_app),
        (&app["keys"]["web-shop-test"], &of_app["keys"]["additionalProperties"]["properties"]),
    ] {
        assert_eq!(fields(written), fields(described));
    }
}

/// A policy and an admission with every field written, as YAML would have them.
fn everything() -> (Value, Value) {
    let policy = json!({
        "authentication": {
            "accept": [["token", "certificate"]],
            "issuers": [{"issuer": "i", "jwks_url": "https://i/keys", "audiences": ["a"], "algorithms": ["ES256"], "claim": "c",
                "only_access_tokens": true, "allow_private_addresses": true}],
            "client_authorities": "PEM", "revocation_lists": "PEM", "identity_headers": true,
        },
        "upstream": {
            "targets": [{"url": "https://a", "weight": 2}], "own_weight": 3, "protocol": "http2",
            "timeouts": {"connect_ms": 1, "idle_ms": 2, "total_ms": 3},
            "health_check": {"path": "/h", "interval_seconds": 1, "timeout_ms": 2, "threshold": 3},
            "breaker": {"failures": 1, "open_ms": 2}, "retry": {"attempts": 2, "budget_percent": 3},
            "max_in_flight": 1, "allow_private_addresses": true, "client_certificate": "name",
        },
        "cache": {
            "public": true, "max_bytes": 9, "max_body_bytes": 8, "default_fresh_seconds": 7,
            "stale_while_revalidate_seconds": 6, "price": {"units": 5},
        },
        "counting": {
            "statuses": ["2xx", "5xx"], "interrupted": false, "replays": {"units": 2},
            "refusals": {"codes": ["limit-exceeded", "missing-scope"], "units": 3},
        },
        "idempotency": {"keep_seconds": 61, "max_body_bytes": 5, "max_request_bytes": 4},
        "meters": {"tokens": {
            "name": "Tokens", "unit": "token", "kind": "gauge", "value": {"header": {"name": "n"}},
            "at_least": 1, "at_most": 2, "resource": {"json_field": {"pointer": "/p"}}, "operations": ["pay"],
            "only_where": {"says": {"header": {"name": "n"}}, "one_of": ["a"], "none_of": ["b"]},
        }},
        "allowance_outage": {"open": {"overdraft_units": 1}},
        "max_body_bytes": 1,
        "operations": {"pay": {
            "idempotency_key": "required", "scope": "s", "never_cached": true, "total_timeout_ms": 1,
            "gates": [{"feature": "f", "parameter": {"name": "n", "values": ["v"]}}],
            "cost": {"header": {"name": "n", "reserve": 1}},
        }},
    });
    let limit = json!({"calls": 1, "window": "hour"});
    let admission = json!({
        "app_limits": [limit], "key_limits": [limit], "concurrency": {"calls": 1},
        "limits": {"preset": "spread", "throttle": {"from_percent": 1, "max_delay_ms": 2}, "soft": true},
        "credit": {"required": true, "preset": "hybrid", "units_per_minute": 1,
            "allotment": {"units": 1, "rollover": {"percent": 50, "cap": 1, "periods": 2}},
            "fee_bonus": {"units": 1, "valid_days": 1},
            "overdraft": {"units": 1, "unit_price": "0.01"}},
    });
    (policy, admission)
}

/// Walks what was written and its description together.
fn assert_described(written: &Value, described: &Value, schema: &Value, place: &str) {
    let described = match described["$ref"].as_str().and_then(|name| name.strip_prefix("#/")) {
        Some(path) => path.split('/').fold(schema, |at, name| &at[name]),
        None => described,
    };
    if let Some(choices) = described["oneOf"].as_array() {
        let fits = |choice: &&Value| match written.as_object().and_then(|object| object.keys().next()) {
            Some(name) => choice["properties"].get(name).is_some(),
            None => choice["const"] == *written,
        };
        let choice = choices.iter().find(fits).unwrap_or_else(|| panic!("{place} is none of its choices"));
        return assert_described(written, choice, schema, place);
    }
    match written {
        Value::Object(object) if described["properties"].is_object() => {
            let mut names: Vec<&String> = object.keys().collect();
            let mut known: Vec<&String> = described["properties"].as_object().expect("an object").keys().collect();
            names.sort();
            known.sort();
            assert_eq!(names, known, "{place}");
            for (name, value) in object {
                assert_described(value, &described["properties"][name], schema, &format!("{place}.{name}"));
            }
        }
        Value::Object(object) => {
            for (name, value) in object {
                assert_described(value, &described["additionalProperties"], schema, &format!("{place}.{name}"));
            }
        }
        Value::Array(list) => {
            list.iter().for_each(|value| assert_described(value, &described["items"], schema, &format!("{place}[]")));
        }
        _ => assert!(described.is_object(), "{place} is not described"),
    }
}

#[test]
fn the_json_schema_has_the_fields_of_policies_and_admissions() {
    let schema: Value = serde_json::from_str(&file("docs/turnpike.schema.json").1).expect("JSON");
    let (policy, admission) = everything();
    let read: Policy = serde_json::from_value(policy.clone()).expect("a policy");
    // Written again, nothing is lost: every field above is one that the type has.
    assert_eq!(serde_json::to_value(&read).expect("JSON"), policy);
    let read: Admission = serde_json::from_value(admission.clone()).expect("an admission");
    assert_eq!(serde_json::to_value(&read).expect("JSON"), admission);
    assert_described(&policy, &schema["$defs"]["policy"], &schema, "policy");
    assert_described(&admission, &schema["$defs"]["admission"], &schema, "admission");
}
