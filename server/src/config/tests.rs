//! Tables of environments and what they mean.

use super::{read::Reader, *};
use std::collections::HashMap;

const SECRET: &str = "0101010101010101010101010101010101010101010101010101010101010101";

fn read(set: &[(&str, &str)]) -> Result<Config, Vec<Problem>> {
    read_with(None, set)
}

fn read_with(file: Option<&Path>, set: &[(&str, &str)]) -> Result<Config, Vec<Problem>> {
    let set: HashMap<String, String> = set.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    Config::read(Reader::new(file, move |name| set.get(name).cloned())?)
}

fn problems_of(set: &[(&str, &str)]) -> Vec<String> {
    read(set).expect_err("problems").into_iter().map(|problem| problem.to_string()).collect()
}

#[test]
fn a_development_install_needs_nothing() {
    let config = read(&[("TURNPIKE_DEVELOPMENT", "1"), ("HOME", "/home/ada")]).expect("a configuration");
    assert_eq!(config.listen.portal.to_string(), "127.0.0.1:3000");
    assert_eq!(config.listen.gateway.to_string(), "127.0.0.1:8080");
    assert_eq!(config.listen.admin.to_string(), "127.0.0.1:9090");
    assert_eq!(config.listen.portal_url, "http://localhost:3000");
    assert_eq!(config.data_dir, Path::new("/home/ada/.local/share/turnpike"));
    assert!(config.stripe.is_none() && config.mail.smtp.is_none() && config.database.url.is_none());
}

#[test]
fn outside_development_the_master_secret_must_be_given() {
    let problems = problems_of(&[]);
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].starts_with("TURNPIKE_SECRET: set it"), "{problems:?}");
    assert_eq!(read(&[("TURNPIKE_SECRET", SECRET)]).expect("a configuration").master, Some([1; 32]));
}

#[test]
fn a_master_secret_is_32_bytes_in_base64_or_hex() {
    let base64 = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
    for (text, expected) in [(SECRET, Some([1; 32])), (base64, Some([1; 32])), ("short", None), (&SECRET[..62], None)] {
        assert_eq!(secret::decode_master(text), expected, "{text}");
    }
}

#[test]
fn tls_needs_an_address_a_certificate_and_its_key() {
    let listen = ("TURNPIKE_GATEWAY_TLS_LISTEN", "127.0.0.1:8443");
    let certificate = ("TURNPIKE_GATEWAY_TLS_CERTIFICATE", "/etc/a.pem, /etc/b.pem");
    let key = ("TURNPIKE_GATEWAY_TLS_KEY", "/etc/a.key,/etc/b.key");
    let secret = ("TURNPIKE_SECRET", SECRET);
    assert!(read(&[secret]).expect("a configuration").gateway.tls.is_none());
    let tls = read(&[secret, listen, certificate, key]).expect("a configuration").gateway.tls.expect("TLS");
    assert_eq!(tls.files.len(), 2);
    assert_eq!(tls.files[1], (Path::new("/etc/b.pem").to_owned(), Path::new("/etc/b.key").to_owned()));
    for incomplete in [&[listen][..], &[listen, certificate], &[certificate, key], &[listen, key]] {
        let problems = problems_of(&[&[secret], incomplete].concat());
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].starts_with("TURNPIKE_GATEWAY_TLS_"), "{problems:?}");
    }
}

#[test]
fn all_problems_are_told_at_once_and_show_no_secret() {
    let problems = problems_of(&[
        ("TURNPIKE_SECRET", "hunter2"),
        ("TURNPIKE_PORTAL_LISTEN", "3000"),
        ("TURNPIKE_GATEWAY_CORES", "0"),
        ("TURNPIKE_DURABILITY", "galaxy"),
        ("TURNPIKE_PORTAL_URL", "portal.example.com"),
        ("TURNPIKE_SMTP_USER", "ada"),
        ("TURNPIKE_STRIPE_WEBHOOK_SECRET", "env:NOWHERE"),
        ("TURNPIKE_SMTP_PORT", "0"),
        ("DATABASE_URL", "mysql://x:hunter2@y/z"),
    ]);
    assert_eq!(problems.len(), 9, "{problems:#?}");
    assert!(!problems.join("\n").contains("hunter2"), "{problems:#?}");
}

