//! Where invoices go, and the Stripe account.

use super::{Reader, Secret};
use ::billing::payment::StripePages;
use app::state::InvoiceSink;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::SignedDuration;
use std::{fmt, time::Duration};

/// Where invoices go, with what it takes.
pub(super) struct Billing {
    pub sink: InvoiceSink,
    pub stripe: Option<Stripe>,
    pub webhook: Option<InvoiceWebhook>,
}

/// The provider's own receiver of invoices, credit notes and voids.
#[derive(Clone, PartialEq, Eq)]
pub struct InvoiceWebhook {
    pub url: String,
    /// Messages are signed with each of them.
    pub keys: Vec<Vec<u8>>,
}

impl fmt::Debug for InvoiceWebhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InvoiceWebhook").finish_non_exhaustive()
    }
}

impl Billing {
    pub fn read(reader: &mut Reader) -> Self {
        const SINKS: [(&str, InvoiceSink); 3] =
            [("none", InvoiceSink::Files), ("stripe", InvoiceSink::Stripe), ("webhook", InvoiceSink::Webhook)];
        let stripe = Stripe::read(reader);
        let usual = if stripe.is_some() { InvoiceSink::Stripe } else { InvoiceSink::Files };
        let sink = reader.choice("TURNPIKE_INVOICE_SINK", &SINKS, usual);
        let webhook = InvoiceWebhook::read(reader, sink == InvoiceSink::Webhook);
        if sink == InvoiceSink::Stripe && stripe.is_none() && reader.text("TURNPIKE_STRIPE_KEY").is_none() {
            reader.problem("TURNPIKE_INVOICE_SINK", "says stripe, and there is no TURNPIKE_STRIPE_KEY");
        }
        Self { sink, stripe, webhook }
    }
}

impl InvoiceWebhook {
    fn read(reader: &mut Reader, is_used: bool) -> Option<Self> {
        const URL: &str = "TURNPIKE_INVOICE_WEBHOOK_URL";
        const SECRET: &str = "TURNPIKE_INVOICE_WEBHOOK_SECRET";
        let (url, secret) = (reader.text(URL), reader.secret(SECRET));
        if !is_used {
            if url.is_some() || secret.is_some() {
                reader.problem(URL, "does nothing without TURNPIKE_INVOICE_SINK=webhook; set both");
            }
            return None;
        }
        let Some(url) = url else {
            reader.problem(URL, "is where invoices go, and is not set");
            return None;
        };
        if let Err(wrong) = app::hooks::read_url(&url) {
            reader.problem(URL, wrong);
        }
        let Some(secret) = secret else {
            if reader.text(SECRET).is_none() {
                reader.problem(SECRET, "is what invoices are signed with, and is not set: whsec_ and the output of openssl rand -base64 32");
            }
            return None;
        };
        let key = |secret: &Secret| {
            let key = STANDARD.decode(secret.expose().strip_prefix("whsec_")?).ok()?;
            (24..=64).contains(&key.len()).then_some(key)
        };
        let keys: Option<Vec<_>> = secret.several().iter().map(key).collect();
        if keys.is_none() {
            reader
                .problem(SECRET, "is not whsec_ and 24 to 64 bytes in base64; make one with: openssl rand -base64 32");
        }
        Some(Self { url: url.trim().to_owned(), keys: keys? })
    }
}

fn read_pages(reader: &mut Reader) -> StripePages {
    const NAME: &str = "TURNPIKE_STRIPE_PAGES";
    let Some(written) = reader.text(NAME) else { return StripePages::usual() };
    match StripePages::new(written.split(',').map(|origin| origin.trim().to_owned())) {
        Ok(pages) => pages,
        Err(wrong) => {
            reader.problem(NAME, format!("{wrong:?} is not scheme and host alone, as https://pay.example.com"));
            StripePages::usual()
        }
    }
}

/// How to reach Stripe and believe it.
#[derive(Debug, Clone)]
pub struct Stripe {
    pub key: Secret,
    /// Without one, webhooks are refused and only the periodic look keeps us up to date. While one is rotated there are two.
    pub webhook_secrets: Vec<Secret>,
    /// Without a slash at the end.
    pub url: String,
    /// How long an answer is waited for.
    pub timeout: Duration,
    /// How long after the end of a period its usage may still be told to Stripe's meters.
    pub meters_open: SignedDuration,
    /// From how many meter events in one run on they are streamed; `None` streams none.
    pub stream_from: Option<usize>,
    /// Whether subscriptions of plans that Stripe rates are made there, with their prices; else a provider makes them by hand.
    pub makes_subscriptions: bool,
    /// How often what Stripe holds is compared with ours.
    pub compare_every: SignedDuration,
    /// Where people may be sent.
    pub pages: StripePages,
    /// Whether Stripe Tax computes the taxes.
    pub tax: bool,
}

impl Stripe {
    pub(super) fn read(reader: &mut Reader) -> Option<Self> {
        let key = reader.secret("TURNPIKE_STRIPE_KEY");
        let webhook_secret = reader.secret("TURNPIKE_STRIPE_WEBHOOK_SECRET");
        let url = reader.url("TURNPIKE_STRIPE_URL").unwrap_or_else(|| "https://api.stripe.com".to_owned());
        if key.is_none() && webhook_secret.is_some() && reader.text("TURNPIKE_STRIPE_KEY").is_none() {
            reader.problem("TURNPIKE_STRIPE_WEBHOOK_SECRET", "does nothing without TURNPIKE_STRIPE_KEY; set both");
        }
        let webhook_secrets = webhook_secret.as_ref().map(Secret::several).unwrap_or_default();
        if webhook_secrets.iter().any(|secret| secret.expose().is_empty()) {
            reader.problem(
                "TURNPIKE_STRIPE_WEBHOOK_SECRET",
                "holds an empty secret; write one, or several with commas between them",
            );
        }
        let timeout = reader.number("TURNPIKE_STRIPE_TIMEOUT_MS", 100, 300_000).unwrap_or(30_000);
        let minutes = reader.number("TURNPIKE_STRIPE_METERS_OPEN", 1, 10_140).unwrap_or(45);
        let hours = reader.number("TURNPIKE_STRIPE_COMPARE_HOURS", 1, 168).unwrap_or(6);
        let stream_from = reader.number("TURNPIKE_STRIPE_STREAM_FROM", 1, 1_000_000);
        const MAKERS: [(&str, bool); 2] = [("made", true), ("by_hand", false)];
        let makes_subscriptions = reader.choice("TURNPIKE_STRIPE_SUBSCRIPTIONS", &MAKERS, false);
        let pages = read_pages(reader);
        let tax = reader.flag("TURNPIKE_STRIPE_TAX");
        key.map(|key| Self {
            key,
            webhook_secrets,
            url,
            timeout: Duration::from_millis(timeout),
            meters_open: SignedDuration::from_mins(minutes),
            stream_from: stream_from.and_then(|from: u64| usize::try_from(from).ok()),
            makes_subscriptions,
            compare_every: SignedDuration::from_hours(hours),
            pages,
            tax,
        })
    }
}
