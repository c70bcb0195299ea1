//! The way of a call, from the meter to the invoice and to Stripe, in steps: on the partner's page of the call and on the operator's.

mod invoiced;

pub use invoiced::StripeId;

use crate::{
    components::*,
    pages::time_text::{moment, period_in_zone},
};
use domain::{id::PartnerId, key_text::Environment, money::group_thousands};
use invoiced::{adjusted, named, on_invoice, threshold, units};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use leptos::prelude::*;
use store::trace::{TracedBilling, TracedCall, TracedCorrection, TracedInvoice, Unbilled};

/// Who reads it, and in which time zone.
#[derive(Debug, Clone)]
pub struct WayReader {
    pub sees: Sees,
    pub zone: TimeZone,
    pub now: Timestamp,
    /// Whether invoices that nobody has taken go to Stripe.
    pub stripe_is_on: bool,
    /// How long after its end a period's invoice waits for usage that comes late.
    pub closing_grace: SignedDuration,
}

/// Which invoices the reader may open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sees {
    /// None: the roles without billing are told that there is one, and not which.
    NoInvoices,
    Own,
    /// An operator's.
    All,
}

impl Sees {
    fn invoice(self, partner: PartnerId, invoice: &TracedInvoice) -> String {
        match self {
            Self::All => format!("/console/partners/{partner}/invoices/{}", invoice.id),
            Self::Own | Self::NoInvoices => format!("/invoices/{}", invoice.id),
        }
    }
}

struct Step {
    title: &'static str,
    tone: Tone,
    text: AnyView,
}

impl Step {
    fn done(title: &'static str, text: impl IntoView + 'static) -> Self {
        Self { title, tone: Tone::Success, text: text.into_any() }
    }

    /// It comes by itself.
    fn waits(title: &'static str, text: impl IntoView + 'static) -> Self {
        Self { title, tone: Tone::Info, text: text.into_any() }
    }

    /// Nothing follows, and nothing has to.
    fn ends(title: &'static str, text: impl IntoView + 'static) -> Self {
        Self { title, tone: Tone::Neutral, text: text.into_any() }
    }
}

#[component]
pub fn CallWay(
    call: TracedCall,
    /// What the event is called.
    #[prop(into)]
    event: String,
    reader: WayReader,
) -> impl IntoView {
    let steps = listed(steps(&call, event, &reader));
    view! {
        <Card title="From call to invoice" description="Where this call was counted, and what became of it.">
            {steps}
        </Card>
    }
}

fn listed(steps: Vec<Step>) -> AnyView {
    let steps = steps.into_iter().map(|Step { title, tone, text }| {
        view! {
            <li class=tone.class()>
                <p class="timeline-title">{title}</p>
                <div class="timeline-detail">{text}</div>
            </li>
        }
    });
    view! { <ol class="timeline">{steps.collect_view()}</ol> }.into_any()
}

fn steps(call: &TracedCall, event: String, reader: &WayReader) -> Vec<Step> {
    let mut steps = vec![metered(call, event, reader)];
    steps.extend(call.corrections.iter().map(|one| corrected(call.partner, one, reader)));
    if let Some(why) = call.unbilled() {
        steps.push(Step::ends("Not billed", unbilled(why, &call.outcome)));
        return steps;
    }
    if call.credits > 0 {
        let text = match call.credits == call.units {
            true => {
                "Prepaid credit paid for all its units: they are on the invoice, and cost nothing there.".to_owned()
            }
            false => format!(
                "Prepaid credit paid for {}: they are on the invoice with the others, and cost nothing there.",
                of_all(call.credits, call.units)
            ),
        };
        steps.push(Step::done("Paid with credit", text));
    }
    match &call.billing {
        // Unbilled, and told above.
        None => {}
        Some(TracedBilling::Open { stretch, .. }) => {
            let text = format!("{}. It is not closed yet.", period_in_zone(*stretch, &reader.zone));
            steps.push(Step::done("Billing period", text));
            for invoice in &call.thresholds {
                steps.extend(threshold(call.partner, invoice, reader));
            }
            let end = moment(stretch.end, &reader.zone);
            let closes = stretch.end.saturating_add(reader.closing_grace).unwrap_or(Timestamp::MAX);
            let waits = format!("the invoice waits until {} for usage that comes late.", moment(closes, &reader.zone));
            let text = match (reader.now < stretch.end, reader.now < closes) {
                (true, _) => format!("The period ends on {end}; {waits}"),
                (false, true) => format!("The period ended on {end}; {waits}"),
                (false, false) => {
                    format!("The period ended on {end}; the invoice is made as soon as all of its usage is in.")
                }
            };
            steps.push(Step::waits("Invoice", text));
        }
        Some(TracedBilling::Closed { stretch, invoice }) => {
            let text = format!("{}. It is closed.", period_in_zone(*stretch, &reader.zone));
            steps.push(Step::done("Billing period", text));
            if let Some(late) = &call.late {
                let text =
                    "It came when its period was closed. That invoice stands, and a later one has the difference.";
                steps.push(Step::done("Came late", text));
                steps.extend(adjusted(call.partner, late.invoice.as_ref(), reader));
                return steps;
            }
            for invoice in &call.thresholds {
                steps.extend(threshold(call.partner, invoice, reader));
            }
            match invoice {
                Some(invoice) => steps.extend(on_invoice(call.partner, invoice, reader)),
                None => steps.push(Step::ends("Invoice", "Nothing was owed for this period, so none was made.")),
            }
        }
    }
    steps
}

