//! The smallest amounts that Stripe charges.

use domain::money::Currency;

/// In the smallest coin, as listed by Stripe's documentation of currencies (docs.stripe.com/currencies, "Minimum and maximum charge
/// amounts"). An account that is paid out in another currency may have to charge a little more, which Stripe says when it is asked.
pub(super) const fn least_charge(currency: Currency) -> i64 {
    match currency {
        Currency::Gbp => 30,
        Currency::Usd
        | Currency::Eur
        | Currency::Chf
        | Currency::Nzd
        | Currency::Aud
        | Currency::Cad
        | Currency::Jpy => 50,
        Currency::Sek => 300,
    }
}
