//! What every page and server function may reach, built once by the server.

use crate::secrets::Secrets;
use billing::{payment::StripePages, stripe::Stripe};
use domain::id::{KeyId, MemberId};
use jiff::{SignedDuration, Timestamp};
use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};
use store::Store;

/// The handles and settings of one installation. Cloning is cheap.
#[derive(Clone)]
pub struct AppState {
    pub store: Store,
    pub secrets: Arc<Secrets>,
    pub settings: Arc<Settings>,
    pub clock: Clock,
    /// Only where invoices go to Stripe.
    pub stripe: Option<StripeAccess>,
    /// Makes the short-lived credential with which the portal tries a call as a key that it does not know the text of.
    pub mint_try_credential: MintTryCredential,
}

/// The Stripe account, and where people may be sent to leave or change payment methods.
#[derive(Clone)]
pub struct StripeAccess {
    pub stripe: Stripe,
    pub pages: StripePages,
}

/// Key, the member who tries, and when the credential ends; gives the text for the Authorization header.
pub type MintTryCredential = Arc<dyn Fn(KeyId, Option<MemberId>, Timestamp) -> String + Send + Sync>;

/// Where invoices, credit notes and voids go once they are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum InvoiceSink {
    /// Nowhere: they are files to be fetched.
    #[default]
    Files,
    Stripe,
    /// To a receiver of the provider's own.
    Webhook,
}

/// What the installation is called and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The provider's name, shown beside the logo.
    pub provider_name: String,
    /// Its postal address and tax number, lines parted by line breaks or semicolons; may be empty.
    pub provider_address: String,
    /// Scheme, host and port of the portal as people reach it, without a slash at the end.
    pub portal_url: String,
    /// The same for the gateway, as partners' programs reach it.
    pub gateway_url: String,
    /// The gateway as this process reaches it, host and port, for calls that are tried from the portal.
    pub gateway_address: String,
    /// Opens the dev inbox, the gallery and the test clock.
    pub development: bool,
    /// Whether mail leaves by SMTP; if not, it stays in the dev inbox.
    pub mail_is_sent: bool,
    /// Whether invoices go on to Stripe.
    pub stripe_is_on: bool,
    /// There is an account at Stripe: what it has taken is followed, wherever invoices go by now.
    pub has_stripe_account: bool,
    pub invoice_sink: InvoiceSink,
    /// Whether it takes two operators to correct usage.
    pub four_eyes: bool,
    /// How long after its end a period's invoice waits for usage that comes late.
    pub closing_grace: SignedDuration,
    /// Whether hooks may lead to private networks, by http and to any port.
    pub hooks_may_be_private: bool,
}

impl Settings {
    /// The provider's address, line by line.
    pub fn address_lines(&self) -> Vec<String> {
        let lines = self.provider_address.split([';', '\n']).map(str::trim);
        lines.filter(|line| !line.is_empty()).map(str::to_owned).collect()
    }
}

/// The clock: real time, plus what an operator of a development install moved it ahead.
#[derive(Debug, Clone, Default)]
pub struct Clock {
    ahead_seconds: Arc<AtomicI64>,
}

impl Clock {
    pub fn now(&self) -> Timestamp {
        let ahead = SignedDuration::from_secs(self.ahead_seconds.load(Ordering::Relaxed));
        let now = Timestamp::now();
        now.checked_add(ahead).unwrap_or(now)
    }

    /// Seconds that the clock is ahead of real time.
    pub fn ahead_seconds(&self) -> i64 {
        self.ahead_seconds.load(Ordering::Relaxed)
    }

    /// Follows what the database says; never called in production.
    pub fn set_ahead_seconds(&self, seconds: i64) {
        self.ahead_seconds.store(seconds, Ordering::Relaxed);
    }
}
