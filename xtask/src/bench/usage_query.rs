//! How long a month's dashboard takes to read at 1, 3 and 10 million events: the store's own measurement, which fills a private
//! Postgres and prints a table. It takes several minutes and about 8 GB of disk.

use crate::{Outcome, process};

pub fn measure() -> Outcome {
    process::show(process::cargo(["bench", "--quiet", "-p", "store", "--bench", "usage_query", "--", "1", "3", "10"]))
}
