//! The console beside an operation: fill in, send, read the answer.

use super::early;
use crate::api::try_it::{TriedCall, TryAnswer, try_call};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

/// A key that the call can be made as.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TryKey {
    pub id: String,
    pub label: String,
    /// Whether calls with it are billed.
    pub live: bool,
}

/// A parameter to fill in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TryField {
    pub name: String,
    /// `path`, `query` or `header`.
    pub place: String,
    pub required: bool,
    pub example: String,
    /// Its type in words.
    pub hint: String,
    /// The values that it may have; empty where any will do.
    pub choices: Vec<String>,
}

#[island]
pub fn TryIt(
    product: String,
    operation: String,
    keys: Vec<TryKey>,
    fields: Vec<TryField>,
    body: Option<String>,
    content_type: String,
) -> impl IntoView {
    let key = RwSignal::new(keys.first().map(|key| key.id.clone()).unwrap_or_default());
    let options =
        keys.iter().map(|key| view! { <option value=key.id.clone()>{key.label.clone()}</option> }).collect_view();
    early::take_over("try-key", key);
    let live = move || keys.iter().any(|one| one.live && one.id == key.get());
    let values: Vec<(TryField, RwSignal<String>)> =
        fields.into_iter().map(|field| (field.clone(), RwSignal::new(field.example))).collect();
    let text = RwSignal::new(body.clone().unwrap_or_default());
    let has_body = body.is_some();
    if has_body {
        early::take_over("try-body", text);
    }
    let rows = body.as_ref().map_or(4, |body| body.lines().count()).clamp(4, 18).to_string();
    let sent = values.clone();
    let send = Action::new(move |_: &()| {
        let filled = sent.iter().filter(|(_, value)| !value.get_untracked().is_empty());
        let call = TriedCall {
            product: product.clone(),
            operation: operation.clone(),
            key: key.get_untracked(),
            parameters: filled
                .map(|(field, value)| (field.place.clone(), field.name.clone(), value.get_untracked()))
                .collect(),
            content_type: content_type.clone(),
            body: has_body.then(|| text.get_untracked()),
        };
        async move { try_call(call).await }
    });
    let inputs = values.into_iter().map(|(field, value)| input(field, value)).collect_view();
    view! {
        <div class="try-it">
            <form
                class="form"
                on:submit=move |event| {
                    event.prevent_default();
                    send.dispatch(());
                }
            >
                <div class="field">
                    <label for="try-key">"Call as"</label>
                    <p class="field-hint" id="try-key-hint">
                        {move || match live() {
                            true => "A live key: this call is counted and billed.",
                            false => "A test key: this call is not charged.",
                        }}
                    </p>
                    <div class="select">
                        <select
                            id="try-key"
                            class="input"
                            aria-describedby="try-key-hint"
                            on:change=move |event| key.set(event_target_value(&event))
                        >
                            {options}
                        </select>
                    </div>
                </div>
                {inputs}
                {has_body
                    .then(|| view! {
                        <div class="field">
                            <label for="try-body">"Body"</label>
                            <textarea
                                id="try-body"
                                class="input input-mono input-area"
                                rows=rows
                                spellcheck="false"
                                on:input=move |event| text.set(event_target_value(&event))
                            >
                                {body}
                            </textarea>
                        </div>
                    })}
                <div class="form-actions">
                    <button type="submit" class="button button-primary" disabled=move || send.pending().get()>
                        {move || if send.pending().get() { "Sending" } else { "Send call" }}
                    </button>
                </div>
            </form>
            <div class="try-it-answer" aria-live="polite">
                {move || match send.value().get() {
                    None => view! { <p class="try-it-wait">"The answer appears here."</p> }.into_any(),
                    Some(Ok(answer)) => answered(answer),
                    Some(Err(_)) => told("The portal could not send the call. Reload the page and try again.".to_owned()),
                }}
            </div>
        </div>
    }
}

fn input(field: TryField, value: RwSignal<String>) -> impl IntoView {
    let id = format!("try-{}-{}", field.place, field.name);
    early::take_over(&id, value);
    let hint_id = format!("{id}-hint");
    let described_by = hint_id.clone();
    let hint = format!("{}, in the {}", field.hint, field.place);
    let control = if field.choices.is_empty() {
        view! {
            <input
                id=id.clone()
                class="input input-mono"
                type="text"
                required=field.required
                autocomplete="off"
                value=field.example
                aria-describedby=described_by
                on:input=move |event| value.set(event_target_value(&event))
            />
        }
        .into_any()
    } else {
        let options = field
            .choices
            .into_iter()
            .map(|choice| view! { <option selected=choice == field.example>{choice.clone()}</option> })
            .collect_view();
        view! {
            <div class="select">
                <select
                    id=id.clone()
                    class="input"
                    required=field.required
                    aria-describedby=described_by
                    on:change=move |event| value.set(event_target_value(&event))
                >
                    <option value="">"—"</option>
                    {options}
                </select>
            </div>
        }
        .into_any()
    };
    view! {
        <div class="field">
            <label for=id.clone()>
                <code>{field.name}</code>
                {(!field.required).then(|| view! { <span class="field-optional">" optional"</span> })}
            </label>
            <p class="field-hint" id=hint_id>{hint}</p>
            {control}
        </div>
    }
}

fn told(problem: String) -> AnyView {
    view! { <p class="notice tone-danger" role="alert">{problem}</p> }.into_any()
}

fn answered(answer: TryAnswer) -> AnyView {
    let TryAnswer { problem, status, reason, milliseconds, units, charged, headers, limits, body, cut } = answer;
    if let Some(problem) = problem {
        return told(problem);
    }
    let tone = match status {
        200..=299 => "badge badge-code tone-success",
        300..=499 => "badge badge-code tone-warning",
        _ => "badge badge-code tone-danger",
    };
    let unit = if units == 1 { "unit" } else { "units" };
    let cost = if units == 0 || charged { format!("{units} {unit}") } else { format!("{units} {unit}, not charged") };
    let limits = limits.into_iter().map(|line| view! { <p class="field-hint">{line}</p> }).collect_view();
    let count = headers.len();
    let rows = headers.into_iter().map(|(name, value)| view! { <dt>{name}</dt> <dd>{value}</dd> }).collect_view();
    let code = match body.is_empty() {
        true => view! { <p class="field-hint">"The answer has no body."</p> }.into_any(),
        false => view! {
            <figure class="code-block code-short">
                <pre tabindex="0" role="region" aria-label="Body of the answer"><code inner_html=body></code></pre>
            </figure>
        }
        .into_any(),
    };
    view! {
        <p class="try-it-status">
            <span class=tone>{format!("{status} {reason}")}</span>
            <span>{format!("{milliseconds} ms")}</span>
            <span>{cost}</span>
        </p>
        {limits}
        {code}
        {cut.then(|| view! { <p class="field-hint">"The answer is longer; the rest is not shown."</p> })}
        <details class="try-it-headers">
            <summary>{format!("{count} headers")}</summary>
            <dl>{rows}</dl>
        </details>
    }
    .into_any()
}
