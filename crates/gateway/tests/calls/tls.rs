//! TLS from clients: what is shown, what is asked for, and both changed while the gateway serves.

use super::{
    client::{connect2, handshake2, read, request2},
    world::{PATIENCE, World},
};
use domain::directory::Directory;
use gateway::{Certificates, GatewayConfig, Tls};
use http::{Method, Version};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, SupportedProtocolVersion,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};
use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{io::AsyncReadExt, net::TcpStream, time::timeout};
use tokio_rustls::{TlsConnector, client::TlsStream};

struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::<String>::new()).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("a certificate"))
    }

    /// A certificate for that name and its key, in PEM form.
    fn sign(&self, name: &str) -> (Vec<u8>, Vec<u8>) {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new([name.to_owned()]).expect("parameters");
        let certificate = params.signed_by(&key, &self.0).expect("a certificate");
        (certificate.pem().into_bytes(), key.serialize_pem().into_bytes())
    }
}

struct Client<'a> {
    authority: &'a Authority,
    shows: Option<(Vec<u8>, Vec<u8>)>,
    alpn: &'a [&'a str],
    versions: &'a [&'static SupportedProtocolVersion],
}

impl<'a> Client<'a> {
    fn of(authority: &'a Authority) -> Self {
        Self { authority, shows: None, alpn: &[], versions: rustls::ALL_VERSIONS }
    }

    fn config(&self) -> Arc<ClientConfig> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.0.der().clone()).expect("an authority");
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(self.versions)
            .expect("versions")
            .with_root_certificates(roots);
        let mut config = match &self.shows {
            None => builder.with_no_client_auth(),
            Some((chain, key)) => {
                let chain = CertificateDer::pem_slice_iter(chain).collect::<Result<_, _>>().expect("a chain");
                let key = PrivateKeyDer::from_pem_slice(key).expect("a key");
                builder.with_client_auth_cert(chain, key).expect("a pair")
            }
        };
        config.alpn_protocols = self.alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        Arc::new(config)
    }

    async fn connect(&self, address: SocketAddr, name: &str) -> std::io::Result<TlsStream<TcpStream>> {
        connect(self.config(), address, name).await
    }
}

async fn connect(config: Arc<ClientConfig>, address: SocketAddr, name: &str) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from(name.to_owned()).expect("a name");
    TlsConnector::from(config).connect(name, stream).await
}

/// A world with a TLS listener that shows certificates for these names.
async fn world(
    authority: &Authority,
    names: &[&str],
    change: impl FnOnce(&mut Directory),
) -> (World, SocketAddr, Arc<Certificates>) {
    configured(authority, names, change, |_| {}).await
}

async fn configured(
    authority: &Authority,
    names: &[&str],
    change: impl FnOnce(&mut Directory),
    change_config: impl FnOnce(&mut GatewayConfig),
) -> (World, SocketAddr, Arc<Certificates>) {
    let pairs: Vec<_> = names.iter().map(|name| authority.sign(name)).collect();
    let certificates = Arc::new(Certificates::new(&pairs).expect("certificates"));
    let tls = Tls { listen: "127.0.0.1:0".parse().expect("an address"), certificates: certificates.clone() };
    let world = World::with(|directory, config| {
        change(directory);
        change_config(config);
        config.tls = Some(tls);
    })
    .await;
    let address = world.gateway.as_ref().and_then(gateway::Running::tls_address).expect("an address");
    (world, address, certificates)
}

/// The serial number's stand-in: the certificate that the gateway showed.
fn shown(connection: &ClientConnection) -> CertificateDer<'static> {
    connection.peer_certificates().and_then(|chain| chain.first()).expect("a certificate").clone().into_owned()
}

#[tokio::test]
async fn both_protocols_are_served_over_both_versions_and_the_upstream_hears_of_https() {
    let authority = Authority::new();
    let (world, address, _) = world(&authority, &["api.example"], |_| {}).await;
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        for (alpn, http) in
            [(&["h2", "http/1.1"][..], Version::HTTP_2), (&["http/1.1"], Version::HTTP_11), (&[], Version::HTTP_11)]
        {
            let client = Client { alpn, versions: &[version], ..Client::of(&authority) };
            let io = client.connect(address, "api.example").await.expect("a handshake");
            let response = if http == Version::HTTP_2 {
                let mut connection = handshake2(io).await;
                connection.send_request(request2(Method::GET, "/payments/items/1", &world.live, "")).await
            } else {
                let io = hyper_util::rt::TokioIo::new(io);
                let (mut connection, task) = hyper::client::conn::http1::handshake(io).await.expect("a handshake");
                tokio::spawn(task);
                connection.send_request(super::client::request(Method::GET, "/payments/items/1", &world.live)).await
            };
            let response = response.expect("an answer");
            assert_eq!(response.version(), http);
            assert_eq!(read(response).await.status, 200);
            assert_eq!(world.upstream.last().headers["x-forwarded-proto"], "https");
        }
    }
    assert_eq!(world.events_once(6).await.len(), 6);
    let plain = connect2(address).await.send_request(request2(Method::GET, "/payments/items/1", &world.live, "")).await;
    assert!(plain.is_err(), "the listener speaks TLS only");
}

