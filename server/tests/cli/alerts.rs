//! The alerts that come with the program ask for metrics that it has.

use std::{collections::BTreeSet, fs, path::Path};

/// Every metric's name in the text.
fn names(text: &str) -> BTreeSet<String> {
    let of = |start: usize| {
        let rest = &text[start..];
        let end =
            rest.find(|c: char| !(c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')).unwrap_or(rest.len());
        rest[..end].to_owned()
    };
    text.match_indices("turnpike_").map(|(start, _)| of(start)).collect()
}

fn sources(folder: &Path, into: &mut String) {
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() && path.file_name().is_some_and(|name| name != "tests") {
            sources(&path, into);
        } else if path.extension().is_some_and(|end| end == "rs") {
            into.push_str(&fs::read_to_string(&path).expect("readable"));
        }
    }
}

#[test]
fn every_metric_of_the_alerts_exists_and_is_in_the_guide() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the project");
    let read = |file: &str| fs::read_to_string(root.join(file)).expect("readable");
    let (rules, guide) = (read("docs/prometheus-rules.yaml"), read("docs/operator-guide.md"));
    let mut code = String::new();
    sources(&root.join("crates"), &mut code);
    sources(&root.join("server/src"), &mut code);
    let asked = names(&rules);
    assert!(asked.len() > 5, "{asked:?}");
    for name in asked {
        let metric = name.strip_suffix("_bucket").unwrap_or(&name);
        assert!(code.contains(&format!("\"{metric}\"")), "{metric} is counted nowhere");
        let last = metric.trim_start_matches("turnpike_gateway_");
        assert!(guide.contains(metric) || guide.contains(&format!("…_{last}")), "{metric} is not in the guide");
    }
}

#[test]
fn whoever_is_refused_for_allocated_credit_raises_an_alert() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the project");
    let asked = names(&fs::read_to_string(root.join("docs/prometheus-rules.yaml")).expect("readable"));
    for metric in ["turnpike_credit_allocations_used_up", "turnpike_gateway_allocation_exhausted_total"] {
        assert!(asked.contains(metric), "{metric}");
    }
}
