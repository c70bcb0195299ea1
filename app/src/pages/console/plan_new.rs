//! `/console/plans/new`, and `?for=&from=` for a partner's own plan that begins with the terms of a version.

use super::plan_form::{Basis, PlanTermsForm};
use crate::{
    components::*,
    flash::flash,
    frames::OperatorFrame,
    page::{PageError, PageTitle, page},
    viewer::{self, Cx, OperatorViewer},
};
use domain::id::{PartnerId, PlanVersionId};
use leptos::prelude::*;
use leptos_router::{hooks::use_query_map, params::ParamsMap};
use store::Product;

#[component]
pub fn NewPlanPage() -> impl IntoView {
    let cx = viewer::operator();
    let query = use_query_map().get_untracked();
    let flash = flash();
    page(async move {
        let cx = cx?;
        let products = sellable(&cx).await?;
        let basis = basis(&cx, &query).await?;
        let (title, description) = match &basis {
            None => (
                "Add plan".to_owned(),
                "A tier. Its terms are its first version; later changes make new ones.".to_owned(),
            ),
            Some(basis) => {
                let text =
                    format!("Only {} sees it. It begins with the terms of {}.", basis.partner_name, basis.version_name);
                (format!("Own terms for {}", basis.partner_name), text)
            }
        };
        Ok(view! {
            <PageTitle text=title.clone()/>
            <OperatorFrame cx=cx path="/console/plans">
                <Breadcrumbs trail=vec![Crumb::new("Plans", "/console/plans")] current=title.clone()/>
                <PageHeader title=title description=description/>
                <Card><PlanTermsForm there=None basis=basis products=products flash=flash/></Card>
            </OperatorFrame>
        })
    })
}

/// What a partner's own plan begins with; `None` where the address asks for no such plan.
async fn basis(cx: &Cx<OperatorViewer>, query: &ParamsMap) -> Result<Option<Basis>, PageError> {
    let (Some(partner), Some(from)) = (query.get("for"), query.get("from")) else { return Ok(None) };
    let partner: PartnerId = partner.parse().map_err(|_| PageError::NotFound)?;
    let from: PlanVersionId = from.parse().map_err(|_| PageError::NotFound)?;
    let store = &cx.state.store;
    let held = store.partner(partner).await?;
    let plans = store.all_plans().await?;
    let found = plans.into_iter().find_map(|plan| {
        let version = plan.versions.iter().find(|version| version.id == from)?.clone();
        Some((plan, version))
    });
    let (plan, version) = found.ok_or(PageError::NotFound)?;
    Ok(Some(Basis {
        partner,
        partner_name: held.name,
        from,
        version_name: format!("{}, version {}", plan.meta.name, version.version),
        code: held.code.map(|code| format!("{}-{code}", plan.code)).unwrap_or_default(),
        meta: plan.meta,
        terms: version.terms,
    }))
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
