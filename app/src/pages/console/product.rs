//! `/console/products/{product}`: one product: its operations and weights, its settings, who was invited.

use super::product_form::ProductForm;
use crate::{
    components::*,
    flash::flash,
    frames::OperatorFrame,
    page::{PageError, PageTitle, page},
    viewer,
};
use domain::{
    id::{PartnerId, ProductId},
    product::{Operation, Visibility},
};
use leptos::prelude::*;
use leptos_router::hooks::use_params_map;

/// Partners that the invitation's list offers at once.
const MOST_PARTNERS: u32 = 200;

#[component]
pub fn OneProductPage() -> impl IntoView {
    let cx = viewer::operator();
    let id = use_params_map().get_untracked().get("product");
    let flash = flash();
    page(async move {
        let cx = cx?;
        let id: ProductId = id.and_then(|id| id.parse().ok()).ok_or(PageError::NotFound)?;
        let store = &cx.state.store;
        let product = store.product(id).await?;
        let line = product.line.clone();
        let partners = match line.visibility {
            Visibility::Invitation => store.all_partners_page("", None, MOST_PARTNERS, cx.now).await?.items,
            Visibility::Public | Visibility::Plan => Vec::new(),
        };
        let partners =
            partners.into_iter().map(|line| Choice::new(line.partner.id.to_string(), line.partner.name)).collect();
        let invited =
            (line.visibility == Visibility::Invitation).then(|| invited(id, product.invited.clone(), partners));
        let operations = operations(id, product.operations.clone());
        let address = format!("{}{}", cx.state.settings.gateway_url, line.route);
        let description = format!("{address} leads to {}", line.upstream_url);
        let archived = line.archived_at.is_some();
        let policy = format!("/console/products/{id}/policy");
        let problems = if flash.form == "products/update" { Vec::new() } else { flash.problems.clone() };
        let name = line.name.clone();
        Ok(view! {
            <PageTitle text=name.clone()/>
            <OperatorFrame cx=cx path="/console/products">
                <Breadcrumbs trail=vec![Crumb::new("Products", "/console/products")] current=name.clone()/>
                <PageHeader title=name description=description beside=move || view! {
                    {archived.then(|| view! { <Badge text="Archived"/> })}
                }>
                    <ButtonLink href=policy>"Policy"</ButtonLink>
                </PageHeader>
                <ErrorSummary problems=problems/>
                {operations}
                {invited}
                <Card title="Settings"><ProductForm there=Some(product) flash=flash/></Card>
                {(!archived).then(|| archive(id))}
            </OperatorFrame>
        })
    })
}

fn operations(id: ProductId, operations: Vec<Operation>) -> impl IntoView {
    let rows = operations
        .into_iter()
        .map(|operation| {
            let name = format!("weights[{}]", operation.code);
            let label = format!("Weight of {}", operation.code);
            let deprecated = operation.deprecated;
            view! {
                <tr>
                    <Cell label="Call" head=true><CallPath method=operation.method path=operation.path/></Cell>
                    <Cell label="Name">
                        <code>{operation.code.clone()}</code> {deprecated.then(|| view! { " " <Badge text="Deprecated" tone=Tone::Warning/> })}
                    </Cell>
                    <Cell label="Summary">{operation.summary}</Cell>
                    <Cell label="Units a call" numeric=true>
                        <input class="input weight" type="number" name=name value=operation.weight.to_string() min="0" max="1000000" aria-label=label/>
                    </Cell>
                </tr>
            }
        })
        .collect_view();
    view! {
        <Card title="Operations" description="What one call of each uses, in units. Plans price units." flush=true>
            <form method="post" action="/do/console/products/weights">
                <input type="hidden" name="product" value=id.to_string()/>
                <DataTable
                    caption="Operations"
                    caption_hidden=true
                    columns=vec![
                        Column::text("Call"),
                        Column::text("Name"),
                        Column::text("Summary"),
                        Column::numeric("Units a call"),
                    ]
                    stack=true
                >
                    {rows}
                </DataTable>
                <div class="card-body"><Button>"Save weights"</Button></div>
            </form>
        </Card>
    }
}

fn invited(id: ProductId, invited: Vec<(PartnerId, String)>, partners: Vec<Choice>) -> impl IntoView {
    let rows = invited
        .into_iter()
        .map(|(partner, name)| {
            view! {
                <li>
                    <Cluster>
                        <a href=format!("/console/partners/{partner}")>{name}</a>
                        <Form action="/do/console/products/uninvite" inline=true>
                            <input type="hidden" name="product" value=id.to_string()/>
                            <input type="hidden" name="partner" value=partner.to_string()/>
                            <Button size=Size::Small>"Take back"</Button>
                        </Form>
                    </Cluster>
                </li>
            }
        })
        .collect_view();
    view! {
        <Card title="Invited partners" description="They see the product once their plan opens it as well.">
            <Stack>
                <ul>{rows}</ul>
                <Form action="/do/console/products/invite" inline=true>
                    <input type="hidden" name="product" value=id.to_string()/>
                    <SelectField label="Partner" name="partner" choices=partners blank="Choose a partner"/>
                    <Button>"Invite"</Button>
                </Form>
            </Stack>
        </Card>
    }
}

fn archive(id: ProductId) -> impl IntoView {
    view! {
        <Card title="Archive" description="Takes the product off the gateway and out of the catalogue. What was used stays on record.">
            <DialogButton dialog="archive" kind=ButtonKind::Danger>"Archive product"</DialogButton>
            <Dialog id="archive" title="Archive this product">
                <Confirm
                    action="/do/console/products/archive"
                    text="Calls to it are refused within a second, for every partner."
                    confirm="Archive product"
                    cancel=format!("/console/products/{id}")
                    danger=true
                >
                    <input type="hidden" name="product" value=id.to_string()/>
                </Confirm>
            </Dialog>
        </Card>
    }
}
