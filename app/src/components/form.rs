//! Forms that work without script: a plain post, errors on top and beside the fields.

use super::{ButtonKind, ButtonLink, Icon, IconName, MaybeText, field_id};
use leptos::prelude::*;

/// A form that posts. Errors come back by rendering the page again with `error=` on the fields and an `ErrorSummary`.
#[component]
pub fn Form(
    #[prop(into)] action: String,
    /// `multipart/form-data` for uploads.
    #[prop(optional, into)]
    enctype: MaybeText,
    /// Beside other things in a row instead of below each other: a button alone, a short filter.
    #[prop(optional)]
    inline: bool,
    /// A long form of several `FormSection`s, with their headings beside the fields.
    #[prop(optional)]
    wide: bool,
    #[prop(optional, into)] id: MaybeText,
    /// For screen readers, where a page has several forms.
    #[prop(optional, into)]
    label: MaybeText,
    children: Children,
) -> impl IntoView {
    view! {
        <form
            method="post"
            action=action
            enctype=enctype.into_option()
            id=id.into_option()
            class=match (inline, wide) {
                (true, _) => "form form-inline",
                (false, true) => "form form-wide",
                (false, false) => "form",
            }
            aria-label=label.into_option()
        >
            {children()}
        </form>
    }
}

/// A filter above a table: a form that gets, so that the filter is in the address and can be shared.
#[component]
pub fn FilterBar(
    #[prop(into)] action: String,
    /// What is filtered: `Filter requests`.
    #[prop(into)]
    label: String,
    children: Children,
) -> impl IntoView {
    view! {
        <form method="get" action=action class="filter-bar" role="search" aria-label=label>
            {children()}
        </form>
    }
}

/// A group of fields with a heading.
#[component]
pub fn FormSection(
    #[prop(into)] title: String,
    #[prop(optional, into)] description: MaybeText,
    children: Children,
) -> impl IntoView {
    view! {
        <fieldset class="form-section">
            <legend>{title}</legend>
            {description.map(|text| view! { <p class="form-section-description">{text}</p> })}
            <div class="form-section-fields">{children()}</div>
        </fieldset>
    }
}

/// Fields side by side where there is room.
#[component]
pub fn FormRow(children: Children) -> impl IntoView {
    view! { <div class="form-row">{children()}</div> }
}

/// The buttons at a form's end: the primary one first, then the way back.
#[component]
pub fn FormActions(
    /// Where the way back goes; there is none without it.
    #[prop(optional, into)]
    cancel: MaybeText,
    /// What the way back is called: another word where the form itself cancels something.
    #[prop(default = "Cancel".to_owned(), into)]
    cancel_label: String,
    children: Children,
) -> impl IntoView {
    view! {
        <div class="form-actions">
            {children()}
            {cancel.map(|href| view! { <ButtonLink href kind=ButtonKind::Quiet>{cancel_label}</ButtonLink> })}
        </div>
    }
}

/// What is wrong with one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldProblem {
    /// The field's name; empty where it is about the whole form.
    pub field: String,
    /// A sentence.
    pub message: String,
}

impl FieldProblem {
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into() }
    }
}

impl From<(String, String)> for FieldProblem {
    fn from((field, message): (String, String)) -> Self {
        Self { field, message }
    }
}

/// All that is wrong with a form, above it, each a link to its field. Nothing where nothing is wrong.
#[component]
pub fn ErrorSummary<P>(
    /// `FieldProblem`s, or pairs of a field's name and a sentence.
    problems: Vec<P>,
) -> impl IntoView
where
    P: Into<FieldProblem>,
{
    if problems.is_empty() {
        return None;
    }
    let title = match problems.len() {
        1 => "One thing needs your attention".to_owned(),
        count => format!("{count} things need your attention"),
    };
    let items = problems.into_iter().map(|problem| {
        let FieldProblem { field, message } = problem.into();
        if field.is_empty() {
            return view! { <li>{message}</li> }.into_any();
        }
        view! { <li><a href=format!("#{}", field_id(&field))>{message}</a></li> }.into_any()
    });
    let items = items.collect_view();
    Some(view! {
        <div class="notice tone-danger error-summary" role="alert">
            <Icon name=IconName::Failure />
            <div class="notice-text">
                <p class="notice-title">{title}</p>
                <ul>{items}</ul>
            </div>
        </div>
    })
}
