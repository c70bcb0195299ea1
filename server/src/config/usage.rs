//! How long stored usage is kept, and where it may be sent.

use super::{Reader, Stripe};
use app::state::InvoiceSink;
use gateway::Reach;
use jiff::SignedDuration;
use store::{Kept, usage::LONGEST_CALL};

/// A year and a month: each invoice line of a year opens to its calls.
const LIVE: u32 = 400;
const TEST: u32 = 30;
/// Three years.
const HOURLY: u32 = 1_100;
const LONGEST: u32 = 36_500;
/// A week, in minutes.
const MOST_GRACE: i64 = 10_080;
/// What it takes to have the last units at Stripe once a period is closed.
const TO_TELL: SignedDuration = SignedDuration::from_mins(15);

pub(super) fn read(reader: &mut Reader) -> Kept {
    let kept = Kept {
        live: days(reader, "TURNPIKE_KEEP_LIVE_EVENTS", Some(LIVE)),
        test: days(reader, "TURNPIKE_KEEP_TEST_EVENTS", Some(TEST)),
        hourly: days(reader, "TURNPIKE_KEEP_HOURLY_USAGE", Some(HOURLY)),
        daily: days(reader, "TURNPIKE_KEEP_DAILY_USAGE", None),
    };
    let longest = u32::MAX;
    if kept.daily.unwrap_or(longest) < kept.hourly.unwrap_or(longest) {
        reader.problem(
            "TURNPIKE_KEEP_DAILY_USAGE",
            "days are made of hours: keep them as long as TURNPIKE_KEEP_HOURLY_USAGE or longer",
        );
    }
    kept
}

/// Whoever may enter a receiver's address must not reach what only this machine can, unless that is wanted.
pub(super) fn read_hook_reach(reader: &mut Reader) -> Reach {
    let reach = [("true", Reach::Private), ("false", Reach::Public)];
    reader.choice("TURNPIKE_HOOK_ALLOW_PRIVATE", &reach, Reach::Public)
}

/// Prepaid credit that expires is told of a fortnight before.
pub(super) fn read_credit_notice(reader: &mut Reader) -> u32 {
    const FORTNIGHT: u32 = 14;
    let name = "TURNPIKE_CREDIT_EXPIRY_NOTICE";
    let Some(written) = reader.text(name) else { return FORTNIGHT };
    match written.parse() {
        Ok(days) if days <= 365 => days,
        _ => {
            reader.problem(name, format!("{written:?} is not a number of days from 0 to 365"));
            FORTNIGHT
        }
    }
}

/// How long after its end a period's invoice waits for what comes late. Whoever moves the clock in a development install wants to see the
/// invoice at once, unless something else is said.
pub(super) fn read_closing_grace(
    reader: &mut Reader,
    development: bool,
    (sink, stripe): (InvoiceSink, Option<&Stripe>),
) -> SignedDuration {
    let name = "TURNPIKE_CLOSING_GRACE";
    let minutes = reader.number(name, LONGEST_CALL.as_mins(), MOST_GRACE);
    let grace = match (minutes, development) {
        (Some(minutes), _) => SignedDuration::from_mins(minutes),
        (None, true) => SignedDuration::from_secs(1),
        (None, false) => LONGEST_CALL,
    };
    let needed = grace.saturating_add(TO_TELL);
    if let Some(stripe) = stripe
        && sink == InvoiceSink::Stripe
        && grace > LONGEST_CALL
        && stripe.meters_open < needed
    {
        let message = format!(
            "Stripe would finalise its invoices of plans that it rates (meter_events) before their usage is told: lengthen the grace \
             period for invoices in Stripe's settings to {} minutes or more, if it offers so many, and set TURNPIKE_STRIPE_METERS_OPEN to {} or \
             more. Without such plans, only set that",
            needed.saturating_add(TO_TELL).as_mins(),
            needed.as_mins(),
        );
        reader.problem(name, message);
    }
    grace
}

fn days(reader: &mut Reader, name: &'static str, default: Option<u32>) -> Option<u32> {
    let Some(written) = reader.text(name) else { return default };
    match written.as_str() {
        "forever" => None,
        text => match text.parse() {
            Ok(days) if (1..=LONGEST).contains(&days) => Some(days),
            _ => {
                reader.problem(name, format!("{written:?} is not a number of days from 1 to {LONGEST}, nor forever"));
                default
            }
        },
    }
}
