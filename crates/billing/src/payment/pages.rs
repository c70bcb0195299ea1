//! Where people may be sent: nobody is sent to another host because an answer says so.

use crate::BillingError;
use http::Uri;

/// Where people may be sent: scheme, host and port of Stripe's own pages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StripePages(Vec<String>);

/// An address of one of them: the proof that people may be sent there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StripePage(String);

impl StripePage {
    /// The whole address.
    pub fn url(&self) -> &str {
        &self.0
    }
}

impl StripePages {
    /// Of Stripe itself.
    pub fn usual() -> Self {
        Self(["https://billing.stripe.com", "https://checkout.stripe.com"].map(str::to_owned).to_vec())
    }

    /// Others, as of a stand-in or of a domain that the provider has set up at Stripe.
    ///
    /// # Errors
    /// The one that is not scheme and host alone.
    pub fn new(origins: impl IntoIterator<Item = String>) -> Result<Self, String> {
        let origins: Vec<String> = origins.into_iter().collect();
        match origins.iter().find(|origin| self::origin(origin).as_ref() != Some(*origin)) {
            Some(wrong) => Err(wrong.clone()),
            None => Ok(Self(origins)),
        }
    }

    /// All of them.
    pub fn origins(&self) -> &[String] {
        &self.0
    }

    /// The address, if people may be sent there.
    ///
    /// # Errors
    /// It leads elsewhere.
    pub fn check(&self, url: String) -> Result<StripePage, BillingError> {
        let is_known = origin(&url).is_some_and(|origin| self.0.contains(&origin));
        if is_known && url.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\') {
            return Ok(StripePage(url));
        }
        let host = url.parse::<Uri>().ok().and_then(|uri| uri.host().map(str::to_owned)).unwrap_or_default();
        Err(BillingError::Differs(format!("Stripe's page is at {host:?}, which TURNPIKE_STRIPE_PAGES does not name")))
    }
}

/// Scheme, host and port.
fn origin(url: &str) -> Option<String> {
    let uri: Uri = url.parse().ok()?;
    let authority = uri.authority()?.as_str();
    let scheme = uri.scheme_str().filter(|scheme| matches!(*scheme, "https" | "http"))?;
    (!authority.contains('@')).then(|| format!("{scheme}://{authority}"))
}

#[cfg(test)]
mod tests {
    use super::StripePages;

    #[test]
    fn people_are_sent_to_stripes_own_pages_and_nowhere_else() {
        let pages = StripePages::usual();
        for good in ["https://billing.stripe.com/p/session/x", "https://checkout.stripe.com/c/pay/cs_test_1#fid"] {
            assert!(pages.check(good.to_owned()).is_ok(), "{good}");
        }
        for bad in [
            "",
            "/plan",
            "http://billing.stripe.com/p",
            "https://billing.stripe.com.evil.example/p",
            "https://billing.stripe.com:444/p",
            "https://billing.stripe.com@evil.example/p",
            "https://user@billing.stripe.com/p",
            "https://evil.example/?https://billing.stripe.com",
            "javascript:alert(1)",
            "https://billing.stripe.com/a\r\nset-cookie: x",
        ] {
            assert!(pages.check(bad.to_owned()).is_err(), "{bad}");
        }
        assert!(StripePages::new(["https://pay.acme.example".to_owned()]).is_ok());
        for wrong in ["https://pay.acme.example/", "pay.acme.example", "ftp://pay.acme.example", "*"] {
            assert!(StripePages::new([wrong.to_owned()]).is_err(), "{wrong}");
        }
    }
}
