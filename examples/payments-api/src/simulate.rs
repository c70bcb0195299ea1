//! Failures on demand: for retries, circuit breakers and alerts.

use crate::{fields::Fields, problem::Problem};
use bytes::Bytes;
use std::time::Duration;

/// Milliseconds.
const LONGEST: i64 = 30_000;

pub async fn failure(body: Bytes) -> Result<(), Problem> {
    let mut fields = Fields::read(&body)?;
    let status = fields.required_count("status", 599);
    let delay = fields.count("delay_ms", LONGEST);
    if status != 0 && status < 400 {
        fields.wrong("status", "This is a status from 400 to 599.");
    }
    fields.finish()?;
    if let Some(delay) = delay.and_then(|delay| u64::try_from(delay).ok()) {
        tokio::time::sleep(Duration::from_millis(delay)).await;
    }
    let status = u16::try_from(status).unwrap_or(500);
    Err(Problem::new(status, "simulated-failure", format!("You asked for {status}.")))
}
