//! `/console/plans/{plan}/impact`: who is on the plan, and what the last billing period would have cost them by other terms: those that
//! were typed (`?terms=`), or the newest version's.

use crate::{
    api::plans::save,
    components::*,
    flash::flash,
    frames::OperatorFrame,
    page::{PageError, PageTitle, page},
    pages::{
        pricing::{names::Names, offers, tier},
        time_text::{local_zone, period_in_zone},
    },
    viewer,
};
use billing::{Affected, After, Impact, MOST_RATED};
use domain::{id::PlanId, money::Money, plan::PlanTerms, role::OperatorRole};
use leptos::prelude::*;
use leptos_router::hooks::{use_params_map, use_query_map};

#[component]
pub fn PlanImpactPage() -> impl IntoView {
    let cx = viewer::operator();
    let id = use_params_map().get_untracked().get("plan");
    let draft = use_query_map().get_untracked().get("terms");
    let problems = flash().problems;
    page(async move {
        let cx = cx?;
        let id: PlanId = id.and_then(|id| id.parse().ok()).ok_or(PageError::NotFound)?;
        let plan = cx.state.store.plan(id).await?;
        let newest = plan.newest().map(|newest| newest.terms.clone()).ok_or(PageError::NotFound)?;
        let terms: PlanTerms = match &draft {
            Some(name) => {
                let form = save::kept(&id.to_string(), name).ok_or(PageError::NotFound)?;
                save::whole(&cx.state.store, &form).await.map_err(|_| PageError::NotFound)?.1
            }
            None => newest,
        };
        let impact = billing::impact(&cx.state.store, id, &terms, cx.now).await.map_err(|error| {
            tracing::error!(%error, "terms cannot be tried");
            PageError::Unavailable
        })?;
        let back = format!("/console/plans/{id}");
        let words = terms_words(&terms);
        let may_save = cx.viewer.role == OperatorRole::Admin;
        let next = draft.filter(|_| may_save).map(|draft| publish(id, draft, &back));
        let title = "What other terms would cost";
        Ok(view! {
            <PageTitle text=title/>
            <OperatorFrame cx=cx path="/console/plans">
                <Breadcrumbs trail=vec![Crumb::new("Plans", "/console/plans"), Crumb::new(plan.meta.name.clone(), back)] current=title/>
                <PageHeader
                    title=title
                    description="The last full billing period of each partner, priced with its own terms and with these. Looking saves nothing and changes no bill."
                />
                <ErrorSummary problems=problems/>
                <Card title="The terms">{words}</Card>
                <Partners impact=impact/>
                {next}
            </OperatorFrame>
        })
    })
}

pub fn terms_words(terms: &PlanTerms) -> impl IntoView + use<> {
    let price = format!("{} {}", tier::price(terms), tier::price_note(terms));
    let codes = Names::codes();
    let rows = [
        ("Price", vec![price]),
        ("Offers", offers::all(terms, &codes)),
        ("Usage", tier::usage_price(terms, &codes)),
        ("Limits", tier::limits(terms)),
    ];
    let quota = ("Quota", tier::quota(terms).into_iter().collect());
    let rows = rows.into_iter().chain([quota]).filter(|(_, lines): &(_, Vec<String>)| !lines.is_empty());
    let rows = rows.map(|(term, lines)| view! { <Description label=term>{lines.join("; ")}</Description> });
    let rows = rows.collect_view();
    view! { <DescriptionList>{rows}</DescriptionList> }
}

#[component]
fn Partners(impact: Impact) -> impl IntoView {
    if impact.partners.is_empty() {
        return view! {
            <Card>
                <EmptyState title="Nobody is on this plan" text="A partner who chooses it gets the newest version." icon=IconName::Layers/>
            </Card>
        }
        .into_any();
    }
    let rest = impact.partners_in_all.saturating_sub(u64::from(MOST_RATED));
    let [before, after, difference] = sums(&impact);
    let rows = impact.partners.into_iter().map(row).collect_view();
    view! {
        <Card title="Partners on the plan" flush=true>
            <DataTable
                caption="What the last billing period would have cost"
                caption_hidden=true
                columns=vec![
                    Column::text("Partner"),
                    Column::numeric("Version"),
                    Column::text("Period"),
                    Column::numeric("Units"),
                    Column::numeric("Now"),
                    Column::numeric("With these terms"),
                    Column::numeric("Difference"),
                ]
                stack=true
                foot=move || view! {
                    <tr>
                        <Cell label="Partner" head=true>"All who can be compared"</Cell>
                        <Cell numeric=true>{None::<String>}</Cell>
                        <Cell>{None::<String>}</Cell>
                        <Cell numeric=true>{None::<String>}</Cell>
                        <Cell label="Now" numeric=true>{before.clone()}</Cell>
                        <Cell label="With these terms" numeric=true>{after.clone()}</Cell>
                        <Cell label="Difference" numeric=true>{difference.clone()}</Cell>
                    </tr>
                }
            >
                {rows}
            </DataTable>
            {(rest > 0).then(|| view! { <p class="invoice-note">{format!("{rest} more partners are on the plan and not in this list or its sums.")}</p> })}
        </Card>
    }
    .into_any()
}

