//! Active checks: each target of a product with a health check is asked on its own, apart from the cores that serve.
//!
//! A thread of its own watches the directory and keeps one task for each target; what a task finds out is one flag that the
//! cores read. A target that nobody checks any more counts as well.

use super::{
    connect::{Dialer, Io},
    http2,
    live::LiveTarget,
};
use crate::{
    accept::{Order, Shared},
    snapshot::{Product, Snapshot, Target, Upstream},
};
use domain::{
    id::ProductId,
    policy::{HealthCheck, Protocol},
};
use http::{
    HeaderValue,
    header::{CONNECTION, HOST, USER_AGENT},
    request,
};
use metrics::{counter, gauge};
use std::{
    collections::{HashMap, HashSet},
    io,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::watch,
    task::{AbortHandle, JoinSet},
    time::{sleep, timeout},
};

/// How often the directory is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// How often names that nobody uses are forgotten.
const FORGET_EVERY: Duration = Duration::from_secs(60);

/// One target to ask, with all that is needed for it.
struct Patient {
    product: String,
    live: Arc<LiveTarget>,
    origin: Arc<super::Origin>,
    head: request::Parts,
    request: Vec<u8>,
    check: HealthCheck,
}

/// The running task of a target.
struct Watched {
    request: Vec<u8>,
    check: HealthCheck,
    live: Arc<LiveTarget>,
    task: AbortHandle,
}

type Place = (ProductId, String);

/// Watches until the gateway stops.
pub(crate) async fn watch(shared: Arc<Shared>, mut orders: watch::Receiver<Order>) {
    let mut tasks = JoinSet::new();
    let mut watched: HashMap<Place, Watched> = HashMap::new();
    let mut seen: Option<Arc<[Arc<Product>]>> = None;
    let mut forgot = Instant::now();
    loop {
        let current = shared.directory.load_full();
        // Snapshots share their products where none changed.
        if !seen.as_ref().is_some_and(|seen| Arc::ptr_eq(seen, &current.products)) {
            follow(&shared, &current, &mut watched, &mut tasks);
            let ids: HashSet<ProductId> = current.products.iter().map(|product| product.id).collect();
            shared.upstreams.retain(|id| ids.contains(&id));
            seen = Some(current.products.clone());
        }
        if forgot.elapsed() > FORGET_EVERY {
            shared.dialer.resolver.forget_unused();
            forgot = Instant::now();
        }
        tokio::select! {
            () = sleep(LOOK_EVERY) => {}
            changed = orders.changed() => {
                if changed.is_err() || matches!(*orders.borrow(), Order::Drain(_)) {
                    return;
                }
            }
        }
    }
}

fn follow(shared: &Arc<Shared>, snapshot: &Snapshot, watched: &mut HashMap<Place, Watched>, tasks: &mut JoinSet<()>) {
    let mut wanted: HashMap<Place, Patient> = HashMap::new();
    for upstream in snapshot.products.iter().filter_map(|product| product.upstream.as_ref()) {
        let Some(check) = &upstream.health_check else { continue };
        for (target, live) in upstream.targets.iter().zip(&upstream.live(shared).targets) {
            let head = head(upstream, target, check);
            let patient = Patient {
                product: upstream.code.clone(),
                live: live.clone(),
                origin: target.origin.clone(),
                request: text(&head),
                head,
                check: check.clone(),
            };
            wanted.insert((upstream.product, target.url.clone()), patient);
        }
    }
    watched.retain(|place, running| {
        let same = wanted.get(place).is_some_and(|patient| {
            patient.check == running.check
                && patient.request == running.request
                && Arc::ptr_eq(&patient.live, &running.live)
        });
        if !same {
            running.task.abort();
            if !wanted.contains_key(place) {
                running.live.sick.store(false, Relaxed);
            }
        }
        same
    });
    for (place, patient) in wanted {
        watched.entry(place).or_insert_with(|| {
            let (request, check, live) = (patient.request.clone(), patient.check.clone(), patient.live.clone());
            Watched { request, check, live, task: tasks.spawn_local(attend(shared.clone(), patient)) }
        });
    }
}

/// Asks the target for ever.
async fn attend(shared: Arc<Shared>, patient: Patient) {
    let Patient { product, live, check, .. } = &patient;
    let healthy =
        gauge!("turnpike_gateway_target_healthy", "product" => product.clone(), "target" => live.url.to_string());
    healthy.set(if live.sick.load(Relaxed) { 0.0 } else { 1.0 });
    let mut against = 0_u32;
    loop {
        let limit = Duration::from_millis(u64::from(check.timeout_ms));
        let found = timeout(limit, ask(&shared.dialer, &patient)).await;
        let problem = match found {
            Ok(Ok(200..=399)) => None,
            Ok(Ok(status)) => Some(format!("it answered {status}")),
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some(format!("it said nothing within {} ms", check.timeout_ms)),
        };
        let sick = live.sick.load(Relaxed);
        against = if problem.is_some() == sick { 0 } else { against + 1 };
        if against >= check.threshold {
            against = 0;
            live.sick.store(!sick, Relaxed);
            healthy.set(if sick { 1.0 } else { 0.0 });
            let to = if sick { "in" } else { "out" };
            counter!("turnpike_gateway_target_changes_total", "product" => product.clone(), "target" => live.url.to_string(), "to" => to)
                .increment(1);
            match problem {
                None => tracing::info!(product, target = &*live.url, "a target is well again and gets calls"),
                Some(problem) => {
                    tracing::warn!(
                        product,
                        target = &*live.url,
                        problem,
                        "a target fails its health check and gets no calls"
                    );
                }
            }
        }
        sleep(Duration::from_secs(u64::from(check.interval_seconds))).await;
    }
}

/// The status that the target answers with.
async fn ask(dialer: &Dialer, patient: &Patient) -> io::Result<u16> {
    let mut connection: Io = dialer.open(&patient.origin).await?;
    if patient.origin.protocol == Protocol::Http2 {
        return http2::ask(connection, patient.origin.has_tls(), patient.head.clone()).await;
    }
    connection.write_all(&patient.request).await?;
    connection.flush().await?;
    let mut head = Vec::with_capacity(256);
    while head.len() < 4096 && !head.contains(&b'\n') {
        if connection.read_buf(&mut head).await? == 0 {
            break;
        }
    }
    let status =
        head.strip_prefix(b"HTTP/1.").and_then(|rest| rest.get(2..5)).and_then(|code| str::from_utf8(code).ok());
    status.and_then(|code| code.parse().ok()).ok_or_else(|| io::Error::other("it did not answer in HTTP/1.1"))
}

fn head(upstream: &Upstream, target: &Target, check: &HealthCheck) -> request::Parts {
    let (mut head, ()) = http::Request::new(()).into_parts();
    head.uri = format!("{}{}", target.base_path, check.path).parse().unwrap_or_default();
    head.headers.insert(HOST, target.host.clone());
    head.headers.insert(USER_AGENT, HeaderValue::from_static("turnpike-health"));
    head.headers.insert(CONNECTION, HeaderValue::from_static("close"));
    head.headers.extend(upstream.headers.iter().cloned());
    head
}

fn text(head: &request::Parts) -> Vec<u8> {
    let mut text = format!("GET {} HTTP/1.1\r\n", head.uri).into_bytes();
    for (name, value) in &head.headers {
        text.extend_from_slice(name.as_str().as_bytes());
        text.extend_from_slice(b": ");
        text.extend_from_slice(value.as_bytes());
        text.extend_from_slice(b"\r\n");
    }
    text.extend_from_slice(b"\r\n");
    text
}
