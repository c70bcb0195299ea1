//! Looks after idempotency keys: what nobody will end is unknown, what is over is forgotten, what could not be told is told.

use super::TaskError;
use crate::idempotency::Keys;
use jiff::Timestamp;
use std::time::Duration;

pub const SWEEP: &str = "sweep_idempotency_keys";
pub const SWEEP_PERIOD: Duration = Duration::from_secs(30);
pub const TELL: &str = "end_attempts";
pub const TELL_PERIOD: Duration = Duration::from_secs(2);

/// # Errors
/// Postgres does not answer.
pub async fn sweep(keys: Keys, max_bytes: u64) -> Result<(), TaskError> {
    // Keys live in real time: a test clock that is moved ahead forgets none.
    Ok(keys.sweep(max_bytes, Timestamp::now()).await?)
}

/// # Errors
/// Postgres does not answer.
pub async fn tell(keys: Keys) -> Result<(), TaskError> {
    Ok(keys.tell_waiting().await?)
}
