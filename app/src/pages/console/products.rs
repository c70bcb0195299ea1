//! `/console/products`: what is sold.

use crate::{
    components::*,
    frames::OperatorFrame,
    page::{PageTitle, page},
    viewer,
};
use leptos::prelude::*;
use store::ProductLine;

#[component]
pub fn AllProductsPage() -> impl IntoView {
    let cx = viewer::operator();
    page(async move {
        let cx = cx?;
        let products = cx.state.store.all_products().await?;
        let empty = products.is_empty();
        let rows = products.into_iter().map(row).collect_view();
        Ok(view! {
            <PageTitle text="Products"/>
            <OperatorFrame cx=cx path="/console/products">
                <PageHeader title="Products" description="Each is an API that runs behind the gateway, described by its OpenAPI document.">
                    <ButtonLink href="/console/products/new" kind=ButtonKind::Primary icon=IconName::Plus>"Add product"</ButtonLink>
                </PageHeader>
                <Card flush=true>
                    {if empty {
                        view! {
                            <EmptyState title="No products yet" text="Add the first: paste its OpenAPI document and say where it runs." icon=IconName::Box>
                                <ButtonLink href="/console/products/new" kind=ButtonKind::Primary>"Add product"</ButtonLink>
                            </EmptyState>
                        }
                        .into_any()
                    } else {
                        view! {
                            <DataTable
                                caption="Products"
                                caption_hidden=true
                                columns=vec![
                                    Column::text("Product"),
                                    Column::text("Route"),
                                    Column::text("Who sees it"),
                                    Column::numeric("Operations"),
                                    Column::text("Changed"),
                                ]
                                stack=true
                            >
                                {rows}
                            </DataTable>
                        }
                        .into_any()
                    }}
                </Card>
            </OperatorFrame>
        })
    })
}

fn row(product: ProductLine) -> impl IntoView {
    let href = format!("/console/products/{}", product.id);
    let archived = product.archived_at.is_some();
    view! {
        <tr>
            <Cell label="Product" head=true>
                <a href=href>{product.name}</a> {archived.then(|| view! { " " <Badge text="Archived"/> })}
            </Cell>
            <Cell label="Route"><code>{product.route}</code></Cell>
            <Cell label="Who sees it">{product.visibility.describe()}</Cell>
            <Cell label="Operations" numeric=true><Figure value=product.operations/></Cell>
            <Cell label="Changed"><TimeText at=product.updated_at date=true/></Cell>
        </tr>
    }
}
