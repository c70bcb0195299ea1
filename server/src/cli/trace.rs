//! `turnpike trace`: the way of one call, from the gateway's log to the invoice line.

use super::{CommandError, reach::with_installation};
use crate::{config::Config, data_dir::DataDir, tasks::ship_spool::to_spool};
use ::spool::{Position, Reader, SpoolError};
use domain::{credit::allocation::Holder, key_text::Environment, usage::wire};
use jiff::Timestamp;
use std::{path::Path, process::ExitCode};
use store::{
    Store,
    trace::{TracedAllocation, TracedBilling, TracedCall, TracedCorrection, TracedInvoice, TracedLate, TracedLine},
};

/// Records that are read at once, and their bytes.
const RECORDS: usize = 20_000;
const BYTES: usize = 8 << 20;

/// How a step of the way stands.
enum Step {
    Found(String),
    /// It comes by itself.
    NotYet(String),
    /// It should be there.
    Missing(String),
    /// This call does not go there.
    None(String),
}

/// Prints each step; fails where one is missing.
pub async fn run(config: Config, request_id: String) -> Result<ExitCode, CommandError> {
    let spool = DataDir::open(&config.data_dir)?.spool();
    with_installation(&config, async |store, _, now| {
        let calls = store.all_partners_trace(&request_id, None).await?;
        let mut whole = true;
        for call in &calls {
            println!("{request_id}");
            for (name, step) in way(call, now) {
                whole &= tell(name, &step);
            }
        }
        let late = store.all_partners_late(&request_id, None).await?;
        for TracedLate { partner, source, at, units, invoice, corrections } in &late {
            println!("{request_id}");
            tell(
                "call",
                &Step::Found(format!("{at} of {partner}, {units} units, told by {source} after its period closed")),
            );
            for (name, step) in adjusted("", invoice.as_ref()) {
                tell(name, &step);
            }
            for step in corrections.iter().map(corrected) {
                tell("changed", &step);
            }
        }
        if calls.is_empty() && late.is_empty() {
            whole = waits(store, &spool, &request_id).await?;
        }
        Ok(if whole { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    })
    .await
}

fn tell(name: &str, step: &Step) -> bool {
    let (word, text) = match step {
        Step::Found(text) => ("found", text),
        Step::NotYet(text) => ("not yet", text),
        Step::Missing(text) => ("MISSING", text),
        Step::None(text) => ("-", text),
    };
    println!("  {name:<8} {word:<8} {text}");
    !matches!(step, Step::Missing(_))
}

/// A call that is not in Postgres may be on its way there, in this node's log.
async fn waits(store: &Store, spool: &Path, request_id: &str) -> Result<bool, CommandError> {
    let lanes = ::spool::lanes(spool)?;
    let positions = match lanes.is_empty() {
        true => Default::default(),
        false => store.positions(&::spool::node(spool)?).await?,
    };
    for lane in lanes {
        let stored = u16::try_from(lane).ok().and_then(|lane| positions.get(&lane)).copied().unwrap_or_default();
        if let Some((sequence, at)) = find(spool, lane, to_spool(stored), request_id)? {
            println!("{request_id}");
            tell("log", &Step::Found(format!("this node, lane {lane}, record {sequence}, a call of {at}")));
            tell("stored", &Step::NotYet(format!("Postgres has the lane's records up to {}", stored.sequence)));
            return Ok(true);
        }
    }
    println!("No call with the request id {request_id} is in Postgres, nor waits in this node's usage log.");
    println!(
        "Another node's log may hold it: ask there. A call that was refused before its key was known is not recorded."
    );
    Ok(false)
}

fn find(spool: &Path, lane: u32, from: Position, request_id: &str) -> Result<Option<(u64, Timestamp)>, SpoolError> {
    let mut reader = Reader::open(spool, lane, from)?;
    loop {
        let batch = match reader.next_batch(RECORDS, BYTES) {
            Ok(batch) => batch,
            Err(error @ SpoolError::Io { .. }) => return Err(error),
            // What stands behind damage cannot be known.
            Err(_) => return Ok(None),
        };
        let event = |record: &::spool::Record| {
            let event = wire::decode(&record.payload).ok().filter(|event| event.request_id == request_id);
            event.map(|event| (record.sequence, event.at))
        };
        if let Some(found) = batch.records.iter().find_map(event) {
            return Ok(Some(found));
        }
        if batch.is_all || batch.records.is_empty() {
            return Ok(None);
        }
    }
}

fn way(call: &TracedCall, now: Timestamp) -> Vec<(&'static str, Step)> {
    let TracedCall { partner, partner_code, at, method, path, status, outcome, units, credits, .. } = call;
    let own = call.allocation.as_ref().map(allocated).unwrap_or_default();
    let paid = if *credits > 0 { format!(", {credits} of them from credit{own}") } else { String::new() };
    let operation = match call.operation_code.as_str() {
        "" => "no operation matched".to_owned(),
        operation => format!("{}/{operation}", call.product_code),
    };
    let made = format!(
        "{at} by {} {partner}: {method} {path} ({operation}), {status}, {outcome}, {units} units{paid}",
        if partner_code.is_empty() { "an unknown partner" } else { partner_code.as_str() }
    );
    let (calls, counted) = call.counted();
    let hour = if call.hour_calls >= calls && call.hour_units >= counted {
        Step::Found(format!("{}: {} calls and {} units of its kind", call.hour, call.hour_calls, call.hour_units))
    } else {
        Step::Missing(format!("{}: {} calls and {} units of its kind", call.hour, call.hour_calls, call.hour_units))
    };
    let mut way = vec![("call", Step::Found(made))];
    way.extend(match &call.source {
        Some(source) => told(source),
        None => recorded(call, now),
    });
    way.extend(call.corrections.iter().map(|one| ("changed", corrected(one))));
    way.push(("hour", hour));
    way.extend(money(call));
    way
}

/// What an app or a team paid of its own, or what is for some products paid.
fn allocated(own: &TracedAllocation) -> String {
    let whose = match own.of {
        Some(Holder::App(_)) => "app",
        Some(Holder::Team(_)) => "team",
        None => return format!(", {} of those from what is for calls of {} alone ({})", own.units, own.name, own.id),
    };
    format!(", {} of those from what the {whose} {} has for itself ({})", own.units, own.name, own.id)
}

/// One step of a correction, and where its difference is.
fn corrected(one: &TracedCorrection) -> Step {
    let TracedCorrection { correction, reason, is_revert, at, calls, units, in_place, invoice } = one;
    let did = match (is_revert, calls) {
        (true, _) => "taken back",
        (false, ..0) => "voided",
        (false, _) => "its units set",
    };
    let what = format!("{did} by {correction}, {at}, {units:+} units: {reason}");
    match (in_place, invoice) {
        (true, _) => Step::Found(format!("{what}; all sums have it")),
        (false, Some(invoice)) => Step::Found(format!("{what}; an adjustment on invoice {}", invoice.number)),
        (false, None) if *units == 0 => Step::Found(format!("{what}; its period was closed, and no bill changes")),
        (false, None) => Step::NotYet(format!("{what}; its period was closed: an adjustment on the next invoice")),
    }
}

/// What others told us never was in a gateway's log.
fn told(source: &str) -> Vec<(&'static str, Step)> {
    vec![
        ("log", Step::None(format!("told by {source}"))),
        ("stored", Step::Found("in usage_events".to_owned())),
        ("seal", Step::None("only what a gateway records is sealed".to_owned())),
    ]
}

/// The gateway's log, its lane in Postgres, and the seal.
fn recorded(call: &TracedCall, now: Timestamp) -> Vec<(&'static str, Step)> {
    let log = format!("node {}, lane {}, record {}", call.node, call.lane, call.sequence);
    let stored = if call.stored_to > call.sequence {
        Step::Found(format!("in usage_events; the lane is stored up to record {}", call.stored_to))
    } else {
        Step::Missing(format!("it is in usage_events, and the lane is stored up to record {} only", call.stored_to))
    };
    let seal = match &call.seal {
        Some(seal) => Step::Found(format!("records {} to {}, sealed {}", seal.first, seal.past - 1, seal.sealed_at)),
        None if now.duration_since(call.at).as_secs() < 120 => {
            Step::NotYet("records are sealed within half a minute".to_owned())
        }
        None => Step::Missing("no seal covers it: it is older than seals are, or see turnpike verify".to_owned()),
    };
    vec![("log", Step::Found(log)), ("stored", stored), ("seal", seal)]
}

/// What came after the close: the lines of the later invoice that has it, and what Stripe calls them.
fn adjusted(why: &str, invoice: Option<&TracedInvoice>) -> Vec<(&'static str, Step)> {
    let Some(invoice) = invoice else {
        return vec![("line", Step::NotYet(format!("{why}an adjustment on the next invoice")))];
    };
    let on = format!("{why}an adjustment on invoice {}, {}", invoice.number, invoice.status);
    if invoice.lines.is_empty() {
        return vec![("line", Step::Found(format!("{on}, where it changes no line of its operation")))];
    }
    let mut way = Vec::new();
    for TracedLine { position, quantity, stripe } in &invoice.lines {
        way.push(("line", Step::Found(format!("{on}, line {position}: {quantity} units"))));
        way.push(at_stripe(stripe.as_deref()));
    }
    way
}

/// What Stripe calls a line.
fn at_stripe(id: Option<&str>) -> (&'static str, Step) {
    let step = match id {
        Some(id) => Step::Found(id.to_owned()),
        None => Step::NotYet("the line is not there, or is not sent to Stripe at all".to_owned()),
    };
    ("stripe", step)
}

/// Threshold invoices whose hours have the call.
fn thresholds(call: &TracedCall) -> Vec<(&'static str, Step)> {
    let of = |invoice: &TracedInvoice| {
        let line = match invoice.lines.first() {
            Some(TracedLine { position, quantity, .. }) => {
                format!("line {position}: {quantity} units until it was made")
            }
            None => "no line for its operation: it came after that was made".to_owned(),
        };
        let stripe = invoice.lines.first().and_then(|line| line.stripe.as_ref());
        let stripe = stripe.map(|id| format!(", {id}")).unwrap_or_default();
        let told =
            format!("number {}, {}, taken off the next of the period; {line}{stripe}", invoice.number, invoice.status);
        ("threshold", Step::Found(told))
    };
    call.thresholds.iter().map(of).collect()
}

/// Period, invoice line and what Stripe has of it.
fn money(call: &TracedCall) -> Vec<(&'static str, Step)> {
    if call.environment == Environment::Test {
        return vec![("period", Step::None("test calls are never billed".to_owned()))];
    }
    let (stretch, invoice) = match &call.billing {
        None => return vec![("period", Step::None("the partner had no subscription then".to_owned()))],
        Some(TracedBilling::Open { since, .. }) => {
            let open = format!("the subscription runs since {since}; the period of the call is not closed");
            let mut way = vec![("period", Step::NotYet(open))];
            way.extend(thresholds(call));
            return way;
        }
        Some(TracedBilling::Closed { stretch, invoice }) => (stretch, invoice),
    };
    let mut way = vec![("period", Step::Found(format!("{} to {}, closed", stretch.start, stretch.end)))];
    let (_, counted) = call.counted();
    if let Some(late) = &call.late {
        way.extend(adjusted("it came after the close: ", late.invoice.as_ref()));
        return way;
    }
    let Some(invoice) = invoice else {
        let step = if counted == 0 { Step::None } else { Step::Missing };
        way.push(("invoice", step("the period was closed without one".to_owned())));
        return way;
    };
    way.extend(thresholds(call));
    way.push(("invoice", Step::Found(format!("number {}, {}", invoice.number, invoice.status))));
    match invoice.lines.first() {
        _ if counted == 0 => way.push(("line", Step::None("the call cost nothing".to_owned()))),
        Some(TracedLine { position, quantity, stripe }) if u64::try_from(*quantity).unwrap_or(0) >= counted => {
            way.push((
                "line",
                Step::Found(format!("line {position}: {quantity} units, the call's {counted} among them")),
            ));
            way.push(at_stripe(stripe.as_deref()));
        }
        Some(TracedLine { position, quantity, .. }) => {
            way.push(("line", Step::Missing(format!("line {position} has {quantity} units, fewer than the call"))));
        }
        None => way.push(("line", Step::Missing("the invoice has no line for its operation".to_owned()))),
    }
    way
}
