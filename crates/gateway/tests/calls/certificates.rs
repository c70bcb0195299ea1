//! Client certificates: whose count, under whose authority, and until when.

use super::{
    client::{Answer, request_with},
    world::{PEPPER, World},
};
use bytes::Bytes;
use domain::{
    directory::{Directory, Key, KeyKind},
    id::{AppId, KeyId, PartnerId},
    key_text::Environment,
    policy::Proof,
};
use gateway::{Certificates, Tls, hash_key};
use http::{Method, Request};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SanType, SerialNumber,
    date_time_ymd,
};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{PrivateKeyDer, ServerName},
};
use std::{net::SocketAddr, sync::Arc};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use uuid::Uuid;

struct Authority(CertifiedIssuer<'static, KeyPair>);

/// What a client shows: a certificate and its key, in DER form.
#[derive(Clone)]
struct Shown(Vec<u8>, Vec<u8>);

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::<String>::new()).expect("parameters");
        params.distinguished_name = named(name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("a certificate"))
    }

    fn pem(&self) -> String {
        self.0.pem()
    }

    fn sign(&self, change: impl FnOnce(&mut CertificateParams)) -> Shown {
        let mut params = CertificateParams::new(Vec::<String>::new()).expect("parameters");
        params.distinguished_name = named("whatever");
        change(&mut params);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.0).expect("a certificate");
        Shown(certificate.der().to_vec(), key.serialize_der())
    }

    fn uri(&self, uri: &str) -> Shown {
        self.sign(|params| params.subject_alt_names = vec![SanType::URI(uri.try_into().expect("ascii"))])
    }

    fn revokes(&self, serial: u64, next_year: i32) -> String {
        let revoked = RevokedCertParams {
            serial_number: SerialNumber::from(serial),
            revocation_time: date_time_ymd(2025, 12, 2),
            reason_code: None,
            invalidity_date: None,
        };
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(2025, 12, 1),
            next_update: date_time_ymd(next_year, 1, 1),
            crl_number: SerialNumber::from(1_u64),
            issuing_distribution_point: None,
            revoked_certs: vec![revoked],
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.0).expect("a list").pem().expect("PEM")
    }
}

fn named(name: &str) -> DistinguishedName {
    let mut names = DistinguishedName::new();
    names.push(DnType::CommonName, name);
    names
}

struct Tested {
    world: World,
    tls: SocketAddr,
    server: Authority,
}

fn identity(number: u128, name: &str) -> Key {
    Key {
        id: KeyId(Uuid::from_u128(number)),
        hash: hash_key(&PEPPER, &KeyKind::Certificate.hashed_text(name)),
        partner: PartnerId(Uuid::from_u128(1)),
        app: AppId(Uuid::from_u128(51)),
        team: None,
        environment: Environment::Live,
        kind: KeyKind::Certificate,
        allowed_addresses: Vec::new(),
        scopes: Vec::new(),
        expires_at: None,
        revoked_at: None,
    }
}

fn take(directory: &mut Directory, product: usize, ways: &[&[Proof]], authority: &Authority) {
    let authentication = &mut directory.products[product].policy.authentication;
    authentication.accept = ways.iter().map(|way| way.to_vec()).collect();
    authentication.client_authorities = Some(authority.pem());
}

async fn start(change: impl FnOnce(&mut Directory)) -> Tested {
    let server = Authority::new("server");
    let host = SanType::DnsName("api.example".try_into().expect("ascii"));
    let Shown(certificate, key) = server.sign(|params| params.subject_alt_names = vec![host]);
    let pem = |label: &str, der: &[u8]| {
        let text = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, der);
        format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n").into_bytes()
    };
    let pair = (pem("CERTIFICATE", &certificate), pem("PRIVATE KEY", &key));
    let certificates = Arc::new(Certificates::new(&[pair]).expect("certificates"));
    let world = World::with(|directory, config| {
        change(directory);
        config.tls = Some(Tls { listen: "127.0.0.1:0".parse().expect("an address"), certificates });
    })
    .await;
    let tls = world.gateway.as_ref().and_then(gateway::Running::tls_address).expect("an address");
    Tested { world, tls, server }
}

