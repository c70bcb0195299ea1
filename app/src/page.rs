//! What every page shares: loading before rendering, errors that have a page of their own, a safe title.

use crate::viewer::NotAllowed;
use http::StatusCode;
use leptos::prelude::*;
use leptos_axum::ResponseOptions;
use leptos_meta::Title;
use std::future::Future;
use store::StoreError;

/// Why a page cannot be shown.
#[derive(Debug)]
pub enum PageError {
    /// It does not exist, or not for this viewer: the two look the same.
    NotFound,
    NotAllowed,
    /// Something behind the page did not answer; the cause has been logged.
    Unavailable,
}

impl From<StoreError> for PageError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotFound => Self::NotFound,
            other => {
                tracing::error!(cause = %other, "the store did not answer a page");
                Self::Unavailable
            }
        }
    }
}

impl From<NotAllowed> for PageError {
    fn from(_: NotAllowed) -> Self {
        Self::NotAllowed
    }
}

/// Renders what `load` gives, or the error's page with its status. Routes are `SsrMode::Async`, so the status is set before
/// the first byte.
pub fn page<V, F>(load: F) -> impl IntoView
where
    V: IntoView + 'static,
    F: Future<Output = Result<V, PageError>> + Send + 'static,
{
    let response = use_context::<ResponseOptions>();
    view! {
        <Suspense>
            {Suspend::new(async move {
                match load.await {
                    Ok(view) => view.into_any(),
                    Err(error) => {
                        let (status, title, text) = error.describe();
                        if let Some(response) = response {
                            response.set_status(status);
                        }
                        view! { <ErrorPage title=title text=text/> }.into_any()
                    }
                }
            })}
        </Suspense>
    }
}

impl PageError {
    fn describe(&self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::NotFound => {
                (StatusCode::NOT_FOUND, "Not found", "There is nothing at this address, or nothing that you may see.")
            }
            Self::NotAllowed => (StatusCode::FORBIDDEN, "Not allowed", "Your role does not open this page."),
            Self::Unavailable => (
                StatusCode::SERVICE_UNAVAILABLE,
                "Not available at the moment",
                "The database did not answer. Calls through the gateway are not affected. Reload in a moment.",
            ),
        }
    }
}

/// A page that says what went wrong and where to go.
#[component]
pub fn ErrorPage(title: &'static str, text: &'static str) -> impl IntoView {
    view! {
        <PageTitle text=title/>
        <main class="error-page" id="main">
            <h1>{title}</h1>
            <p>{text}</p>
            <p><a href="/">"Go to the front page"</a></p>
        </main>
    }
}

/// The document's title. leptos_meta writes titles unescaped, so user text is escaped here.
#[component]
pub fn PageTitle(#[prop(into)] text: String) -> impl IntoView {
    let safe = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    view! { <Title text=format!("{safe} · Turnpike")/> }
}
