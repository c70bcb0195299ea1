//! What else can be seen: another time, another environment, and less or more than one product, app or key.

use super::{
    asked::{Asked, VIEWS},
    dimensions::singular,
};
use crate::{components::*, pages::time_text::period_text};
use domain::period::Period;
use jiff::{Timestamp, ToSpan, tz::TimeZone};
use leptos::prelude::*;

#[component]
pub(super) fn Picker(asked: Asked, periods: Vec<Period>, current: Period, zone: TimeZone) -> impl IntoView {
    let choice = |period: &Period| Choice::new(period.start.to_string(), period_text(*period, &zone));
    let choices: Vec<Choice> = periods.iter().map(choice).collect();
    let environments = vec![Choice::new("live", "Live"), Choice::new("test", "Test, never charged")];
    let views = VIEWS.iter().map(|(code, label, _)| Choice::new(*code, *label)).collect();
    let narrowed = asked.narrowed().into_iter().map(|(name, id)| view! { <input type="hidden" name=name value=id/> });
    view! {
        <FilterBar action="/usage" label="Choose what to see">
            <input type="hidden" name="by" value=asked.by/>
            {narrowed.collect_view()}
            <SelectField label="View" name="view" choices=views value=asked.view/>
            <SelectField label="Billing period" name="period" choices=choices value=current.start.to_string()/>
            <SelectField label="Environment" name="environment" choices=environments value=asked.environment.code()/>
            <Button>"Show"</Button>
        </FilterBar>
    }
}

/// What the page is narrowed to, each to be taken off.
#[component]
pub(super) fn Narrowed(asked: Asked, names: Vec<(&'static str, String)>) -> impl IntoView {
    let narrowed = asked.narrowed();
    let links = names.into_iter().map(|(code, name)| {
        let rest: Vec<_> = narrowed.iter().filter(|(other, _)| *other != code).cloned().collect();
        let label = singular(code);
        let name = if name.is_empty() { "nothing used here".to_owned() } else { name };
        view! {
            <ButtonLink href=asked.address(asked.at, asked.by, &rest) icon=IconName::Close>
                {format!("{label}: {name}")}
            </ButtonLink>
        }
    });
    let links: Vec<_> = links.collect();
    (!links.is_empty()).then(|| view! { <nav aria-label="Take off"><Cluster>{links.collect_view()}</Cluster></nav> })
}

#[component]
pub(super) fn DaysAround(asked: Asked, day: Period, now: Timestamp) -> impl IntoView {
    let narrowed = asked.narrowed();
    let before = day.start.checked_sub(1.second()).ok().map(|at| asked.address(Some(at), asked.by, &narrowed));
    let after = (day.end <= now).then(|| asked.address(Some(day.end), asked.by, &narrowed));
    view! { <Pagination previous=before next=after label="Days" summary=String::new()/> }
}
