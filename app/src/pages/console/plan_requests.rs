//! `/console/requests`: plans that wait for an operator's yes.

use crate::{
    components::*,
    flash::flash,
    frames::OperatorFrame,
    page::{PageTitle, page},
    viewer,
};
use jiff::Timestamp;
use leptos::prelude::*;
use store::PlanRequest;

#[component]
pub fn PlanRequestsPage() -> impl IntoView {
    let cx = viewer::operator();
    let problems = flash().problems;
    page(async move {
        let cx = cx?;
        let now = cx.now;
        let requests = cx.state.store.all_plan_requests().await?;
        let empty = requests.is_empty();
        let rows = requests.into_iter().map(|request| row(request, now)).collect_view();
        Ok(view! {
            <PageTitle text="Requests for plans"/>
            <OperatorFrame cx=cx path="/console/requests">
                <PageHeader title="Requests for plans" description="Oldest first. Plans with approval wait here; the others are in force at once."/>
                <ErrorSummary problems=problems/>
                <Card flush=true>
                    {if empty {
                        view! {
                            <EmptyState title="Nothing waits" text="Requests for plans that take approval appear here." icon=IconName::Inbox>
                                <ButtonLink href="/console/plans">"Open plans"</ButtonLink>
                            </EmptyState>
                        }
                        .into_any()
                    } else {
                        view! {
                            <DataTable
                                caption="Requests, oldest first"
                                caption_hidden=true
                                columns=vec![
                                    Column::text("Partner"),
                                    Column::text("Now on"),
                                    Column::text("Asks for"),
                                    Column::text("Since"),
                                    Column::actions(),
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

fn row(request: PlanRequest, now: Timestamp) -> impl IntoView {
    let wanted = request.requested;
    let href = format!("/console/partners/{}", wanted.partner);
    let (partner, id) = (wanted.partner.to_string(), wanted.id.to_string());
    let plan = format!("{}, version {}", wanted.plan_name, wanted.version);
    let hidden = move || {
        view! {
            <input type="hidden" name="partner" value=partner.clone()/>
            <input type="hidden" name="subscription" value=id.clone()/>
        }
    };
    let (yes, no) = (hidden(), hidden());
    view! {
        <tr>
            <Cell label="Partner" head=true><a href=href>{request.partner_name}</a></Cell>
            <Cell label="Now on">{request.current_plan.unwrap_or_else(|| "No plan".to_owned())}</Cell>
            <Cell label="Asks for">{plan}</Cell>
            <Cell label="Since"><RelativeTime at=wanted.requested_at now=now/></Cell>
            <Cell actions=true>
                <Form action="/do/console/requests/approve" inline=true>
                    {yes}
                    <Button size=Size::Small kind=ButtonKind::Primary>"Approve"</Button>
                </Form>
                <Form action="/do/console/requests/decline" inline=true>
                    {no}
                    <Button size=Size::Small>"Decline"</Button>
                </Form>
            </Cell>
        </tr>
    }
}
