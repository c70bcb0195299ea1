//! The form of a policy's secrets.

use crate::{components::*, flash::Flash};
use domain::id::ProductId;
use leptos::prelude::*;

/// Empty rows below those that exist.
const FREE: usize = 1;

#[component]
pub(super) fn SecretsForm(id: ProductId, names: Vec<String>, flash: Flash) -> impl IntoView {
    let free = std::iter::repeat_n(String::new(), FREE);
    let rows = names.into_iter().chain(free).enumerate().map(|(position, name)| {
        let kept = if name.is_empty() { "" } else { "Kept; type to replace it" };
        view! {
            <TextField label="Name" name="name[]" id=format!("secret-name-{position}") value=name mono=true hint="Lower case, as identity-signing. Empty removes it" autocomplete="off"/>
            <TextArea label="Value" name="value[]" id=format!("secret-value-{position}") placeholder=kept rows=3 mono=true/>
        }
    });
    let rows = rows.collect_view();
    view! {
        <Form action="/do/console/policies/secrets" wide=true>
            <ErrorSummary problems=flash.problems_of("policies/secrets")/>
            <input type="hidden" name="product" value=id.to_string()/>
            {rows}
            <FormActions><Button>"Save secrets"</Button></FormActions>
        </Form>
    }
}
