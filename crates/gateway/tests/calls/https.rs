//! Upstreams behind TLS.

use super::world::World;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::PrivateKeyDer;
use std::sync::Arc;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;

/// An upstream with a certificate for `localhost`, and that certificate in PEM form.
async fn upstream() -> (String, Vec<u8>) {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).expect("a key");
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .expect("a configuration");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.expect("a connection");
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let mut buffer = [0; 8192];
                while stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {
                    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nsecret";
                    stream.write_all(answer).await.expect("written");
                }
            });
        }
    });
    (format!("https://localhost:{port}"), cert.pem().into_bytes())
}

#[tokio::test]
async fn an_upstream_is_called_over_tls_and_only_with_a_certificate_that_is_trusted() {
    let (url, certificate) = upstream().await;
    let trusting = World::with(|directory, config| {
        directory.products[0].upstream_url = url.clone();
        directory.products[0].timeout_ms = 5_000;
        config.upstream_authorities = Some(certificate);
    })
    .await;
    for _ in 0..2 {
        let answer = trusting.get("/payments/items/1").await;
        assert_eq!((answer.status, answer.body.as_str()), (200, "secret"), "{answer:?}");
    }
    let elsewhere = url.replace("localhost", "127.0.0.1");
    let mut wary = World::with(|directory, _| {
        directory.products[0].upstream_url = url;
        directory.products[0].timeout_ms = 5_000;
    })
    .await;
    assert_eq!(wary.get("/payments/items/1").await.code(), "upstream-unreachable");
    wary.change(|directory| directory.products[0].upstream_url = elsewhere);
    assert_eq!(wary.get("/payments/items/1").await.code(), "upstream-unreachable");
}
