//! A change of plan as it is shown before it is made: the terms before and after, when it is in force, and the money.

use crate::{
    components::*,
    pages::{
        pricing::{names::Names, offers, tier},
        time_text::{local_date, local_zone, moment, period_in_zone},
    },
};
use billing::Proposal;
use domain::{money::group_thousands, period::Period, plan::PlanTerms, plan_change::Direction, rating::FeeDue};
use jiff::tz::TimeZone;
use leptos::prelude::*;

/// A preview, with only what the viewer may know of.
pub struct Shown {
    pub proposal: Proposal,
    pub old: Option<PlanTerms>,
    pub new: Option<PlanTerms>,
    /// Code and name of the products that the viewer may know of.
    pub products: Vec<(String, String)>,
    /// For prices of meters and operations.
    pub names: Names,
    /// Whether the partner itself looks.
    pub own: bool,
}

impl Shown {
    fn zone(&self) -> TimeZone {
        local_zone(&self.proposal.time_zone)
    }

    fn from(&self) -> String {
        self.proposal.from.as_ref().map_or_else(|| "No plan".to_owned(), |own| own.plan_name.clone())
    }

    fn to(&self) -> String {
        self.proposal.to.as_ref().map_or_else(|| "No plan".to_owned(), |target| target.name.clone())
    }

    /// The terms beside each other.
    pub fn terms(&self) -> impl IntoView + use<> {
        beside((self.from(), self.to()), self.old.as_ref(), self.new.as_ref(), &self.products, &self.names)
    }

    /// When it is in force, and what is due.
    pub fn facts(&self) -> impl IntoView + use<> {
        let (proposal, zone) = (&self.proposal, self.zone());
        let preview = &proposal.preview;
        let when = match (proposal.needs_approval, preview.at_once) {
            (true, true) => "When the provider approves it; these figures are as of now".to_owned(),
            (true, false) => {
                "When the period ends in which the provider approves it; these figures are as of now".to_owned()
            }
            (_, true) => format!("At once, from {}", moment(preview.effective_at, &zone)),
            (_, false) => format!("On {}, when the period ends", moment(preview.effective_at, &zone)),
        };
        let mut facts = vec![("Takes effect", when)];
        match preview.period {
            Some(whole) if preview.counts_from == Some(preview.effective_at) => {
                let rest = Period { start: preview.effective_at, ..whole };
                let (rest, whole) = (period_in_zone(rest, &zone), period_in_zone(whole, &zone));
                facts.push(("Billing period", format!("{rest}, as the rest of {whole}")));
            }
            Some(whole) if preview.direction != Direction::Start => {
                facts.push(("Billing period", period_in_zone(whole, &zone)));
            }
            _ => {}
        }
        if let (Some(fee), Some(own)) = (preview.old_fee, &proposal.from) {
            facts.push(("Base fee until then", format!("{fee} for {}", own.plan_name)));
        }
        if let Some(so_far) = proposal.so_far {
            let what = if preview.at_once { "Invoice up to the change" } else { "Bill so far" };
            facts.push((
                what,
                format!("{so_far}, fees and usage until now that are on no invoice; it grows with usage"),
            ));
        }
        if let Some(back) = preview.given_back {
            facts.push(("Given back", format!("{back} of the fee that was billed in advance, on the next invoice")));
        }
        if preview.bonus_back > 0 {
            let units = group_thousands(preview.bonus_back);
            let text = format!(
                "Up to {units} units of the bonus for that fee: those for the time that does not run, as far as they are unused"
            );
            facts.push(("Bonus that goes back", text));
        }
        if let (Some(until), Some(to)) = (preview.trial_until, &proposal.to) {
            let what = tier::trial(&to.terms).unwrap_or_default();
            let text = format!(
                "{what}, until {}. The first {} that is paid begins then.",
                moment(until, &zone),
                to.terms.interval.word()
            );
            facts.push(("Trial", text));
        }
        if let (Some(first), Some(fee)) = (preview.first_fee, preview.fee) {
            let each = preview.cycle.as_ref().map_or("period", |cycle| cycle.interval.word());
            let ahead = proposal.to.as_ref().is_some_and(|to| to.terms.fee_due == FeeDue::Advance);
            let due = format!("billed when the {each} {}", if ahead { "begins" } else { "ends" });
            let mut text = if first == fee {
                format!("{fee} a {each}, {due}")
            } else {
                format!("{first} for the first period, {due}; then {fee} a {each}")
            };
            for later in &preview.later_fees {
                text.push_str(&format!("; from {} {} a {each}", local_date(later.from, &zone), later.fee));
            }
            facts.push(("Fee of the new plan", text));
        }
        if preview.bonus_first > 0 {
            let units = group_thousands(preview.bonus_first);
            let text =
                format!("{units} units of prepaid credit for the fee of the first period, once its invoice is paid");
            facts.push(("Bonus", text));
        }
        if let Some(quota) = preview.quota_first {
            let text = format!("{} units in all until {}", group_thousands(quota.units), moment(quota.until, &zone));
            let label = if preview.at_once { "Quota of the running period" } else { "Quota of the first period" };
            facts.push((label, text));
        }
        if let Some(until) = preview.kept_until {
            let limits: Vec<String> = preview.limits_kept.iter().map(ToString::to_string).collect();
            let limits = if limits.is_empty() { "no limits".to_owned() } else { limits.join(", ") };
            let text = format!(
                "{} and the features of {} until {}; fee, prices, quota and products are those of {} from the change on",
                limits,
                self.from(),
                moment(until, &zone),
                self.to()
            );
            facts.push(("Kept for some days", text));
        }
        for (label, codes) in [("Products gained", &preview.gained), ("Products lost", &preview.lost)] {
            let known = |code: &String| self.products.iter().find(|(own, _)| own == code).map(|(_, name)| name.clone());
            let names: Vec<String> = codes.iter().filter_map(known).collect();
            if !names.is_empty() && preview.direction != Direction::Start {
                facts.push((label, names.join(", ")));
            }
        }
        let facts = facts
            .into_iter()
            .map(|(label, text)| view! { <Description label=label>{text}</Description> })
            .collect_view();
        let whose = if self.own { "your keys" } else { "the partner's keys" };
        let ends = (preview.direction == Direction::Cancel).then(|| {
            format!(
                "Until then nothing changes. After that, calls with {whose} are refused with 403. Keys, apps, people, \
                 usage and invoices are kept, and the keys work again with the next plan. A last invoice follows."
            )
        });
        let kept = (preview.direction == Direction::Downgrade && !preview.at_once && !proposal.needs_approval)
            .then_some("Until then limits and price stay as they are, and the change can be taken back.");
        let replaced = proposal.replaces.as_ref().map(|change| {
            let what = change
                .to
                .as_ref()
                .map_or_else(|| "the planned end".to_owned(), |to| format!("the planned change to {}", to.name));
            format!("It takes the place of {what} on {}.", moment(change.effective_at, &zone))
        });
        view! {
            <DescriptionList>{facts}</DescriptionList>
            {[ends, kept.map(str::to_owned), replaced].into_iter().flatten().map(|text| view! { <p>{text}</p> }).collect_view()}
        }
    }
}

