//! Forms about how the gateway treats a product's calls: the product's policy, one operation's, and their secrets.

use leptos::prelude::*;
use std::collections::HashMap;

#[cfg(feature = "ssr")]
mod operation;
#[cfg(feature = "ssr")]
mod product;
#[cfg(feature = "ssr")]
mod typed;

/// Sets a product's policy; what its operations have of their own stays. Fields are named by their place in the policy,
/// as `upstream.timeouts.connect_ms`.
#[server(prefix = "/do", endpoint = "console/policies/product")]
pub async fn set_policy(
    product: String,
    #[server(default)] policy: HashMap<String, String>,
) -> Result<(), ServerFnError> {
    use crate::{form, viewer};
    let back = format!("/console/products/{product}/policy");
    let outcome = async {
        let cx = viewer::operator()?;
        let id = form::id(&product)?;
        let there = cx.state.store.product(id).await?;
        let new = product::read(&policy, there.policy)?;
        let actor = store::Actor::Operator(cx.viewer.id);
        cx.state.store.set_product_policy(id, &new, actor, cx.now).await?;
        Ok(form::Done::go(&back).saying("Saved. Gateways follow within a second."))
    };
    form::answer("policies/product", &back, &typed::back(&policy), outcome.await)
}

/// Sets what one operation has of its own.
#[server(prefix = "/do", endpoint = "console/policies/operation")]
pub async fn set_operation_policy(
    product: String,
    operation: String,
    #[server(default)] policy: HashMap<String, String>,
) -> Result<(), ServerFnError> {
    use crate::{form, viewer};
    let all = format!("/console/products/{product}/policy");
    let back = format!("{all}/{operation}");
    let outcome = async {
        let cx = viewer::operator()?;
        let id = form::id(&product)?;
        let there = cx.state.store.product(id).await?;
        let known = there.operations.iter().any(|one| one.code == operation);
        if !known {
            return Err(form::Failure::whole("The document no longer has this operation."));
        }
        let new = operation::read(&policy, there.policy, &operation)?;
        let actor = store::Actor::Operator(cx.viewer.id);
        cx.state.store.set_product_policy(id, &new, actor, cx.now).await?;
        Ok(form::Done::go(&all).saying(format!("{operation} saved. Gateways follow within a second.")))
    };
    form::answer("policies/operation", &back, &typed::back(&policy), outcome.await)
}

/// Makes the policy's secrets these and no others; an empty value keeps the one that is there.
#[server(prefix = "/do", endpoint = "console/policies/secrets")]
pub async fn set_secrets(
    product: String,
    #[server(default)] name: Vec<String>,
    #[server(default)] value: Vec<String>,
) -> Result<(), ServerFnError> {
    use crate::{form, viewer};
    let back = format!("/console/products/{product}/policy");
    let outcome = async {
        let cx = viewer::operator()?;
        let id = form::id(&product)?;
        let code = cx.state.store.product(id).await?.line.code;
        let seal = |(name, value): (&String, &String)| {
            let name = name.trim().to_owned();
            let plain = value.replace("\r\n", "\n");
            let sealed = (!plain.trim().is_empty())
                .then(|| cx.state.secrets.seal_product_secret(&code, &name, plain.trim_end().as_bytes()));
            (name, sealed)
        };
        let sealed: Vec<_> = name.iter().zip(&value).filter(|(name, _)| !name.trim().is_empty()).map(seal).collect();
        let actor = store::Actor::Operator(cx.viewer.id);
        cx.state.store.set_product_secrets(id, &sealed, actor, cx.now).await?;
        Ok(form::Done::go(&back).saying("Secrets saved. Their values are not shown again."))
    };
    form::answer("policies/secrets", &back, &[], outcome.await)
}
