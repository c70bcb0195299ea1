//! Reaching the installation from a command: its data directory, its secrets, its database.

use super::CommandError;
use crate::{config::Config, data_dir::DataDir, database::Database, tasks::follow_clock};
use app::{secrets::Secrets, state::Clock};
use jiff::Timestamp;
use std::process::ExitCode;
use store::Store;

/// `turnpike migrate`.
pub async fn migrate(config: Config) -> Result<ExitCode, CommandError> {
    with_installation(&config, async |_, _, _| {
        println!("The schema is up to date.");
        Ok(ExitCode::SUCCESS)
    })
    .await
}

/// `turnpike forget-node`.
pub async fn forget_node(
    config: Config,
    node: String,
    served_until: Option<Timestamp>,
) -> Result<ExitCode, CommandError> {
    with_installation(&config, async |store, _, now| {
        store.lose_attempts_of_node(&node, Timestamp::now()).await?;
        let units = store.forget_node(&node, Some(served_until.unwrap_or(now).min(now))).await?;
        println!("Nothing waits for {node} any more. It gave back {units} units.");
        Ok(ExitCode::SUCCESS)
    })
    .await
}

/// Runs `work` on the migrated database, with the installation's time, and lets go of the database whatever happens.
pub async fn with_installation(
    config: &Config,
    work: impl AsyncFnOnce(&Store, &Secrets, Timestamp) -> Result<ExitCode, CommandError>,
) -> Result<ExitCode, CommandError> {
    let data = DataDir::open(&config.data_dir)?;
    let secrets = data.secrets(config.master)?;
    let database = Database::attach(config, &data).await?;
    let outcome = prepared(&database.store, &secrets, work).await;
    database.close().await;
    outcome
}

async fn prepared(
    store: &Store,
    secrets: &Secrets,
    work: impl AsyncFnOnce(&Store, &Secrets, Timestamp) -> Result<ExitCode, CommandError>,
) -> Result<ExitCode, CommandError> {
    store.migrate().await?;
    let clock = Clock::default();
    follow_clock::run(store.clone(), clock.clone()).await?;
    work(store, secrets, clock.now()).await
}
