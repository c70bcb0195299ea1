//! The command line: one file per command that does more than call one function.

mod apply;
mod correct;
mod credit;
mod nodes;
mod operator_link;
mod reach;
mod reconcile;
mod spool;
mod trace;
mod unknown_requests;
mod verify;

use crate::{
    config::{Config, Problem, variable},
    logs, priority, serve,
};
use clap::{Parser, Subcommand};
use domain::id::AttemptId;
use std::{future::Future, path::PathBuf, process::ExitCode};
use store::NewCreditGrant;

/// `plan` found a difference.
const DIFFERENT: u8 = 2;

/// A toll road for your API: keys, limits, metering, prices and invoices in front of an API that you already run.
#[derive(Debug, Parser)]
#[command(name = "turnpike", version, max_term_width = 100)]
#[command(after_help = "Start with: TURNPIKE_DEVELOPMENT=true turnpike serve\nEvery setting: turnpike serve --help")]
struct Cli {
    /// TOML file with settings; variables of the environment win over it.
    #[arg(long, global = true, value_name = "FILE", env = "TURNPIKE_CONFIG")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run everything: portal, gateway, metrics and background tasks. With TURNPIKE_ROLE=gateway or portal, that part.
    ///
    /// Without DATABASE_URL it starts a private Postgres in the data directory, which is for evaluation and small
    /// installations. The schema is brought up to date first. SIGTERM or Ctrl-C stops it within five seconds and loses
    /// no usage.
    #[command(after_long_help = variable::help())]
    Serve,
    /// Bring the database's schema up to date, then stop.
    ///
    /// `serve` does this itself; run it beforehand where a deployment should fail early. Several may run at once.
    Migrate,
    /// Show what `apply` would change, and change nothing.
    ///
    /// Exits with 0 where the installation already is as the file says, with 2 where it is not, with 1 on an error.
    Plan {
        /// YAML that describes products, plans, partners, apps and keys by code.
        file: PathBuf,
    },
    /// Make the installation as the file says: products, plans, partners, apps and keys.
    ///
    /// What the file does not name is left alone, and applying the same file again changes nothing. Prints JSON: what
    /// changed, and the text of each new key. A key's text is shown here and never again.
    Apply {
        /// YAML that describes products, plans, partners, apps and keys by code.
        file: PathBuf,
    },
    /// Correct usage that was counted wrongly: try it dry, draft, approve, apply, revert.
    ///
    /// As the console does it. Where a correction takes two operators (TURNPIKE_FOUR_EYES) only the console makes and approves it.
    Correct {
        #[command(subcommand)]
        what: correct::Correct,
    },
    /// Print a link that signs an operator in once, within the hour.
    ///
    /// Where no operator exists yet, the first one is created.
    OperatorLink {
        /// The operator's address. May be left out while there is at most one operator.
        #[arg(long)]
        email: Option<String>,
    },
    /// Give up on a gateway node whose data directory is lost.
    ///
    /// Billing periods close only when all nodes have stored their usage, so a node that never comes back holds them up.
    /// The units that it held of quotas and credit are given back.
    /// Usage that was in its spool and not in Postgres is lost with it; where it comes back all the same, what is of closed periods is on
    /// the partners' next invoices.
    ForgetNode {
        /// Its name, as /status shows it and as the file spool/node of its data directory holds it.
        node: String,
        /// When it served its last call, as 2026-03-01T00:00:00Z. Usage of until then is told as lost, from when it was heard of last.
        /// Without it, now.
        #[arg(long, value_name = "TIME")]
        served_until: Option<jiff::Timestamp>,
    },
    /// List the gateways, when each was last heard of, and the units that each holds and has not spent.
    Nodes,
    /// Give back the units that a gateway holds which does not run any more.
    ///
    /// A gateway that starts again does this itself; this is for one that will be away for long. Make sure that its process
    /// has ended: one that still runs goes on to spend what it holds, and quotas and credit are then overshot by that much.
    ReleaseNode {
        /// Its name, as `turnpike nodes` lists it.
        node: String,
        /// Release it although it was heard of within the last minute.
        #[arg(long)]
        force: bool,
    },
    /// Add units to a partner's prepaid credit, or take some back with a number below zero.
    GrantCredit {
        /// The partner's code.
        #[arg(long)]
        partner: String,
        #[arg(long, allow_negative_numbers = true)]
        units: i64,
        /// What it is for, as it is shown in the audit log.
        #[arg(long)]
        reason: String,
        /// Your own number for it: granting the same reference again changes nothing.
        #[arg(long)]
        reference: Option<String>,
        /// promotional, compensation or paid.
        #[arg(long, default_value = "promotional")]
        kind: domain::credit::GrantKind,
        /// The lower, the sooner it is used.
        #[arg(long, default_value_t = domain::credit::USUAL_PRIORITY)]
        priority: u8,
        /// From when on it may be used, as 2026-03-01T00:00:00Z. At once where it is left out.
        #[arg(long)]
        from: Option<jiff::Timestamp>,
        /// When what is left expires: at that full hour (UTC), or the next.
        #[arg(long)]
        expires: Option<jiff::Timestamp>,
        /// What a paid grant was sold for, as "8500.00 USD".
        #[arg(long)]
        cost: Option<String>,
        /// The code of a product whose calls alone may spend it; again for another. All may where it is left out.
        #[arg(long = "product")]
        products: Vec<String>,
    },
    /// Compare every balance of prepaid credit with the ledger's entries, and fail where any differs.
    CheckCredit {
        /// Make what is kept beside the entries from them again. Entries are never changed.
        #[arg(long)]
        rebuild: bool,
    },
    /// Look at this node's usage log: the calls that were served and are not in Postgres yet.
    Spool {
        #[command(subcommand)]
        action: SpoolAction,
    },
    /// Compare the places that count usage: what gateways say, events, hourly sums, invoices. Prints each number that differs.
    ///
    /// The server does this itself every five minutes. Exits with 1 where anything differs; a period with a difference is not
    /// invoiced until it is gone or accepted.
    Reconcile(reconcile::Reconcile),
    /// Print the way of one call: log, seal, corrections, hour, period, invoice line and Stripe, each found, not yet there, or missing.
    ///
    /// A call that is not in Postgres yet is looked for in this node's usage log. Exits with 1 where a step is missing.
    Trace {
        /// As the answer's header x-request-id has it.
        request_id: String,
    },
    /// List requests with an Idempotency-Key that were sent on and of which nobody knows whether they were carried out.
    ///
    /// A gateway was killed while the API worked, or no whole answer came. The key of such a request answers 409 for 30 days
    /// and is never sent on again. Ask the API about it, by key or request id, then run `turnpike resolve-request`.
    UnknownRequests {
        /// Only those of the partner with this code.
        #[arg(long)]
        partner: Option<String>,
    },
    /// Write down what became of a request that `turnpike unknown-requests` lists.
    #[command(group = clap::ArgGroup::new("outcome").required(true))]
    ResolveRequest {
        /// Its identifier, as `turnpike unknown-requests` lists it.
        attempt: AttemptId,
        /// The API carried it out: its key goes on to be refused, and says why.
        #[arg(long, group = "outcome")]
        carried_out: bool,
        /// The API did not and will not carry it out: the key is forgotten, and the same request may be sent again. Make sure
        /// that the gateway which sent it on has ended and that the API is done with it.
        #[arg(long, group = "outcome")]
        not_carried_out: bool,
        /// For the audit log: who was asked, and what was found.
        #[arg(long, default_value = "")]
        note: String,
    },
    /// Check that usage is as it was recorded: the log's records and the events in Postgres against the signed seals of both.
    ///
    /// The server may run, and need not. Names each record that was changed, moved, taken out or put in, by node, lane and
    /// number, and exits with 1 where there is one.
    Verify(verify::Verify),
    /// Print the version.
    Version,
}

