//! `/console/disputes/{dispute}`: one dispute with its evidence; an administrator accepts or refuses it.

use crate::{
    components::*,
    flash::{Flash, flash},
    frames::OperatorFrame,
    page::{PageError, PageTitle, page},
    pages::{
        dispute::{Evidence, facts},
        disputes::DisputeBadge,
    },
    viewer,
};
use domain::{id::DisputeId, role::OperatorRole};
use leptos::prelude::*;
use leptos_router::hooks::use_params_map;
use store::{
    InvoiceStatus,
    disputes::{Dispute, DisputeState},
};

const ACCEPT: &str = "disputes/accept";
const REFUSE: &str = "disputes/refuse";

#[component]
pub fn PartnerDisputePage() -> impl IntoView {
    let cx = viewer::operator();
    let id = use_params_map().get_untracked().get("dispute");
    let flash = flash();
    page(async move {
        let cx = cx?;
        let id: DisputeId = id.and_then(|id| id.parse().ok()).ok_or(PageError::NotFound)?;
        let dispute = cx.state.store.dispute_of_any_partner(id).await?;
        let (invoice, _) = cx.state.store.invoice(dispute.partner, dispute.invoice).await?;
        let evidence = Evidence::load(&cx.state.store, &dispute, cx.now).await?;
        let at = format!("/console/partners/{}/invoices/{}", dispute.partner, dispute.invoice);
        let trail = vec![Crumb::new("Disputes", "/console/disputes"), Crumb::new(dispute.invoice_code(), at.clone())];
        let (title, state) = (dispute.description.clone(), dispute.state);
        let who = format!("A dispute of {}", dispute.partner_name);
        let problems = flash.problems.clone();
        let is_paid = invoice.status == InvoiceStatus::Paid;
        let note = dispute.credit_note.filter(|_| state == DisputeState::Accepted).map(|note| {
            let href = format!("/console/credit-notes/{note}");
            view! { <Notice tone=Tone::Success title="Accepted">"It was answered by a " <a href=href>"credit note"</a> "."</Notice> }
        });
        let own_draft = dispute.drafted_by == Some(("operator".to_owned(), Some(cx.viewer.id.0)));
        let next = (state == DisputeState::Open).then(|| match cx.viewer.role {
            OperatorRole::Admin => next_step(&dispute, (is_paid, own_draft), &flash),
            _ => view! { <Notice title="Your role reads only">"An operator who may change things takes the next step."</Notice> }.into_any(),
        });
        let facts = facts(&dispute, &at);
        let evidence = evidence.view(&dispute, &at);
        Ok(view! {
            <PageTitle text="Dispute"/>
            <OperatorFrame cx=cx path="/console/disputes">
                <Breadcrumbs trail=trail current=title.clone()/>
                <PageHeader title=title description=who beside=move || view! { <DisputeBadge state=state/> }/>
                <ErrorSummary problems=problems/>
                {note} {facts} {evidence} {next}
            </OperatorFrame>
        })
    })
}

fn next_step(dispute: &Dispute, (is_paid, own_draft): (bool, bool), flash: &Flash) -> AnyView {
    let id = dispute.id.to_string();
    let refused = id.clone();
    let (reason, reason_error) = (flash.typed(REFUSE, "answer", ""), flash.problem(REFUSE, "answer"));
    let accept = match (&dispute.drafted_by, own_draft) {
        (Some(_), true) => {
            view! { <Notice title="Another operator has to agree">"You have accepted it. Somebody else does as well, and the credit note is issued."</Notice> }.into_any()
        }
        (Some(_), false) => {
            let draft = dispute.credit_note.map(|note| format!("/console/credit-notes/{note}")).unwrap_or_default();
            let answer = dispute.drafted_answer.clone().map(|text| view! { <p>"The partner will read: “" {text} "”"</p> });
            view! {
                <p>"Another operator has accepted it: this is the " <a href=draft>"draft"</a> "."</p>
                {answer}
                <Form action="/do/console/disputes/accept">
                    <input type="hidden" name="dispute" value=id/>
                    <input type="hidden" name="paid" value=is_paid.to_string()/>
                    <FormActions><Button kind=ButtonKind::Primary>"Agree and issue the credit note"</Button></FormActions>
                </Form>
            }
            .into_any()
        }
        (None, _) => {
            let amount = flash.typed(ACCEPT, "amount", &dispute.amount.to_input());
            let (amount_error, currency) = (flash.problem(ACCEPT, "amount"), dispute.amount.currency.code());
            let (answer, answer_error) = (flash.typed(ACCEPT, "answer", ""), flash.problem(ACCEPT, "answer"));
            let ways = vec![Choice::new("refund", "Stripe refunds it"), Choice::new("outside", "We pay it back ourselves")];
            let payback = is_paid.then(|| {
                let chosen = flash.typed(ACCEPT, "payback", "refund");
                view! { <SelectField label="How it is paid back" name="payback" choices=ways value=chosen required=true/> }
            });
            view! {
                <Form action="/do/console/disputes/accept" label="Accept">
                    <input type="hidden" name="dispute" value=id/>
                    <input type="hidden" name="paid" value=is_paid.to_string()/>
                    <TextField label="Credit" name="amount" value=amount error=amount_error suffix=currency inputmode="decimal" narrow=true required=true/>
                    {payback}
                    <TextArea label="Answer" name="answer" value=answer error=answer_error hint="The partner reads this" rows=3/>
                    <FormActions><Button kind=ButtonKind::Primary>"Accept"</Button></FormActions>
                </Form>
            }
            .into_any()
        }
    };
    let effect = match is_paid {
        true => "A credit note is issued over the line, and the amount is paid back.",
        false => "A credit note is issued over the line: so much less is owed.",
    };
    view! {
        <Card title="Accept" description=effect><Stack>{accept}</Stack></Card>
        <Card title="Refuse" description="The invoice stands as it is.">
            <Form action="/do/console/disputes/refuse" label="Refuse">
                <input type="hidden" name="dispute" value=refused/>
                <TextArea label="Answer" name="answer" value=reason error=reason_error hint="The partner reads this" rows=3 required=true/>
                <FormActions><Button>"Refuse"</Button></FormActions>
            </Form>
        </Card>
    }
    .into_any()
}