impl Tested {
    async fn connect(&self, shown: Option<&Shown>) -> Option<SendRequest<Full<Bytes>>> {
        let mut roots = RootCertStore::empty();
        roots.add(self.server.0.der().clone()).expect("an authority");
        let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots);
        let config = match shown {
            None => builder.with_no_client_auth(),
            Some(Shown(certificate, key)) => {
                let key = PrivateKeyDer::try_from(key.clone()).expect("a key");
                builder.with_client_auth_cert(vec![certificate.clone().into()], key).expect("a pair")
            }
        };
        let stream = TcpStream::connect(self.tls).await.expect("a connection");
        let name = ServerName::try_from("api.example").expect("a name");
        let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.ok()?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.ok()?;
        tokio::spawn(connection);
        Some(sender)
    }

    async fn call(&self, shown: Option<&Shown>, request: Request<Full<Bytes>>) -> Option<Answer> {
        ask(&mut self.connect(shown).await?, request).await
    }

    async fn get(&self, shown: &Shown) -> Option<Answer> {
        self.call(Some(shown), get("/payments/items/1", &[])).await
    }
}

async fn ask(sender: &mut SendRequest<Full<Bytes>>, request: Request<Full<Bytes>>) -> Option<Answer> {
    let (head, body) = sender.send_request(request).await.ok()?.into_parts();
    let body = body.collect().await.ok()?.to_bytes();
    let body = String::from_utf8_lossy(&body).into_owned();
    Some(Answer { status: head.status.as_u16(), headers: head.headers, body, trailers: None })
}

fn get(path: &str, headers: &[(&str, &str)]) -> Request<Full<Bytes>> {
    request_with(Method::GET, path, "", headers, "")
}

/// The status, and the refusal's code where there is one.
fn told(answer: Option<Answer>) -> (u16, String) {
    answer.map_or((0, "no connection".to_owned()), |answer| {
        (answer.status, if answer.status == 200 { String::new() } else { answer.code() })
    })
}

#[tokio::test]
async fn a_name_in_a_certificate_of_the_products_own_authority_proves_its_app() {
    let (own, others) = (Authority::new("own"), Authority::new("others"));
    let tested = start(|directory| {
        take(directory, 0, &[&[Proof::Certificate]], &own);
        take(directory, 2, &[&[Proof::Certificate]], &others);
        let names = ["spiffe://acme/pay", "pay.acme.example", "pay@acme.example", "Acme Pay"];
        directory.keys.extend((900..).zip(names).map(|(number, name)| identity(number, name)));
    })
    .await;
    let dns = SanType::DnsName("pay.acme.example".try_into().expect("ascii"));
    let mail = SanType::Rfc822Name("pay@acme.example".try_into().expect("ascii"));
    let good = [
        (own.uri("spiffe://acme/pay"), 900),
        (own.sign(|params| params.subject_alt_names = vec![dns.clone()]), 901),
        (own.sign(|params| params.subject_alt_names = vec![mail.clone()]), 902),
        (own.sign(|params| params.distinguished_name = named("Acme Pay")), 903),
    ];
    for (certificate, number) in &good {
        assert_eq!(told(tested.get(certificate).await), (200, String::new()), "{number}");
        let event = tested.world.events_once(usize::try_from(number - 899).expect("small")).await;
        assert!(event.iter().any(|event| event.key == KeyId(Uuid::from_u128(*number))), "{number}");
        let seen = tested.world.upstream.last().headers["client-cert"].clone();
        let text = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, &certificate.0);
        assert_eq!(seen.to_str().expect("text"), format!(":{text}:"), "RFC 9440");
    }

    let refused = |code: &str| (401, code.to_owned());
    let named_too = own.sign(|params| {
        params.subject_alt_names = vec![SanType::URI("spiffe://other/pay".try_into().expect("ascii"))];
        params.distinguished_name = named("Acme Pay");
    });
    let two = own.sign(|params| params.subject_alt_names = vec![dns, mail]);
    let late = own.sign(|params| {
        params.distinguished_name = named("Acme Pay");
        params.not_after = date_time_ymd(2026, 1, 1);
    });
    let server_only = own.sign(|params| {
        params.distinguished_name = named("Acme Pay");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    });
    let stranger = Authority::new("own").uri("spiffe://acme/pay");
    assert_eq!(told(tested.get(&named_too).await), refused("invalid-certificate"), "a common name beside other names");
    assert_eq!(told(tested.get(&two).await), refused("invalid-certificate"), "two apps' names");
    assert_eq!(
        told(tested.get(&others.uri("spiffe://acme/pay")).await),
        refused("invalid-certificate"),
        "another product's"
    );
    assert_eq!(told(tested.get(&own.uri("spiffe://nobody")).await), refused("invalid-certificate"), "an unknown name");
    for (certificate, what) in [(late, "expired"), (server_only, "for servers"), (stranger, "of a namesake")] {
        assert_eq!(told(tested.get(&certificate).await), (0, "no connection".to_owned()), "{what}");
    }
    let forged = [
        ("client-cert", ":AAAA:"),
        ("client_cert", ":AAAA:"),
        ("x-forwarded-client-cert", "Subject=\"CN=Acme Pay\""),
        ("x-ssl-client-s-dn", "CN=Acme Pay"),
        ("x-client-verify", "SUCCESS"),
    ];
    let answer = tested.call(None, get("/payments/items/1", &forged)).await;
    assert_eq!(told(answer), refused("missing-key"), "headers prove nothing");
    let key = [("x-api-key", tested.world.live.as_str())];
    assert_eq!(told(tested.call(None, get("/payments/items/1", &key)).await), refused("missing-credential"));
    assert_eq!(told(tested.get(&good[0].0).await).0, 200);
    let seen = tested.world.upstream.last().headers;
    assert!(forged.iter().all(|(name, value)| seen.get(*name).is_none_or(|seen| seen != value)));
}

