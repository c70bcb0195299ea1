//! `chaos sizes` (R23): requests that are larger than anybody may send, by many clients at once, over HTTP/1.1 and HTTP/2 to
//! the gateway and to the REST API. Each is refused with the status that says why, memory does not grow with what is sent,
//! and the server goes on serving.
//!
//! The control run allows bodies of a gigabyte, by the setting that operators have for it; the same check must fail there.

mod body;
mod http1;
mod http2;

use crate::{
    Trouble, console,
    findings::Findings,
    process::{Peak, resident},
    upstream::Upstream,
    world::{Launch, World, get_status},
};
use clap::Parser;
use std::{path::PathBuf, time::Duration};
use tokio::{task::JoinSet, time::timeout};

/// Clients that send the same at once.
const CLIENTS: usize = 8;

/// Memory that all clients of one attack together may cost the server, in bytes.
const MOST_GROWTH: u64 = 32 << 20;

/// Longest wait for one answer.
const PATIENCE: Duration = Duration::from_secs(60);

const HEADER_BYTES: usize = 1 << 20;
const HEADERS: usize = 10_000;
const URL_BYTES: usize = 64 << 10;
/// Too long, and not so long that the head as a whole is.
const SHORTER_URL_BYTES: usize = 16 << 10;
/// ENHANCE_YOUR_CALM of RFC 9113: the client is at fault, and heard why.
const CALM: u32 = 11;
const BODY_BYTES: u64 = 100 << 20;
const DEPTH: usize = 100_000;

#[derive(Parser, Clone)]
pub struct Sizes {
    /// Control run: bodies of a gigabyte are allowed, and the check must fail.
    #[arg(long)]
    control: bool,
    #[arg(long, env = "TURNPIKE_BIN")]
    binary: PathBuf,
    #[arg(long, env = "TURNPIKE_SITE_DIR")]
    site: PathBuf,
}

/// How a request was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Seen {
    Status(u16),
    /// HTTP/2: the connection was ended by a GOAWAY with that error.
    GoAway(u32),
    /// Closed, reset or silent without a word.
    Nothing(String),
}

/// One oversized request.
#[derive(Debug, Clone)]
enum Request {
    Http1(Vec<u8>),
    Http2(Vec<u8>),
    /// A body of that many bytes, over HTTP/2 or not, with its length announced or not.
    Body {
        http2: bool,
        announced: bool,
    },
}

struct Attack {
    name: &'static str,
    port: u16,
    request: Request,
    /// Any of these says why.
    wanted: &'static [Seen],
}

/// Refusals that say what was too large.
const HEAD: &[Seen] = &[Seen::Status(431)];
const ADDRESS: &[Seen] = &[Seen::Status(414)];
const BODY: &[Seen] = &[Seen::Status(413)];
const BAD: &[Seen] = &[Seen::Status(400), Seen::Status(422)];
/// Its head as a whole is too long before anybody looks at the address.
const ADDRESS_OR_HEAD: &[Seen] = &[Seen::Status(414), Seen::Status(431)];
/// More frames than a head may have end the connection, and not only the call.
const HEAD_OR_CONNECTION: &[Seen] = &[Seen::Status(431), Seen::GoAway(CALM)];

/// Whether everything was as it should be: kept in a real run, broken in a control run.
pub async fn run(sizes: &Sizes) -> Result<bool, Trouble> {
    let upstream = Upstream::start().await?;
    let limit = if sizes.control { 1_u64 << 30 } else { 10 << 20 };
    let launch = Launch {
        binary: sizes.binary.clone(),
        site: sizes.site.clone(),
        environment: vec![
            ("TURNPIKE_GATEWAY_MAX_BODY".to_owned(), limit.to_string()),
            ("TURNPIKE_GATEWAY_CORES".to_owned(), "1".to_owned()),
        ],
        wrapper: Vec::new(),
        setup: include_str!("setup.yaml").replace("{upstream}", &format!("http://127.0.0.1:{}", upstream.port())),
    };
    let mut world = World::launch(launch, "/payments/payments").await?;
    let token = console::make_token(world.portal_port(), &world.command(&["operator-link"])?, "plans:write").await?;
    let authorization = format!("Authorization: Bearer {}\r\n", world.key());
    let mut found = Findings::new(false);
    let (before, mut most) = (resident(world.pid()), 0);
    for attack in attacks(&world, &token) {
        // What the control allows is bodies; the rest would be refused as ever.
        if sizes.control && !matches!(attack.request, Request::Body { .. }) {
            continue;
        }
        let pid = world.pid();
        let start = resident(pid);
        let peak = Peak::of(move || resident(pid));
        let seen = carry_out(&attack, world.key()).await;
        let growth = peak.end().saturating_sub(start);
        most = most.max(growth);
        let right = seen.iter().filter(|seen| attack.wanted.contains(seen)).count();
        let other = seen.iter().find(|seen| !attack.wanted.contains(seen));
        let other = other.map(|other| format!(", another {other:?}")).unwrap_or_default();
        let name = attack.name;
        let heard = seen.iter().find(|seen| attack.wanted.contains(seen)).unwrap_or(&attack.wanted[0]);
        found.check(right == CLIENTS, format!("{name}: {right} of {CLIENTS} were answered {heard:?}{other}"));
        let kib = growth >> 10;
        found.check(growth <= MOST_GROWTH, format!("{name}: memory grew by {kib} KiB for {CLIENTS} clients"));
        let served = get_status(world.gateway_port(), "/payments/payments", &authorization).await;
        found.check(served == Some(200) && world.is_running(), format!("{name}: afterwards a call got {served:?}"));
    }
    let after = resident(world.pid());
    let kept = after.saturating_sub(before) >> 10;
    println!(
        "  memory: {} KiB before, {} KiB after, {kept} KiB kept, {} KiB more at the worst",
        before >> 10,
        after >> 10,
        most >> 10
    );
    world.stop().await?;
    Ok(found.conclude("Sizes") != sizes.control)
}

