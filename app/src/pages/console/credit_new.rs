//! `/console/partners/{partner}/invoices/{invoice}/credit`: a credit on an invoice, before it is looked at; or making the invoice void.

use crate::{
    components::*,
    flash::flash,
    frames::OperatorFrame,
    page::{PageError, PageTitle, page},
    viewer,
};
use domain::id::{InvoiceId, PartnerId};
use leptos::prelude::*;
use leptos_router::hooks::use_params_map;
use store::InvoiceStatus;

const CREDIT: &str = "credit-notes/draft";
const VOID: &str = "credit-notes/void";

#[component]
pub fn NewCreditNotePage() -> impl IntoView {
    let cx = viewer::operator();
    let params = use_params_map().get_untracked();
    let flash = flash();
    page(async move {
        let cx = cx?;
        let partner: PartnerId = params.get("partner").and_then(|id| id.parse().ok()).ok_or(PageError::NotFound)?;
        let id: InvoiceId = params.get("invoice").and_then(|id| id.parse().ok()).ok_or(PageError::NotFound)?;
        let (invoice, lines) = cx.state.store.invoice(partner, id).await?;
        let standing = cx.state.store.credit_standing(partner, id).await?;
        let back = format!("/console/partners/{partner}/invoices/{id}");
        let trail = vec![
            Crumb::new("Partners", "/console/partners"),
            Crumb::new(invoice.partner_name.clone(), format!("/console/partners/{partner}")),
            Crumb::new(invoice.code(), back.clone()),
        ];
        let left = standing.left();
        let paid = invoice.status == InvoiceStatus::Paid;
        let choices: Vec<Choice> = lines
            .into_iter()
            .filter(|line| line.amount.micros > 0)
            .map(|line| Choice::new(line.position.to_string(), format!("{} ({})", line.description, line.amount)))
            .collect();
        let paybacks = vec![
            Choice::new("refund", "Stripe refunds it to where it was paid from"),
            Choice::new("outside", "You pay it back yourself, outside of Stripe"),
        ];
        let problems: Vec<_> = [CREDIT, VOID].iter().flat_map(|form| flash.problems_of(form)).collect();
        let typed = |form: &str, field: &str| flash.typed(form, field, "");
        let may_void = !paid && invoice.status != InvoiceStatus::Void;
        let (reason, reason_error) = (typed(CREDIT, "reason"), flash.problem(CREDIT, "reason"));
        let (void_reason, void_error) = (typed(VOID, "reason"), flash.problem(VOID, "reason"));
        let (line, amount) = (typed(CREDIT, "line"), typed(CREDIT, "amount"));
        let (line_error, amount_error) = (flash.problem(CREDIT, "line"), flash.problem(CREDIT, "amount"));
        let effect = if paid {
            "The invoice is paid: the amount goes back to the partner."
        } else {
            "The invoice is not paid: less is owed."
        };
        let what_void_does = match invoice.threshold_number {
            0 => {
                "Nothing of it is owed any more. Its period stays closed: what was used in it is not billed again. You see what it does first."
            }
            _ => {
                "Nothing of it is owed any more. While its period is open, the next invoice of it bills what this one did, less what credit notes took off this one; after that it is not billed again. You see what it does first."
            }
        };
        let code = invoice.total.currency.code();
        Ok(view! {
            <PageTitle text="Credit"/>
            <OperatorFrame cx=cx path="/console/invoices">
                <Breadcrumbs trail=trail current="Credit"/>
                <PageHeader title=format!("Credit {}", invoice.code()) description=format!("{left} of {} is left to credit. {effect}", standing.total)/>
                <ErrorSummary problems=problems/>
                <Card title="Credit an amount" description="Nothing counts yet: you see what it does first.">
                    <Form action="/do/console/credit-notes/draft">
                        <input type="hidden" name="partner" value=partner.to_string()/>
                        <input type="hidden" name="invoice" value=id.to_string()/>
                        <input type="hidden" name="kind" value="credit"/>
                        <FormRow>
                            <SelectField label="What is credited" name="line" choices=choices value=line error=line_error blank="The whole invoice"/>
                            <TextField label="Amount" name="amount" value=amount error=amount_error required=true narrow=true inputmode="decimal" suffix=code/>
                        </FormRow>
                        {paid.then(|| view! { <SelectField label="How it goes back" name="payback" choices=paybacks value="refund" required=true/> })}
                        <TextArea label="Why" name="reason" rows=3 value=reason error=reason_error required=true
                            hint="The partner reads this; up to 500 characters"/>
                        <FormActions cancel=back.clone()>
                            <Button kind=ButtonKind::Primary>"Preview the credit"</Button>
                        </FormActions>
                    </Form>
                </Card>
                {may_void.then(|| view! {
                    <Card title="Make the invoice void" description=what_void_does>
                        <Form action="/do/console/credit-notes/draft">
                            <input type="hidden" name="partner" value=partner.to_string()/>
                            <input type="hidden" name="invoice" value=id.to_string()/>
                            <input type="hidden" name="kind" value="void"/>
                            <TextArea label="Why" name="reason" id="void-reason" rows=3 value=void_reason error=void_error required=true
                                hint="The partner reads this; up to 500 characters"/>
                            <FormActions>
                                <Button>"Preview the void"</Button>
                            </FormActions>
                        </Form>
                    </Card>
                })}
            </OperatorFrame>
        })
    })
}
