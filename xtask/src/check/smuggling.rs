//! Requests that parsers disagree about, sent through Turnpike to a strict recorder: directly, and with nginx, HAProxy and
//! Apache between the two, so that four readers have to see in our bytes what we saw in the client's. A relay that passes
//! bytes on unread is the control.

use crate::{Outcome, http, install, process, service::Services, site, workspace};
use std::{fs, path::Path, process::Command, time::Duration};

/// The first of five recorders, one behind each door.
const RECORDER: u16 = 4831;
const NGINX: u16 = 4822;
const HAPROXY: u16 = 4823;
const APACHE: u16 = 4824;
const RELAY: u16 = 4825;
const GATEWAY: u16 = 4826;
const PORTAL: u16 = 4827;
const ADMIN: u16 = 4828;

/// Runs all of it with the optimised build, and gives whether it held and what was said; the result is left in
/// `target/smuggling/result.json`.
pub fn run() -> Outcome<(bool, Vec<String>)> {
    process::show(process::cargo(["build", "--release", "--package", "server", "--package", "smuggling"]))?;
    judge(true)
}

/// The same with what was built before.
pub fn judge(optimised: bool) -> Outcome<(bool, Vec<String>)> {
    install::postgres()?;
    install::other_proxies()?;
    let site = site::build()?;
    let folder = workspace::target().join("smuggling");
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(|why| format!("{} cannot be emptied: {why}.", folder.display()))?;
    }
    fs::create_dir_all(&folder).map_err(|why| format!("{} cannot be made: {why}.", folder.display()))?;
    let mut services = Services::new(&folder.join("logs"))?;
    let smuggling = workspace::program("smuggling", optimised).to_string_lossy().into_owned();
    let log = |number: u16| folder.join(format!("recorder-{number}.log")).to_string_lossy().into_owned();
    let start = |services: &mut Services, name: &str, port: u16, program: &str, arguments: &[&str]| {
        services.start(name, process::program(program, arguments, &folder))?;
        services.wait(name, Duration::from_secs(20), || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok())
    };
    for number in 0..5 {
        let (name, port) = (format!("recorder-{number}"), RECORDER + number);
        start(&mut services, &name, port, &smuggling, &["listen", &port.to_string(), &log(number)])?;
    }
    start(&mut services, "relay", RELAY, &smuggling, &["relay", &RELAY.to_string(), &(RECORDER + 4).to_string()])?;
    for (name, port, program, option, text) in [
        ("nginx", NGINX, "/usr/sbin/nginx", "-c", nginx(&folder)),
        ("haproxy", HAPROXY, "/usr/sbin/haproxy", "-f", haproxy()),
        ("apache", APACHE, "/usr/sbin/apache2", "-f", apache(&folder)),
    ] {
        let path = folder.join(format!("{name}.conf"));
        fs::write(&path, text).map_err(|why| format!("{} cannot be written: {why}.", path.display()))?;
        let path = path.to_string_lossy().into_owned();
        let mut arguments = vec![option, path.as_str()];
        arguments.extend((name == "haproxy").then_some("-db"));
        arguments.extend((name == "apache").then_some("-DFOREGROUND"));
        start(&mut services, name, port, program, &arguments)?;
    }
    let key = turnpike(&mut services, &folder, &site, optimised)?;
    let result = folder.join("result.json").to_string_lossy().into_owned();
    let mut attack = process::program(&smuggling, ["attack", key.as_str(), result.as_str()], &folder);
    for (number, name) in (0..).zip(["direct", "nginx", "haproxy", "apache"]) {
        attack.arg(format!("{name}={GATEWAY}/{name}={}", log(number)));
    }
    attack.arg(format!("relay={RELAY}={},naive", log(4)));
    let attacked = process::show_and_read(attack);
    services.stop();
    attacked
}

