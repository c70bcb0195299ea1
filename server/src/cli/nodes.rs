//! `turnpike nodes`, `release-node` and `grant-credit`: who holds units, and where they come from.

use super::{CommandError, reach::with_installation};
use crate::config::Config;
use jiff::{SignedDuration, Timestamp};
use std::process::ExitCode;

/// A gateway that was heard of within this may still run.
const MAY_RUN: SignedDuration = SignedDuration::from_mins(1);

/// One line for each gateway.
pub async fn list(config: Config) -> Result<ExitCode, CommandError> {
    with_installation(&config, async |store, _, _| {
        println!("{:<36}  {:<24}  {:>12}  {:>12}", "node", "last heard of", "quota units", "credit units");
        for node in store.gateway_nodes().await? {
            let seen = node.seen_at.map_or_else(|| "not running".to_owned(), |at| format!("{at:.0}"));
            println!("{:<36}  {seen:<24}  {:>12}  {:>12}", node.node, node.quota.units, node.credit.units);
        }
        Ok(ExitCode::SUCCESS)
    })
    .await
}

/// Gives back what the node holds.
pub async fn release(config: Config, node: String, force: bool) -> Result<ExitCode, CommandError> {
    with_installation(&config, async |store, _, _| {
        let nodes = store.gateway_nodes().await?;
        let Some(known) = nodes.iter().find(|one| one.node == node) else {
            return Err(format!("no gateway {node} is known; turnpike nodes lists them").into());
        };
        let recent = known.seen_at.is_some_and(|at| Timestamp::now().duration_since(at) < MAY_RUN);
        if recent && !force {
            return Err(format!("{node} was heard of within the last minute: stop it first, or use --force").into());
        }
        println!("{} units are given back.", store.release_node(&node).await?);
        Ok(ExitCode::SUCCESS)
    })
    .await
}
