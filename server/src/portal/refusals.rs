//! Pages that are shown instead of the one that was asked for, in the same document as every other.

use app::{
    page::Refusal,
    shell::{SiteFiles, shell},
    viewer::provide_from_request,
};
use axum::{
    extract::Request,
    response::{IntoResponse, Response},
};
use leptos::{config::LeptosOptions, prelude::provide_context};
use leptos_axum::render_app_async_with_context;

/// What the document needs.
#[derive(Clone)]
pub struct Refusals {
    options: LeptosOptions,
    files: SiteFiles,
}

impl Refusals {
    pub const fn new(options: LeptosOptions, files: SiteFiles) -> Self {
        Self { options, files }
    }

    /// Answers with the refusal's page and status.
    pub async fn show(&self, refusal: Refusal, request: Request) -> Response {
        let Self { options, files } = self.clone();
        let context = move || {
            provide_from_request();
            provide_context(refusal);
        };
        render_app_async_with_context(context, move || shell(options.clone(), files.clone()))(request)
            .await
            .into_response()
    }
}