fn metered(call: &TracedCall, event: String, reader: &WayReader) -> Step {
    let hour = moment(call.hour, &reader.zone);
    let told = match &call.source {
        Some(source) => format!("Reported by {source}, and counted"),
        None => "Recorded before its answer was handed over, and counted".to_owned(),
    };
    let text = format!("{told} as {} in the hour that begins at {hour}. Event ", units(call.units));
    Step::done("Metered", view! { <p>{text} <code>{event}</code></p> })
}

fn corrected(partner: PartnerId, one: &TracedCorrection, reader: &WayReader) -> Step {
    let did = if one.is_revert { "A correction was taken back" } else { "It was corrected" };
    let sign = if one.units < 0 { "−" } else { "+" };
    let text = format!(
        "{did} on {}: {sign}{}. {}.",
        moment(one.at, &reader.zone),
        units(one.units.unsigned_abs()),
        one.reason.trim().trim_end_matches('.')
    );
    let place = match (&one.invoice, one.in_place) {
        (_, true) => "All figures have it.".into_any(),
        (Some(invoice), false) => {
            view! { "Its period was closed: the difference is on " {named(partner, invoice, reader)} "." }.into_any()
        }
        (None, false) if one.units == 0 => "Its period was closed, and no bill changes.".into_any(),
        (None, false) => "Its period was closed: the difference is on the next invoice.".into_any(),
    };
    Step::done("Corrected", view! { <p>{text} " " {place}</p> })
}

fn unbilled(why: Unbilled, outcome: &str) -> &'static str {
    match why {
        Unbilled::TestKey => "A test key made it: test calls are never on an invoice.",
        Unbilled::Refused => "It was refused, and a refused call costs nothing.",
        Unbilled::NoUnits => match outcome {
            "upstream_failed" => "The API behind the gateway failed, so the call costs nothing.",
            "client_gone" => "The client went away before it had an answer, so the call costs nothing.",
            "replayed" => "It was the answer of an earlier call once more, which is on the invoice with that one.",
            _ => "It costs no units.",
        },
        Unbilled::TakenBack => "A correction took its units back before the period was closed.",
        Unbilled::NoSubscription => "There was no plan at that time, so no invoice is made for it.",
    }
}

/// What came when its period was closed: the later invoice that has it.
pub fn adjusted_way(partner: PartnerId, invoice: Option<&TracedInvoice>, reader: &WayReader) -> AnyView {
    listed(adjusted(partner, invoice, reader))
}

fn of_all(part: u64, all: u64) -> String {
    format!("{} of its {} units", group_thousands(part), group_thousands(all))
}

/// What of an event stands where an operator has no other name of it.
pub fn event_text(call: &TracedCall) -> String {
    let environment = if call.environment == Environment::Test { ", test" } else { "" };
    match &call.source {
        Some(source) => format!("told by {source}{environment}"),
        None => format!("{}, lane {}, record {}{environment}", call.node, call.lane, call.sequence),
    }
}
