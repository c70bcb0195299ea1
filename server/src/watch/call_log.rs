//! One log line for a call: who, what, the decision with its reason, and the cost. No secret, raw path or query.

use crate::config::CallLog;
use domain::usage::Outcome;
use gateway::Ended;

/// Writes the line, if calls that ended so are wanted.
pub fn write(wanted: CallLog, call: &Ended<'_>) {
    let went_wrong = call.outcome != Outcome::Replayed
        && call.outcome != Outcome::Cached
        && (call.outcome != Outcome::Served || call.status >= 500);
    let wants = match wanted {
        CallLog::Off => false,
        CallLog::Trouble => went_wrong,
        CallLog::All => true,
    };
    if !wants {
        return;
    }
    let refusal = match call.outcome {
        Outcome::Refused(code) => Some(code.describe().code),
        _ => None,
    };
    let who = call.caller;
    tracing::info!(
        target: "calls",
        request_id = call.request_id,
        partner = who.map(|who| tracing::field::display(who.partner)),
        app = who.map(|who| tracing::field::display(who.app)),
        key = who.map(|who| tracing::field::display(who.key)),
        environment = who.map(|who| who.environment.code()),
        plan = call.plan,
        product = call.product,
        route = call.route,
        method = call.method,
        status = call.status,
        outcome = call.outcome.code(),
        refusal,
        units = call.units,
        bytes_in = call.bytes_in,
        bytes_out = call.bytes_out,
        duration_us = call.duration.as_micros(),
        upstream_us = call.upstream.as_micros(),
        trace = call.trace.map(tracing::field::display),
        "call"
    );
}
