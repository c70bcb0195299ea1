//! `/console/revenue`: what the accounts of the revenue journal moved by in some days, and the journal as a file.

use crate::{
    components::*,
    frames::OperatorFrame,
    page::{PageTitle, page},
    viewer,
};
use domain::revenue::Account;
use jiff::{civil::Date, tz::TimeZone};
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;
use store::journal::{JournalDays, JournalTotal};

const PATH: &str = "/console/revenue";

#[component]
pub fn RevenuePage() -> impl IntoView {
    let cx = viewer::operator();
    let query = use_query_map().get_untracked();
    page(async move {
        let cx = cx?;
        let today = cx.now.to_zoned(TimeZone::UTC).date();
        let through = cx.state.store.all_partners_journal_through().await?;
        let asked =
            |name: &str| query.get(name).map(|text| text.trim().parse::<Date>().ok().filter(|day| day.year() >= 1));
        let wrong = matches!(asked("from"), Some(None)) || matches!(asked("to"), Some(None));
        let last = asked("to").flatten().or(through).unwrap_or(today);
        let first = asked("from").flatten().unwrap_or(last.first_of_month());
        let is_empty_range = last < first;
        let days = JournalDays { first, last, partner: None };
        let totals = match is_empty_range {
            true => Vec::new(),
            false => cx.state.store.all_partners_journal_totals(days).await?,
        };
        let written = match through {
            Some(day) => format!(
                "Written up to {}. A day is written six hours after it is over (UTC) and never changes.",
                words(day)
            ),
            None => {
                "A day is written six hours after it is over (UTC) and never changes. None is written yet.".to_owned()
            }
        };
        let not_yet = through.is_some_and(|through| through < last);
        let [from, to] = [first, last].map(|day| day.to_string());
        let (waiting, told) = (written.clone(), written.clone());
        let nothing = totals.is_empty();
        // Said once: beside the figures, or in their place.
        let of_file = if nothing { String::new() } else { written };
        let tables = by_currency(totals).into_iter().map(table).collect_view();
        Ok(view! {
            <PageTitle text="Revenue"/>
            <OperatorFrame cx=cx path=PATH>
                <PageHeader title="Revenue" description="What was billed, earned and given back, in the words of ASC 606."/>
                <FilterBar action=PATH label="Choose days">
                    <TextField label="First day" name="from" kind="date" value=from required=true/>
                    <TextField label="Last day" name="to" kind="date" value=to required=true/>
                    <Button icon=IconName::Search>"Show"</Button>
                </FilterBar>
                {wrong.then(|| view! { <Notice tone=Tone::Warning title="A day cannot be read">"Write it as 2026-11-30. What is shown is another range."</Notice> })}
                {is_empty_range.then(|| view! { <Notice tone=Tone::Warning title="No days">"The last day comes before the first."</Notice> })}
                {not_yet.then(|| view! { <Notice title="Some days are not written yet">{waiting}</Notice> })}
                {if nothing {
                    view! {
                        <Card flush=true>
                            <EmptyState title="Nothing is booked up to these days" text=told icon=IconName::Chart>
                                <ButtonLink href="/console/invoices">"Invoices"</ButtonLink>
                            </EmptyState>
                        </Card>
                    }
                    .into_any()
                } else {
                    tables.into_any()
                }}
                {(!is_empty_range).then(|| view! { <JournalFile first=first last=last written=of_file/> })}
            </OperatorFrame>
        })
    })
}

/// All entries of the days that are shown as one file.
#[component]
fn JournalFile(first: Date, last: Date, written: String) -> impl IntoView {
    let formats =
        vec![Choice::new("csv", "CSV, a row for each entry"), Choice::new("jsonl", "JSON Lines, one for each entry")];
    let days = if first == last { words(first) } else { format!("{} to {}", words(first), words(last)) };
    let told = format!("Every entry of all partners of {days}. {written}");
    view! {
        <Card title="Download the journal" description=told.trim_end()>
            <form method="get" action="/console/revenue/download" class="filter-bar">
                <input type="hidden" name="from" value=first.to_string()/>
                <input type="hidden" name="to" value=last.to_string()/>
                <SelectField label="Format" name="format" choices=formats value="csv" required=true/>
                <Button icon=IconName::Download>"Download"</Button>
            </form>
        </Card>
    }
}

/// `30 Nov 2026`, as dates are written on all pages.
fn words(day: Date) -> String {
    day.strftime("%-d %b %Y").to_string()
}

fn by_currency(totals: Vec<JournalTotal>) -> Vec<Vec<JournalTotal>> {
    totals.chunk_by(|one, next| one.opening.currency == next.opening.currency).map(<[JournalTotal]>::to_vec).collect()
}

fn table(totals: Vec<JournalTotal>) -> impl IntoView {
    let currency = totals.first().map(|total| total.opening.currency.code()).unwrap_or_default();
    let earned: i64 = totals
        .iter()
        .filter(|total| matches!(total.account, Account::Revenue | Account::BreakageRevenue))
        .map(|total| -(total.debits.micros + total.credits.micros))
        .sum();
    let deferred: i64 = totals
        .iter()
        .filter(|total| total.account == Account::ContractLiability)
        .map(|total| -total.closing.micros)
        .sum();
    let money = |micros: i64| totals.first().map(|total| domain::money::Money { micros, ..total.opening }.to_string());
    let (earned, deferred) = (money(earned).unwrap_or_default(), money(deferred).unwrap_or_default());
    let rows = totals.iter().map(row).collect_view();
    view! {
        <StatGrid>
            <Stat label=format!("Earned, {currency}") figure=earned/>
            <Stat label=format!("Still deferred, {currency}") figure=deferred/>
        </StatGrid>
        <Card title=format!("Accounts in {currency}") description="A debit is above zero, a credit below." flush=true>
            <DataTable
                caption=format!("Accounts in {currency}")
                caption_hidden=true
                columns=vec![
                    Column::text("Account"),
                    Column::numeric("Before"),
                    Column::numeric("Debits"),
                    Column::numeric("Credits"),
                    Column::numeric("After"),
                ]
                stack=true
            >
                {rows}
            </DataTable>
        </Card>
    }
}

fn row(total: &JournalTotal) -> impl IntoView + use<> {
    let JournalTotal { account, opening, debits, credits, closing } = *total;
    view! {
        <tr>
            <Cell label="Account" head=true>{account.name()}</Cell>
            <Cell label="Before" numeric=true><MoneyText amount=opening/></Cell>
            <Cell label="Debits" numeric=true><MoneyText amount=debits/></Cell>
            <Cell label="Credits" numeric=true><MoneyText amount=credits/></Cell>
            <Cell label="After" numeric=true><MoneyText amount=closing/></Cell>
        </tr>
    }
}
