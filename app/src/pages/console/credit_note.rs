//! `/console/credit-notes/{note}`: what a credit note would do or did, and the next step.

use crate::{
    components::*,
    flash::flash,
    frames::OperatorFrame,
    page::{PageError, PageTitle, page},
    pages::credit_notes::{CreditBadge, CreditNoteFiles, name},
    viewer,
};
use domain::{id::CreditNoteId, role::OperatorRole};
use leptos::prelude::*;
use leptos_router::hooks::use_params_map;
use store::{
    InvoiceStatus,
    credit_notes::{CreditKind, CreditNote, CreditState, Payback},
};

#[component]
pub fn CreditNotePage() -> impl IntoView {
    let cx = viewer::operator();
    let id = use_params_map().get_untracked().get("note");
    let flash = flash();
    page(async move {
        let cx = cx?;
        let id: CreditNoteId = id.and_then(|id| id.parse().ok()).ok_or(PageError::NotFound)?;
        let (note, lines) = cx.state.store.credit_note_of_any_partner(id).await?;
        let (invoice, _) = cx.state.store.invoice(note.partner, note.invoice).await?;
        let standing = cx.state.store.credit_standing(note.partner, note.invoice).await?;
        let trail = vec![
            Crumb::new("Credit notes", "/console/credit-notes"),
            Crumb::new(note.invoice_code(), format!("/console/partners/{}/invoices/{}", note.partner, note.invoice)),
        ];
        let is_paid = invoice.status == InvoiceStatus::Paid;
        let paid = note.was_paid.unwrap_or(is_paid);
        let effect = effect(&note, paid, cx.state.settings.stripe_is_on);
        let problems = flash.problems.clone();
        let (title, state) = (name(&note), note.state);
        let may = cx.viewer.role == OperatorRole::Admin;
        let waits = cx.state.settings.four_eyes && note.made_by == ("operator".to_owned(), Some(cx.viewer.id.0));
        let rows = lines
            .into_iter()
            .map(|line| {
                let amount = line.amount;
                view! {
                    <tr>
                        <Cell label="For" head=true>{line.description}</Cell>
                        <Cell label="Amount" numeric=true><MoneyText amount=amount/></Cell>
                    </tr>
                }
            })
            .collect_view();
        let files = note
            .number
            .map(|_| view! { <p class="table-note"><CreditNoteFiles at=format!("/console/credit-notes/{id}")/></p> });
        let next = (state == CreditState::Draft).then(|| match (may, waits) {
            (false, _) => view! { <Notice title="Your role reads only">"An operator who may change things takes the next step."</Notice> }.into_any(),
            (true, waits) => {
                let issue = match waits {
                    true => view! { <Notice title="Another operator has to agree">"You have made this draft. Somebody else issues it."</Notice> }.into_any(),
                    false => view! {
                        <Form action="/do/console/credit-notes/issue" inline=true>
                            <input type="hidden" name="credit_note" value=id.to_string()/>
                            <input type="hidden" name="paid" value=is_paid.to_string()/>
                            <Button kind=ButtonKind::Primary>"Issue"</Button>
                        </Form>
                    }
                    .into_any(),
                };
                view! {
                    <Card title="Next step" description="Issued, it counts at once and is never changed. Discarded, it never counts.">
                        <Cluster>
                            {issue}
                            <Form action="/do/console/credit-notes/discard" inline=true>
                                <input type="hidden" name="credit_note" value=id.to_string()/>
                                <Button>"Discard"</Button>
                            </Form>
                        </Cluster>
                    </Card>
                }
                .into_any()
            }
        });
        let problem = note.push_problem.clone();
        let left = standing.left();
        let given_back = (standing.given_back.micros > 0).then(|| standing.given_back.to_string());
        let (total, reason, made_at) = (note.total, note.reason.clone(), note.made_at);
        let (ended_at, pushed_at) = (note.ended_at, note.pushed_at);
        let partner = format!("/console/partners/{}", note.partner);
        let partner_name = note.partner_name.clone();
        let heading = if state == CreditState::Draft { "What it would do" } else { "What it does" };
        Ok(view! {
            <PageTitle text="Credit note"/>
            <OperatorFrame cx=cx path="/console/credit-notes">
                <Breadcrumbs trail=trail current=title.clone()/>
                <PageHeader title=title description=reason beside=move || view! { <CreditBadge state=state/> }/>
                <ErrorSummary problems=problems/>
                {problem.map(|text| view! { <Notice tone=Tone::Danger title="Stripe does not hold it as it should">{text}</Notice> })}
                <StatGrid>
                    <Stat label="Billed" figure=standing.total.to_string()/>
                    <Stat label="Credited so far" figure=standing.credited.to_string()/>
                    {given_back.map(|figure| view! { <Stat label="Given back by a change of plan" figure=figure/> })}
                    <Stat label="Left to credit" figure=left.to_string()/>
                </StatGrid>
                <Card title=heading description=effect flush=true>
                    <DataTable
                        caption="Lines of the credit note"
                        caption_hidden=true
                        columns=vec![Column::text("For"), Column::numeric("Amount")]
                        stack=true
                        foot=move || view! {
                            <tr>
                                <Cell label="For" head=true>"Total"</Cell>
                                <Cell label="Amount" numeric=true><MoneyText amount=total/></Cell>
                            </tr>
                        }
                    >
                        {rows}
                    </DataTable>
                    {files}
                </Card>
                <Card title="On record">
                    <DescriptionList>
                        <Description label="Partner"><a href=partner>{partner_name}</a></Description>
                        <Description label="Made"><TimeText at=made_at seconds=true/> " UTC"</Description>
                        {ended_at.map(|at| view! { <Description label=if state == CreditState::Issued { "Issued" } else { "Discarded" }><TimeText at=at seconds=true/> " UTC"</Description> })}
                        {pushed_at.map(|at| view! { <Description label="At Stripe"><TimeText at=at seconds=true/> " UTC"</Description> })}
                        <Description label="Id"><code>{id.to_string()}</code></Description>
                    </DescriptionList>
                </Card>
                {next}
            </OperatorFrame>
        })
    })
}

/// One sentence or two, for the operator.
fn effect(note: &CreditNote, paid: bool, stripe: bool) -> String {
    let at_stripe =
        if stripe { " Stripe's invoice follows." } else { " No Stripe key is configured: nothing else follows." };
    match (note.kind, paid) {
        (CreditKind::Void, _) => {
            format!(
                "Nothing of the invoice is owed any more. Its usage is not billed again, but for that of a threshold invoice while its period is open: the next invoice of the period bills it, less what credit notes took off this one.{at_stripe}"
            )
        }
        (CreditKind::Credit, false) => format!("{} less is owed.{at_stripe}", note.total),
        (CreditKind::Credit, true) if note.payback == Payback::Refund && stripe => {
            format!("The invoice is paid: Stripe refunds {} to where it was paid from.", note.total)
        }
        (CreditKind::Credit, true) => {
            format!("The invoice is paid: pay {} back yourself. It is posted as paid back.", note.total)
        }
    }
}
