//! nginx, as the upstream of both and as the proxy beside us.

use super::Peer;
use crate::{Outcome, http, process, service::Services};
use std::{fmt::Write as _, fs, path::Path, time::Duration};

const UPSTREAM: u16 = 4801;
const PROXY: u16 = 4802;

/// Answers every call with a small JSON body, on the load's core.
pub fn start_upstream(services: &mut Services, folder: &Path) -> Outcome {
    let configuration = format!(
        "daemon off; worker_processes 1; pid {folder}/upstream.pid; error_log {folder}/upstream.err;\n\
         events {{ worker_connections 2048; }}\n\
         http {{ access_log off; keepalive_requests 100000000; default_type application/json;\n\
         server {{ listen 127.0.0.1:{UPSTREAM}; location / {{ return 200 '{{\"object\":\"list\",\"data\":[]}}'; }} }} }}\n",
        folder = folder.display()
    );
    start(services, folder, "upstream", &configuration, "1", UPSTREAM)
}

/// Where the upstream is.
pub fn upstream() -> String {
    format!("http://127.0.0.1:{UPSTREAM}")
}

/// Looks the key up, holds one limit, logs to disk, keeps connections to the upstream.
pub fn start_proxy(services: &mut Services, folder: &Path, keys: &str) -> Outcome<Peer> {
    let mut map = String::new();
    for (number, key) in fs::read_to_string(keys).map_err(|why| why.to_string())?.lines().enumerate() {
        let _ = writeln!(map, "{key} partner{number};");
    }
    let configuration = format!(
        "daemon off; worker_processes 1; pid {folder}/proxy.pid; error_log {folder}/proxy.err;\n\
         events {{ worker_connections 4096; }}\n\
         http {{ keepalive_requests 100000000; map_hash_max_size 8192; map_hash_bucket_size 128;\n\
         log_format usage '$msec $partner $request_method $uri $status $body_bytes_sent $request_time';\n\
         access_log {folder}/proxy.log usage buffer=64k flush=1s;\n\
         map $http_x_api_key $partner {{ default ''; {map} }}\n\
         limit_req_zone $partner zone=limit:10m rate=1000000r/s;\n\
         upstream payments {{ server 127.0.0.1:{UPSTREAM}; keepalive 128; keepalive_requests 100000000; }}\n\
         server {{ listen 127.0.0.1:{PROXY}; location /payments {{\n\
         if ($partner = '') {{ return 401; }}\n\
         limit_req zone=limit burst=1000000 nodelay;\n\
         proxy_http_version 1.1; proxy_set_header Connection ''; proxy_set_header X-Partner $partner;\n\
         proxy_set_header X-API-Key ''; proxy_pass http://payments/; }} }} }}\n",
        folder = folder.display()
    );
    start(services, folder, "proxy", &configuration, "0", PROXY)?;
    let master = fs::read_to_string(folder.join("proxy.pid")).map_err(|why| why.to_string())?;
    let workers = process::read(process::program("pgrep", ["-P", master.trim()], folder))?;
    let processes = workers.lines().filter_map(|pid| pid.trim().parse().ok()).collect();
    Ok(Peer { name: "nginx", port: PROXY, processes, keys: keys.to_owned(), samples: Vec::new() })
}

fn start(services: &mut Services, folder: &Path, name: &str, configuration: &str, core: &str, port: u16) -> Outcome {
    let path = folder.join(format!("{name}.conf"));
    fs::write(&path, configuration).map_err(|why| format!("{} cannot be written: {why}.", path.display()))?;
    let program = process::program("taskset", ["-c", core, "/usr/sbin/nginx", "-c", &path.to_string_lossy()], folder);
    services.start(name, program)?;
    services.wait(name, Duration::from_secs(10), || http::get(port, "/", &[]).is_some())
}
