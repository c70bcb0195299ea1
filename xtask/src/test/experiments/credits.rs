//! Calls that race for 100 units while each gateway is killed once: exactly 100 are served, of credit, of what an app has of it for itself, and of a hard quota, on
//! one gateway and on three; and without the look at what is left the same check must fail. `cargo xtask chaos credits` runs it alone.

use super::Experiment;

pub fn experiments() -> Vec<Experiment> {
    let race = ["credits", "--calls", "4000", "--connections", "200"];
    let three = |promise: &str, limit: &[&str]| Experiment::and(promise, &race, &[&["--nodes", "3"], limit].concat());
    vec![
        Experiment::new("Of 100 units of credit exactly 100 are served, whoever is killed", &race),
        three("The same on three gateways", &[]),
        three("The same with a balance that may go 40 below zero, on three gateways", &["--limit", "overdraft"]),
        three(
            "The same of 100 units that an app has for itself, on three gateways, and nothing of what is common",
            &["--limit", "allocation"],
        ),
        three("The same of a hard quota on three gateways", &["--limit", "quota"]),
        Experiment::new(
            "Control run: without a look at what is left the same check fails",
            &["credits", "--calls", "2000", "--connections", "100", "--without-check"],
        ),
    ]
}
