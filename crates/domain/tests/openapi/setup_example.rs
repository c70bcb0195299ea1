//! The set-up that a first run applies, its document, and the JSON Schema that editors check it by, agree.

use super::reading;
use domain::{
    openapi::{Document, filter, to_yaml},
    plan::Approval,
    setup::Setup,
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
    let plans = written["plans"].as_object_mut().expect("plans");
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
    let of_app = &of_partner["apps"]["additionalProperties"]["properties"];
    for (written, described) in [
        (&written, &schema["properties"]),
        (&written["products"]["payments"], &schema["$defs"]["product"]["properties"]),
        (&first[0], plan),
        (&first[0]["products"][0], &plan["products"]["items"]["properties"]),
        (&first[0]["limits"][0], &plan["limits"]["items"]["properties"]),
        (&first[0]["quota"], &plan["quota"]["properties"]),
        (&prices[0], &plan["price"]["oneOf"][0]["properties"]),
        (&prices[1], &plan["price"]["oneOf"][1]["properties"]),
        (&prices[2], &plan["price"]["oneOf"][2]["properties"]),
        (&prices[2]["steps"][0], &plan["price"]["oneOf"][2]["properties"]["steps"]["items"]["properties"]),
        (partner, of_partner),
        (&partner["members"][0], &of_partner["members"]["items"]["properties"]),
        (app, of_app),
        (&app["keys"]["web-shop-test"], &of_app["keys"]["additionalProperties"]["properties"]),
    ] {
        assert_eq!(fields(written), fields(described));
    }
}
