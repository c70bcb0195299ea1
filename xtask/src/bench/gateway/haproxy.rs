//! HAProxy: a map of keys, a table of rates, a log line for each call.

use super::{Peer, nginx};
use crate::{Outcome, http, process, service::Services};
use std::{fmt::Write as _, fs, path::Path, time::Duration};

const PORT: u16 = 4807;

pub fn start(services: &mut Services, folder: &Path, keys: &str) -> Outcome<Peer> {
    let mut map = String::new();
    for (number, key) in fs::read_to_string(keys).map_err(|why| why.to_string())?.lines().enumerate() {
        let _ = writeln!(map, "{key} partner{number}");
    }
    let map_file = folder.join("haproxy.map");
    fs::write(&map_file, map).map_err(|why| why.to_string())?;
    let configuration = format!(
        "global\n  nbthread 1\n  maxconn 4096\n  log stdout format raw local0 info\n\
         defaults\n  mode http\n  log global\n  timeout connect 5s\n  timeout client 75s\n  timeout server 60s\n\
         \x20 http-reuse always\n\
         \x20 log-format \"%Ts %[var(txn.partner)] %HM %HP %ST %B %Ta\"\n\
         frontend calls\n  bind 127.0.0.1:{PORT}\n\
         \x20 stick-table type string len 64 size 100k expire 60s store http_req_rate(1s)\n\
         \x20 http-request set-var(txn.partner) req.hdr(x-api-key),map({map})\n\
         \x20 http-request deny deny_status 401 if !{{ var(txn.partner) -m found }}\n\
         \x20 http-request track-sc0 var(txn.partner)\n\
         \x20 http-request deny deny_status 429 if {{ sc_http_req_rate(0) gt 1000000 }}\n\
         \x20 http-request del-header x-api-key\n\
         \x20 http-request set-header x-partner %[var(txn.partner)]\n\
         \x20 default_backend payments\n\
         backend payments\n  server upstream {upstream}\n",
        map = map_file.display(),
        upstream = nginx::upstream_address(),
    );
    let path = folder.join("haproxy.cfg");
    fs::write(&path, configuration).map_err(|why| why.to_string())?;
    let path = path.to_string_lossy().into_owned();
    services
        .start("haproxy", process::program("taskset", ["-c", "0", "/usr/sbin/haproxy", "-db", "-f", &path], folder))?;
    services.wait("haproxy", Duration::from_secs(10), || http::get(PORT, "/payments", &[]).is_some())?;
    let listed = process::read(process::program("pgrep", ["-f", &format!("haproxy -db -f {path}")], folder))?;
    let processes = listed.lines().filter_map(|pid| pid.trim().parse().ok()).collect();
    Ok(Peer::new("HAProxy", PORT, processes, keys))
}