/// The terms of two plans of those names beside each other; of their products those that are given, by code and name.
pub fn beside(
    plans: (String, String),
    old: Option<&PlanTerms>,
    new: Option<&PlanTerms>,
    products: &[(String, String)],
    names: &Names,
) -> impl IntoView + use<> {
    let none = |text: String| if text.is_empty() { "None".to_owned() } else { text };
    type Read = fn(&PlanTerms, &Names) -> String;
    let lines: [(&'static str, Read); 5] = [
        ("Base fee", |terms, _| format!("{} a {}", terms.base_fee(), tier::interval(terms.interval))),
        ("Offers", |terms, names| offers::all(terms, names).join(". ")),
        ("Usage", |terms, names| tier::usage_price(terms, names).join(". ")),
        ("Limits", |terms, _| tier::limits(terms).join(", ")),
        ("Quota", |terms, _| tier::quota(terms).unwrap_or_default()),
    ];
    let read = |terms: Option<&PlanTerms>, read: Read| terms.map_or("—".to_owned(), |terms| none(read(terms, names)));
    let mut rows: Vec<(&'static str, String, String)> =
        lines.into_iter().map(|(label, each)| (label, read(old, each), read(new, each))).collect();
    let opened = |terms: Option<&PlanTerms>| {
        terms.map_or("—".to_owned(), |terms| {
            let known = |grant: &domain::plan::Grant| {
                let (_, name) = products.iter().find(|(code, _)| *code == grant.product)?;
                Some(match grant.operations.as_ref().map(Vec::len) {
                    None => format!("{name}: all operations"),
                    Some(1) => format!("{name}: 1 operation"),
                    Some(some) => format!("{name}: {some} operations"),
                })
            };
            none(terms.products.iter().filter_map(known).collect::<Vec<_>>().join(", "))
        })
    };
    rows.push(("Products", opened(old), opened(new)));
    // Beside no plan there is nothing to compare, and two versions of one plan have the same name.
    let compares = old.is_some();
    let (from, to) = match plans {
        (from, to) if from == to => ("Before".to_owned(), "After".to_owned()),
        plans => plans,
    };
    let rows = rows.into_iter().map(|(label, before, after)| {
        let before = compares.then(|| view! { <Cell label=from.clone()>{before}</Cell> });
        view! {
            <tr>
                <Cell label="" head=true>{label}</Cell>
                {before}
                <Cell label=to.clone()>{after}</Cell>
            </tr>
        }
    });
    let rows = rows.collect_view();
    let mut columns = vec![Column::text("Terms"), Column::text(from), Column::text(to)];
    if !compares {
        columns.remove(1);
    }
    view! {
        <Card title=if compares { "What changes" } else { "The terms" } flush=true>
            <DataTable caption="The terms" caption_hidden=true columns=columns stack=true>
                {rows}
            </DataTable>
        </Card>
    }
}