fn attacks(world: &World, token: &str) -> Vec<Attack> {
    let (gateway, portal, key) = (world.gateway_port(), world.portal_port(), world.key());
    let path = "/payments/payments";
    let long = format!("{path}?{}", "u".repeat(URL_BYTES));
    let many: Vec<(String, String)> = (0..HEADERS).map(|number| (format!("x-{number}"), "1".to_owned())).collect();
    let one = [("x-long".to_owned(), "h".repeat(HEADER_BYTES))];
    let of = |name, request, wanted: &'static [Seen]| Attack { name, port: gateway, request, wanted };
    let http1 = |path: &str, fields: &[(String, String)]| Request::Http1(http1::head("GET", path, key, fields));
    let http2 = |path: &str, fields: &[(String, String)]| Request::Http2(http2::call("GET", path, key, fields));
    let shorter = format!("{path}?{}", "u".repeat(SHORTER_URL_BYTES));
    let body = |http2, announced| Request::Body { http2, announced };
    let mut attacks = vec![
        of("HTTP/1.1, a header of 1 MiB", http1(path, &one), HEAD),
        of("HTTP/1.1, 10,000 headers", http1(path, &many), HEAD),
        of("HTTP/1.1, an address of 64 KiB", http1(&long, &[]), ADDRESS_OR_HEAD),
        of("HTTP/1.1, an address of 16 KiB", http1(&shorter, &[]), ADDRESS),
        of("HTTP/1.1, 100 MiB announced", body(false, true), BODY),
        of("HTTP/1.1, 100 MiB in chunks", body(false, false), BODY),
        of("HTTP/2, a header of 1 MiB", http2(path, &one), HEAD_OR_CONNECTION),
        of("HTTP/2, 10,000 headers", http2(path, &many), HEAD),
        of("HTTP/2, an address of 64 KiB", http2(&long, &[]), ADDRESS_OR_HEAD),
        of("HTTP/2, an address of 16 KiB", http2(&shorter, &[]), ADDRESS),
        of("HTTP/2, 100 MiB announced", body(true, true), BODY),
        of("HTTP/2, 100 MiB unannounced", body(true, false), BODY),
    ];
    let deep = [
        ("REST API, JSON 100,000 lists deep", "[".repeat(DEPTH)),
        ("REST API, JSON 100,000 objects deep", "{\"a\":".repeat(DEPTH)),
        (
            "REST API, a field 100,000 objects deep",
            format!("{{\"name\":{}1{}}}", "{\"a\":".repeat(DEPTH), "}".repeat(DEPTH)),
        ),
        ("REST API, a body of 100 MiB", " ".repeat(BODY_BYTES as usize)),
    ];
    for (name, json) in deep {
        let wanted = if json.len() > 50 << 20 { BODY } else { BAD };
        let request = Request::Http1(http1::put("/api/products/payments", token, &json));
        attacks.push(Attack { name, port: portal, request, wanted });
    }
    attacks
}

/// What each of the clients saw.
async fn carry_out(attack: &Attack, key: &str) -> Vec<Seen> {
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        let (port, request, key) = (attack.port, attack.request.clone(), key.to_owned());
        clients.spawn(async move {
            let seen = async {
                match request {
                    Request::Http1(bytes) => http1::send(port, &bytes).await,
                    Request::Http2(bytes) => http2::send(port, &bytes).await,
                    Request::Body { http2: false, announced } => body::over_http1(port, &key, announced).await,
                    Request::Body { http2: true, announced } => body::over_http2(port, &key, announced).await,
                }
            };
            match timeout(PATIENCE, seen).await {
                Ok(Ok(seen)) => seen,
                Ok(Err(trouble)) => Seen::Nothing(trouble.to_string()),
                Err(_) => Seen::Nothing("silence".to_owned()),
            }
        });
    }
    clients.join_all().await
}
