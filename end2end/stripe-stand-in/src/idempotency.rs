//! Idempotency keys, remembered for 24 hours of the account's clock.
//!
//! As Stripe documents: the first answer is given again to the same request, a 500 included; the same key with other
//! parameters is an error; what failed validation, or was turned away before it ran, is not remembered. A refund that is refused by what the
//! account holds ran: that refusal is remembered.

use crate::{account::Account, failure::Failure, params::Params};
use serde_json::Value;

/// The first answer to a key.
pub struct Saved {
    pub path: String,
    pub params: Params,
    pub status: u16,
    pub body: Value,
    pub at: i64,
}

/// The answer of before, if there is one.
pub fn replay(account: &Account, key: &str, path: &str, params: &Params) -> Result<Option<(u16, Value)>, Failure> {
    if key.len() > 255 {
        return Err(Failure::invalid("Idempotency keys are at most 255 characters long."));
    }
    let Some(saved) =
        account.saved.get(key).filter(|saved| account.now() - saved.at < account.faults.remembered_seconds)
    else {
        return Ok(None);
    };
    if saved.path != path || saved.params != *params {
        let message = "Keys for idempotent requests can only be used with the same parameters they were first used with. \
             Try using a key other than the one that was sent if you meant to execute a different request.";
        return Err(Failure::api(400, "idempotency_error", message));
    }
    Ok(Some((saved.status, saved.body.clone())))
}

/// Remembers the answer, unless the request never ran.
pub fn save(account: &mut Account, key: &str, path: &str, params: &Params, status: u16, body: &Value) {
    let ran = ["balance_insufficient", "charge_already_refunded"].iter().any(|code| body["error"]["code"] == *code);
    if (200..300).contains(&status) || status == 402 || status >= 500 || ran {
        let at = account.now();
        let saved = Saved { path: path.to_owned(), params: params.clone(), status, body: body.clone(), at };
        account.saved.insert(key.to_owned(), saved);
    }
}
