//! What a program that counts does meanwhile: an API under load by many keys, as in production, with some calls that are refused, and pages
//! of the portal.

use crate::{
    Outcome, http, process, progress,
    run::{Ports, Turnpike, leftovers},
    service::Services,
    workspace,
};
use std::{
    fmt::Write as _,
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{Ipv4Addr, TcpStream},
    path::Path,
    thread,
    time::{Duration, Instant},
};

const PARTNERS: usize = 20;
const KEYS_EACH: usize = 5;
const CONNECTIONS: usize = 16;
const LASTS: Duration = Duration::from_secs(20);
/// Each page of the portal is asked for so often.
const PAGES: usize = 50;
const OPEN_PAGES: [&str; 4] = ["/", "/sign-in", "/sign-up", "/docs"];

/// Where it listens. They are looked at before anything is built.
pub fn ports() -> Outcome<Ports> {
    let ports = Ports::from("41800")?;
    ports
        .check(false)
        .map_err(|_| "A port from 41800 to 41804 is in use, which the build needs for a minute: stop what listens there and build again.".to_owned())?;
    Ok(ports)
}

/// Runs `program`, which counts, with everything it keeps in `folder`, and ends it in peace, so that it writes what it has counted.
pub fn run(program: &Path, site: &Path, folder: &Path) -> Outcome {
    process::show(process::cargo(["build", "--release", "--package", "payments-api"]))?;
    let ports = ports()?;
    leftovers::empty(folder)?;
    let mut services = Services::new(&folder.join("logs"))?;
    let api = workspace::program("payments-api", true);
    services.start(
        "payments-api",
        process::program(&api.to_string_lossy(), ["--port", &ports.payments.to_string()], folder),
    )?;
    let turnpike = Turnpike::new(program.to_owned(), &leftovers::data_dir(folder), site, ports);
    services.start("turnpike", turnpike.serve())?;
    services.wait("turnpike", Duration::from_secs(120), || {
        http::get(ports.admin, "/ready", &[]).is_some_and(|answer| answer.status == 200)
    })?;
    let setup = folder.join("setup.yaml");
    fs::write(&setup, setup_for(ports)).map_err(|why| format!("{} cannot be written: {why}.", setup.display()))?;
    let applied = turnpike.apply(&setup)?.to_string();
    let keys: Vec<String> = applied.split('"').filter(|text| text.starts_with("tp_live_")).map(str::to_owned).collect();
    services.wait("the gateway", Duration::from_secs(10), || {
        let key = keys.first().map_or("", String::as_str);
        http::get(ports.gateway, "/payments/customers", &[("X-API-Key", key)]).is_some_and(|one| one.status == 200)
    })?;
    let answered = progress::step("Putting it under load", || load(ports.gateway, &keys))?;
    if services.stop_wanted() {
        return Err("Stopped.".to_owned());
    }
    progress::step("Asking for pages", || {
        for page in OPEN_PAGES.iter().cycle().take(OPEN_PAGES.len() * PAGES) {
            http::get(ports.portal, page, &[]).ok_or("The portal does not answer.")?;
        }
        Ok(())
    })?;
    let killed = services.stop();
    leftovers::stop_postgres(&leftovers::data_dir(folder));
    if !killed.is_empty() {
        return Err(format!("It did not stop in time, and has counted nothing. See {}.", folder.display()));
    }
    println!("    It answered {answered} calls.");
    Ok(())
}

/// Limits and a quota that nobody meets.
fn setup_for(ports: Ports) -> String {
    let document = workspace::root().join("examples/payments-api/openapi.yaml");
    let mut setup = format!(
        "products:\n  payments:\n    name: Payments\n    document: {}\n    route: /payments\n    upstream_url: http://127.0.0.1:{}\n    \
         visibility: public\nplans:\n  all:\n    name: All\n    currency: USD\n    products: [{{ product: payments }}]\n    \
         limits: [{{ calls: 4000000, window: second }}, {{ calls: 4000000000, window: minute }}]\n    \
         quota: {{ units: 4000000000, beyond: block }}\n    price: {{ model: per_unit, unit_price: \"0.0001\" }}\npartners:\n",
        document.display(),
        ports.payments
    );
    for partner in 0..PARTNERS {
        let _ = write!(
            setup,
            "  partner-{partner}:\n    name: Partner {partner}\n    plan: all\n    apps:\n      app:\n        name: App\n        keys:\n"
        );
        for number in 0..KEYS_EACH {
            let _ = writeln!(setup, "          key-{number}: {{ name: Key {number}, environment: live }}");
        }
    }
    setup
}

/// Says how many calls were answered.
fn load(port: u16, keys: &[String]) -> Outcome<u64> {
    let end = Instant::now() + LASTS;
    let answered: Vec<Outcome<u64>> = thread::scope(|scope| {
        let all: Vec<_> = (0..CONNECTIONS).map(|place| scope.spawn(move || client(port, keys, place, end))).collect();
        all.into_iter().map(|one| one.join().unwrap_or_else(|_| Err("A client of the load panicked.".into()))).collect()
    });
    answered.into_iter().sum()
}

/// One connection, one call after the other.
fn client(port: u16, keys: &[String], place: usize, end: Instant) -> Outcome<u64> {
    let lost = |why: std::io::Error| format!("The gateway broke a connection: {why}.");
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).map_err(lost)?;
    stream.set_nodelay(true).map_err(lost)?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).map_err(lost)?;
    let mut reader = BufReader::new(stream.try_clone().map_err(lost)?);
    let mut writer = stream;
    let mut answered = 0;
    while Instant::now() < end {
        let number = place + answered * CONNECTIONS;
        writer.write_all(request(number, keys).as_bytes()).map_err(lost)?;
        read_answer(&mut reader).map_err(lost)?;
        answered += 1;
    }
    Ok(answered as u64)
}

/// Most read something; some write, and some are refused.
fn request(number: usize, keys: &[String]) -> String {
    let key =
        if number % 40 == 7 { "tp_live_nobodys" } else { keys.get(number % keys.len().max(1)).map_or("", |key| key) };
    let head =
        format!("Host: api.example\r\nX-API-Key: {key}\r\nAccept: application/json\r\nUser-Agent: training/1\r\n");
    match number % 20 {
        3 => format!("GET /payments/nowhere HTTP/1.1\r\n{head}\r\n"),
        5 | 11 => {
            let body = "{\"name\":\"Ada Example\",\"email\":\"ada@example.com\"}";
            let length = body.len();
            format!(
                "POST /payments/customers HTTP/1.1\r\n{head}Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
            )
        }
        _ => format!("GET /payments/customers?limit=1 HTTP/1.1\r\n{head}\r\n"),
    }
}

/// Reads one answer, whose length its head tells.
fn read_answer(reader: &mut BufReader<TcpStream>) -> std::io::Result<()> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        match line.split_once(':') {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                length = value.trim().parse().unwrap_or(0);
            }
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)
}
