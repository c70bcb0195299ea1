//! Code to read and to copy: one block, or one per language behind tabs that need no script.

use super::{CopyButton, MaybeText, highlight::highlight};
use leptos::prelude::*;

/// `code` as HTML with colours, everything escaped; for islands, which get it from their server function.
pub fn highlighted(language: &str, code: &str) -> String {
    highlight(language, code)
}

/// A block of code with a button that copies it.
#[component]
pub fn CodeBlock(
    #[prop(into)] code: String,
    /// `json`, `yaml`, `shell`, `javascript`, `python`, `go`, `rust`, `java`; anything else stays plain.
    #[prop(optional, into)]
    language: String,
    /// In the bar above: a file name, `Response`.
    #[prop(optional, into)]
    title: MaybeText,
    /// At most some twenty lines high, then it scrolls.
    #[prop(optional)]
    short: bool,
) -> impl IntoView {
    let label = title.as_deref().unwrap_or("Code").to_owned();
    let html = highlight(&language, &code);
    let bar = title.map(|title| view! { <figcaption class="code-bar">{title}</figcaption> });
    view! {
        <figure class=if short { "code-block code-short" } else { "code-block" }>
            {bar}
            <CopyButton text=code label=format!("Copy {}", label.to_lowercase()) />
            <pre tabindex="0" role="region" aria-label=label>
                <code inner_html=html></code>
            </pre>
        </figure>
    }
}

/// The same call in one language.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeSample {
    /// On the tab: `Python`.
    pub label: String,
    /// For the colours: `python`.
    pub language: String,
    pub code: String,
}

impl CodeSample {
    pub fn new(label: impl Into<String>, language: impl Into<String>, code: impl Into<String>) -> Self {
        Self { label: label.into(), language: language.into(), code: code.into() }
    }
}

/// Samples behind tabs (radio buttons, so they work without script and with the arrow keys). At most eight.
#[component]
pub fn CodeTabs(
    /// Unique on the page.
    #[prop(into)]
    id: String,
    /// What the samples show: `Create a payment`.
    #[prop(into)]
    label: String,
    samples: Vec<CodeSample>,
) -> impl IntoView {
    let mut tabs = Vec::new();
    let mut panels = Vec::new();
    for (position, sample) in samples.into_iter().enumerate() {
        let tab_id = format!("{id}-{position}");
        let html = highlight(&sample.language, &sample.code);
        let region = format!("{}, {}", label, sample.label);
        tabs.push(view! {
            <label class="code-tab">
                <input type="radio" class="visually-hidden" name=id.clone() id=tab_id checked=position == 0 />
                <span>{sample.label}</span>
            </label>
        });
        panels.push(view! {
            <div class="code-panel">
                <CopyButton text=sample.code label="Copy code" />
                <pre tabindex="0" role="region" aria-label=region>
                    <code inner_html=html></code>
                </pre>
            </div>
        });
    }
    view! {
        <div class="code-block code-tabs">
            <fieldset class="code-bar">
                <legend class="visually-hidden">{label}</legend>
                {tabs}
            </fieldset>
            {panels}
        </div>
    }
}
