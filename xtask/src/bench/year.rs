//! A year of billing for 500 partners: the billing crate's own measurement, whose invoices an oracle makes again, each of them.

use crate::{Outcome, process, workspace};

pub fn measure() -> Outcome {
    let file = workspace::target().join("year.jsonl");
    let shown = file.display().to_string();
    process::show(process::cargo(["bench", "--quiet", "-p", "billing", "--bench", "year", "--", &shown]))?;
    for control in [None, Some("--control")] {
        let mut oracle = process::program("python3", ["year.py"], &workspace::end2end().join("rating-oracle"));
        oracle.env("PYTHONDONTWRITEBYTECODE", "1").arg(&file).args(control);
        process::show(oracle)?;
    }
    println!("(target: a year of billing in less than 60 s, every invoice as the oracle makes it)");
    Ok(())
}
