//! `/products/{product}/{operation}`: one operation: what it takes and gives, code samples, and a console to try it.

use crate::{
    components::*,
    docs::{
        self, PartnerDocument, keyed,
        markdown::{Markdown, first_line},
    },
    frames::MemberFrame,
    islands::try_it::{TryField, TryIt, TryKey},
    page::{PageError, PageTitle, page},
    pages::{
        product::contents,
        schema_view::{SchemaView, property_view},
    },
    viewer,
};
use domain::{
    key_text::Environment,
    openapi::{
        display::{BodyDoc, OperationDoc, ParameterDoc, Place, PropertyDoc, ResponseDoc},
        samples::{self, Language, request_for},
    },
    role::MemberRole,
};
use leptos::prelude::*;
use leptos_router::hooks::use_params_map;
use serde_json::Value;
use store::{AppWithKeys, KeyState};

/// Tabs that a block of code can have.
const MOST_TABS: usize = 8;

#[component]
pub fn OperationPage() -> impl IntoView {
    let cx = viewer::member();
    let params = use_params_map().get_untracked();
    page(async move {
        let cx = cx?;
        let product = params.get("product").ok_or(PageError::NotFound)?;
        let code = params.get("operation").ok_or(PageError::NotFound)?;
        let found = docs::load(&cx.state, cx.viewer.partner, &product).await?;
        let doc = found.document.operation(&code).ok_or(PageError::NotFound)?;
        let may_try = found.product.is_open()
            && matches!(cx.viewer.role, MemberRole::Owner | MemberRole::Admin | MemberRole::Developer);
        let apps = if may_try { cx.state.store.apps(cx.viewer.partner).await? } else { Vec::new() };
        let keys = usable_keys(&apps, cx.now);
        let weight =
            found.product.operations.iter().find(|operation| operation.code == code).map_or(1, |own| own.weight);
        let keyed = found.product.keyed.get(&code).map(|own| keyed::sentence(*own));
        let contents = contents(&found, Some(&code));
        let title = if doc.summary.is_empty() { doc.path.clone() } else { doc.summary.clone() };
        let name = found.product.line.name.clone();
        let trail =
            vec![Crumb::new("APIs and docs", "/products"), Crumb::new(name.clone(), format!("/products/{product}"))];
        let samples = code_samples(&doc, &found.base_url);
        let try_it = try_it(&found, &doc, keys, may_try);
        let answers = doc.responses.clone();
        let examples = example_answers(&doc.responses);
        let examples = (!examples.is_empty())
            .then(|| view! { <div class="code-short"><CodeTabs id="answers" label="Example of an answer" samples=examples/></div> });
        let deprecated = doc.deprecated;
        Ok(view! {
            <PageTitle text=title.clone()/>
            <MemberFrame cx=cx path="/products">
                <Breadcrumbs trail=trail current=title.clone()/>
                <DocsLayout label=name contents=move || contents>
                    <PageHeader title=title.clone() beside=move || view! {
                        {deprecated.then(|| view! { <Badge text="Deprecated" tone=Tone::Warning/> })}
                    }/>
                    <p class="operation-call">
                        <MethodBadge method=doc.method.clone()/>
                        <code>{format!("{}{}", found.base_url, doc.path)}</code>
                        <Badge text=match weight { 1 => "1 unit a call".to_owned(), units => format!("{units} units a call") }/>
                    </p>
                    {keyed.map(|told| view! { <p class="operation-key"><code>{keyed::HEADER}</code> " " {told}</p> })}
                    <Operation id="operation" code=move || view! {
                        <CodeTabs id="samples" label="Call it" samples=samples/>
                        {examples}
                    }>
                        <h2 class="visually-hidden">"What it does"</h2>
                        <Markdown text=doc.description_markdown.clone()/>
                        <Parameters parameters=doc.parameters.clone()/>
                        {doc.request_body.clone().map(|body| view! { <Body body=body/> })}
                        <Answers responses=answers/>
                    </Operation>
                    <Card title="Try it" description="Sent through the gateway as one of your keys: counted, limited and, with a live key, billed like any call." id="try-it">
                        {try_it}
                    </Card>
                </DocsLayout>
            </MemberFrame>
        })
    })
}

fn code_samples(doc: &OperationDoc, base_url: &str) -> Vec<CodeSample> {
    let request = request_for(doc, base_url);
    let sample = |language: Language| {
        CodeSample::new(
            language.label(),
            if language == Language::Curl { "shell" } else { language.code() },
            samples::render(language, &request),
        )
    };
    Language::ALL.into_iter().map(sample).collect()
}

/// Answers that have an example, by status.
fn example_answers(responses: &[ResponseDoc]) -> Vec<CodeSample> {
    let sample = |response: &ResponseDoc| {
        let text = match response.example.clone()? {
            Value::String(text) => text,
            other => serde_json::to_string_pretty(&other).unwrap_or_default(),
        };
        Some(CodeSample::new(response.status.clone(), "json", text))
    };
    responses.iter().filter_map(sample).take(MOST_TABS).collect()
}

#[component]
fn Parameters(parameters: Vec<ParameterDoc>) -> impl IntoView {
    let groups = Place::ALL.into_iter().filter_map(|place| {
        let own: Vec<ParameterDoc> = parameters.iter().filter(|parameter| parameter.place == place).cloned().collect();
        (!own.is_empty()).then(|| {
            let title = match place {
                Place::Path => "In the path",
                Place::Query => "In the query",
                Place::Header => "In headers",
                Place::Cookie => "In cookies",
            };
            let rows = own.into_iter().map(parameter).collect_view();
            view! {
                <h2>{title}</h2>
                <ul class="schema-properties">{rows}</ul>
            }
        })
    });
    groups.collect_view()
}

