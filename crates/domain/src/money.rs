//! Money: an ISO 4217 currency and an integer of micro-units of it, so that a price of 0.000125 is exact.
//!
//! Rounding to what a person can pay (minor units) happens once, on an invoice line, half away from zero.

use rust_decimal::{Decimal, RoundingStrategy, prelude::ToPrimitive};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// Micro-units in one unit of any currency.
pub const MICROS: i64 = 1_000_000;

/// An ISO 4217 currency that an invoice can be in, with its number of decimals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Currency {
    Usd,
    Eur,
    Gbp,
    Chf,
    Nzd,
    Aud,
    Cad,
    Sek,
    Jpy,
}

/// The amount does not fit, or two currencies met.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    #[error("the amount is too large to represent")]
    TooLarge,
    #[error("{0} and {1} cannot be added")]
    MixedCurrencies(Currency, Currency),
    #[error("{0:?} is not a currency that Turnpike bills in (USD, EUR, GBP, CHF, NZD, AUD, CAD, SEK, JPY)")]
    UnknownCurrency(String),
    #[error("{0:?} is not an amount: write digits with a point, as 49.00")]
    NotAnAmount(String),
}

impl Currency {
    /// All of them, in the order in which a form offers them.
    pub const ALL: [Self; 9] =
        [Self::Usd, Self::Eur, Self::Gbp, Self::Chf, Self::Nzd, Self::Aud, Self::Cad, Self::Sek, Self::Jpy];

    /// The ISO 4217 code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Usd => "USD",
            Self::Eur => "EUR",
            Self::Gbp => "GBP",
            Self::Chf => "CHF",
            Self::Nzd => "NZD",
            Self::Aud => "AUD",
            Self::Cad => "CAD",
            Self::Sek => "SEK",
            Self::Jpy => "JPY",
        }
    }

    /// Decimals of the smallest coin (ISO 4217 minor unit).
    pub const fn decimals(self) -> u32 {
        match self {
            Self::Jpy => 0,
            _ => 2,
        }
    }

    /// The sign put before an amount; currencies that share a sign carry a letter.
    pub const fn sign(self) -> &'static str {
        match self {
            Self::Usd => "$",
            Self::Eur => "€",
            Self::Gbp => "£",
            Self::Chf => "CHF ",
            Self::Nzd => "NZ$",
            Self::Aud => "A$",
            Self::Cad => "CA$",
            Self::Sek => "SEK ",
            Self::Jpy => "¥",
        }
    }

    /// Micro-units in the smallest coin.
    pub const fn micros_per_minor(self) -> i64 {
        MICROS / 10_i64.pow(self.decimals())
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl FromStr for Currency {
    type Err = MoneyError;
    fn from_str(text: &str) -> Result<Self, MoneyError> {
        Self::ALL
            .into_iter()
            .find(|currency| currency.code().eq_ignore_ascii_case(text.trim()))
            .ok_or_else(|| MoneyError::UnknownCurrency(text.to_owned()))
    }
}

/// An amount: micro-units of a currency. Negative is owed to the partner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Money {
    pub currency: Currency,
    pub micros: i64,
}

impl Money {
    pub const fn new(currency: Currency, micros: i64) -> Self {
        Self { currency, micros }
    }

    pub const fn zero(currency: Currency) -> Self {
        Self { currency, micros: 0 }
    }

    /// An exact decimal of the currency's unit, rounded to the smallest coin, half away from zero.
    pub fn from_decimal_rounded(currency: Currency, amount: Decimal) -> Result<Self, MoneyError> {
        let minor = amount.round_dp_with_strategy(currency.decimals(), RoundingStrategy::MidpointAwayFromZero);
        Self::from_decimal_exact(currency, minor)
    }

    /// An exact decimal of the currency's unit with at most six decimals.
    pub fn from_decimal_exact(currency: Currency, amount: Decimal) -> Result<Self, MoneyError> {
        let micros = amount.checked_mul(Decimal::from(MICROS)).ok_or(MoneyError::TooLarge)?;
        if !micros.fract().is_zero() {
            return Err(MoneyError::NotAnAmount(amount.to_string()));
        }
        micros.to_i64().map(|micros| Self { currency, micros }).ok_or(MoneyError::TooLarge)
    }

    /// The amount in the currency's unit.
    pub fn to_decimal(self) -> Decimal {
        Decimal::new(self.micros, 6)
    }

    /// The amount in the currency's unit as somebody types it into a field, with at least the currency's decimals: `5000.00`.
    pub fn to_input(self) -> String {
        let mut amount = self.to_decimal().normalize();
        amount.rescale(amount.scale().max(self.currency.decimals()));
        amount.to_string()
    }

    /// The amount in the smallest coin, as Stripe wants it. `None` where it is not a whole number of coins.
    pub const fn minor_units(self) -> Option<i64> {
        let per_minor = self.currency.micros_per_minor();
        if self.micros % per_minor == 0 { Some(self.micros / per_minor) } else { None }
    }

    pub fn checked_add(self, other: Self) -> Result<Self, MoneyError> {
        if self.currency != other.currency {
            return Err(MoneyError::MixedCurrencies(self.currency, other.currency));
        }
        let micros = self.micros.checked_add(other.micros).ok_or(MoneyError::TooLarge)?;
        Ok(Self { micros, ..self })
    }
}

/// `$1,234.50`; a unit price keeps the decimals it needs: `$0.0005`. Negative: `−$3.00`.
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let amount = self.micros.unsigned_abs();
        let whole = amount / MICROS.unsigned_abs();
        let mut fraction = format!("{:06}", amount % MICROS.unsigned_abs());
        while fraction.len() > self.currency.decimals() as usize && fraction.ends_with('0') {
            fraction.pop();
        }
        if self.micros < 0 {
            f.write_str("−")?;
        }
        write!(f, "{}{}", self.currency.sign(), group_thousands(whole))?;
        if fraction.is_empty() { Ok(()) } else { write!(f, ".{fraction}") }
    }
}

/// `1234567` as `1,234,567`.
pub fn group_thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_as_people_write_it() {
        let usd = |micros| Money::new(Currency::Usd, micros).to_string();
        assert_eq!(usd(49_000_000), "$49.00");
        assert_eq!(usd(1_234_567_500_000), "$1,234,567.50");
        assert_eq!(usd(500), "$0.0005");
        assert_eq!(usd(-3_000_000), "−$3.00");
        assert_eq!(Money::new(Currency::Jpy, 1_200 * MICROS).to_string(), "¥1,200");
    }

    #[test]
    fn rounds_half_away_from_zero_to_the_coin() {
        let cents = |text: &str| {
            Money::from_decimal_rounded(Currency::Usd, text.parse().expect("decimal")).expect("fits").minor_units()
        };
        assert_eq!(cents("0.005"), Some(1));
        assert_eq!(cents("0.00499999"), Some(0));
        assert_eq!(cents("-0.005"), Some(-1));
    }
}
