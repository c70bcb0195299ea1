//! `turnpike plan` and `turnpike apply`.

use super::{CommandError, DIFFERENT, reach::with_installation};
use crate::{
    apply::{Desired, Mode, walk},
    config::Config,
    serve::settings,
};
use std::{path::PathBuf, process::ExitCode};

/// Prints the difference; 2 where there is one.
pub async fn plan(config: Config, file: PathBuf) -> Result<ExitCode, CommandError> {
    let desired = Desired::read(&file)?;
    with_installation(&config, async |store, secrets, now| {
        let report =
            walk(&desired, store, secrets, &settings(&config, config.listen.gateway_address.clone()), Mode::Plan, now)
                .await?;
        println!("{report}");
        Ok(if report.changes.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(DIFFERENT) })
    })
    .await
}

/// Makes the difference go away, and prints what was done as JSON.
pub async fn apply(config: Config, file: PathBuf) -> Result<ExitCode, CommandError> {
    let desired = Desired::read(&file)?;
    with_installation(&config, async |store, secrets, now| {
        let report =
            walk(&desired, store, secrets, &settings(&config, config.listen.gateway_address.clone()), Mode::Apply, now)
                .await?;
        println!("{}", serde_json::to_string_pretty(&report)?);
        Ok(ExitCode::SUCCESS)
    })
    .await
}
