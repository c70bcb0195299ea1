//! What must be there before a build or a test: looked for, installed where that is possible, else named in one line with
//! its remedy.

mod debian;
mod npm;
mod rust;

pub use npm::npm;
pub use rust::{llvm_profdata, rustfmt_and_clippy, wasm_target};

use std::path::Path;

use crate::Outcome;

/// The programs of PostgreSQL, for the private Postgres and the tests.
pub fn postgres() -> Outcome {
    let named = std::env::var_os("TURNPIKE_PG_BIN").is_some();
    let debian = std::fs::read_dir("/usr/lib/postgresql").is_ok_and(|mut versions| versions.next().is_some());
    if named || debian || on_path("initdb") {
        return Ok(());
    }
    debian::install("PostgreSQL", &["postgresql"], "or set TURNPIKE_PG_BIN to the folder that holds initdb")
}

/// Node 18 or newer, and npm.
pub fn node() -> Outcome {
    if !has_node() {
        debian::install("Node.js", &["nodejs", "npm"], "version 18 or newer")?;
    }
    Ok(())
}

/// curl, h2load and openssl, which speak to the gateway as partners do.
pub fn protocol_clients() -> Outcome {
    if ["curl", "h2load", "openssl"].into_iter().all(on_path) {
        return Ok(());
    }
    debian::install("curl, h2load or openssl", &["curl", "nghttp2-client", "openssl"], "for this referee alone")
}

/// nginx with Lua, HAProxy and wrk, which the gateway is measured beside and by.
pub fn proxies_and_wrk() -> Outcome {
    let files = ["/usr/sbin/nginx", "/usr/lib/nginx/modules/ngx_http_lua_module.so", "/usr/sbin/haproxy"];
    if !files.iter().all(|file| Path::new(file).exists()) || !on_path("wrk") {
        debian::install(
            "nginx, its Lua module, HAProxy or wrk",
            &["nginx-light", "libnginx-mod-http-lua", "haproxy", "wrk"],
            "for this measurement alone",
        )?;
    }
    Ok(())
}

/// slowhttptest, which attacks with slow heads, bodies and reads.
pub fn slowhttptest() -> Outcome {
    if on_path("slowhttptest") {
        return Ok(());
    }
    debian::install("slowhttptest", &["slowhttptest"], "for this referee alone")
}

/// Servers that read HTTP in other ways than we do.
pub fn other_proxies() -> Outcome {
    let missing = |program: &str| !Path::new("/usr/sbin").join(program).exists();
    if ["nginx", "haproxy", "apache2"].into_iter().any(missing) {
        debian::install("nginx, HAProxy or Apache", &["nginx-light", "haproxy", "apache2"], "to read our requests")?;
    }
    Ok(())
}

/// Whether Node.js and npm are here already.
pub fn has_node() -> bool {
    on_path("node") && on_path("npm")
}

/// The browser for the journeys: TURNPIKE_CHROMIUM, else `chromium` or `google-chrome` on PATH.
pub fn chromium() -> Outcome<String> {
    if let Ok(named) = std::env::var("TURNPIKE_CHROMIUM") {
        return Ok(named);
    }
    let found = || ["chromium", "chromium-browser", "google-chrome"].into_iter().find_map(find_on_path);
    if found().is_none() {
        debian::install(
            "Chromium",
            // The font that pages are laid out with; without one text has no width.
            &["chromium", "fonts-liberation"],
            "or set TURNPIKE_CHROMIUM to a browser, or leave it out with --fast",
        )?;
    }
    found().ok_or_else(|| "Chromium was installed but is not on PATH. Set TURNPIKE_CHROMIUM to it.".to_owned())
}

fn on_path(program: &str) -> bool {
    find_on_path(program).is_some()
}

fn find_on_path(program: &str) -> Option<String> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|file| Path::is_file(file))
        .map(|file| file.to_string_lossy().into_owned())
}
