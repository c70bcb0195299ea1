//! `/console/partners/{partner}/invoices/{invoice}`: one invoice as the partner sees it, and how it stands with Stripe.

use crate::{
    components::*,
    flash::flash,
    frames::OperatorFrame,
    page::{PageError, PageTitle, page},
    pages::{
        credit_notes::CreditsOfInvoice,
        invoice::{InvoiceFiles, InvoiceSheet},
        invoices::{InvoiceState, kind_of, number},
        unpaid::collecting,
    },
    payment, viewer,
};
use domain::{
    id::{InvoiceId, PartnerId},
    role::OperatorRole,
};
use leptos::prelude::*;
use leptos_router::hooks::use_params_map;
use store::InvoiceStatus;

#[component]
pub fn PartnerInvoicePage() -> impl IntoView {
    let cx = viewer::operator();
    let params = use_params_map().get_untracked();
    let flash = flash();
    page(async move {
        let cx = cx?;
        let partner: PartnerId = params.get("partner").and_then(|id| id.parse().ok()).ok_or(PageError::NotFound)?;
        let id: InvoiceId = params.get("invoice").and_then(|id| id.parse().ok()).ok_or(PageError::NotFound)?;
        let (invoice, lines) = cx.state.store.invoice(partner, id).await?;
        let credits = cx.state.store.credit_notes_of(partner, id).await?;
        let standing = cx.state.store.credit_standing(partner, id).await?;
        let stripe_id = cx.state.store.stripe_invoice(partner, id).await?;
        let may_credit = cx.viewer.role == OperatorRole::Admin
            && invoice.status != InvoiceStatus::Void
            && standing.left().micros > 0;
        let credit = format!("/console/partners/{partner}/invoices/{id}/credit");
        let title = format!("{} {}", kind_of(&invoice), number(&invoice));
        let trail = vec![
            Crumb::new("Partners", "/console/partners"),
            Crumb::new(invoice.partner_name.clone(), format!("/console/partners/{partner}")),
        ];
        let status = invoice.status;
        let (from, address) = (cx.state.settings.provider_name.clone(), cx.state.settings.address_lines());
        let files = format!("/console/partners/{partner}/invoices/{id}");
        let at = files.clone();
        let problem = invoice.push_problem.clone();
        let stripe = payment::stripe_collects(&cx.state.settings, &invoice);
        let is_on = cx.state.settings.stripe_is_on;
        let may_collect = cx.viewer.role == OperatorRole::Admin;
        let payment = collecting(&invoice, standing.left(), (stripe, may_collect), &flash, cx.now);
        let pays_out = invoice.is_final && invoice.total.micros < 0;
        let problems = flash.problems.clone();
        Ok(view! {
            <PageTitle text=title.clone()/>
            <OperatorFrame cx=cx path="/console/invoices">
                <Breadcrumbs trail=trail current=number(&invoice)/>
                <PageHeader title=title beside=move || view! { <InvoiceState status=status/> }>
                    <InvoiceFiles at=files/>
                    {may_credit.then(|| view! { <ButtonLink href=credit>"Credit this invoice"</ButtonLink> })}
                </PageHeader>
                <ErrorSummary problems=problems/>
                {problem
                    .map(|text| view! { <Notice tone=Tone::Danger title="Stripe does not hold it as it should">{text}</Notice> })}
                {pays_out.then(|| view! {
                    <Notice title="No invoice follows this one">
                        "It gives money back, and there is no next invoice to take it from: pay it out. Stripe keeps it as the customer's balance, which you set to zero there when you have."
                    </Notice>
                })}
                {(!stripe && !is_on)
                    .then(|| view! { <Notice>"Stripe is not set up: billing ends with this invoice."</Notice> })}
                {payment}
                <CreditsOfInvoice notes=credits standing=standing at="/console/credit-notes" operator=true/>
                <InvoiceSheet from=from address=address at=at invoice=invoice lines=lines stripe=stripe_id/>
            </OperatorFrame>
        })
    })
}
