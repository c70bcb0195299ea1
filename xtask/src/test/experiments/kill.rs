//! `kill -9` of two gateways under load: nothing that a client saw answered may be lost or doubled, no unit served beyond a hard
//! quota, and without the spool the same check must fail. `cargo xtask chaos kill` is the long run.

use super::Experiment;

pub fn experiments() -> Vec<Experiment> {
    vec![
        Experiment::new(
            "Two gateways killed six times under load: no call is lost or doubled, no quota overshot",
            &["kill", "--rounds", "6", "--nodes", "2", "--longest-life", "900", "--untimed"],
        ),
        Experiment::new(
            "Control run: without the spool the same check fails",
            &["kill", "--rounds", "1", "--longest-life", "500", "--untimed", "--without-spool"],
        ),
    ]
}
