//! `/products`: the APIs that this partner may know of.

use crate::{
    components::*,
    frames::MemberFrame,
    page::{PageTitle, page},
    viewer,
};
use leptos::prelude::*;
use store::VisibleProduct;

#[component]
pub fn ProductsPage() -> impl IntoView {
    let cx = viewer::member();
    page(async move {
        let cx = cx?;
        let products = cx.state.store.visible_products(cx.viewer.partner).await?;
        let empty = products.is_empty();
        let gateway = cx.state.settings.gateway_url.clone();
        let cards = products.into_iter().map(|product| card(product, &gateway)).collect_view();
        Ok(view! {
            <PageTitle text="APIs and docs"/>
            <MemberFrame cx=cx path="/products">
                <PageHeader title="APIs and docs" description="What your plan opens, with reference pages and a console to try each call."/>
                {if empty {
                    view! {
                        <Card>
                            <EmptyState
                                title="No APIs yet"
                                text="Your plan opens no API yet. Choose a plan to see what you can use."
                                icon=IconName::Book
                            >
                                <ButtonLink href="/plan" kind=ButtonKind::Primary>"Choose a plan"</ButtonLink>
                            </EmptyState>
                        </Card>
                    }
                    .into_any()
                } else {
                    view! { <Columns>{cards}</Columns> }.into_any()
                }}
            </MemberFrame>
        })
    })
}

fn card(product: VisibleProduct, gateway: &str) -> impl IntoView + use<> {
    let open = product.is_open();
    let count = product.operations.len();
    let (line, href) = (product.line.clone(), format!("/products/{}", product.line.code));
    let address = format!("{gateway}{}", line.route);
    let operations = format!("{count} {}", if count == 1 { "operation" } else { "operations" });
    view! {
        <Card title=line.name description=line.summary>
            <Stack tight=true>
                <p><code>{address}</code></p>
                <Cluster>
                    <Badge text=operations/>
                    {if open {
                        view! { <Badge text="In your plan" tone=Tone::Success/> }.into_any()
                    } else {
                        view! { <Badge text="Not in your plan" tone=Tone::Warning/> }.into_any()
                    }}
                </Cluster>
                <Cluster>
                    <ButtonLink href=href icon=IconName::Book>"Open the reference"</ButtonLink>
                    {(!open).then(|| view! { <ButtonLink href="/plan" kind=ButtonKind::Quiet>"Compare plans"</ButtonLink> })}
                </Cluster>
            </Stack>
        </Card>
    }
}
