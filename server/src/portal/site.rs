//! The built files: style sheet, the browser half, icons. Names carry a hash of the content, so they are cached for ever.

use app::shell::SiteFiles;
use axum::Router;
use http::{HeaderValue, header};
use leptos::config::LeptosOptions;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use tower::ServiceBuilder;
use tower_http::{
    services::{ServeDir, ServeFile},
    set_header::SetResponseHeaderLayer,
};

/// The site that `cargo xtask wasm` built.
#[derive(Debug, Clone)]
pub struct Site {
    dir: PathBuf,
    manifest: Manifest,
}

/// Names of the hashed files under `pkg/`.
#[derive(Debug, Clone, Deserialize)]
struct Manifest {
    js: String,
    css: String,
}

/// The built site is not where it should be.
#[derive(Debug, thiserror::Error)]
#[error("{} is not a built site ({cause}); run `cargo xtask wasm`", dir.display())]
pub struct NoSite {
    dir: PathBuf,
    cause: String,
}

impl Site {
    /// Reads the manifest of a built site.
    pub fn open(dir: &Path) -> Result<Self, NoSite> {
        let missing = |cause: String| NoSite { dir: dir.to_owned(), cause };
        let text =
            std::fs::read_to_string(dir.join("pkg/manifest.json")).map_err(|error| missing(error.to_string()))?;
        let manifest = serde_json::from_str(&text).map_err(|error| missing(error.to_string()))?;
        Ok(Self { dir: dir.to_owned(), manifest })
    }

    /// What the hydration script has to know: the script's stem; the wasm beside it is `<stem>_bg.wasm`.
    pub fn leptos_options(&self) -> LeptosOptions {
        let stem = self.manifest.js.trim_end_matches(".js");
        LeptosOptions::builder().output_name(stem.to_owned()).site_pkg_dir("pkg").build()
    }

    /// What the document links to.
    pub fn files(&self) -> SiteFiles {
        SiteFiles { style: format!("/pkg/{}", self.manifest.css) }
    }

    /// Serves the files, compressed ahead of time.
    pub fn router(&self) -> Router {
        let forever = SetResponseHeaderLayer::overriding(
            header::CACHE_CONTROL,
            HeaderValue::from_static("public, max-age=31536000, immutable"),
        );
        let day = SetResponseHeaderLayer::overriding(
            header::CACHE_CONTROL,
            HeaderValue::from_static("public, max-age=86400"),
        );
        let built = ServeDir::new(self.dir.join("pkg")).precompressed_br().precompressed_gzip();
        Router::new().nest_service("/pkg", ServiceBuilder::new().layer(forever).service(built)).route_service(
            "/favicon.svg",
            ServiceBuilder::new().layer(day).service(ServeFile::new(self.dir.join("favicon.svg"))),
        )
    }
}
