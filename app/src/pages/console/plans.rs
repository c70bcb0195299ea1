//! `/console/plans`: the tiers, in the pricing page's order.

use crate::{
    components::*,
    frames::OperatorFrame,
    page::{PageTitle, page},
    pages::pricing::tier,
    viewer,
};
use domain::plan::Approval;
use leptos::prelude::*;
use store::Plan;

#[component]
pub fn AllPlansPage() -> impl IntoView {
    let cx = viewer::operator();
    page(async move {
        let cx = cx?;
        let plans = cx.state.store.all_plans().await?;
        let empty = plans.is_empty();
        let rows = plans.into_iter().map(row).collect_view();
        Ok(view! {
            <PageTitle text="Plans"/>
            <OperatorFrame cx=cx path="/console/plans">
                <PageHeader title="Plans" description="Tiers: what each opens, how often it may be called, and what that costs.">
                    <ButtonLink href="/console/plans/new" kind=ButtonKind::Primary icon=IconName::Plus>"Add plan"</ButtonLink>
                </PageHeader>
                <Card flush=true>
                    {if empty {
                        view! {
                            <EmptyState title="No plans yet" text="Add a tier; partners choose one before they can call." icon=IconName::Layers>
                                <ButtonLink href="/console/plans/new" kind=ButtonKind::Primary>"Add plan"</ButtonLink>
                            </EmptyState>
                        }
                        .into_any()
                    } else {
                        view! {
                            <DataTable
                                caption="Plans"
                                caption_hidden=true
                                columns=vec![
                                    Column::text("Plan"),
                                    Column::text("Price"),
                                    Column::text("In force"),
                                    Column::numeric("Version"),
                                    Column::numeric("Partners"),
                                ]
                                stack=true
                            >
                                {rows}
                            </DataTable>
                        }
                        .into_any()
                    }}
                </Card>
            </OperatorFrame>
        })
    })
}

fn row(plan: Plan) -> impl IntoView {
    let href = format!("/console/plans/{}", plan.id);
    let partners: u64 = plan.versions.iter().map(|version| version.partners).sum();
    let newest = plan.newest().cloned();
    let version = newest.as_ref().map_or(0, |newest| newest.version);
    let price = newest
        .map(|newest| format!("{} {}", tier::price(&newest.terms), tier::price_note(&newest.terms)))
        .unwrap_or_default();
    let approval = match plan.meta.approval {
        Approval::Automatic => "At once",
        Approval::Queue => "After approval",
    };
    let marks = match (plan.archived_at, plan.meta.private) {
        (Some(_), _) => Some("Archived"),
        (None, true) => Some("Private"),
        (None, false) => None,
    };
    view! {
        <tr>
            <Cell label="Plan" head=true><a href=href>{plan.meta.name}</a> {marks.map(|text| view! { " " <Badge text=text/> })}</Cell>
            <Cell label="Price">{price}</Cell>
            <Cell label="In force">{approval}</Cell>
            <Cell label="Version" numeric=true>{version}</Cell>
            <Cell label="Partners" numeric=true><Figure value=partners/></Cell>
        </tr>
    }
}
