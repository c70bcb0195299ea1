//! Who may choose a private plan, and what a partner's own plan has otherwise than the one it was derived from.

use crate::{
    components::*,
    pages::pricing::difference::{Difference, differences},
};
use domain::id::{PartnerId, PlanId};
use leptos::prelude::*;
use store::{NamedPlan, Plan, PlanOrigin};

/// On a private plan's page: the partners who see it, and a list to name one more.
pub fn named(plan: PlanId, named: Vec<(PartnerId, String)>, partners: Vec<Choice>, is_own: bool) -> impl IntoView {
    let rows = named
        .into_iter()
        .map(|(partner, name)| {
            view! {
                <li>
                    <Cluster>
                        <a href=format!("/console/partners/{partner}")>{name}</a>
                        <Form action="/do/console/plans/unname" inline=true>
                            <input type="hidden" name="plan" value=plan.to_string()/>
                            <input type="hidden" name="partner" value=partner.to_string()/>
                            <Button size=Size::Small>"Take back"</Button>
                        </Form>
                    </Cluster>
                </li>
            }
        })
        .collect_view();
    let one_more = (!is_own).then(|| {
        view! {
            <Form action="/do/console/plans/name" inline=true>
                <input type="hidden" name="plan" value=plan.to_string()/>
                <SelectField label="Partner" name="partner" choices=partners blank="Choose a partner"/>
                <Button>"Let it choose the plan"</Button>
            </Form>
        }
    });
    view! {
        <Card title="Partners who may choose it" description="They see it among the plans; nobody else does. Taking it back moves nobody off the plan.">
            <Stack>
                <ul>{rows}</ul>
                {one_more}
            </Stack>
        </Card>
    }
}

/// On the page of a partner's own plan: where it comes from.
pub fn origin(plan: &Plan, origin: PlanOrigin) -> impl IntoView + use<> {
    let differs = plan.newest().map(|newest| differences(&origin.terms, &newest.terms)).unwrap_or_default();
    let newer = (origin.newest_version > origin.version).then(|| {
        format!("{} has version {} by now; this plan does not follow it.", origin.plan_name, origin.newest_version)
    });
    let same = differs.is_empty();
    let rows = differs.into_iter().map(row).collect_view();
    let base = format!("{}, version {}", origin.plan_name, origin.version);
    view! {
        <Card title="One partner's own terms" flush=true>
            <p class="invoice-note">
                "Of " <a href=format!("/console/partners/{}", origin.partner)>{origin.partner_name}</a> ", derived from "
                <a href=format!("/console/plans/{}", origin.plan)>{base.clone()}</a> ". " {newer}
            </p>
            {if same {
                view! { <p class="invoice-note">"Nothing is otherwise than there."</p> }.into_any()
            } else {
                view! {
                    <DataTable
                        caption="What is otherwise"
                        caption_hidden=true
                        columns=vec![Column::text("Terms"), Column::text(base), Column::text("Here")]
                        stack=true
                    >
                        {rows}
                    </DataTable>
                }
                .into_any()
            }}
        </Card>
    }
}

fn row(one: Difference) -> impl IntoView {
    view! {
        <tr>
            <Cell label="Terms" head=true>{one.what}</Cell>
            <Cell label="Before">{one.before}</Cell>
            <Cell label="Here">{one.after}</Cell>
        </tr>
    }
}

/// On a partner's page: private plans that it may choose, and the way to terms of its own.
pub fn own_terms(partner: PartnerId, named: Vec<NamedPlan>, plans: &[Plan]) -> impl IntoView + use<> {
    let rows = named
        .into_iter()
        .map(|plan| {
            let mark = plan.own.then(|| view! { " " <Badge text="Its own"/> });
            view! { <li><a href=format!("/console/plans/{}", plan.id)>{plan.name}</a> " " <code>{plan.code}</code> {mark}</li> }
        })
        .collect_view();
    let versions = plans.iter().filter(|plan| plan.archived_at.is_none()).flat_map(|plan| {
        plan.versions.iter().map(move |version| {
            Choice::new(version.id.to_string(), format!("{}, version {}", plan.meta.name, version.version))
        })
    });
    let choices: Vec<Choice> = versions.collect();
    let none = choices.is_empty();
    view! {
        <Card title="Private plans and own terms" description="Other prices or limits for this partner alone: a private plan that begins with the terms of a version.">
            <Stack>
                <ul>{rows}</ul>
                {(!none)
                    .then(|| view! {
                        <form class="form form-inline" method="get" action="/console/plans/new">
                            <input type="hidden" name="for" value=partner.to_string()/>
                            <SelectField label="Begin with" name="from" id="own-terms-from" choices=choices blank="Choose a version"/>
                            <Button>"Give own terms"</Button>
                        </form>
                    })}
            </Stack>
        </Card>
    }
}