#[tokio::test]
async fn a_handshake_that_does_not_come_is_not_waited_for() {
    let authority = Authority::new();
    let hurried = |config: &mut GatewayConfig| config.deadlines.head = Duration::from_millis(500);
    let (_world, address, _) = configured(&authority, &["api.example"], |_| {}, hurried).await;
    for first in [&b""[..], &[22, 3, 1, 2, 0, 1]] {
        let began = Instant::now();
        let mut stream = TcpStream::connect(address).await.expect("a connection");
        tokio::io::AsyncWriteExt::write_all(&mut stream, first).await.expect("sent");
        let _ = timeout(PATIENCE, stream.read_to_end(&mut Vec::new())).await.expect("in time");
        assert!(began.elapsed().as_millis() >= 450, "{first:?}: {:?}", began.elapsed());
    }
}

#[tokio::test]
async fn certificates_are_replaced_without_a_dropped_connection_and_bad_ones_are_not_taken() {
    let authority = Authority::new();
    let (world, address, certificates) = world(&authority, &["api.example"], |_| {}).await;
    let client = Client { alpn: &["h2"], ..Client::of(&authority) };
    let io = client.connect(address, "api.example").await.expect("a handshake");
    let before = shown(io.get_ref().1);
    let mut connection = handshake2(io).await;
    let dripping =
        connection.send_request(request2(Method::GET, "/payments/drip", &world.live, "")).await.expect("an answer");

    let (chain, _) = authority.sign("api.example");
    let (_, key) = authority.sign("api.example");
    assert!(certificates.replace(&[(chain, key)]).is_err(), "a key of another certificate");
    assert!(certificates.replace(&[(b"nonsense".to_vec(), b"nonsense".to_vec())]).is_err());
    assert!(certificates.replace(&[]).is_err());
    let io = client.connect(address, "api.example").await.expect("a handshake");
    assert_eq!(shown(io.get_ref().1), before, "the earlier one stays");

    certificates.replace(&[authority.sign("api.example")]).expect("replaced");
    let io = client.connect(address, "api.example").await.expect("a handshake");
    assert_ne!(shown(io.get_ref().1), before);
    assert_eq!(read(dripping).await.body.len(), 80);
    let next = connection.send_request(request2(Method::GET, "/payments/items/1", &world.live, "")).await;
    assert_eq!(next.expect("an answer").status(), 200);
}

#[tokio::test]
async fn the_name_that_the_client_asks_for_chooses_the_certificate() {
    let authority = Authority::new();
    let (_world, address, _) = world(&authority, &["api.example", "*.other.example"], |_| {}).await;
    let client = Client::of(&authority);
    let io = client.connect(address, "a.other.example").await.expect("the wildcard's");
    let wildcard = shown(io.get_ref().1);
    let io = client.connect(address, "api.example").await.expect("the first one's");
    assert_ne!(shown(io.get_ref().1), wildcard);
    assert!(client.connect(address, "unknown.example").await.is_err(), "everybody else sees the first one");
}

#[tokio::test]
async fn client_certificates_are_asked_for_where_a_policy_names_authorities_and_policies_may_change() {
    let (authority, partners, strangers) = (Authority::new(), Authority::new(), Authority::new());
    let (mut world, address, _) = world(&authority, &["api.example"], |_| {}).await;
    let client = |shows| Client { shows, alpn: &["h2"], ..Client::of(&authority) };
    let calls = async |world: &World, client: &Client<'_>| {
        let io = client.connect(address, "api.example").await.ok()?;
        let request = request2(Method::GET, "/payments/items/1", &world.live, "");
        handshake2(io).await.send_request(request).await.ok().map(|response| response.status().as_u16())
    };
    let stranger = client(Some(strangers.sign("somebody")));
    assert_eq!(calls(&world, &stranger).await, Some(200), "nobody asks for it");

    let pem = partners.0.pem();
    world.change(|directory| directory.products[0].policy.authentication.client_authorities = Some(pem));
    assert_eq!(calls(&world, &client(None)).await, Some(200), "a certificate is not needed for a key");
    assert_eq!(calls(&world, &client(Some(partners.sign("partner")))).await, Some(200));
    assert_eq!(calls(&world, &stranger).await, None, "no authority of ours signed it");

    world.change(|directory| directory.products[0].policy.authentication.client_authorities = None);
    assert_eq!(calls(&world, &stranger).await, Some(200));
}

#[tokio::test]
async fn sessions_are_resumed_only_where_no_product_takes_client_certificates() {
    let (authority, partners) = (Authority::new(), Authority::new());
    let (mut world, address, _) = world(&authority, &["api.example"], |_| {}).await;
    let resumed = async |world: &World, version| {
        let client = Client { versions: &[version], ..Client::of(&authority) };
        let config = client.config();
        let mut kinds = Vec::new();
        for _ in 0..2 {
            let io = connect(config.clone(), address, "api.example").await.expect("a handshake");
            kinds.push(io.get_ref().1.handshake_kind());
            let io = hyper_util::rt::TokioIo::new(io);
            let (mut connection, task) = hyper::client::conn::http1::handshake(io).await.expect("a handshake");
            tokio::spawn(task);
            let request = super::client::request(Method::GET, "/payments/items/1", &world.live);
            assert_eq!(read(connection.send_request(request).await.expect("an answer")).await.status, 200);
        }
        kinds[1] == Some(rustls::HandshakeKind::Resumed)
    };
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        assert!(resumed(&world, version).await, "the control: {version:?}");
    }
    let pem = partners.0.pem();
    world.change(|directory| directory.products[0].policy.authentication.client_authorities = Some(pem));
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        assert!(!resumed(&world, version).await, "{version:?}");
    }
}
