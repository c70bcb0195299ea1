//! `stripe-stand-in --port 12111`: runs until it is stopped. See `--help`.

use clap::Parser;
use stripe_stand_in::{Faults, Options, StandIn, Tax};

/// A stateful stand-in for Stripe's API, for tests and for trying out billing without an account.
#[derive(Parser)]
struct Arguments {
    /// Port on the loopback address; 0 takes a free one.
    #[arg(long, default_value_t = 12111)]
    port: u16,
    /// Where events are posted.
    #[arg(long)]
    webhook: Option<String>,
    /// What webhooks are signed with.
    #[arg(long, default_value = "whsec_stand_in")]
    webhook_secret: String,
    /// Faults in percent of requests, as {"error_after":10,"timeout":5}. See `Faults` for the names.
    #[arg(long, value_parser = faults)]
    faults: Option<Faults>,
    /// Stripe Tax is set up, with this rate: 1500 is 15 %.
    #[arg(long)]
    tax_basis_points: Option<i64>,
}

fn faults(text: &str) -> Result<Faults, String> {
    serde_json::from_str(text).map_err(|error| error.to_string())
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let Arguments { port, webhook, webhook_secret, faults, tax_basis_points } = Arguments::parse();
    let tax = tax_basis_points.map(|basis_points| Tax { basis_points, fails: false });
    let options = Options { port, webhook, webhook_secret, faults: faults.unwrap_or_default(), tax };
    let stand_in = StandIn::start(options).await?;
    println!("Stripe stand-in at {}", stand_in.url());
    stand_in.run_until_stopped().await
}