fn turnpike(services: &mut Services, folder: &Path, site: &Path, optimised: bool) -> Outcome<String> {
    let binary = workspace::program("turnpike", optimised).to_string_lossy().into_owned();
    let mut program = process::program(&binary, ["serve"], folder);
    set(&mut program, folder, site);
    services.start("turnpike", program)?;
    services.wait("turnpike", Duration::from_secs(60), || {
        http::get(ADMIN, "/ready", &[]).is_some_and(|one| one.status == 200)
    })?;
    let document = "openapi: 3.1.0\ninfo: {title: Items, version: '1'}\npaths:\n  /items:\n    get: {operationId: list, \
        responses: {'200': {description: All}}}\n    post: {operationId: add, responses: {'200': {description: Added}}}\n    \
        delete: {operationId: clear, responses: {'200': {description: Cleared}}}\n    options: {operationId: ask, \
        responses: {'200': {description: Told}}}\n  /items/{id}:\n    get: {operationId: get, parameters: [{name: id, in: \
        path, required: true, schema: {type: string}}], responses: {'200': {description: One}}}\n";
    let mut setup = "products:\n".to_owned();
    for (name, port) in [("direct", RECORDER), ("nginx", NGINX), ("haproxy", HAPROXY), ("apache", APACHE)] {
        setup.push_str(&format!(
            "  {name}: {{ name: {name}, document: api.yaml, route: /{name}, upstream_url: \"http://127.0.0.1:{port}\", \
             timeout_ms: 2000, visibility: public, policy: {{ upstream: {{ breaker: {{ failures: 0 }} }} }} }}\n"
        ));
    }
    setup.push_str(
        "plans:\n  all: { name: All, currency: USD, products: [{ product: direct }, { product: nginx }, \
         { product: haproxy }, { product: apache }] }\npartners:\n  attacker: { name: Attacker, plan: all, apps: { \
         attack: { name: Attack, keys: { attack: { name: Attack, environment: live } } } } }\n",
    );
    let write = |name: &str, text: &str| fs::write(folder.join(name), text).map_err(|why| why.to_string());
    write("api.yaml", document)?;
    write("setup.yaml", &setup)?;
    let mut apply = process::program(&binary, ["apply", "setup.yaml"], folder);
    set(&mut apply, folder, site);
    let applied = process::read(apply)?;
    let key = applied.split('"').find(|text| text.starts_with("tp_live_")).ok_or("apply printed no key.")?.to_owned();
    services.wait("the gateway", Duration::from_secs(10), || {
        http::get(GATEWAY, "/direct/items", &[("X-API-Key", &key)]).is_some_and(|one| one.status == 200)
    })?;
    Ok(key)
}

fn set(program: &mut Command, folder: &Path, site: &Path) {
    program
        .env("TURNPIKE_PORTAL_LISTEN", format!("127.0.0.1:{PORTAL}"))
        .env("TURNPIKE_GATEWAY_LISTEN", format!("127.0.0.1:{GATEWAY}"))
        .env("TURNPIKE_ADMIN_LISTEN", format!("127.0.0.1:{ADMIN}"))
        .env("TURNPIKE_DATA_DIR", folder.join("data"))
        .env("TURNPIKE_SITE_DIR", site)
        .env("TURNPIKE_GATEWAY_CORES", "1")
        .env("TURNPIKE_LOG", "warn")
        .env("TURNPIKE_DEVELOPMENT", "true")
        .env_remove("DATABASE_URL");
}

/// Passes the path on as it reads it, decoded and resolved, which `proxy_pass` with a slash asks for.
fn nginx(folder: &Path) -> String {
    format!(
        "daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/nginx.err;\n\
         events {{ worker_connections 512; }}\n\
         http {{ access_log off; client_body_temp_path {folder}/nginx-body; proxy_temp_path {folder}/nginx-proxy;\n\
         fastcgi_temp_path {folder}/a; uwsgi_temp_path {folder}/b; scgi_temp_path {folder}/c;\n\
         server {{ listen 127.0.0.1:{NGINX}; location / {{ proxy_http_version 1.1; proxy_set_header Connection '';\n\
         proxy_pass http://127.0.0.1:{recorder}/; }} }} }}\n",
        folder = folder.display(),
        recorder = RECORDER + 1
    )
}

/// Normalises the path in each way that it knows.
fn haproxy() -> String {
    format!(
        "global\n  expose-experimental-directives\n  maxconn 512\ndefaults\n  mode http\n  timeout connect 2s\n  \
         timeout client 5s\n  timeout server 5s\nfrontend in\n  bind 127.0.0.1:{HAPROXY}\n  \
         http-request normalize-uri percent-decode-unreserved\n  http-request normalize-uri path-merge-slashes\n  \
         http-request normalize-uri path-strip-dot\n  http-request normalize-uri path-strip-dotdot full\n  \
         default_backend out\nbackend out\n  server recorder 127.0.0.1:{recorder}\n",
        recorder = RECORDER + 2
    )
}

fn apache(folder: &Path) -> String {
    let modules = "/usr/lib/apache2/modules";
    format!(
        "ServerRoot {folder}\nPidFile {folder}/apache.pid\nErrorLog {folder}/apache.err\nServerName localhost\n\
         LoadModule mpm_event_module {modules}/mod_mpm_event.so\nLoadModule authz_core_module {modules}/mod_authz_core.so\n\
         LoadModule proxy_module {modules}/mod_proxy.so\nLoadModule proxy_http_module {modules}/mod_proxy_http.so\n\
         Listen 127.0.0.1:{APACHE}\nUser nobody\nGroup nogroup\nDefaultRuntimeDir {folder}\nMutex file:{folder} default\n\
         ProxyPass / http://127.0.0.1:{recorder}/\nProxyVia Off\n",
        folder = folder.display(),
        recorder = RECORDER + 3
    )
}
