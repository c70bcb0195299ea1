//! The log: one line per event on standard error, for people or as JSON. It never holds a secret, a query string or a
//! credential.

use crate::config::{LogFormat, Logs};
use std::{
    error::Error,
    io::{IsTerminal, stderr},
};
use tracing_subscriber::EnvFilter;

/// Starts logging. A second call changes nothing.
pub fn start(logs: &Logs) {
    let filter = EnvFilter::try_new(&logs.filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let builder =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(stderr).with_ansi(stderr().is_terminal());
    let _ = match logs.format {
        LogFormat::Pretty => builder.compact().try_init(),
        LogFormat::Json => builder.json().flatten_event(true).with_current_span(false).try_init(),
    };
}

/// An error and what caused it, in one line.
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let further = error.to_string();
        // Many errors already end with their cause's text.
        if !text.contains(&further) {
            text.push_str(": ");
            text.push_str(&further);
        }
        cause = error.source();
    }
    text
}
