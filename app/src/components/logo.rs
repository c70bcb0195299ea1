//! The mark: a toll barrier, raised.

use leptos::prelude::*;

/// The mark with the name beside it.
#[component]
pub fn Logo(
    /// The name shown beside the mark: the provider's, or the product's own.
    #[prop(into)]
    name: String,
) -> impl IntoView {
    view! {
        <span class="logo">
            <svg class="logo-mark" viewBox="0 0 32 32" width="28" height="28" aria-hidden="true" focusable="false">
                <rect class="logo-ground" width="32" height="32" rx="7" />
                <path class="logo-post" d="M7.5 13h5v12h-5z M6 25h8v1.5H6z" />
                <path class="logo-bar" d="M10 16.5 26 7.2" />
                <path class="logo-stripe" d="m14.6 13.83 2.6-1.51M20 10.69l2.6-1.51" />
            </svg>
            <span class="logo-name">{name}</span>
        </span>
    }
}
