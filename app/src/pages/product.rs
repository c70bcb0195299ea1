//! `/products/{product}`: a product's reference, first page: how to call it, and all operations by tag, with a search.

use crate::{
    components::*,
    docs::{
        self, PartnerDocument,
        markdown::{Markdown, first_line},
    },
    frames::MemberFrame,
    page::{PageError, PageTitle, page},
    viewer,
};
use domain::openapi::{OperationSummary, search_entries};
use leptos::prelude::*;
use leptos_router::hooks::{use_params_map, use_query_map};
use std::collections::HashSet;
use store::VisibleMeter;

#[component]
pub fn ProductPage() -> impl IntoView {
    let cx = viewer::member();
    let code = use_params_map().get_untracked().get("product");
    let query = use_query_map().get_untracked().get("q").unwrap_or_default();
    page(async move {
        let cx = cx?;
        let code = code.ok_or(PageError::NotFound)?;
        let found = docs::load(&cx.state, cx.viewer.partner, &code).await?;
        let line = found.product.line.clone();
        let open = found.product.is_open();
        let description = found.document.description().to_owned();
        let counting = found.product.counting.clone();
        let measured = measured(&found.product.meters);
        let version = format!("Version {}", found.document.version());
        let contents = contents(&found, None);
        let list = matching(&found, &query);
        let groups = groups(&line.code, list, &query);
        let curl = format!("curl {}/… \\\n  -H \"Authorization: Bearer $TURNPIKE_KEY\"", found.base_url);
        let (json, yaml) = (format!("/products/{code}/openapi.json"), format!("/products/{code}/openapi.yaml"));
        let name = line.name.clone();
        Ok(view! {
            <PageTitle text=line.name.clone()/>
            <MemberFrame cx=cx path="/products">
                <Breadcrumbs trail=vec![Crumb::new("APIs and docs", "/products")] current=line.name.clone()/>
                <PageHeader title=line.name.clone() description=line.summary.clone() beside=move || view! { <Badge text=version/> }>
                    <ButtonLink href=json icon=IconName::Download download="openapi.json">"OpenAPI, JSON"</ButtonLink>
                    <ButtonLink href=yaml icon=IconName::Download download="openapi.yaml">"OpenAPI, YAML"</ButtonLink>
                </PageHeader>
                {(!open).then(|| view! {
                    <Notice tone=Tone::Warning title="Not in your plan">
                        "You can read this reference; calls are refused until your plan opens it. " <a href="/plan">"Compare plans"</a>
                    </Notice>
                })}
                <DocsLayout label=name contents=move || contents>
                    <Stack>
                        {(!description.trim().is_empty())
                            .then(|| view! { <Prose><h2 class="visually-hidden">"About this API"</h2><Markdown text=description/></Prose> })}
                        <Card title="How to call it" description="Send your key with every call. A test key reaches the same API and is never charged.">
                            <CodeBlock code=curl language="shell" title="Base address and key" short=true/>
                        </Card>
                        <Card title="What counts"><p>{counting}</p></Card>
                        {measured}
                        <FilterBar action=format!("/products/{code}") label="Search this reference">
                            <TextField label="Search" name="q" kind="search" value=query.clone() placeholder="Path, name or words"/>
                            <Button icon=IconName::Search>"Search"</Button>
                        </FilterBar>
                        {groups}
                    </Stack>
                </DocsLayout>
            </MemberFrame>
        })
    })
}

/// What is measured besides units.
fn measured(meters: &[VisibleMeter]) -> Option<AnyView> {
    let rows = meters.iter().cloned().map(|meter| {
        let unit = Some(meter.unit).filter(|unit| !unit.is_empty());
        view! {
            <tr>
                <Cell label="Meter" head=true>{meter.name}</Cell>
                <Cell label="Unit">{unit}</Cell>
                <Cell label="What it is">{meter.sentence}</Cell>
            </tr>
        }
    });
    let rows: Vec<_> = rows.collect();
    if rows.is_empty() {
        return None;
    }
    let columns = vec![Column::text("Meter"), Column::text("Unit"), Column::text("What it is")];
    let table = view! {
        <Card
            title="What else is measured"
            description="Of calls that count; of a call whose answer is given again for its Idempotency-Key, once."
            flush=true
        >
            <DataTable caption="Meters" caption_hidden=true columns=columns stack=true>{rows.collect_view()}</DataTable>
        </Card>
    };
    Some(table.into_any())
}

