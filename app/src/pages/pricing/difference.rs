//! What differs between two plans' terms, in words: for operators who compare, and for partners who are told.

use super::{names::Names, offers, tier};
use domain::{
    plan::{Grant, PlanTerms},
    rating::FeeDue,
};

/// One aspect that is otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    pub what: &'static str,
    pub before: String,
    pub after: String,
}

/// Every aspect that is otherwise; none where the terms are the same.
pub fn differences(before: &PlanTerms, after: &PlanTerms) -> Vec<Difference> {
    type Read = fn(&PlanTerms) -> String;
    let aspects: [(&'static str, Read); 12] = [
        ("Base fee", base_fee),
        ("Periods", |terms| tier::calendar(terms).unwrap_or_else(|| "From the start of the subscription".to_owned())),
        ("Offers", |terms| offers::all(terms, &Names::codes()).join("; ")),
        ("Trial", |terms| tier::trial(terms).unwrap_or_default()),
        ("Usage", |terms| tier::usage_price(terms, &Names::codes()).join("; ")),
        ("Included credit", |terms| match terms.included_credit_micros {
            0 => String::new(),
            _ => terms.included_credit().to_string(),
        }),
        ("Limits", |terms| tier::limits(terms).join(", ")),
        ("Quota", |terms| tier::quota(terms).unwrap_or_default()),
        ("Products", |terms| terms.products.iter().map(opened).collect::<Vec<_>>().join("; ")),
        ("Features", |terms| terms.features.join("; ")),
        ("Gated features", |terms| terms.opens_features.join(", ")),
        ("Limits of apps and keys, calls at once, pace and credit", |terms| rest(&terms.admission)),
    ];
    let none = |text: String| if text.is_empty() { "None".to_owned() } else { text };
    let read =
        |(what, read): (&'static str, Read)| Difference { what, before: none(read(before)), after: none(read(after)) };
    let mut found: Vec<Difference> = aspects.into_iter().map(read).filter(|one| one.before != one.after).collect();
    let rules = |terms: &PlanTerms| rest(&(terms.collect, terms.changes));
    if rules(before) != rules(after) {
        found.push(Difference { what: "Invoices and changes of plan", before: rules(before), after: rules(after) });
    }
    found
}

fn base_fee(terms: &PlanTerms) -> String {
    let due = match terms.fee_due {
        FeeDue::Advance if terms.base_fee_micros > 0 => ", when it begins",
        _ => "",
    };
    format!("{} a {}{due}", terms.base_fee(), tier::interval(terms.interval))
}

/// `payments (3 operations)`.
fn opened(grant: &Grant) -> String {
    match &grant.operations {
        None => grant.product.clone(),
        Some(only) => format!("{} ({})", grant.product, only.join(", ")),
    }
}

/// As the set-up file has it: what has no words of its own.
fn rest(value: &impl serde::Serialize) -> String {
    let text = serde_json::to_string(value).unwrap_or_default();
    if text == "{}" { String::new() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(text: &str) -> PlanTerms {
        serde_json::from_str(text).expect("terms")
    }

    const PRO: &str = r#"{"currency":"USD","products":[{"product":"payments"}],"base_fee_micros":49000000,
        "limits":[{"calls":100,"window":"minute"}]}"#;

    #[test]
    fn only_what_is_otherwise_is_told() {
        assert_eq!(differences(&terms(PRO), &terms(PRO)), []);
        let cheaper = PRO.replace("49000000", "29000000").replace(r#""calls":100"#, r#""calls":500"#);
        let told = differences(&terms(PRO), &terms(&cheaper));
        let told: Vec<_> = told.iter().map(|one| (one.what, one.before.as_str(), one.after.as_str())).collect();
        let expected =
            [("Base fee", "$49.00 a month", "$29.00 a month"), ("Limits", "100 calls a minute", "500 calls a minute")];
        assert_eq!(told, expected);
    }

    #[test]
    fn whatever_is_otherwise_is_told_somewhere() {
        let whole = terms(
            r#"{"currency":"EUR","interval":"year","periods":"calendar","products":[{"product":"payments","operations":["pay"]}],
                "limits":[{"calls":1,"window":"day"}],"quota":{"units":5,"beyond":"warn"},"base_fee_micros":1000000,
                "fee_due":"advance","price":{"model":"per_unit","unit_price":"1"},"minimum_micros":7000000,
                "discounts":[{"name":"Launch","percent":"5"}],"trial":{"days":14},"commitment":{"micros":9000000,"discounts":[]},
                "phases":[{"name":"Ramp","periods":3,"instead":{"base_fee_micros":0}}],
                "promotions":[{"name":"Launch","until":"2027-03-31","instead":{"base_fee_micros":0}}],
                "included_credit_micros":3000000,"features":["A"],"opens_features":["b"],
                "admission":{"concurrency":{"calls":3}},"collect":"meter_events","changes":{"downgrade":"at_once"}}"#,
        );
        let plain = terms(r#"{"currency":"EUR","interval":"year","products":[{"product":"payments"}]}"#);
        let (whole_json, plain_json) = (serde_json::to_value(&whole), serde_json::to_value(&plain));
        let (whole_json, plain_json) = (whole_json.expect("a map"), plain_json.expect("a map"));
        for (field, value) in whole_json.as_object().expect("a map") {
            // A fee that is nothing is due never.
            if plain_json.get(field) == Some(value) || field == "fee_due" {
                continue;
            }
            let mut other = plain_json.clone();
            other[field] = value.clone();
            let other: PlanTerms = serde_json::from_value(other).expect("terms");
            assert!(!differences(&plain, &other).is_empty(), "{field} is told nowhere");
        }
    }
}
