//! `cargo xtask bench <what>`: figures that are printed, never asserted, because they depend on the machine.

mod cold;
mod gateway;
mod limits;
mod metering;
mod page;
mod start;
mod usage_query;
mod wasm;
mod year;

use crate::Outcome;

type Measure = fn() -> Outcome;

/// What can be measured, and by what.
const WHAT: [(&str, Measure); 13] = [
    ("wasm", wasm::measure),
    ("page", page::measure),
    ("start", start::measure),
    ("gateway", gateway::measure),
    ("gateway-flood", gateway::flood),
    ("gateway-idle", gateway::idle),
    ("gateway-large", gateway::large),
    ("gateway-bodies", gateway::bodies),
    ("cold", cold::measure),
    ("limits", limits::measure),
    ("usage-query", usage_query::measure),
    ("metering", metering::measure),
    ("year", year::measure),
];

/// Runs one measurement, or `all`.
pub fn run(arguments: &[String]) -> Outcome {
    let names: Vec<&str> = WHAT.iter().map(|(name, _)| *name).collect();
    match arguments {
        [what] if what == "all" => WHAT.iter().try_for_each(|(_, measure)| measure()),
        [what] => match WHAT.iter().find(|(name, _)| name == what) {
            Some((_, measure)) => measure(),
            None => Err(format!("There is no measurement `{what}`. There are: {}, all.", names.join(", "))),
        },
        _ => Err(format!("Say what to measure: cargo xtask bench {}, or all.", names.join(", "))),
    }
}

/// One line of a result, beside its target.
fn report(what: &str, measured: &str, target: &str) {
    println!("{what:<64} {measured:>14}   (target: {target})");
}
