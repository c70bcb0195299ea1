//! Which protocol is spoken to an upstream behind TLS: what the product says, or nothing, and then the log says what to change.

use super::{log, world::World};
use bytes::Bytes;
use domain::policy::{HealthCheck, Protocol};
use http::{Request, Response, Version};
use http_body_util::Full;
use hyper::{
    body::Incoming,
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::PrivateKeyDer;
use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// An upstream with a certificate for `localhost`.
struct Upstream {
    url: String,
    certificate: Vec<u8>,
    /// What was agreed on with each connection, by ALPN.
    agreed: Arc<Mutex<Vec<Option<String>>>>,
}

/// Speaks HTTP/2 where that was agreed on, else `otherwise`; answers with the version that it was asked in.
async fn upstream(offers: &[&str], otherwise: Version) -> Upstream {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).expect("a key");
    let mut config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .expect("a configuration");
    config.alpn_protocols = offers.iter().map(|name| name.as_bytes().to_vec()).collect();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("https://localhost:{}", listener.local_addr().expect("an address").port());
    let agreed = Arc::<Mutex<Vec<_>>>::default();
    let noted = agreed.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, noted) = (acceptor.clone(), noted.clone());
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let name = stream.get_ref().1.alpn_protocol().map(|name| String::from_utf8_lossy(name).into_owned());
                noted.lock().expect("no panic").push(name.clone());
                let io = TokioIo::new(stream);
                let service = service_fn(|request: Request<Incoming>| async move {
                    let version = format!("{:?}", request.version());
                    Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(version))))
                });
                let _ = match (name.as_deref(), otherwise) {
                    (Some("h2"), _) | (None, Version::HTTP_2) => {
                        http2::Builder::new(TokioExecutor::new()).serve_connection(io, service).await
                    }
                    _ => http1::Builder::new().serve_connection(io, service).await,
                };
            });
        }
    });
    Upstream { url, certificate: cert.pem().into_bytes(), agreed }
}

async fn before(upstream: &Upstream, protocol: Protocol, check: Option<HealthCheck>) -> World {
    log::keep();
    World::with(|directory, config| {
        let product = &mut directory.products[0];
        product.upstream_url.clone_from(&upstream.url);
        product.timeout_ms = 5_000;
        product.policy.upstream.protocol = protocol;
        product.policy.upstream.health_check = check;
        config.upstream_authorities = Some(upstream.certificate.clone());
    })
    .await
}

#[tokio::test]
async fn an_upstream_is_spoken_to_as_the_product_says_whatever_else_it_offers() {
    for (offers, protocol, version, agreed) in [
        (&["h2", "http/1.1"][..], Protocol::Http1, "HTTP/1.1", Some("http/1.1")),
        (&["http/1.1", "h2"], Protocol::Http1, "HTTP/1.1", Some("http/1.1")),
        (&["http/1.1"], Protocol::Http1, "HTTP/1.1", Some("http/1.1")),
        // Servers of old know no ALPN.
        (&[], Protocol::Http1, "HTTP/1.1", None),
        (&["h2", "http/1.1"], Protocol::Http2, "HTTP/2.0", Some("h2")),
        (&["http/1.1", "h2"], Protocol::Http2, "HTTP/2.0", Some("h2")),
        (&["h2"], Protocol::Http2, "HTTP/2.0", Some("h2")),
    ] {
        let upstream = upstream(offers, Version::HTTP_11).await;
        let world = before(&upstream, protocol, None).await;
        for _ in 0..2 {
            let answer = world.get("/payments/items/1").await;
            assert_eq!((answer.status, answer.body.as_str()), (200, version), "{offers:?} {protocol:?}: {answer:?}");
        }
        let seen = upstream.agreed.lock().expect("no panic").clone();
        assert!(seen.iter().all(|name| name.as_deref() == agreed), "{offers:?} {protocol:?}: {seen:?}");
    }
}

#[tokio::test]
async fn an_upstream_that_does_not_offer_what_the_product_says_gets_no_call_and_the_log_says_what_to_change() {
    for (offers, protocol, remedy) in [
        (&["http/1.1"][..], Protocol::Http2, "set policy.upstream.protocol to http1"),
        (&[], Protocol::Http2, "set policy.upstream.protocol to http1"),
        (&["h2"], Protocol::Http1, "set policy.upstream.protocol to http2"),
    ] {
        let upstream = upstream(offers, Version::HTTP_11).await;
        let world = before(&upstream, protocol, None).await;
        let answer = world.get("/payments/items/1").await;
        let (status, code) = (answer.status, answer.code());
        assert_eq!((status, code.as_str()), (502, "upstream-unreachable"), "{offers:?}: {answer:?}");
        assert!(!answer.body.contains("ALPN"), "partners are told none of it");
        let lines = log::lines_with(&upstream.url);
        let told = |line: &String| line.contains("protocol_not_spoken") && line.contains(remedy);
        assert!(lines.iter().any(told), "{offers:?} {protocol:?}: {lines:?}");
        let event = world.events_once(1).await.remove(0);
        assert_eq!((event.status, event.units), (502, 0));
    }
}

#[tokio::test]
async fn an_upstream_that_speaks_http2_without_being_asked_is_named_as_such() {
    let upstream = upstream(&[], Version::HTTP_2).await;
    let world = before(&upstream, Protocol::Http1, None).await;
    assert_eq!(world.get("/payments/items/1").await.status, 502);
    let lines = log::lines_with(&upstream.url);
    assert!(lines.iter().any(|line| line.contains("set policy.upstream.protocol to http2")), "{lines:?}");
}

#[tokio::test]
async fn a_health_check_speaks_the_products_protocol_and_says_what_to_change_where_it_cannot() {
    let check =
        || Some(HealthCheck { path: "/health".to_owned(), interval_seconds: 1, timeout_ms: 30_000, threshold: 1 });
    let well = upstream(&["h2"], Version::HTTP_11).await;
    let world = before(&well, Protocol::Http2, check()).await;
    let began = Instant::now();
    while well.agreed.lock().expect("no panic").is_empty() && began.elapsed() < Duration::from_secs(60) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(world.get("/payments/items/1").await.body, "HTTP/2.0");
    assert!(log::lines_with(&well.url).is_empty());

    let other = upstream(&["h2"], Version::HTTP_11).await;
    let _world = before(&other, Protocol::Http1, check()).await;
    let told =
        || log::lines_with(&other.url).iter().any(|line| line.contains("health check") && line.contains("to http2"));
    let began = Instant::now();
    while !told() {
        assert!(began.elapsed() < Duration::from_secs(60), "{:?}", log::lines_with(&other.url));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
