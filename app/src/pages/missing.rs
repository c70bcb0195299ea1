//! What stands above figures of which some usage is missing: what is missing, and what becomes of it. Nothing, where nothing is.

use super::time_text::{local_date, local_time};
use crate::components::*;
use domain::period::Period;
use jiff::{Timestamp, tz::TimeZone};
use leptos::prelude::*;
use store::usage::{Completeness, Missing, MissingReason};

/// Stretches that are told one by one.
const MOST: usize = 3;

/// Who reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    Partner,
    /// Is told which gateway it is, and where to look.
    Operator,
}

#[component]
pub fn MissingNotice(known: Completeness, range: Period, zone: TimeZone, reader: Reader) -> impl IntoView {
    (!known.is_whole()).then(|| {
        let all = known.missing.len();
        let sentences: Vec<String> =
            known.missing.into_iter().take(MOST).map(|missing| sentence(&missing, range, &zone, reader)).collect();
        let more = (all > MOST).then(|| view! { <li>{format!("And {} more.", all - MOST)}</li> });
        let look = (reader == Reader::Operator)
            .then(|| view! { <p><a href="/console/reconciliation">"Look at what was compared"</a></p> });
        view! {
            <Notice tone=Tone::Warning title="Some usage is missing here">
                <ul class="missing">
                    {sentences.into_iter().map(|sentence| view! { <li>{sentence}</li> }).collect_view()}
                    {more}
                </ul>
                {look}
            </Notice>
        }
    })
}

/// One sentence or two, for people.
pub fn sentence(missing: &Missing, range: Period, zone: &TimeZone, reader: Reader) -> String {
    let Missing { range: stretch, reason, node, .. } = missing;
    let since = if stretch.start <= range.start {
        "in all of this time".to_owned()
    } else {
        format!("since {}", local_time(stretch.start, zone))
    };
    let between = format!("from {} to {}", moment(stretch.start, zone), moment(stretch.end, zone));
    match (reason, reader) {
        (MissingReason::NotReported, Reader::Partner) => {
            format!(
                "A gateway has not handed over its calls {since}. They are added when it does, and no bill is made before."
            )
        }
        (MissingReason::NotReported, Reader::Operator) => format!(
            "Gateway {node} has not handed over its calls {since}. Start it again; if it is gone for good, turnpike forget-node gives them up."
        ),
        (MissingReason::Lost, Reader::Partner) => {
            format!("Some calls {between} were lost in a gateway and cannot be counted. They are not billed.")
        }
        (MissingReason::Lost, Reader::Operator) => {
            format!("Some calls {between} were lost in gateway {node} and cannot be counted. They are not billed.")
        }
        (MissingReason::Unaccounted, _) => {
            format!("Fewer calls are stored {between} than were counted. Bills wait until somebody has looked.")
        }
    }
}

/// `20 Nov 2026, 23:04:11`, the year only where it says something.
fn moment(at: Timestamp, zone: &TimeZone) -> String {
    let (day, time) = (local_date(at, zone), local_time(at, zone));
    time.rsplit_once(' ').map_or(time.clone(), |(_, clock)| format!("{day}, {clock}"))
}
