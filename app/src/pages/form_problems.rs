//! What went wrong with a form, above it: what concerns the whole form in words, what concerns fields as links to them.

use crate::{
    components::{ErrorSummary, FieldProblem, Notice, Tone},
    flash::flash,
};
use leptos::prelude::*;

/// The problems that the last attempt left. Nothing where nothing is wrong.
#[component]
pub fn FormProblems(
    /// The form's name, as `keys/create`.
    form: &'static str,
) -> impl IntoView {
    let (whole, fields): (Vec<_>, Vec<_>) =
        flash().problems_of(form).into_iter().partition(|(field, _)| field.is_empty());
    let problems = fields.into_iter().map(|(field, message)| FieldProblem::new(field, message)).collect::<Vec<_>>();
    let whole = whole.into_iter().map(|(_, message)| view! { <Notice tone=Tone::Danger>{message}</Notice> });
    let whole = whole.collect_view();
    view! {
        {whole}
        <ErrorSummary problems/>
    }
}
