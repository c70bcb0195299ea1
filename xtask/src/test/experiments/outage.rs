//! Postgres goes away under a running gateway: only what was leased is spent, then the product's mode holds, and afterwards all
//! of it is in the books once; where a closed product is opened the same check must fail. `cargo xtask chaos outage` is the long run.

use super::Experiment;

pub fn experiments() -> Vec<Experiment> {
    vec![
        Experiment::new(
            "While Postgres hangs only leased units are spent, and all is made good afterwards",
            &["outage", "frozen", "--nodes", "1", "--seconds", "1", "--untimed"],
        ),
        Experiment::new(
            "Control run: with a closed product opened wide the same check fails",
            &["outage", "stopped", "--nodes", "1", "--seconds", "1", "--untimed", "--control"],
        ),
    ]
}