fn parameter(parameter: ParameterDoc) -> impl IntoView {
    let ParameterDoc { name, required, deprecated, description, mut schema, .. } = parameter;
    schema.deprecated |= deprecated;
    if !description.is_empty() {
        schema.description = description;
    }
    property_view(&PropertyDoc { name, required, read_only: false, write_only: false, schema }, 0)
}

#[component]
fn Body(body: BodyDoc) -> impl IntoView {
    let mark = if body.required { "required" } else { "" };
    view! {
        <h2>"Body"</h2>
        <p class="schema-name"><code>{body.content_type}</code> <em>{mark}</em></p>
        <Markdown text=body.description/>
        <SchemaView schema=body.schema/>
    }
}

#[component]
fn Answers(responses: Vec<ResponseDoc>) -> impl IntoView {
    let rows = responses.into_iter().map(|response| {
        let status = response.status.clone();
        let schema = response.schema.map(|schema| view! { <SchemaView schema=schema depth=1/> });
        let headers = response.headers.into_iter().map(|header| {
            view! { <li><code>{header.name}</code> " " {header.schema.type_text} <Markdown text=header.description/></li> }
        });
        let headers: Vec<_> = headers.collect();
        let headers = (!headers.is_empty()).then(|| view! { <p class="schema-rule">"Headers"</p> <ul>{headers}</ul> });
        let description = response.description;
        let told = first_line(&description);
        let more = told.trim() != description.trim();
        view! {
            <details class="answer">
                <summary>{match status.parse() {
                    Ok(code) => view! { <StatusCode code=code/> }.into_any(),
                    Err(_) => view! { <Badge text=status/> }.into_any(),
                }} " " <span>{told}</span></summary>
                <div class="answer-body">
                    {more.then(|| view! { <Markdown text=description/> })}
                    {headers}
                    {schema}
                </div>
            </details>
        }
    });
    let rows = rows.collect_view();
    view! {
        <h2>"Answers"</h2>
        {rows}
    }
}

/// Keys that a call can be tried as: working ones, test keys first.
fn usable_keys(apps: &[AppWithKeys], now: jiff::Timestamp) -> Vec<TryKey> {
    let mut keys: Vec<_> = apps
        .iter()
        .flat_map(|app| &app.keys)
        .filter(|key| matches!(key.state(now), KeyState::Active | KeyState::Expiring))
        .collect();
    keys.sort_by_key(|key| key.environment == Environment::Live);
    keys.into_iter()
        .map(|key| TryKey {
            id: key.id.to_string(),
            label: format!("{} · {} ({}, …{})", key.app_name, key.name, key.environment, key.last_four),
            live: key.environment == Environment::Live,
        })
        .collect()
}

fn try_it(found: &PartnerDocument, doc: &OperationDoc, keys: Vec<TryKey>, may_try: bool) -> AnyView {
    if !found.product.is_open() {
        return view! {
            <EmptyState title="Not in your plan" text="Choose a plan that opens this API to try it." icon=IconName::Lock>
                <ButtonLink href="/plan" kind=ButtonKind::Primary>"Compare plans"</ButtonLink>
            </EmptyState>
        }
        .into_any();
    }
    if !may_try {
        return view! {
            <EmptyState title="For developers" text="Your role reads the docs. An owner or admin can make you a developer." icon=IconName::Lock/>
        }
        .into_any();
    }
    if keys.is_empty() {
        return view! {
            <EmptyState title="No key yet" text="Create a test key first; a call is tried as one of your keys." icon=IconName::Key>
                <ButtonLink href="/apps" kind=ButtonKind::Primary>"Create a key"</ButtonLink>
            </EmptyState>
        }
        .into_any();
    }
    let keyed = found.product.keyed.get(&doc.code);
    let field = |parameter: &ParameterDoc| {
        let is_key = parameter.place == Place::Header && parameter.name.eq_ignore_ascii_case(keyed::HEADER);
        let key = keyed.filter(|_| is_key);
        TryField {
            name: parameter.name.clone(),
            place: parameter.place.code().to_owned(),
            required: parameter.required || key.is_some_and(|key| key.required),
            example: match key {
                // The document's example would be everybody's, and so one request's for a day.
                Some(_) => keyed::new_key(),
                None if parameter.required => text_of(&parameter.example),
                None => String::new(),
            },
            hint: parameter.schema.type_text.clone(),
            choices: parameter.schema.enum_values.iter().map(text_of).collect(),
        }
    };
    let fields = doc.parameters.iter().filter(|parameter| parameter.place != Place::Cookie).map(field).collect();
    let body = doc.request_body.as_ref().map(|body| match &body.example {
        Value::String(text) => text.clone(),
        other => serde_json::to_string_pretty(other).unwrap_or_default(),
    });
    let content_type = doc.request_body.as_ref().map(|body| body.content_type.clone()).unwrap_or_default();
    let product = found.product.line.code.clone();
    view! {
        <noscript>
            <p>"The console needs JavaScript. The samples above make the same call from a shell or a program."</p>
        </noscript>
        <TryIt product=product operation=doc.code.clone() keys=keys fields=fields body=body content_type=content_type/>
    }
    .into_any()
}

fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        Value::Array(items) => items.iter().map(text_of).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}
