//! Identical requests race on Idempotency-Keys while gateways are killed: none is carried out twice, and where the operation is not
//! marked the same check must fail. Short runs; `cargo xtask chaos retries` is the long one. It needs what `kill` built.

use super::{kill::attack, tally::Tally};

pub fn check(tally: &mut Tally) {
    tally.one("Of identical posts on two gateways one is carried out, whoever is killed", || {
        attack(&[
            "retries",
            "--keys",
            "60",
            "--posts",
            "40",
            "--at-once",
            "20",
            "--connections",
            "200",
            "--kills",
            "2",
            "--nodes",
            "2",
        ])
    });
    tally.one("Control run: where the operation is not marked the same check fails", || {
        attack(&[
            "retries",
            "--keys",
            "10",
            "--posts",
            "20",
            "--at-once",
            "10",
            "--connections",
            "50",
            "--kills",
            "0",
            "--nodes",
            "1",
            "--control",
            "unmarked",
        ])
    });
}
