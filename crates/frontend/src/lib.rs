//! The browser's entry: the panic hook and the islands, nothing else.

// Linked for the islands that it exports.
use app as _;

/// Called by the hydration script once the module is loaded.
#[wasm_bindgen::prelude::wasm_bindgen]
pub fn hydrate() {
    console_error_panic_hook::set_once();
    leptos::mount::hydrate_islands();
}
