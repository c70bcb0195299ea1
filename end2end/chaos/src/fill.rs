//! `chaos fill`: a large installation, made from a small one in seconds.
//!
//! `turnpike apply` makes every key in transactions of its own; for 100,000 that takes minutes, and the gateway reads the
//! directory again all the while. Here the rows that `apply` made are copied, column for column, in one transaction.
//!
//! ```text
//! chaos fill --data-dir DIR --texts keys.txt [--keys 100000] [--partners 10000] [--routes 1000] [--partner load] [--product payments]
//! ```
//!
//! The server of that data directory runs with its private Postgres, and a set-up was applied that has the product (without
//! headers or secrets) and the partner with a plan, an app and a key. Made are: products `crowd-1`, `crowd-2`… at the routes
//! `/crowd-1`…, with that product's operations and upstream; a version of the plan that opens them all; partners `crowd-1`…
//! on it, each with an app; and live keys, dealt out evenly. Their texts are written to `--texts`, one a line, in no
//! order. Printed is the directory's version, which `/ready` of the admin listener names as soon as the gateway has it.

use crate::{
    Trouble,
    world::{Random, postgres_in},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use clap::Parser;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::{
    fmt::Write as _,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// What a new key's text is made of.
const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

#[derive(Parser, Clone)]
pub struct Fill {
    /// The data directory of the running server.
    #[arg(long)]
    pub data_dir: PathBuf,
    /// Where the texts of the keys are written.
    #[arg(long)]
    pub texts: PathBuf,
    #[arg(long, default_value_t = 100_000)]
    pub keys: u64,
    #[arg(long, default_value_t = 10_000)]
    pub partners: u64,
    #[arg(long, default_value_t = 1_000)]
    pub routes: u64,
    /// Code of the partner whose rows are copied.
    #[arg(long, default_value = "load")]
    pub partner: String,
    /// Code of the product whose rows are copied.
    #[arg(long, default_value = "payments")]
    pub product: String,
    /// Seed of the keys' texts.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// The installation's master secret in base64; without it the one that the server made for itself.
    #[arg(long, env = "TURNPIKE_SECRET", hide_env_values = true)]
    pub secret: Option<String>,
}

/// Fills it, and gives the directory's version with all of it in.
pub fn fill(fill: &Fill) -> Result<u64, Trouble> {
    let pepper = pepper(&fill.data_dir, fill.secret.as_deref())?;
    let mut random = Random::new(fill.seed);
    let (mut texts, mut rows) = (String::new(), String::new());
    for number in 1..=fill.keys {
        let text = key_text(&mut random);
        let hash = keyed_hash(&pepper, text.as_bytes())?;
        write!(rows, "{number}\t{}\t\\\\x", text.get(text.len() - 4..).unwrap_or_default())?;
        hash.iter().try_for_each(|byte| write!(rows, "{byte:02x}"))?;
        rows.push('\n');
        texts.push_str(&text);
        texts.push('\n');
    }
    fs::write(&fill.texts, texts)?;
    let script = include_str!("fill.sql").replace("{rows}", rows.trim_end());
    Ok(run(fill, &script)?.trim().parse()?)
}

/// The text of a new live key and the hash that the database keeps of it, in hexadecimal, for the server of that data directory.
pub fn new_key(data_dir: &Path, seed: u64) -> Result<(String, String), Trouble> {
    let text = key_text(&mut Random::new(seed));
    let hash = keyed_hash(&pepper(data_dir, None)?, text.as_bytes())?;
    Ok((text, hash.iter().map(|byte| format!("{byte:02x}")).collect()))
}

/// What key texts are hashed under.
fn pepper(data_dir: &Path, secret: Option<&str>) -> Result<[u8; 32], Trouble> {
    let secret = match secret {
        Some(secret) => secret.to_owned(),
        None => fs::read_to_string(data_dir.join("secret"))?,
    };
    keyed_hash(&BASE64_STANDARD.decode(secret.trim())?, b"turnpike key pepper 1")
}

/// Hands the script to psql, whose answer is the version.
fn run(fill: &Fill, script: &str) -> Result<String, Trouble> {
    let (socket, port) = postgres_in(&fill.data_dir)?;
    let mut psql = Command::new("psql")
        .args(["--no-psqlrc", "-qAt", "-v", "ON_ERROR_STOP=1"])
        .args(["-d", &format!("host={socket} port={port} user=turnpike dbname=turnpike")])
        .args(["-v", &format!("partners={}", fill.partners), "-v", &format!("routes={}", fill.routes)])
        .args(["-v", &format!("partner={}", fill.partner), "-v", &format!("product={}", fill.product)])
        .args(["-f", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut stdin = psql.stdin.take().ok_or("psql has no input")?;
    // One that ends before it has read everything says why on its own.
    let _ = stdin.write_all(script.as_bytes());
    drop(stdin);
    let output = psql.wait_with_output()?;
    if !output.status.success() {
        return Err(format!("psql: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// A live key as the documentation describes it: 30 random digits and 6 of CRC-32, in base 62.
fn key_text(random: &mut Random) -> String {
    let digit = |value: u64| char::from(BASE62[(value % 62) as usize]);
    let mut text = "tp_live_".to_owned();
    (0..30).for_each(|_| text.push(digit(random.below(62))));
    let check = u64::from(crc32fast::hash(text.as_bytes()));
    (0..6).rev().for_each(|place| text.push(digit(check / 62_u64.pow(place))));
    text
}

/// HMAC-SHA-256.
fn keyed_hash(key: &[u8], message: &[u8]) -> Result<[u8; 32], Trouble> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key)?;
    mac.update(message);
    Ok(mac.finalize().into_bytes().into())
}
