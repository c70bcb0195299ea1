//! Usage that meets trouble: Postgres ends its connections, goes away at a start, is full or is put back; the disk of the usage log is
//! full or fails; the log is damaged. Short runs; `cargo xtask chaos postgres`, `disk`, `restore` and `spool` are the long ones.
//! They need what `kill` built.

use super::{kill::attack, tally::Tally};

pub fn check(tally: &mut Tally) {
    tally.one("A gateway starts without Postgres, but not from what is changed or too old", || {
        attack(&["postgres", "--case", "cold", "--untimed"])
    });
    let broken = ["disk", "--case", "io-error", "--seconds", "2", "--calls", "300", "--untimed"];
    tally.one("Syncs and writes that fail, then a power cut: what was answered is stored", || attack(&broken));
    tally.one("Control run: where syncs lie the same check finds what is lost", || {
        attack(&[&broken[..], &["--control"]].concat())
    });
    let spool = ["spool", "--flips", "64", "--cut-records", "1", "--step", "3"];
    tally.one("A damaged usage log is told, cut off to the byte, and stored once", || attack(&spool));
}
