//! Identical requests race on Idempotency-Keys while gateways are killed: none is carried out twice, and where the operation is not
//! marked the same check must fail. `cargo xtask chaos retries` is the long run.

use super::Experiment;

pub fn experiments() -> Vec<Experiment> {
    let two = "retries --keys 60 --posts 40 --at-once 20 --connections 200 --kills 2 --nodes 2";
    let unmarked = "retries --keys 10 --posts 20 --at-once 10 --connections 50 --kills 0 --nodes 1 --control unmarked";
    [
        ("Of identical posts on two gateways one is carried out, whoever is killed", two),
        ("Control run: where the operation is not marked the same check fails", unmarked),
    ]
    .map(|(promise, line)| Experiment::new(promise, &line.split(' ').collect::<Vec<_>>()))
    .to_vec()
}