#[derive(Debug, Subcommand)]
enum SpoolAction {
    /// List its lanes, one for each core: where each stands in Postgres, what waits, and damage.
    List,
    /// Give up the records of one lane that cannot be read, and go on behind them. The server may run meanwhile.
    ///
    /// The calls that they were are not billed. How many there can have been is written down for good, in the database and in
    /// its audit log. Look for a copy of the file before: what is skipped is not read later.
    SkipDamage {
        /// Its number, as `turnpike spool list` shows it.
        lane: u16,
        /// For the audit log: what happened, and who decided.
        #[arg(long)]
        note: String,
    },
}

/// Why a command ended without doing what it was asked.
pub type CommandError = Box<dyn std::error::Error + Send + Sync>;

/// Reads the arguments and runs the command.
pub fn main() -> ExitCode {
    let Cli { config, command } = Cli::parse();
    if matches!(command, Command::Version) {
        println!("turnpike {}", env!("CARGO_PKG_VERSION"));
        return ExitCode::SUCCESS;
    }
    let config = match Config::load(config.as_deref()) {
        Ok(config) => config,
        Err(problems) => return tell(&problems),
    };
    logs::start(&config.logs);
    let result = match command {
        Command::Serve => block_on(serve::run(config)),
        Command::Migrate => run(reach::migrate(config)),
        Command::Plan { file } => run(apply::plan(config, file)),
        Command::Apply { file } => run(apply::apply(config, file)),
        Command::Correct { what } => run(correct::run(config, what)),
        Command::OperatorLink { email } => run(operator_link::print(config, email)),
        Command::ForgetNode { node, served_until } => run(reach::forget_node(config, node, served_until)),
        Command::Nodes => run(nodes::list(config)),
        Command::ReleaseNode { node, force } => run(nodes::release(config, node, force)),
        Command::GrantCredit { partner, units, reason, reference, kind, priority, from, expires, cost, products } => {
            let plain = NewCreditGrant::new(units, &reason);
            let (effective_at, expires_at) = (from, expires);
            let new = NewCreditGrant { reference, kind, priority, effective_at, expires_at, products, ..plain };
            run(credit::grant(config, partner, new, cost))
        }
        Command::CheckCredit { rebuild } => run(credit::check(config, rebuild)),
        Command::Spool { action: SpoolAction::List } => run(spool::list(config)),
        Command::Spool { action: SpoolAction::SkipDamage { lane, note } } => {
            run(spool::skip_damage(config, lane, note))
        }
        Command::Reconcile(what) => run(reconcile::run(config, what)),
        Command::Trace { request_id } => run(trace::run(config, request_id)),
        Command::UnknownRequests { partner } => run(unknown_requests::list(config, partner)),
        Command::ResolveRequest { attempt, carried_out, not_carried_out: _, note } => {
            run(unknown_requests::resolve(config, attempt, carried_out, note))
        }
        Command::Verify(what) => run(verify::run(config, what)),
        Command::Version => Ok(ExitCode::SUCCESS),
    };
    result.unwrap_or_else(|error| {
        eprintln!("turnpike: {}", logs::chain(error.as_ref()));
        ExitCode::FAILURE
    })
}

fn tell(problems: &[Problem]) -> ExitCode {
    eprintln!("turnpike: the configuration has {} to solve:", count(problems.len()));
    for problem in problems {
        eprintln!("  {problem}");
    }
    ExitCode::FAILURE
}

fn count(problems: usize) -> String {
    if problems == 1 { "one problem".to_owned() } else { format!("{problems} problems") }
}

fn block_on(work: impl Future<Output = Result<ExitCode, CommandError>>) -> Result<ExitCode, CommandError> {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.enable_all().on_thread_start(priority::enlist).on_thread_stop(priority::delist).build()?.block_on(work)
}

/// A command besides a server, which may run on the same machine.
fn run(work: impl Future<Output = Result<ExitCode, CommandError>>) -> Result<ExitCode, CommandError> {
    priority::stand_behind();
    block_on(work)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_arguments_are_consistent_and_the_help_of_serve_lists_every_variable() {
        let mut command = Cli::command();
        command.build();
        let serve = command.find_subcommand_mut("serve").expect("serve");
        let help = serve.render_long_help().to_string();
        for row in variable::VARIABLES {
            assert!(help.contains(row.name), "{} is not in the help", row.name);
        }
        command.debug_assert();
    }
}