#[test]
fn the_environment_wins_over_the_file_and_unknown_keys_are_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("turnpike.toml");
    let text = format!(
        "[listen]\nportal = \"127.0.0.1:4000\"\ngateway = \"127.0.0.1:4001\"\n[data]\nsecret = \"{SECRET}\"\n[gateway]\ncores = 3\n"
    );
    std::fs::write(&path, text).expect("written");
    let config = read_with(Some(&path), &[("TURNPIKE_PORTAL_LISTEN", "127.0.0.1:5000")]).expect("a configuration");
    assert_eq!(config.listen.portal.port(), 5000);
    assert_eq!(config.listen.gateway.port(), 4001);
    assert_eq!(config.gateway.cores, 3);

    std::fs::write(&path, "[listen]\nportall = 1\n").expect("written");
    let problems = read_with(Some(&path), &[]).expect_err("problems");
    assert!(problems[0].message.contains("listen.portall"), "{problems:?}");
}

#[test]
fn secrets_come_from_files_and_other_variables() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("key");
    std::fs::write(&path, "sk_test_1\n").expect("written");
    let reference = format!("file:{}", path.display());
    let set = [("TURNPIKE_SECRET", "env:MASTER"), ("MASTER", SECRET), ("TURNPIKE_STRIPE_KEY", reference.as_str())];
    let config = read(&set).expect("a configuration");
    assert_eq!(config.master, Some([1; 32]));
    assert_eq!(config.stripe.as_ref().map(|stripe| stripe.key.expose()), Some("sk_test_1"));
    assert!(config.stripe.as_ref().is_some_and(|stripe| !stripe.tax), "nobody's taxes are computed unasked");
    assert!(!format!("{config:?}").contains("sk_test_1"));
}

#[test]
fn invoices_go_to_stripe_to_a_receiver_or_nowhere() {
    let (secret, key) = (("TURNPIKE_SECRET", SECRET), ("TURNPIKE_STRIPE_KEY", "sk_test_1"));
    let sink = |name| ("TURNPIKE_INVOICE_SINK", name);
    let url = ("TURNPIKE_INVOICE_WEBHOOK_URL", "https://books.example/in");
    let signed = ("TURNPIKE_INVOICE_WEBHOOK_SECRET", "whsec_AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=");
    let of = |set: &[(&str, &str)]| {
        let config = read(&[&[secret], set].concat()).expect("a configuration");
        (config.invoice_sink, config.stripe.is_some(), config.invoice_webhook.is_some())
    };
    assert_eq!(of(&[]), (InvoiceSink::Files, false, false));
    assert_eq!(of(&[key]), (InvoiceSink::Stripe, true, false));
    assert_eq!(of(&[key, sink("none")]), (InvoiceSink::Files, true, false), "what Stripe has taken is seen to its end");
    assert_eq!(of(&[key, sink("webhook"), url, signed]), (InvoiceSink::Webhook, true, true));
    let config = read(&[secret, sink("webhook"), url, signed]).expect("a configuration");
    assert!(!format!("{config:?}").contains("AQEB") && !format!("{config:?}").contains("whsec"));
    for wrong in [
        &[sink("stripe")][..],
        &[sink("paper")],
        &[sink("webhook"), url],
        &[sink("webhook"), signed],
        &[url, signed],
        &[sink("webhook"), ("TURNPIKE_INVOICE_WEBHOOK_URL", "books.example"), signed],
        &[sink("webhook"), url, ("TURNPIKE_INVOICE_WEBHOOK_SECRET", "whsec_short")],
    ] {
        let problems = problems_of(&[&[secret], wrong].concat());
        assert_eq!(problems.len(), 1, "{wrong:?}: {problems:?}");
        assert!(problems[0].starts_with("TURNPIKE_INVOICE_"), "{problems:?}");
    }
}

