//! What is for sale: each public product with its first operations.

use crate::components::{ButtonLink, EmptyState, IconName, MethodBadge};
use leptos::prelude::*;
use store::Product;

/// Operations that a product shows.
const MOST_OPERATIONS: usize = 6;

#[component]
pub fn Products(products: Vec<Product>) -> impl IntoView {
    let body = if products.is_empty() {
        view! {
            <EmptyState
                title="The catalogue opens when you sign in"
                text="Which APIs you see depends on your plan."
                icon=IconName::Box
            >
                <ButtonLink href="/sign-up">"Sign up"</ButtonLink>
            </EmptyState>
        }
        .into_any()
    } else {
        let cards = products.into_iter().map(|product| view! { <Card product/> }).collect_view();
        view! { <ul class="landing-products">{cards}</ul> }.into_any()
    };
    view! {
        <section class="landing-section" aria-labelledby="products">
            <header class="landing-head">
                <h2 id="products">"What you can build on"</h2>
                <p>"Each API with its reference, code in six languages, and a console to try it in."</p>
            </header>
            {body}
        </section>
    }
}

#[component]
fn Card(product: Product) -> impl IntoView {
    let Product { line, operations, .. } = product;
    let more = operations.len().saturating_sub(MOST_OPERATIONS);
    let items = operations.into_iter().take(MOST_OPERATIONS).map(|operation| {
        view! {
            <li>
                <MethodBadge method=operation.method/>
                <code>{format!("{}{}", line.route, operation.path)}</code>
                <span>{operation.summary}</span>
            </li>
        }
    });
    let items = items.collect_view();
    view! {
        <li class="landing-product">
            <div class="landing-product-parts">
                <div>
                    <h3>{line.name}</h3>
                    <p>{line.summary}</p>
                </div>
                <div>
                    <ul class="landing-operations">{items}</ul>
                    {(more > 0).then(|| view! { <p class="landing-small">{format!("and {more} more")}</p> })}
                </div>
            </div>
        </li>
    }
}

/// A path that can be called as it stands: the first reading operation without a parameter in it.
pub fn example_path(products: &[Product]) -> String {
    let plain = products.iter().flat_map(|product| {
        let simple = product.operations.iter().find(|one| one.method == "GET" && !one.path.contains('{'));
        simple.map(|operation| format!("{}{}", product.line.route, operation.path))
    });
    let first_route = || products.first().map(|product| product.line.route.clone());
    plain.into_iter().next().or_else(first_route).unwrap_or_else(|| "/".to_owned())
}