fn row(affected: Affected) -> impl IntoView {
    let href = format!("/console/partners/{}", affected.partner);
    let period = period_in_zone(affected.period, &local_zone("UTC"));
    let (after, differs) = with_these_terms(affected.after, affected.before);
    let before = affected.before.map_or("—".to_owned(), |before| before.to_string());
    view! {
        <tr>
            <Cell label="Partner" head=true><a href=href>{affected.name}</a></Cell>
            <Cell label="Version" numeric=true>{affected.version}</Cell>
            <Cell label="Period">{period}</Cell>
            <Cell label="Units" numeric=true><Figure value=affected.units/></Cell>
            <Cell label="Now" numeric=true>{before}</Cell>
            <Cell label="With these terms" numeric=true>{after}</Cell>
            <Cell label="Difference" numeric=true>{differs}</Cell>
        </tr>
    }
}

/// What a period would have cost with other terms, and by how much that differs; or why that cannot be told.
pub fn with_these_terms(after: After, before: Option<Money>) -> (String, String) {
    match after {
        After::Comparable(after) => {
            (after.to_string(), before.map_or("—".to_owned(), |before| difference(before, after)))
        }
        After::OtherCurrency(after) => (after.to_string(), "Another currency".to_owned()),
        After::OtherInterval => ("—".to_owned(), "Another billing period".to_owned()),
        After::TooLarge => ("—".to_owned(), "Too large".to_owned()),
        After::New => ("—".to_owned(), "No full period yet".to_owned()),
    }
}

/// What all who can be compared would have paid, before and after, and by how much that differs; nothing where nobody can be.
pub fn sums(impact: &Impact) -> [String; 3] {
    let (before, after) = (impact.before, impact.after);
    match impact.partners.iter().any(|own| matches!(own.after, After::Comparable(_))) {
        true => [before.to_string(), after.to_string(), difference(before, after)],
        false => ["—"; 3].map(str::to_owned),
    }
}

/// `+$5.00`, `−$3.00` or `None`.
pub fn difference(before: Money, after: Money) -> String {
    let micros = after.micros.saturating_sub(before.micros);
    let plus = if micros > 0 { "+" } else { "" };
    match micros {
        0 => "None".to_owned(),
        _ => format!("{plus}{}", Money { micros, ..after }),
    }
}

fn publish(plan: PlanId, draft: String, back: &str) -> impl IntoView + use<> {
    let back = back.to_owned();
    view! {
        <Card title="Save" description="The whole form is saved, and the terms become the plan's next version. Partners stay on theirs until you move them.">
            <Form action="/do/console/plans/publish">
                <input type="hidden" name="plan" value=plan.to_string()/>
                <input type="hidden" name="terms" value=draft/>
                <FormActions cancel=back><Button kind=ButtonKind::Primary>"Save"</Button></FormActions>
            </Form>
        </Card>
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{id::PartnerId, money::Currency, period::Period};
    use jiff::Timestamp;

    fn money(micros: i64) -> Money {
        Money::new(Currency::Usd, micros)
    }

    #[test]
    fn sums_are_of_those_who_can_be_compared_or_of_nobody() {
        let period = Period { start: Timestamp::UNIX_EPOCH, end: Timestamp::MAX };
        let own = |before, after| Affected {
            partner: PartnerId(uuid::Uuid::nil()),
            name: String::new(),
            version: 1,
            period,
            units: 0,
            before,
            after,
        };
        let of = |partners, micros| Impact { partners, partners_in_all: 1, before: money(0), after: money(micros) };
        assert_eq!(sums(&of(vec![own(None, After::New)], 0)), ["—"; 3]);
        let compared = own(Some(money(0)), After::Comparable(money(5_000_000)));
        assert_eq!(sums(&of(vec![compared], 5_000_000)), ["$0.00", "$5.00", "+$5.00"]);
    }

    #[test]
    fn a_difference_has_its_sign() {
        let of = |before, after| difference(money(before), money(after));
        assert_eq!([of(0, 5_000_000), of(5_000_000, 2_000_000), of(7, 7)], ["+$5.00", "−$3.00", "None"]);
    }
}