/// The list of links on the left of every page of the reference.
pub fn contents(found: &PartnerDocument, current: Option<&str>) -> impl IntoView + use<> {
    let base = format!("/products/{}", found.product.line.code);
    let here = current.is_none().then_some("page");
    let items = found.document.operations().iter().map(|operation| {
        let href = format!("{base}/{}", operation.code);
        let here = (current == Some(operation.code.as_str())).then_some("page");
        let (method, label) = (operation.method.clone(), label(operation));
        view! { <li><a href=href aria-current=here><MethodBadge method=method/> <span>{label}</span></a></li> }
    });
    let items = items.collect_view();
    view! {
        <ul>
            <li><a href=base aria-current=here>"Overview"</a></li>
            {items}
        </ul>
    }
}

fn label(operation: &OperationSummary) -> String {
    if operation.summary.is_empty() { operation.path.clone() } else { operation.summary.clone() }
}

/// Operations that hold every word of the query; all of them where it is empty.
fn matching(found: &PartnerDocument, query: &str) -> Vec<OperationSummary> {
    let words: Vec<String> = query.split_whitespace().map(str::to_lowercase).collect();
    let hits: HashSet<String> = search_entries(&found.document)
        .into_iter()
        .filter(|entry| {
            let text = entry.text.to_lowercase();
            words.iter().all(|word| text.contains(word.as_str()))
        })
        .map(|entry| entry.operation)
        .collect();
    found.document.operations().iter().filter(|operation| hits.contains(&operation.code)).cloned().collect()
}

fn groups(product: &str, operations: Vec<OperationSummary>, query: &str) -> AnyView {
    if operations.is_empty() {
        let all = format!("/products/{product}");
        let text = format!("No operation that you may use holds \"{query}\".");
        return view! {
            <Card>
                <EmptyState title="Nothing found" text=text icon=IconName::Search>
                    <ButtonLink href=all>"Show all operations"</ButtonLink>
                </EmptyState>
            </Card>
        }
        .into_any();
    }
    let mut tags: Vec<String> = Vec::new();
    for operation in &operations {
        let tag = operation.tags.first().cloned().unwrap_or_default();
        if !tags.contains(&tag) {
            tags.push(tag);
        }
    }
    let groups = tags.into_iter().map(|tag| {
        let of_tag = operations.iter().filter(|operation| operation.tags.first().cloned().unwrap_or_default() == tag);
        let rows = of_tag.map(|operation| row(product, operation.clone())).collect_view();
        let title = if tag.is_empty() { "Operations".to_owned() } else { tag };
        view! {
            <Card title=title.clone() flush=true>
                <DataTable
                    caption=title
                    caption_hidden=true
                    columns=vec![Column::text("Operation"), Column::text("Call"), Column::text("What it does")]
                    stack=true
                >
                    {rows}
                </DataTable>
            </Card>
        }
    });
    groups.collect_view().into_any()
}

fn row(product: &str, operation: OperationSummary) -> impl IntoView + use<> {
    let href = format!("/products/{product}/{}", operation.code);
    let name = label(&operation);
    let does = Some(first_line(&operation.description)).filter(|does| !does.is_empty());
    let deprecated = operation.deprecated;
    view! {
        <tr>
            <Cell label="Operation" head=true>
                <a href=href>{name}</a>
                {deprecated.then(|| view! { " " <Badge text="Deprecated" tone=Tone::Warning/> })}
            </Cell>
            <Cell label="Call"><CallPath method=operation.method path=operation.path/></Cell>
            <Cell label="What it does">{does}</Cell>
        </tr>
    }
}
