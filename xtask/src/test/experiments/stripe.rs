//! Faults of a stand-in for Stripe, with the server killed while it tells of invoices: each unit is billed once; and where Stripe
//! remembers no key the same check must fail. `cargo xtask chaos stripe` is the long run, with outages and hostile webhooks.

use super::Experiment;

pub fn experiments() -> Vec<Experiment> {
    let short = ["stripe", "--case", "faults", "--partners", "6", "--days", "1", "--units", "2000", "--kills", "2"];
    // All partners by streamed meter events. Where Stripe opens no stream they go one by one: so seldom that it does not happen
    // on both days.
    let streamed = [
        "stripe",
        "--case",
        "streamed",
        "--partners",
        "6",
        "--days",
        "2",
        "--units",
        "4000",
        "--kills",
        "2",
        "--share",
        "5",
    ];
    vec![
        Experiment::new("Each unit is billed once by a Stripe that fails, while the server is killed", &short),
        Experiment::and(
            "Control run: where Stripe remembers nothing the same check fails",
            &short,
            &["--share", "15", "--control"],
        ),
        Experiment::and(
            "Each unit is billed once by subscriptions that we make at a Stripe that fails, while the server is killed",
            &streamed,
            &["--made"],
        ),
        Experiment::and(
            "Control run: where Stripe forgets what was sent for subscriptions that we make the same check fails",
            &streamed,
            &["--made", "--control"],
        ),
        Experiment::new("Each unit that is streamed to a Stripe that fails is billed once", &streamed),
        Experiment::and(
            "Control run: where Stripe forgets what was streamed the same check fails",
            &streamed,
            &["--control"],
        ),
    ]
}
