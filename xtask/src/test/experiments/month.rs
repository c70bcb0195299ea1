//! Two partners' month, one in either mode of collecting, subscribed at Stripe by hand and then by us, at every door: pages, REST, files,
//! invoices and Stripe's stand-in say the same numbers; and where one of them is changed by one, at five places in turn, the same look
//! finds it. `cargo xtask chaos month` is the long run.

use super::Experiment;

pub fn experiments() -> Vec<Experiment> {
    let trial = ["month", "--events", "20000", "--control"];
    vec![
        Experiment::new("One number everywhere, and five that are changed by one are each found", &trial),
        Experiment::and("The same where the subscriptions at Stripe are made by us", &trial, &["--made"]),
    ]
}
