//! What people fill in before a page's script is there, on a slow line, or what the browser puts back after a reload: it counts.

use leptos::prelude::*;

/// Takes over what the field with that `id` holds when the island comes to life.
#[cfg(feature = "hydrate")]
pub fn take_over(id: &str, filled: RwSignal<String>) {
    use wasm_bindgen::JsCast as _;
    let id = id.to_owned();
    Effect::new(move |_| {
        let Some(field) = document().get_element_by_id(&id) else { return };
        // Fields of all kinds call it `value`.
        let value = field.unchecked_into::<web_sys::HtmlInputElement>().value();
        if filled.with_untracked(|known| *known != value) {
            filled.set(value);
        }
    });
}

/// On the server nothing has been filled in yet.
#[cfg(not(feature = "hydrate"))]
pub fn take_over(_id: &str, _filled: RwSignal<String>) {}
