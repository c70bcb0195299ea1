//! A token issuer: its keys, its key set's server, and whatever token somebody may forge.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::{
    hmac, rand,
    signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RsaKeyPair},
};
use serde_json::{Value, json};
use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

pub const ISSUER: &str = "https://id.example/";
pub const AUDIENCE: &str = "https://api.example";

/// A key of 2048 bits that is for these tests and nothing else (PKCS #1, DER).
const RSA: &[u8] = include_bytes!("issuer/test_rsa.der");

pub enum Signing {
    Es256(EcdsaKeyPair),
    Es384(EcdsaKeyPair),
    EdDsa(Ed25519KeyPair),
    Rsa(Box<RsaKeyPair>),
}

impl Signing {
    pub fn es256() -> Self {
        let (random, with) = (rand::SystemRandom::new(), &signature::ECDSA_P256_SHA256_FIXED_SIGNING);
        let document = EcdsaKeyPair::generate_pkcs8(with, &random).expect("a key");
        Self::Es256(EcdsaKeyPair::from_pkcs8(with, document.as_ref(), &random).expect("a key"))
    }

    pub fn es384() -> Self {
        let (random, with) = (rand::SystemRandom::new(), &signature::ECDSA_P384_SHA384_FIXED_SIGNING);
        let document = EcdsaKeyPair::generate_pkcs8(with, &random).expect("a key");
        Self::Es384(EcdsaKeyPair::from_pkcs8(with, document.as_ref(), &random).expect("a key"))
    }

    pub fn eddsa() -> Self {
        let document = Ed25519KeyPair::generate_pkcs8(&rand::SystemRandom::new()).expect("a key");
        Self::EdDsa(Ed25519KeyPair::from_pkcs8(document.as_ref()).expect("a key"))
    }

    pub fn rsa() -> Self {
        Self::Rsa(Box::new(RsaKeyPair::from_der(RSA).expect("a key")))
    }

    /// The public key as its set shows it.
    pub fn jwk(&self, id: &str) -> Value {
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let point = |curve: &str, point: &[u8]| {
            let (x, y) = point[1..].split_at(point.len() / 2);
            json!({"kty": "EC", "crv": curve, "kid": id, "use": "sig", "x": text(x), "y": text(y)})
        };
        match self {
            Self::Es256(key) => point("P-256", key.public_key().as_ref()),
            Self::Es384(key) => point("P-384", key.public_key().as_ref()),
            Self::EdDsa(key) => {
                json!({"kty": "OKP", "crv": "Ed25519", "kid": id, "x": text(key.public_key().as_ref())})
            }
            Self::Rsa(key) => {
                let public = signature::RsaPublicKeyComponents::<Vec<u8>>::from(key.public());
                json!({"kty": "RSA", "kid": id, "use": "sig", "n": text(&public.n), "e": text(&public.e)})
            }
        }
    }

    /// The signature that the algorithm asks for.
    pub fn sign(&self, algorithm: &str, message: &[u8]) -> Vec<u8> {
        let random = rand::SystemRandom::new();
        match self {
            Self::Es256(key) | Self::Es384(key) => key.sign(&random, message).expect("a signature").as_ref().to_vec(),
            Self::EdDsa(key) => key.sign(message).as_ref().to_vec(),
            Self::Rsa(key) => {
                let with: &'static dyn signature::RsaEncoding = match algorithm {
                    "RS384" => &signature::RSA_PKCS1_SHA384,
                    "RS512" => &signature::RSA_PKCS1_SHA512,
                    "PS256" => &signature::RSA_PSS_SHA256,
                    "PS384" => &signature::RSA_PSS_SHA384,
                    "PS512" => &signature::RSA_PSS_SHA512,
                    _ => &signature::RSA_PKCS1_SHA256,
                };
                let mut signed = vec![0; key.public().modulus_len()];
                key.sign(with, &random, message, &mut signed).expect("a signature");
                signed
            }
        }
    }

    pub fn token(&self, header: &Value, claims: &Value) -> String {
        self.token_of_texts(&header.to_string(), &claims.to_string())
    }

    pub fn token_of_texts(&self, header: &str, claims: &str) -> String {
        let algorithm: Value = serde_json::from_str(header).unwrap_or_default();
        let signed = signed_part(header, claims);
        let signature = self.sign(algorithm["alg"].as_str().unwrap_or_default(), signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

pub fn signed_part(header: &str, claims: &str) -> String {
    format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims))
}

/// HS256 under that secret.
pub fn hmac_token(header: &Value, claims: &Value, secret: &[u8]) -> String {
    let signed = signed_part(&header.to_string(), &claims.to_string());
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(tag))
}

/// Serves one key set, and counts how often it was asked for.
#[derive(Clone)]
pub struct KeySetServer {
    pub address: SocketAddr,
    pub asked: Arc<AtomicUsize>,
    /// The whole answer; empty closes the connection.
    pub answer: Arc<Mutex<String>>,
}

impl KeySetServer {
    pub async fn start(keys: &[Value]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let server = Self { address, asked: Arc::default(), answer: Arc::default() };
        server.show(keys);
        let shared = server.clone();
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.expect("a connection");
                shared.asked.fetch_add(1, Ordering::SeqCst);
                let answer = shared.answer.lock().expect("no panic").clone();
                tokio::spawn(async move {
                    let mut request = [0; 2048];
                    let _ = stream.read(&mut request).await;
                    let _ = stream.write_all(answer.as_bytes()).await;
                });
            }
        });
        server
    }

    pub fn url(&self) -> String {
        format!("http://{}/keys", self.address)
    }

    pub fn show(&self, keys: &[Value]) {
        let body = json!({ "keys": keys }).to_string();
        self.answer("200 OK", &format!("content-type: application/json\r\ncontent-length: {}", body.len()), &body);
    }

    pub fn answer(&self, status: &str, headers: &str, body: &str) {
        *self.answer.lock().expect("no panic") = format!("HTTP/1.1 {status}\r\n{headers}\r\n\r\n{body}");
    }

    pub fn break_down(&self) {
        self.answer.lock().expect("no panic").clear();
    }

    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}
