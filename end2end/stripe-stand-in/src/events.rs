//! `/v1/events`: what happened, kept and posted to the webhook.

use crate::{
    account::Account,
    failure::Failure,
    list::{self, LIST},
    params::Params,
    webhooks::Delivery,
};
use serde_json::{Value, json};

/// The API version that objects are rendered in.
pub const API_VERSION: &str = "2026-10-28.endive";

/// Records an event about an object as it is now, and queues it for the webhook.
pub fn happened(account: &mut Account, kind: &str, object: &Value) {
    record(account, kind, &json!({ "object": object }));
}

/// The same, with what was before.
pub fn changed(account: &mut Account, kind: &str, object: &Value, before: &Value) {
    record(account, kind, &json!({ "object": object, "previous_attributes": before }));
}

fn record(account: &mut Account, kind: &str, data: &Value) {
    let event = json!({
        "id": account.new_id("evt_1"), "object": "event", "api_version": API_VERSION, "created": account.now(),
        "data": data, "livemode": false, "pending_webhooks": 1,
        "request": { "id": null, "idempotency_key": null }, "type": kind,
    });
    let event = account.events.add(event);
    account.deliveries.push(Delivery { event, attempts: 0 });
}

pub fn retrieve(account: &Account, id: &str) -> Result<Value, Failure> {
    account.events.get(id).cloned().ok_or_else(|| Failure::no_such("event", id))
}

pub fn list(account: &Account, params: &Params) -> Result<Value, Failure> {
    params.only(&[LIST.as_slice(), &["type"]].concat())?;
    let kind = params.get("type");
    list::page(&account.events, "/v1/events", params, |event| kind.is_none_or(|kind| event["type"] == kind))
}

/// Why a meter event is not counted.
pub struct MeterProblem {
    pub code: String,
    pub message: String,
    /// Of the meter event.
    pub identifier: String,
}

/// Tells of a meter event that was answered 200 and is not counted. Stripe posts a reference (a thin event); what it says is asked
/// for at `/v2/core/events/{id}`.
pub fn meter_problem(account: &mut Account, kind: &str, meter: Option<&str>, problem: &MeterProblem) {
    let MeterProblem { code, message, identifier } = problem;
    let (id, now) = (account.new_id("evt_test_"), account.now());
    let thin = json!({
        "id": id, "object": "v2.core.event", "type": kind, "created": instant(now), "livemode": false, "reason": null,
        "related_object": meter.map(|meter| json!({ "id": meter, "type": "billing.meter", "url": format!("/v1/billing/meters/{meter}") })),
    });
    let mut whole = thin.clone();
    whole["data"] = json!({
        "developer_message_summary": "There is 1 invalid event", "validation_start": instant(now - 10), "validation_end": instant(now),
        "reason": { "error_count": 1, "error_types": [{ "code": code, "error_count": 1,
            "sample_errors": [{ "error_message": message, "request": { "identifier": identifier } }] }] },
    });
    account.thin_events.add(whole);
    account.deliveries.push(Delivery { event: thin, attempts: 0 });
}

pub fn retrieve_thin(account: &Account, id: &str) -> Result<Value, Failure> {
    account.thin_events.get(id).cloned().ok_or_else(|| Failure::no_such("event", id))
}

/// Seconds since 1970 as `2026-11-21T10:00:00.000Z`: days since 0000-03-01 are counted in eras of 400 years.
pub fn instant(seconds: i64) -> String {
    let (days, rest) = (seconds.div_euclid(86_400) + 719_468, seconds.rem_euclid(86_400));
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let (year, month) = match month {
        0..=9 => (era * 400 + year_of_era, month + 3),
        _ => (era * 400 + year_of_era + 1, month - 9),
    };
    let (hour, minute, second) = (rest / 3_600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.000Z")
}

/// The seconds of an instant as it is written, fractions left out; its inverse.
pub fn seconds(text: &str) -> Option<i64> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let number = |part: Option<&str>| part?.parse::<i64>().ok();
    let mut parts = date.split('-');
    let (year, month, day) = (number(parts.next())?, number(parts.next())?, number(parts.next())?);
    let mut parts = time.split('.').next()?.split(':');
    let (hour, minute, second) = (number(parts.next())?, number(parts.next())?, number(parts.next())?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
    Some(days * 86_400 + hour * 3_600 + minute * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::{instant, seconds};

    #[test]
    fn instants_are_written_as_stripe_writes_them() {
        assert_eq!(instant(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(instant(1_709_210_096), "2024-02-29T12:34:56.000Z");
        assert_eq!(instant(1_798_761_599), "2026-12-31T23:59:59.000Z");
        for at in [0, 1_709_210_096, 1_798_761_599, 951_782_400, 4_107_542_399] {
            assert_eq!(seconds(&instant(at)), Some(at));
        }
        assert_eq!(seconds("2026-11-22T07:00:00Z"), Some(1_795_330_800));
        assert!(seconds("2026-11-22 07:00").is_none() && seconds("2026-13-22T07:00:00Z").is_none());
    }
}
