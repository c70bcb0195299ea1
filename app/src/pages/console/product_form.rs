//! The form of a product, for a new one and for one that exists.

use crate::{components::*, drafts, flash::Flash};
use domain::product::Visibility;
use leptos::prelude::*;
use store::Product;

/// Empty header rows below those that exist.
const FREE_HEADERS: usize = 2;

/// All fields; `there` is the product that is changed.
#[component]
pub fn ProductForm(there: Option<Product>, flash: Flash) -> impl IntoView {
    let is_new = there.is_none();
    let form = if is_new { "products/create" } else { "products/update" };
    let line = there.as_ref().map(|product| product.line.clone());
    let own = |field: &str, otherwise: String| flash.typed(form, field, &otherwise);
    let name = own("name", line.as_ref().map(|line| line.name.clone()).unwrap_or_default());
    let code = own("code", line.as_ref().map(|line| line.code.clone()).unwrap_or_default());
    let summary = own("summary", line.as_ref().map(|line| line.summary.clone()).unwrap_or_default());
    let route = own("route", line.as_ref().map(|line| line.route.clone()).unwrap_or_default());
    let upstream = own("upstream_url", line.as_ref().map(|line| line.upstream_url.clone()).unwrap_or_default());
    let timeout = own("timeout_ms", line.as_ref().map_or("30000".to_owned(), |line| line.timeout_ms.to_string()));
    let visibility =
        own("visibility", line.as_ref().map_or(Visibility::Plan, |line| line.visibility).code().to_owned());
    let document = drafts::find(&own("draft", String::new())).unwrap_or_default();
    let choices: Vec<Choice> =
        Visibility::ALL.iter().map(|one| Choice::new(one.code(), title(*one)).hint(one.describe())).collect();
    let names = there.as_ref().map(|product| product.headers.clone()).unwrap_or_default();
    let headers = headers(names);
    let (action, cancel, button) = match &line {
        None => ("/do/console/products/create", "/console/products".to_owned(), "Add product"),
        Some(line) => ("/do/console/products/update", format!("/console/products/{}", line.id), "Save product"),
    };
    let id = line.as_ref().map(|line| line.id.to_string());
    let document_hint = if is_new {
        "OpenAPI 3.0 or 3.1, as JSON or YAML. Partners see only the operations that their plan opens."
    } else {
        "Leave it empty to keep the document that is there. Operations keep their weights by name."
    };
    let problem = |field: &str| flash.problem(form, field);
    let errors = [problem("name"), problem("code"), problem("route"), problem("upstream_url"), problem("timeout_ms")];
    let [name_error, code_error, route_error, upstream_error, timeout_error] = errors;
    let (document_error, visibility_error) = (problem("document"), problem("visibility"));
    view! {
        <Form action=action enctype="multipart/form-data" wide=true>
            <ErrorSummary problems=flash.problems_of(form)/>
            {id.map(|id| view! { <input type="hidden" name="product" value=id/> })}
            <FormSection title="Name" description="How partners find it in the catalogue.">
                <FormRow>
                    <TextField label="Name" name="name" value=name error=name_error required=true maxlength=200 autocomplete="off"/>
                    <TextField
                        label="Code"
                        name="code"
                        value=code
                        error=code_error
                        hint="Plans name it so; it never changes"
                        required=true
                        maxlength=64
                        mono=true
                        readonly=!is_new
                        autocomplete="off"
                    />
                </FormRow>
                <TextField label="Summary" name="summary" value=summary hint="One sentence for the catalogue" maxlength=300 autocomplete="off"/>
            </FormSection>
            <FormSection title="OpenAPI document" description=document_hint>
                <div class="field">
                    <label for="field-file">"Choose a file"</label>
                    <input id="field-file" class="input" type="file" name="file" accept=".json,.yaml,.yml,application/json,application/yaml"/>
                </div>
                <TextArea label="Or paste it" name="document" value=document error=document_error rows=12 mono=true/>
            </FormSection>
            <FormSection title="Where it runs" description="Calls to the route on the gateway go on to the upstream address.">
                <TextField label="Upstream address" name="upstream_url" value=upstream error=upstream_error required=true mono=true kind="url" placeholder="https://payments.internal:8443/v1" autocomplete="off"/>
                <FormRow>
                    <TextField label="Route on the gateway" name="route" value=route error=route_error required=true mono=true placeholder="/payments" autocomplete="off"/>
                    <TextField label="Timeout" name="timeout_ms" value=timeout error=timeout_error suffix="milliseconds" inputmode="numeric" required=true autocomplete="off"/>
                </FormRow>
            </FormSection>
            <FormSection title="Visibility" description="Who finds it in the catalogue and may read its reference.">
                <RadioCards legend="Who sees it" name="visibility" choices=choices value=visibility error=visibility_error/>
            </FormSection>
            <FormSection
                title="Headers to add"
                description="Sent to the upstream with each call. Values are encrypted and never shown again; an empty value keeps the one that is there."
            >
                {headers}
            </FormSection>
            <FormActions cancel=cancel><Button kind=ButtonKind::Primary>{button}</Button></FormActions>
        </Form>
    }
}

const fn title(visibility: Visibility) -> &'static str {
    match visibility {
        Visibility::Public => "Everybody",
        Visibility::Plan => "By plan",
        Visibility::Invitation => "By invitation",
    }
}

fn headers(names: Vec<String>) -> impl IntoView {
    let free = std::iter::repeat_n(String::new(), FREE_HEADERS);
    let rows = names.into_iter().chain(free).enumerate().map(|(position, name)| {
        let kept = if name.is_empty() { "" } else { "Kept; type to replace it" };
        view! {
            <FormRow>
                <TextField label="Header" name="header_name" id=format!("header-name-{position}") value=name mono=true autocomplete="off"/>
                <TextField label="Value" name="header_value" id=format!("header-value-{position}") placeholder=kept mono=true autocomplete="off"/>
            </FormRow>
        }
    });
    rows.collect_view()
}
