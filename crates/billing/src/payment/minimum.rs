//! The smallest amounts that Stripe charges.

use domain::money::Currency;

/// In the smallest coin, as the table has it under <https://docs.stripe.com/currencies#minimum-and-maximum-charge-amounts>: 0.50 US dollars,
/// euros, Swiss francs and New Zealand, Australian and Canadian dollars, 50 yen, 3.00 kronor, 0.30 pounds. An account that is paid out in
/// another currency may have to charge more (50 yen are less than 0.50 dollars by now), which Stripe says when it is asked.
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