#[test]
fn a_period_waits_for_what_comes_late_and_not_longer_than_stripe_does() {
    let secret = ("TURNPIKE_SECRET", SECRET);
    let grace = |minutes| ("TURNPIKE_CLOSING_GRACE", minutes);
    let stripe = [("TURNPIKE_STRIPE_KEY", "sk_test_1")];
    let of = |set: &[(&str, &str)]| read(&[&[secret], set].concat()).expect("a configuration").closing_grace.as_secs();
    assert_eq!((of(&[]), of(&[grace("60")]), of(&[grace("10080")])), (11 * 60, 3_600, 10_080 * 60));
    let development = [("TURNPIKE_DEVELOPMENT", "1")];
    assert_eq!(read(&development).expect("a configuration").closing_grace.as_secs(), 1);
    assert_eq!(read(&[development[0], grace("20")]).expect("a configuration").closing_grace.as_mins(), 20);
    for wrong in ["10", "10081", "11.5", "an hour"] {
        let problems = problems_of(&[secret, grace(wrong)]);
        assert!(problems.len() == 1 && problems[0].starts_with("TURNPIKE_CLOSING_GRACE: "), "{problems:?}");
        assert!(problems[0].ends_with("is not a whole number from 11 to 10080"), "{problems:?}");
    }

    assert_eq!(of(&[&stripe[..], &[grace("30")]].concat()), 1_800);
    assert_eq!(
        of(&[&stripe[..], &[("TURNPIKE_STRIPE_METERS_OPEN", "5")]].concat()),
        660,
        "as before there was a choice"
    );
    let problems = problems_of(&[&[secret, grace("60")], &stripe[..]].concat());
    assert!(problems.len() == 1 && problems[0].contains("TURNPIKE_STRIPE_METERS_OPEN to 75 or more"), "{problems:?}");
    assert_eq!(of(&[&stripe[..], &[grace("60"), ("TURNPIKE_STRIPE_METERS_OPEN", "75")]].concat()), 3_600);
    assert_eq!(of(&[&stripe[..], &[grace("60"), ("TURNPIKE_INVOICE_SINK", "none")]].concat()), 3_600);
}

#[test]
fn usage_can_be_left_unrecorded_in_development_only() {
    let off = ("TURNPIKE_DURABILITY", "off");
    assert!(problems_of(&[("TURNPIKE_SECRET", SECRET), off])[0].contains("development"));
    let config = read(&[("TURNPIKE_DEVELOPMENT", "true"), off]).expect("a configuration");
    assert_eq!(config.gateway.durability, Durability::Off);
}

#[test]
fn two_listeners_on_one_port_are_refused() {
    let set = [("TURNPIKE_SECRET", SECRET), ("TURNPIKE_GATEWAY_LISTEN", "127.0.0.1:3000")];
    assert!(problems_of(&set)[0].contains("3000"));
}

#[test]
fn a_part_of_an_installation_needs_the_postgres_that_all_share() {
    let secret = ("TURNPIKE_SECRET", SECRET);
    for role in ["gateway", "portal"] {
        assert!(problems_of(&[secret, ("TURNPIKE_ROLE", role)])[0].starts_with("DATABASE_URL"), "{role}");
    }
    let shared = ("DATABASE_URL", "postgres://db/turnpike");
    let portal = [secret, shared, ("TURNPIKE_ROLE", "portal"), ("TURNPIKE_GATEWAY_ADDRESS", "gateway:8080")];
    let config = read(&portal).expect("a configuration");
    assert_eq!((config.role, config.listen.gateway_address.as_str()), (Role::Portal, "gateway:8080"));
    let wrong = problems_of(&[secret, shared, ("TURNPIKE_GATEWAY_ADDRESS", "gateway")]);
    assert!(wrong[0].starts_with("TURNPIKE_GATEWAY_ADDRESS"), "{wrong:?}");
    assert_eq!(read(&[secret]).expect("a configuration").listen.gateway_address, "127.0.0.1:8080");
}

#[test]
fn every_variable_has_its_own_key_and_is_in_the_help() {
    let help = variable::help();
    for (index, row) in variable::VARIABLES.iter().enumerate() {
        assert!(help.contains(row.name) && help.contains(row.key), "{}", row.name);
        assert!(
            variable::VARIABLES[..index]
                .iter()
                .all(|other| (row.key.is_empty() || other.key != row.key) && other.name != row.name)
        );
    }
}
