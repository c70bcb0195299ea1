//! What the recorder may have seen of a case, and what it may not.

use crate::{corpus::Case, paths};
use serde_json::Value;

/// What the recorder wrote down while one case ran.
#[derive(Debug, Default)]
pub struct Seen {
    /// Targets of whole requests.
    pub targets: Vec<String>,
    /// Bytes that are no request, with what is wrong with them.
    pub bad: Vec<String>,
}

impl Seen {
    pub fn read(lines: &[String]) -> Self {
        let mut seen = Self::default();
        for line in lines {
            let Ok(value) = serde_json::from_str::<Value>(line) else { continue };
            if let Some(target) = value["target"].as_str() {
                seen.targets.push(target.to_owned());
            }
            if let Some(wrong) = value["bad"].as_str() {
                seen.bad.push(format!("{wrong}: {}", value["seen"].as_str().unwrap_or_default().escape_debug()));
            }
        }
        seen
    }
}

/// What is wrong with what a case did, or `None`.
pub fn of_case(case: &Case, seen: &Seen) -> Option<String> {
    let limit = case.requests;
    if let Some(bad) = seen.bad.first() {
        return Some(format!("the upstream got what is no request: {bad}"));
    }
    if let Some(target) = seen.targets.iter().find(|target| target.contains("smuggled")) {
        return Some(format!("the upstream was asked for {target}"));
    }
    if seen.targets.len() > limit {
        return Some(format!("the upstream got {} requests for {limit}", seen.targets.len()));
    }
    if let Some(target) = seen.targets.iter().find(|target| !paths::is_inside(target)) {
        return Some(format!("the upstream was asked for {target}"));
    }
    if case.class == "plain" && seen.targets.len() < limit {
        return Some(format!(
            "the upstream got {} requests of {limit}; nothing was wrong with them",
            seen.targets.len()
        ));
    }
    None
}

/// What is wrong with where a spelling of a path led, or `None`.
pub fn of_path(seen: &Seen) -> Option<String> {
    if let Some(bad) = seen.bad.first() {
        return Some(format!("the upstream got what is no request: {bad}"));
    }
    seen.targets
        .iter()
        .find(|target| !paths::is_inside(target))
        .map(|target| format!("the upstream was asked for {target}"))
}
