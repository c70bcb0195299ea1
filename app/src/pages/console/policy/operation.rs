//! What one operation has of its own.

use super::fields::Fields;
use crate::{
    components::*,
    flash::{Flash, flash},
    frames::OperatorFrame,
    page::{PageError, PageTitle, page},
    viewer,
};
use domain::{
    id::ProductId,
    policy::{Cost, IdempotencyKey, OperationPolicy},
};
use leptos::prelude::*;
use leptos_router::hooks::use_params_map;

const FORM: &str = "policies/operation";

#[component]
pub fn OperationPolicyPage() -> impl IntoView {
    let cx = viewer::operator();
    let params = use_params_map().get_untracked();
    let flash = flash();
    page(async move {
        let cx = cx?;
        let id: ProductId = params.get("product").and_then(|id| id.parse().ok()).ok_or(PageError::NotFound)?;
        let product = cx.state.store.product(id).await?;
        let code = params.get("operation").unwrap_or_default();
        let operation = product.operations.iter().find(|one| one.code == code).ok_or(PageError::NotFound)?.clone();
        let own = product.policy.operation(&code).cloned().unwrap_or_default();
        let all = format!("/console/products/{id}/policy");
        let trail = vec![
            Crumb::new("Products", "/console/products"),
            Crumb::new(product.line.name.clone(), format!("/console/products/{id}")),
            Crumb::new("Policy", all.clone()),
        ];
        let title = format!("Policy of {code}");
        let description = format!("{} {}", operation.method, operation.path);
        let form = form(id, code.clone(), own, all, flash);
        Ok(view! {
            <PageTitle text=title/>
            <OperatorFrame cx=cx path="/console/products">
                <Breadcrumbs trail=trail current=code.clone()/>
                <PageHeader title=code description=description/>
                <Card title="Of its own">{form}</Card>
            </OperatorFrame>
        })
    })
}

fn form(id: ProductId, code: String, own: OperationPolicy, cancel: String, flash: Flash) -> impl IntoView {
    let problems = flash.problems_of(FORM);
    let fields = Fields { form: FORM, flash };
    let idempotency = match own.idempotency_key {
        IdempotencyKey::Ignored => "ignored",
        IdempotencyKey::Optional => "optional",
        IdempotencyKey::Required => "required",
    };
    let idempotency = fields.choice(
        "idempotency_key",
        "Idempotency-Key",
        fields.value("idempotency_key", idempotency),
        &[("ignored", "Passed on"), ("optional", "Honoured where it is sent"), ("required", "Required")],
    );
    let scope = fields.text("scope", "Scope", fields.any("scope", own.scope.clone()), "Keys with scopes need this one");
    let time = fields.number(
        "total_timeout_ms",
        "At most",
        fields.any("total_timeout_ms", own.total_timeout_ms),
        "ms in all",
        "Empty: as the product",
    );
    let cached = fields.tick("never_cached", "Never cached", own.never_cached);
    let gates = gates(&fields, &own);
    let cost = cost(&fields, own.cost.as_ref());
    view! {
        <Form action="/do/console/policies/operation" wide=true>
            <ErrorSummary problems=problems/>
            <input type="hidden" name="product" value=id.to_string()/>
            <input type="hidden" name="operation" value=code/>
            <FormSection title="Calls" description="What a call brings, and how long it may take.">
                <FormRow>{idempotency} {scope} {time}</FormRow>
                {cached}
            </FormSection>
            <FormSection title="Features" description="What the caller's plan has to hold, for the whole operation or for one of its query parameters.">{gates}</FormSection>
            <FormSection title="Cost" description="Where a call's units come from. Some are held before the call; the true number is settled after it.">{cost}</FormSection>
            <FormActions cancel=cancel><Button kind=ButtonKind::Primary>"Save operation"</Button></FormActions>
        </Form>
    }
}

fn gates(fields: &Fields, own: &OperationPolicy) -> AnyView {
    let rows = (0..own.gates.len() + 2).map(|row| {
        let there = own.gates.get(row);
        let parameter = there.and_then(|gate| gate.parameter.as_ref());
        let text = |name: &str, label: &str, own: Option<String>, hint: &str| {
            let field = format!("gates.{row}.{name}");
            fields.text(&field, label, fields.any(&field, own), hint)
        };
        let feature = text("feature", "Feature", there.map(|gate| gate.feature.clone()), "");
        let name = text("parameter.name", "Parameter", parameter.map(|one| one.name.clone()), "Empty: every call");
        let values = text("parameter.values", "Values", parameter.map(|one| one.values.join(", ")), "Empty: any value");
        view! { <FormRow>{feature} {name} {values}</FormRow> }
    });
    rows.collect_view().into_any()
}

fn cost(fields: &Fields, own: Option<&Cost>) -> AnyView {
    let (kind, header, pointer, per) = match own {
        None => ("", None, None, None),
        Some(Cost::Header { name, .. }) => ("header", Some(name.clone()), None, None),
        Some(Cost::JsonField { pointer, .. }) => ("json_field", None, Some(pointer.clone()), None),
        Some(Cost::Bytes { per, .. }) => ("bytes", None, None, Some(*per)),
        Some(Cost::Milliseconds { per, .. }) => ("milliseconds", None, None, Some(*per)),
    };
    let kind = fields.choice(
        "cost",
        "Units",
        fields.value("cost", kind),
        &[
            ("", "The operation's weight"),
            ("header", "A header of the answer"),
            ("json_field", "A number in the answer's JSON"),
            ("bytes", "The answer's bytes"),
            ("milliseconds", "The upstream's time"),
        ],
    );
    let reserve =
        fields.number("cost.reserve", "Held before", fields.any("cost.reserve", own.map(Cost::reserve)), "units", "");
    let header = fields.text("cost.header", "Header", fields.any("cost.header", header), "As X-Units");
    let pointer = fields.text("cost.pointer", "JSON Pointer", fields.any("cost.pointer", pointer), "As /usage/units");
    let per = fields.number("cost.per", "A unit for each", fields.any("cost.per", per), "bytes or ms", "");
    let error = fields.problem("cost");
    view! {
        <FormRow>{kind} {reserve}</FormRow>
        <FormRow>{header} {pointer} {per}</FormRow>
        {error.map(|text| view! { <p class="field-error">{text}</p> })}
    }
    .into_any()
}
