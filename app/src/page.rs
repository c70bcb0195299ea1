//! What every page shares: loading before rendering, errors that have a page of their own, a safe title.

use crate::{
    components::*,
    state::AppState,
    viewer::{NotAllowed, Viewer},
};
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
            // Pages ask only for what their address says, so it is the address that does not exist.
            StoreError::NotFound | StoreError::Invalid { .. } => Self::NotFound,
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
pub fn ErrorPage(
    title: &'static str,
    text: &'static str,
    /// Address and words of the way on; without it, to where the viewer is at home.
    #[prop(optional)]
    way_on: Option<(&'static str, &'static str)>,
) -> impl IntoView {
    let brand =
        use_context::<AppState>().map_or_else(|| "Turnpike".to_owned(), |state| state.settings.provider_name.clone());
    let (class, home, to_home) = match use_context::<Viewer>() {
        Some(Viewer::Member(_)) => ("error-page", "/home", "Go to your home page"),
        Some(Viewer::Operator(_)) => ("error-page frame-console", "/console", "Go to the console"),
        Some(Viewer::Nobody) | None => ("error-page", "/", "Go to the front page"),
    };
    let (href, label) = way_on.unwrap_or((home, to_home));
    view! {
        <PageTitle text=title/>
        <main class=class id="main" tabindex="-1">
            <div class="sign-in">
                <a href=home class="frame-brand"><Logo name=brand/></a>
                <div class="sign-in-card">
                    <h1>{title}</h1>
                    <p class="error-page-text">{text}</p>
                    <ButtonLink href=href kind=ButtonKind::Primary>{label}</ButtonLink>
                </div>
            </div>
        </main>
    }
}

/// Why the guard shows a page of its own: the one that was asked for must not even begin to render.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// A form came from a browser that is not signed in, or no longer.
    SignedOut,
    /// The viewer's role does not open it.
    Role,
    /// As if it did not exist.
    Hidden,
    /// A form came without a field that it has to have.
    Unreadable,
    /// The database did not say who is looking.
    Unavailable,
}

impl Refusal {
    pub const fn status(self) -> StatusCode {
        match self {
            Self::SignedOut => StatusCode::UNAUTHORIZED,
            Self::Role => StatusCode::FORBIDDEN,
            Self::Hidden => StatusCode::NOT_FOUND,
            Self::Unreadable => StatusCode::BAD_REQUEST,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

/// The page of a refusal; it stands outside the routes.
#[component]
pub fn RefusalPage(refusal: Refusal) -> impl IntoView {
    leptos_meta::provide_meta_context();
    if let Some(response) = use_context::<ResponseOptions>() {
        response.set_status(refusal.status());
    }
    match refusal {
        Refusal::SignedOut => view! {
            <ErrorPage
                title="You are signed out"
                text="Nothing was changed. Sign in, and send the form once more."
                way_on=("/sign-in", "Sign in")
            />
        }
        .into_any(),
        Refusal::Role => view! {
            <ErrorPage title="Not allowed" text="Your role does not open this. Ask an owner or admin of your company."/>
        }
        .into_any(),
        Refusal::Hidden => {
            let (_, title, text) = PageError::NotFound.describe();
            view! { <ErrorPage title text/> }.into_any()
        }
        Refusal::Unreadable => view! {
            <ErrorPage
                title="The form could not be read"
                text="Nothing was changed. Go back, load the page again, and send the form once more."
            />
        }
        .into_any(),
        Refusal::Unavailable => {
            let (_, title, text) = PageError::Unavailable.describe();
            view! { <ErrorPage title text/> }.into_any()
        }
    }
}

/// The document's title. leptos_meta writes titles unescaped, so user text is escaped here.
#[component]
pub fn PageTitle(#[prop(into)] text: String) -> impl IntoView {
    let safe = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    view! { <Title text=format!("{safe} · Turnpike")/> }
}
