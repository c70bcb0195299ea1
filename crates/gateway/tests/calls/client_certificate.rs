//! Upstreams that ask who calls them.

use super::world::{World, compile};
use domain::directory::ProductSecret;
use gateway::Sealed;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::{RootCertStore, ServerConfig, pki_types::PrivateKeyDer, server::WebPkiClientVerifier};
use std::sync::Arc;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;

fn pair(name: &str) -> CertifiedKey<rcgen::KeyPair> {
    generate_simple_self_signed([name.to_owned()]).expect("a certificate")
}

/// An upstream for `localhost` that answers only those who show this certificate.
async fn upstream(own: &CertifiedKey<rcgen::KeyPair>, client: &CertifiedKey<rcgen::KeyPair>) -> String {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut trusted = RootCertStore::empty();
    trusted.add(client.cert.der().clone()).expect("a certificate");
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(trusted), provider.clone()).build();
    let key = PrivateKeyDer::try_from(own.signing_key.serialize_der()).expect("a key");
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_client_cert_verifier(verifier.expect("a verifier"))
        .with_single_cert(vec![own.cert.der().clone()], key)
        .expect("a configuration");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let mut buffer = [0; 8192];
                while stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {
                    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nsecret").await;
                }
            });
        }
    });
    format!("https://localhost:{port}")
}

#[tokio::test]
async fn an_upstream_is_shown_the_products_certificate_and_no_other_products() {
    let (own, client, stranger) = (pair("localhost"), pair("client"), pair("stranger"));
    let url = upstream(&own, &client).await;
    let pem = |pair: &CertifiedKey<rcgen::KeyPair>| {
        format!("{}{}", pair.cert.pem(), pair.signing_key.serialize_pem()).bytes().map(|byte| byte ^ 0x55).collect()
    };
    let mut world = World::with(|directory, config| {
        config.cores = 1;
        config.upstream_authorities = Some(own.cert.pem().into_bytes());
        for (index, name) in [(0, "ours"), (5, "other")] {
            let product = &mut directory.products[index];
            product.upstream_url = url.clone();
            product.timeout_ms = 5_000;
            product.policy.upstream.client_certificate = Some(name.to_owned());
        }
        let secret = |index: usize, name: &str, sealed_value| {
            let product = directory.products[index].id;
            ProductSecret { product, name: name.to_owned(), sealed_value }
        };
        directory.secrets = vec![secret(0, "ours", pem(&client)), secret(5, "other", pem(&stranger))];
    })
    .await;
    // The connection that the first call leaves in the pool must not carry a call of the other product.
    for _ in 0..3 {
        assert_eq!(world.get("/payments/items/1").await.body, "secret");
        assert_eq!(world.get("/payments/v2/open").await.code(), "upstream-unreachable");
    }
    world.change(|directory| directory.products[0].policy.upstream.client_certificate = None);
    assert_eq!(world.get("/payments/items/1").await.code(), "upstream-unreachable");
    world.change(|directory| directory.products[0].policy.upstream.client_certificate = Some("ours".to_owned()));
    assert_eq!(world.get("/payments/items/1").await.body, "secret");
}

#[tokio::test]
async fn a_product_whose_certificate_cannot_be_used_is_closed_and_named() {
    let world = World::start().await;
    let mut directory = world.directory.clone();
    directory.products[0].policy.upstream.client_certificate = Some("missing".to_owned());
    let snapshot = gateway::Snapshot::compile(&directory, &|sealed| match sealed {
        Sealed::Header(header) => Ok(header.sealed_value.clone()),
        Sealed::Secret(secret) => Ok(secret.sealed_value.clone()),
    });
    let problems = snapshot.problems();
    assert!(problems.iter().any(|problem| problem.subject == "payments" && problem.message.contains("\"missing\"")));
    assert_eq!(compile(&world.directory).problems(), []);
}
