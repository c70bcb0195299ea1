//! Tables, facts and histories: some rows, none, loading, far too long.

use super::samples::{LONG, before};
use crate::components::*;
use domain::money::{Currency, Money};
use jiff::Timestamp;
use leptos::prelude::*;

fn keys_row(
    name: &'static str,
    live: bool,
    calls: u64,
    last_used: Option<Timestamp>,
    now: Timestamp,
    id: &'static str,
) -> impl IntoView {
    view! {
        <tr>
            <Cell head=true>{name}</Cell>
            <Cell label="Key">
                <KeyHint start=if live { "tp_live_4fQz" } else { "tp_test_9aXk" } />
            </Cell>
            <Cell label="Environment">
                <EnvironmentBadge live />
            </Cell>
            <Cell label="Calls" numeric=true>
                <Figure value=calls />
            </Cell>
            <Cell label="Last used">{last_used.map_or("Never".into_any(), |at| view! { <RelativeTime at now /> }.into_any())}</Cell>
            <Cell actions=true>
                <ButtonLink href="/gallery" size=Size::Small>
                    "Rotate"
                </ButtonLink>
                <Menu id=id label=format!("More for {name}")>
                    <MenuLink href="/gallery" label="Usage of this key" icon=IconName::Chart />
                    <MenuButton action="/gallery" label="Revoke key" icon=IconName::Trash danger=true />
                </Menu>
            </Cell>
        </tr>
    }
}

#[component]
pub fn Tables(now: Timestamp) -> impl IntoView {
    let key_columns = vec![
        Column::text("Name"),
        Column::text("Key"),
        Column::text("Environment"),
        Column::numeric("Calls"),
        Column::text("Last used"),
        Column::actions(),
    ];
    let requests = [
        ("POST", "/v1/payments", 201, 41, 1),
        ("GET", "/v1/payments/pay_01J9ZQ/refunds?limit=100&starting_after=re_01J9ZQ8Y4M", 200, 18, 1),
        ("PATCH", "/v1/customers/cus_9", 422, 12, 2),
        ("DELETE", "/v1/customers/cus_9", 429, 0, 3),
        ("GET", "/v1/search", 504, 30_004, 9),
    ];
    let rows = requests.map(|(method, path, status, milliseconds, hours)| {
        view! {
            <tr>
                <td>
                    <TimeText at=before(now, hours) seconds=true />
                </td>
                <td>
                    <MethodBadge method />
                    <code>{path}</code>
                </td>
                <td>
                    <StatusCode code=status />
                </td>
                <td class="numeric">
                    <Figure value=milliseconds unit="ms" />
                </td>
            </tr>
        }
    });
    view! {
        <Card title="Keys" description="Rows become cards on a narrow screen." flush=true actions=view! {
            <ButtonLink href="/gallery" size=Size::Small icon=IconName::Plus>"New key"</ButtonLink>
        }>
            <DataTable caption="Keys of Checkout" caption_hidden=true columns=key_columns stack=true>
                {keys_row("Checkout, web shop", true, 1_204_331, Some(before(now, 2)), now, "menu-1")}
                {keys_row("Nightly reports", false, 92, Some(before(now, 50)), now, "menu-2")}
                {keys_row(LONG, true, 0, None, now, "menu-3")}
            </DataTable>
            <Pagination summary="3 keys" label="Pages of keys" />
        </Card>
        <Card title="Requests" flush=true>
            <DataTable
                caption="Requests, newest first"
                caption_hidden=true
                columns=vec![Column::text("Time, UTC"), Column::text("Request"), Column::text("Status"), Column::numeric("Duration")]
            >
                {rows}
            </DataTable>
            <Pagination summary="Newest 5 requests" previous="/gallery?before=1" next="/gallery?after=5" />
        </Card>
        <Columns>
            <Card title="Nothing yet" flush=true>
                <EmptyState
                    title="No keys yet"
                    text="A key lets your app call the API. Start with a test key: its calls are never charged."
                    icon=IconName::Key
                >
                    <ButtonLink href="/gallery" kind=ButtonKind::Primary>
                        "Create a test key"
                    </ButtonLink>
                </EmptyState>
            </Card>
            <Card title="Something went wrong" flush=true>
                <ErrorState
                    title="The figures could not be loaded"
                    text="The database did not answer. Your calls are not affected."
                    request_id="0193a6b2-7c4e-7d11"
                >
                    <ButtonLink href="/gallery">"Try again"</ButtonLink>
                </ErrorState>
            </Card>
            <Card title="Loading" flush=true>
                <Skeleton kind=SkeletonKind::Table count=5 />
            </Card>
        </Columns>
    }
}

#[component]
pub fn Facts(now: Timestamp) -> impl IntoView {
    let usd = |micros| Money::new(Currency::Usd, micros);
    let line = move |name: &'static str, quantity: u64, unit: i64, amount: i64| {
        view! {
            <tr>
                <th scope="row">{name}</th>
                <td class="numeric">
                    <Figure value=quantity />
                </td>
                <td class="numeric">
                    <MoneyText amount=usd(unit) />
                </td>
                <td class="numeric">
                    <MoneyText amount=usd(amount) />
                </td>
            </tr>
        }
    };
    view! {
        <Split aside=view! {
            <Card title="Invoice TP-2026-0042">
                <DescriptionList>
                    <Description label="Status"><Badge text="Paid" tone=Tone::Success /></Description>
                    <Description label="Partner">{LONG}</Description>
                    <Description label="Period">"1 to 30 November 2026, Europe/Berlin"</Description>
                    <Description label="Issued"><TimeText at=before(now, 30) date=true /></Description>
                </DescriptionList>
            </Card>
            <Card title="History">
                <Timeline
                    now
                    entries=vec![
                        TimelineEntry { at: before(now, 1), title: "Paid by Stripe".into(), detail: None, tone: Tone::Success },
                        TimelineEntry {
                            at: before(now, 5),
                            title: "First attempt declined".into(),
                            detail: Some("The card's issuer refused the amount. Stripe tries again on its own.".into()),
                            tone: Tone::Danger,
                        },
                        TimelineEntry { at: before(now, 30), title: "Issued".into(), detail: None, tone: Tone::Neutral },
                    ]
                />
            </Card>
        }>
            <Card title="Lines" flush=true>
                <DataTable
                    caption="Lines of invoice TP-2026-0042"
                    caption_hidden=true
                    columns=vec![
                        Column::text("What"),
                        Column::numeric("Quantity"),
                        Column::numeric("Unit price"),
                        Column::numeric("Amount"),
                    ]
                    foot=view! {
                        <tr>
                            <th scope="row">"Total"</th>
                            <td></td>
                            <td></td>
                            <td class="numeric">"$249.83"</td>
                        </tr>
                    }
                >
                    {line("Pro, base fee", 1, 199_000_000, 199_000_000)}
                    {line("Payments, create a payment", 25_914, 2_000, 51_828_000)}
                    {line("Search, included", 10_000, 0, 0)}
                    {line("Credit for the outage on 12 November", 1, -1_000_000, -1_000_000)}
                </DataTable>
            </Card>
        </Split>
    }
}
