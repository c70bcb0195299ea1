//! Usage that meets trouble: Postgres ends its connections, goes away at a start, is full or is put back; the disk of the usage log is
//! full or fails; the log is damaged. `cargo xtask chaos postgres`, `disk`, `restore` and `spool` are the long runs.

use super::Experiment;

pub fn experiments() -> Vec<Experiment> {
    let broken = ["disk", "--case", "io-error", "--seconds", "2", "--calls", "300", "--untimed"];
    vec![
        Experiment::new(
            "A gateway starts without Postgres, but not from what is changed or too old",
            &["postgres", "--case", "cold", "--untimed"],
        ),
        Experiment::new("Syncs and writes that fail, then a power cut: what was answered is stored", &broken),
        Experiment::and("Control run: where syncs lie the same check finds what is lost", &broken, &["--control"]),
        Experiment::new(
            "A damaged usage log is told, cut off to the byte, and stored once",
            &["spool", "--flips", "64", "--cut-records", "1", "--step", "3"],
        ),
    ]
}
