//! What is logged, and how.

use super::Reader;
use std::io::{IsTerminal, stderr};
use tracing_subscriber::EnvFilter;

/// The log on standard error.
#[derive(Debug, Clone)]
pub struct Logs {
    /// As tracing's filters are written.
    pub filter: String,
    pub format: LogFormat,
}

/// For people or for machines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    Pretty,
    Json,
}

impl Logs {
    pub(super) fn read(reader: &mut Reader) -> Self {
        let filter = reader.text("TURNPIKE_LOG").unwrap_or_else(|| "info,sqlx=error".to_owned());
        if EnvFilter::try_new(&filter).is_err() {
            reader.problem("TURNPIKE_LOG", format!("{filter:?} is not a filter, as info or gateway=debug,info"));
        }
        let usual = if stderr().is_terminal() { LogFormat::Pretty } else { LogFormat::Json };
        let choices = [("pretty", LogFormat::Pretty), ("json", LogFormat::Json)];
        Self { filter, format: reader.choice("TURNPIKE_LOG_FORMAT", &choices, usual) }
    }
}
