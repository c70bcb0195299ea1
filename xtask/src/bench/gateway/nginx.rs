//! nginx: as the upstream of all, and as a proxy beside us, without and with Lua.

use super::Peer;
use crate::{Outcome, http, process, service::Services};
use std::{fmt::Write as _, fs, path::Path, time::Duration};

const UPSTREAM: u16 = 4801;
const PROXY: u16 = 4802;
const LUA: u16 = 4806;

/// What the bodies' measurement downloads.
pub const LARGE_FILE: &str = "large";

/// Where it uploads to: nginx hands it on to what listens there, as it comes.
pub const SINK: u16 = 4807;

/// Answers every call with a small JSON body, on the load's core.
pub fn start_upstream(services: &mut Services, folder: &Path) -> Outcome {
    let configuration = format!(
        "daemon off; worker_processes 1; pid {folder}/upstream.pid; error_log {folder}/upstream.err;\n\
         events {{ worker_connections 2048; }}\n\
         http {{ access_log off; keepalive_requests 100000000; default_type application/json;\n\
         client_max_body_size 0; sendfile on;\n\
         server {{ listen 127.0.0.1:{UPSTREAM}; root {folder};\n\
         location /{LARGE_FILE} {{ }}\n\
         location /sink {{ proxy_request_buffering off; proxy_http_version 1.1; proxy_pass http://127.0.0.1:{SINK}; }}\n\
         location / {{ return 200 '{{\"object\":\"list\",\"data\":[]}}'; }} }} }}\n",
        folder = folder.display()
    );
    start(services, folder, "upstream", &configuration, "1", UPSTREAM)
}

/// Where the upstream is.
pub fn upstream() -> String {
    format!("http://{}", upstream_address())
}

pub fn upstream_address() -> String {
    format!("127.0.0.1:{UPSTREAM}")
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
         http {{ client_max_body_size 0; keepalive_requests 100000000; map_hash_max_size 8192; map_hash_bucket_size 128;\n\
         log_format usage '$msec $partner $request_method $uri $status $body_bytes_sent $request_time';\n\
         access_log {folder}/proxy.log usage buffer=64k flush=1s;\n\
         map $http_x_api_key $partner {{ default ''; {map} }}\n\
         limit_req_zone $partner zone=limit:10m rate=1000000r/s;\n\
         upstream payments {{ server 127.0.0.1:{UPSTREAM}; keepalive 128; keepalive_requests 100000000; }}\n\
         server {{ listen 127.0.0.1:{PROXY}; location /payments {{\n\
         if ($partner = '') {{ return 401; }}\n\
         limit_req zone=limit burst=1000000 nodelay;\n\
         proxy_request_buffering off; proxy_max_temp_file_size 0;\n\
         proxy_http_version 1.1; proxy_set_header Connection ''; proxy_set_header X-Partner $partner;\n\
         proxy_set_header X-API-Key ''; proxy_pass http://payments/; }} }} }}\n",
        folder = folder.display()
    );
    start(services, folder, "proxy", &configuration, "0", PROXY)?;
    Ok(Peer::new("nginx", PROXY, workers(folder, "proxy")?, keys))
}

/// What a gateway on OpenResty does for each call: a look-up, a counter for each of two windows, headers about them.
pub fn start_lua(services: &mut Services, folder: &Path, keys: &str) -> Outcome<Peer> {
    let configuration = format!(
        "daemon off; worker_processes 1; pid {folder}/lua.pid; error_log {folder}/lua.err;\n\
         load_module /usr/lib/nginx/modules/ndk_http_module.so;\n\
         load_module /usr/lib/nginx/modules/ngx_http_lua_module.so;\n\
         events {{ worker_connections 4096; }}\n\
         http {{ keepalive_requests 100000000; lua_shared_dict counters 20m;\n\
         log_format usage '$msec $request_method $uri $status $body_bytes_sent $request_time';\n\
         access_log {folder}/lua.log usage buffer=64k flush=1s;\n\
         init_by_lua_block {{\n\
           partners = {{}}\n\
           local number = 0\n\
           for line in io.lines('{keys}') do partners[line] = 'partner' .. number; number = number + 1 end\n\
         }}\n\
         upstream payments {{ server 127.0.0.1:{UPSTREAM}; keepalive 128; keepalive_requests 100000000; }}\n\
         server {{ listen 127.0.0.1:{LUA}; location /payments {{\n\
         access_by_lua_block {{\n\
           local partner = partners[ngx.var.http_x_api_key]\n\
           if not partner then return ngx.exit(401) end\n\
           local now, counters = ngx.time(), ngx.shared.counters\n\
           local second = counters:incr(partner .. ':s:' .. now, 1, 0, 2)\n\
           local minute = counters:incr(partner .. ':m:' .. math.floor(now / 60), 1, 0, 120)\n\
           if second > 1000000 or minute > 60000000 then return ngx.exit(429) end\n\
           ngx.ctx.left = 1000000 - second\n\
           ngx.req.clear_header('X-API-Key')\n\
           ngx.req.set_header('X-Partner', partner)\n\
         }}\n\
         header_filter_by_lua_block {{\n\
           ngx.header['X-RateLimit-Limit'] = 1000000\n\
           ngx.header['X-RateLimit-Remaining'] = ngx.ctx.left\n\
           ngx.header['X-RateLimit-Reset'] = 1\n\
         }}\n\
         proxy_http_version 1.1; proxy_set_header Connection ''; proxy_pass http://payments/; }} }} }}\n",
        folder = folder.display()
    );
    start(services, folder, "lua", &configuration, "0", LUA)?;
    Ok(Peer::new("nginx + Lua", LUA, workers(folder, "lua")?, keys))
}

fn workers(folder: &Path, name: &str) -> Outcome<Vec<u32>> {
    let master = fs::read_to_string(folder.join(format!("{name}.pid"))).map_err(|why| why.to_string())?;
    let workers = process::read(process::program("pgrep", ["-P", master.trim()], folder))?;
    Ok(workers.lines().filter_map(|pid| pid.trim().parse().ok()).collect())
}

fn start(services: &mut Services, folder: &Path, name: &str, configuration: &str, core: &str, port: u16) -> Outcome {
    let path = folder.join(format!("{name}.conf"));
    fs::write(&path, configuration).map_err(|why| format!("{} cannot be written: {why}.", path.display()))?;
    let program = process::program("taskset", ["-c", core, "/usr/sbin/nginx", "-c", &path.to_string_lossy()], folder);
    services.start(name, program)?;
    services.wait(name, Duration::from_secs(10), || http::get(port, "/", &[]).is_some())
}