#[tokio::test]
async fn what_an_authority_revoked_or_forgot_to_list_ends_open_connections_too() {
    let own = Authority::new("own");
    let mut tested = start(|directory| {
        take(directory, 0, &[&[Proof::Certificate]], &own);
        directory.keys.push(identity(900, "Acme Pay"));
    })
    .await;
    let certificate = |serial: u64| {
        own.sign(|params| {
            params.distinguished_name = named("Acme Pay");
            params.serial_number = Some(SerialNumber::from(serial));
        })
    };
    let (seven, eight) = (certificate(7), certificate(8));
    let mut open = tested.connect(Some(&seven)).await.expect("a connection");
    assert_eq!(told(ask(&mut open, get("/payments/items/1", &[])).await).0, 200);
    let list = own.revokes(7, 2030);
    tested.world.change(|directory| directory.products[0].policy.authentication.revocation_lists = Some(list));
    let again = ask(&mut open, get("/payments/items/1", &[])).await;
    assert_eq!(told(again), (401, "invalid-certificate".to_owned()), "on the connection that was open");
    assert_eq!(told(tested.get(&seven).await).1, "invalid-certificate");
    assert_eq!(told(tested.get(&eight).await).0, 200, "another certificate of the same name");
    let stale = own.revokes(7, 2026);
    tested.world.change(|directory| directory.products[0].policy.authentication.revocation_lists = Some(stale));
    assert_eq!(told(tested.get(&eight).await).1, "invalid-certificate", "the list is out of date");
    tested.world.change(|directory| {
        directory.products[0].policy.authentication.revocation_lists = None;
        directory.keys[2].revoked_at = Some("2026-11-20T11:00:00Z".parse().expect("a time"));
    });
    assert_eq!(told(tested.get(&eight).await), (401, "revoked-key".to_owned()), "the identity itself is revoked");
}

#[tokio::test]
async fn a_certificate_and_a_key_have_to_be_of_one_partner() {
    let own = Authority::new("own");
    let mut tested = start(|directory| {
        take(directory, 0, &[&[Proof::Key, Proof::Certificate]], &own);
        directory.keys.push(identity(900, "spiffe://acme/pay"));
    })
    .await;
    let certificate = own.uri("spiffe://acme/pay");
    let live = tested.world.live.clone();
    let with_key = || get("/payments/items/1", &[("x-api-key", live.as_str())]);
    assert_eq!(told(tested.call(Some(&certificate), with_key()).await).0, 200);
    assert_eq!(tested.world.events_once(1).await[0].key, KeyId(Uuid::from_u128(41)), "the API key is counted");
    assert_eq!(told(tested.get(&certificate).await).1, "missing-credential");
    let nobody = own.uri("spiffe://nobody");
    assert_eq!(told(tested.call(Some(&nobody), with_key()).await).1, "invalid-certificate");
    let recorded = tested.world.events_once(3).await.len();
    tested.world.change(|directory| {
        let mut second = directory.partners[0].clone();
        second.id = PartnerId(Uuid::from_u128(2));
        directory.keys[2].partner = second.id;
        directory.partners.push(second);
    });
    assert_eq!(told(tested.call(Some(&certificate), with_key()).await).1, "conflicting-credentials");
    assert_eq!(tested.world.events().len(), recorded, "nobody is billed");
}
