//! Corrections as the partner reads them: on the page of its usage, and of a call.

use crate::{components::*, pages::time_text::local_date};
use billing::BilledOn;
use domain::{correction::State, money::group_thousands};
use jiff::tz::TimeZone;
use leptos::prelude::*;
use store::corrections::{Correction, CorrectionLine};

/// What was put right of this time, in words.
#[component]
pub fn Corrected(corrections: Vec<Correction>, zone: TimeZone) -> impl IntoView {
    if corrections.is_empty() {
        return None;
    }
    let lines = corrections.into_iter().map(|correction| {
        let told = correction_text(&correction, &zone);
        view! { <li>{told}</li> }
    });
    let lines = lines.collect_view();
    Some(view! {
        <Card title="Corrections" description="Usage of this time that the provider put right.">
            <Prose><ul>{lines}</ul></Prose>
        </Card>
    })
}

/// `14 Mar 2026: −20 units, because the batch was sent twice. On the next invoice: its period was closed.`
fn correction_text(correction: &Correction, zone: &TimeZone) -> String {
    let dry_run: Option<billing::DryRun> = serde_json::from_value(correction.dry_run.clone()).ok();
    let day = correction.applied.as_ref().map(|person| local_date(person.at, zone)).unwrap_or_default();
    let units = dry_run.as_ref().map_or(0, |run| run.units_after.saturating_sub(run.units_before));
    let sign = if units < 0 { "−" } else { "+" };
    let units = match units.unsigned_abs() {
        0 => "no units".to_owned(),
        1 => format!("{sign}1 unit"),
        count => format!("{sign}{} units", group_thousands(count)),
    };
    let reason = correction.new.reason.trim().trim_end_matches('.');
    let on: Vec<BilledOn> = dry_run.iter().flat_map(|run| run.bills.iter().map(|bill| run.billed_on(bill))).collect();
    let place = match (on.contains(&BilledOn::Final), on.contains(&BilledOn::Next)) {
        (true, true) => " Closed invoices stand; the differences are on the next one and on a final one, by currency.",
        (true, false) => " A closed invoice stands; the difference is on a final one.",
        (false, true) => " A closed invoice stands; the difference is on the next one.",
        (false, false) => "",
    };
    let undone = match &correction.ended {
        Some((person, why)) => {
            format!(" Taken back on {}: {}.", local_date(person.at, zone), why.trim().trim_end_matches('.'))
        }
        None => String::new(),
    };
    format!("{day}: {units}. {reason}.{place}{undone}")
}

/// What corrections did to one call: `−5 units on 14 Mar 2026. Sent twice`.
pub fn call_text(line: &CorrectionLine, zone: &TimeZone) -> String {
    let day = line.applied_at.map(|at| local_date(at, zone)).unwrap_or_default();
    let sign = if line.units < 0 { "−" } else { "+" };
    let what = match (line.calls, line.units.unsigned_abs()) {
        (..0, 0) => "voided".to_owned(),
        (..0, 1) => format!("voided, {sign}1 unit"),
        (..0, count) => format!("voided, {sign}{} units", group_thousands(count)),
        (_, 1) => format!("{sign}1 unit"),
        (_, count) => format!("{sign}{} units", group_thousands(count)),
    };
    let place = if line.in_place { "" } else { ", with the next invoice" };
    let undone = if line.state == State::Reverted { " Taken back since." } else { "" };
    format!("{day}: {what}{place}. {}.{undone}", line.reason.trim().trim_end_matches('.'))
}
