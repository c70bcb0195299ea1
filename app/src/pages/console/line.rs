//! `/console/partners/{partner}/invoices/{invoice}/lines/{position}`: what a line is made of, for the operator.

use crate::{
    components::*,
    frames::OperatorFrame,
    page::{PageError, PageTitle, page},
    pages::{
        line::{OpenedLine, Seen},
        missing::Reader,
    },
    viewer,
};
use domain::id::PartnerId;
use leptos::prelude::*;
use leptos_router::hooks::{use_params_map, use_query_map};

#[component]
pub fn PartnerInvoiceLinePage() -> impl IntoView {
    let cx = viewer::operator();
    let (params, query) = (use_params_map().get_untracked(), use_query_map().get_untracked());
    page(async move {
        let cx = cx?;
        let partner: PartnerId = params.get("partner").and_then(|id| id.parse().ok()).ok_or(PageError::NotFound)?;
        let seen = Seen::load(&cx.state.store, partner, &params, &query, cx.now).await?;
        let invoice = &seen.opened.invoice;
        let back = format!("/console/partners/{partner}/invoices/{}", invoice.id);
        let trail = vec![
            Crumb::new("Partners", "/console/partners"),
            Crumb::new(invoice.partner_name.clone(), format!("/console/partners/{partner}")),
            Crumb::new(invoice.code(), back.clone()),
        ];
        let at = format!("{back}/lines/{}", seen.opened.line.position);
        Ok(view! {
            <PageTitle text=seen.title()/>
            <OperatorFrame cx=cx path="/console/invoices">
                <Breadcrumbs trail=trail current="Line"/>
                <OpenedLine seen=seen at=at reader=Reader::Operator/>
            </OperatorFrame>
        })
    })
}
