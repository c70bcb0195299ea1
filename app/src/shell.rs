//! The HTML document around every page.

use crate::{
    components::Theme,
    flash::Flash,
    form::set_cookie,
    page::{Refusal, RefusalPage},
    routes::App,
    state::AppState,
};
use http::{HeaderValue, header, request::Parts};
use leptos::{config::LeptosOptions, nonce::use_nonce, prelude::*};
use leptos_axum::ResponseOptions;
use leptos_meta::MetaTags;

/// Which built files the document asks the browser for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SiteFiles {
    /// Path of the style sheet, as `/site/turnpike-1a2b.css`.
    pub style: String,
}

/// The whole document, around a [`Refusal`] where the guard left one and else around the page. Sets the content security policy with this response's nonce.
pub fn shell(options: LeptosOptions, files: SiteFiles) -> impl IntoView {
    set_policy();
    if let Some(flash) = use_context::<Flash>().filter(|flash| *flash != Flash::default()) {
        set_cookie(&Flash::removal());
        provide_context(flash.shown_once(jiff::Timestamp::now()));
    }
    let theme = use_context::<Theme>().unwrap_or_default();
    let body = match use_context::<Refusal>() {
        Some(refusal) => view! { <RefusalPage refusal/> }.into_any(),
        None => view! { <App/> }.into_any(),
    };
    view! {
        <!DOCTYPE html>
        <html lang="en" data-theme=theme.code()>
            <head>
                <meta charset="utf-8"/>
                <meta name="viewport" content="width=device-width, initial-scale=1"/>
                <meta name="color-scheme" content="light dark"/>
                <link rel="icon" href="/favicon.svg" type="image/svg+xml"/>
                <link rel="stylesheet" href=files.style/>
                <HydrationScripts options islands=true/>
                <MetaTags/>
            </head>
            <body>
                <a class="skip-link" href="#main">"Skip to the content"</a>
                {body}
            </body>
        </html>
    }
}

/// Pages with a form that ends at Stripe: browsers follow a form only to where its page says.
const STRIPE_FORMS: [&str; 4] = ["/plan", "/plan/change", "/invoices", "/credit"];

/// Where forms of this page may end besides here.
fn form_targets() -> String {
    let path = use_context::<Parts>().map(|parts| parts.uri.path().trim_end_matches('/').to_owned());
    let access = use_context::<AppState>().and_then(|state| state.stripe);
    match (path, access) {
        (Some(path), Some(access)) if STRIPE_FORMS.contains(&path.as_str()) => {
            access.pages.origins().iter().map(|origin| format!(" {origin}")).collect()
        }
        _ => String::new(),
    }
}

fn set_policy() {
    let elsewhere = form_targets();
    let nonce = use_nonce().map(|nonce| format!("'nonce-{nonce}' 'strict-dynamic'")).unwrap_or_default();
    let policy = format!(
        "default-src 'none'; script-src {nonce} 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' data:; font-src 'self'; \
         connect-src 'self'; form-action 'self'{elsewhere}; base-uri 'none'; frame-ancestors 'none'; object-src 'none'"
    );
    if let (Some(response), Ok(value)) = (use_context::<ResponseOptions>(), HeaderValue::from_str(&policy)) {
        response.insert_header(header::CONTENT_SECURITY_POLICY, value);
    }
}
