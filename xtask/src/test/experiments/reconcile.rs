//! Numbers of usage that are changed by SQL are found and named, and nothing else is; where the hourly sums are not compared the same
//! check must fail. `cargo xtask chaos reconcile` is the long run.

use super::Experiment;

pub fn experiments() -> Vec<Experiment> {
    vec![
        Experiment::new(
            "What is changed behind our back is found and named, and nothing else is",
            &["reconcile", "--faults", "29", "--clean", "3", "--days", "2"],
        ),
        Experiment::new(
            "Control run: without a look at the hourly sums the same check fails",
            &["reconcile", "--faults", "13", "--clean", "1", "--days", "1", "--control"],
        ),
    ]
}
