//! `/console/products/{product}/policy`: how the gateway treats a product's calls. `/{operation}` below it: one of its
//! operations.

mod fields;
mod meters;
pub mod operation;
mod product_form;
mod secrets;

use crate::{
    components::*,
    flash::flash,
    frames::OperatorFrame,
    page::{PageError, PageTitle, page},
    viewer,
};
use domain::{
    id::ProductId,
    policy::{IdempotencyKey, OperationPolicy, Policy},
    product::Operation,
};
use leptos::prelude::*;
use leptos_router::hooks::use_params_map;
use product_form::ProductPolicyForm;
use secrets::SecretsForm;

#[component]
pub fn ProductPolicyPage() -> impl IntoView {
    let cx = viewer::operator();
    let id = use_params_map().get_untracked().get("product");
    let flash = flash();
    page(async move {
        let cx = cx?;
        let id: ProductId = id.and_then(|id| id.parse().ok()).ok_or(PageError::NotFound)?;
        let product = cx.state.store.product(id).await?;
        let name = product.line.name.clone();
        let trail = vec![
            Crumb::new("Products", "/console/products"),
            Crumb::new(name.clone(), format!("/console/products/{id}")),
        ];
        let title = format!("Policy of {name}");
        let operations = operations(id, product.operations, &product.policy).into_any();
        let form = view! { <ProductPolicyForm id=id policy=product.policy flash=flash.clone()/> }.into_any();
        Ok(view! {
            <PageTitle text=title/>
            <OperatorFrame cx=cx path="/console/products">
                <Breadcrumbs trail=trail current="Policy"/>
                <PageHeader title="Policy" description="How the gateway treats the calls of this product, besides who may make them."/>
                {operations}
                <Card title="Product">{form}</Card>
                <Card title="Secrets" description="What the policy refers to by name. Values are encrypted and never shown again.">
                    <SecretsForm id=id names=product.secrets flash=flash/>
                </Card>
            </OperatorFrame>
        })
    })
}

fn operations(id: ProductId, operations: Vec<Operation>, policy: &Policy) -> impl IntoView + use<> {
    let rows = operations
        .into_iter()
        .map(|operation| {
            let own = policy.operation(&operation.code).map(in_words).unwrap_or_default();
            let own = if own.is_empty() { "As the product".to_owned() } else { own.join(", ") };
            let edit = format!("/console/products/{id}/policy/{}", operation.code);
            let label = format!("Change the policy of {}", operation.code);
            view! {
                <tr>
                    <Cell label="Call" head=true><CallPath method=operation.method path=operation.path/></Cell>
                    <Cell label="Name"><code>{operation.code}</code></Cell>
                    <Cell label="Its own">{own}</Cell>
                    <Cell actions=true><a href=edit aria-label=label>"Change"</a></Cell>
                </tr>
            }
        })
        .collect_view();
    view! {
        <Card title="Operations" description="What single operations have of their own." flush=true>
            <DataTable
                caption="Operations"
                caption_hidden=true
                columns=vec![Column::text("Call"), Column::text("Name"), Column::text("Its own"), Column::actions()]
                stack=true
            >
                {rows}
            </DataTable>
        </Card>
    }
}

/// What the operation has of its own, in a few words each.
fn in_words(own: &OperationPolicy) -> Vec<String> {
    let mut words = Vec::new();
    match own.idempotency_key {
        IdempotencyKey::Ignored => {}
        IdempotencyKey::Optional => words.push("Idempotency-Key honoured".to_owned()),
        IdempotencyKey::Required => words.push("Idempotency-Key required".to_owned()),
    }
    words.extend(own.scope.as_ref().map(|scope| format!("scope {scope}")));
    words.extend(own.gates.iter().map(|gate| format!("feature {}", gate.feature)));
    if own.cost.is_some() {
        words.push("cost by the answer".to_owned());
    }
    if own.never_cached {
        words.push("never cached".to_owned());
    }
    words.extend(own.total_timeout_ms.map(|time| format!("at most {time} ms")));
    words
}
