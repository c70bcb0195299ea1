//! Forms about products: created and changed from an OpenAPI document that is pasted or uploaded.

use leptos::{
    prelude::*,
    server_fn::codec::{MultipartData, MultipartFormData},
};

#[cfg(feature = "ssr")]
mod form_data;

/// Adds a product.
#[server(prefix = "/do", endpoint = "console/products/create", input = MultipartFormData)]
pub async fn create_product(data: MultipartData) -> Result<(), ServerFnError> {
    use crate::{
        form::{self, Done},
        viewer,
    };
    let Some(form) = form_data::read(data).await else {
        return form::answer("products/create", "/console/products/new", &[], Err(form_data::unreadable()));
    };
    let outcome = async {
        let cx = viewer::operator()?;
        let new = form.product(&cx.state, &[]).await?;
        let actor = store::Actor::Operator(cx.viewer.id);
        let id = cx.state.store.create_product(&new, actor, cx.now).await?;
        let notice = format!(
            "Product added with {} operations. A plan has to open it before partners can call it.",
            new.operations.len()
        );
        Ok(Done::go(format!("/console/products/{id}")).saying(notice))
    };
    let outcome = outcome.await;
    form.answer("products/create", "/console/products/new", outcome)
}

/// Changes a product; an empty document keeps the one that is there.
#[server(prefix = "/do", endpoint = "console/products/update", input = MultipartFormData)]
pub async fn update_product(data: MultipartData) -> Result<(), ServerFnError> {
    use crate::{
        form::{self, Done},
        viewer,
    };
    let Some(form) = form_data::read(data).await else {
        return form::answer("products/update", "/console/products", &[], Err(form_data::unreadable()));
    };
    let back = format!("/console/products/{}", form.text("product"));
    let outcome = async {
        let cx = viewer::operator()?;
        let id = form::id(form.text("product"))?;
        let there = cx.state.store.product(id).await?;
        let mut new = form.product(&cx.state, &there.operations).await?;
        if form.text("document").trim().is_empty() {
            new.document = cx.state.store.product_document(id).await?;
            new.operations = form_data::keep_operations(&there.operations);
        }
        new.code.clone_from(&there.line.code);
        let actor = store::Actor::Operator(cx.viewer.id);
        cx.state.store.update_product(id, &new, actor, cx.now).await?;
        Ok(Done::go(&back).saying("Saved. Gateways follow within a second."))
    };
    let outcome = outcome.await;
    form.answer("products/update", &back, outcome)
}

/// Sets what each operation costs, in units.
#[server(prefix = "/do", endpoint = "console/products/weights")]
pub async fn set_weights(
    product: String,
    #[server(default)] weights: std::collections::HashMap<String, String>,
) -> Result<(), ServerFnError> {
    use crate::{
        form::{self, Done},
        viewer,
    };
    let back = format!("/console/products/{product}");
    let outcome = async {
        let cx = viewer::operator()?;
        let id = form::id(&product)?;
        let there = cx.state.store.product(id).await?;
        let new = form_data::with_weights(&there, cx.state.store.product_document(id).await?, &weights)?;
        let actor = store::Actor::Operator(cx.viewer.id);
        cx.state.store.update_product(id, &new, actor, cx.now).await?;
        Ok(Done::go(&back).saying("Weights saved. Gateways follow within a second."))
    };
    form::answer("products/weights", &back, &[], outcome.await)
}

/// Takes a product off the gateway and out of the catalogue.
#[server(prefix = "/do", endpoint = "console/products/archive")]
pub async fn archive_product(product: String) -> Result<(), ServerFnError> {
    use crate::{
        form::{self, Done},
        viewer,
    };
    let back = format!("/console/products/{product}");
    let outcome = async {
        let cx = viewer::operator()?;
        let actor = store::Actor::Operator(cx.viewer.id);
        cx.state.store.archive_product(form::id(&product)?, actor, cx.now).await?;
        Ok(Done::go("/console/products").saying("Product archived. Calls to it are refused within a second."))
    };
    form::answer("products/archive", &back, &[], outcome.await)
}

/// Invites a partner to a product by invitation.
#[server(prefix = "/do", endpoint = "console/products/invite")]
pub async fn invite_partner(product: String, #[server(default)] partner: String) -> Result<(), ServerFnError> {
    use crate::{
        form::{self, Done, Failure},
        viewer,
    };
    let back = format!("/console/products/{product}");
    let outcome = async {
        let cx = viewer::operator()?;
        let partner = partner.parse().map_err(|_| Failure::field("partner", "Choose a partner"))?;
        let actor = store::Actor::Operator(cx.viewer.id);
        cx.state.store.invite_partner_to_product(partner, form::id(&product)?, actor, cx.now).await?;
        Ok(Done::go(&back).saying("Partner invited."))
    };
    form::answer("products/invite", &back, &[], outcome.await)
}

/// Takes an invitation back.
#[server(prefix = "/do", endpoint = "console/products/uninvite")]
pub async fn uninvite_partner(product: String, partner: String) -> Result<(), ServerFnError> {
    use crate::{
        form::{self, Done},
        viewer,
    };
    let back = format!("/console/products/{product}");
    let outcome = async {
        let cx = viewer::operator()?;
        let actor = store::Actor::Operator(cx.viewer.id);
        cx.state.store.uninvite_partner_from_product(form::id(&partner)?, form::id(&product)?, actor, cx.now).await?;
        Ok(Done::go(&back).saying("Invitation taken back."))
    };
    form::answer("products/uninvite", &back, &[], outcome.await)
}
