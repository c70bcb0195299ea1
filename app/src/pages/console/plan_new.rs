//! `/console/plans/new`

use super::plan_form::PlanTermsForm;
use crate::{
    components::*,
    flash::flash,
    frames::OperatorFrame,
    page::{PageError, PageTitle, page},
    viewer::{self, Cx, OperatorViewer},
};
use leptos::prelude::*;
use store::Product;

#[component]
pub fn NewPlanPage() -> impl IntoView {
    let cx = viewer::operator();
    let flash = flash();
    page(async move {
        let cx = cx?;
        let products = sellable(&cx).await?;
        Ok(view! {
            <PageTitle text="Add plan"/>
            <OperatorFrame cx=cx path="/console/plans">
                <Breadcrumbs trail=vec![Crumb::new("Plans", "/console/plans")] current="Add plan"/>
                <PageHeader title="Add plan" description="A tier. Its terms are its first version; later changes make new ones."/>
                <Card><PlanTermsForm there=None products=products flash=flash/></Card>
            </OperatorFrame>
        })
    })
}

/// Products that are not archived, with their operations.
pub async fn sellable(cx: &Cx<OperatorViewer>) -> Result<Vec<Product>, PageError> {
    let mut products = Vec::new();
    for line in cx.state.store.all_products().await? {
        if line.archived_at.is_none() {
            products.push(cx.state.store.product(line.id).await?);
        }
    }
    Ok(products)
}
