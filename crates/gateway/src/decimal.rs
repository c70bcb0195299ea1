//! Numbers as decimal digits, without the machinery of `fmt`.

const MAX_DIGITS: usize = 20;

const PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[0; 2]; 100];
    let mut number = 0;
    while number < 100 {
        pairs[number] = [b'0' + (number / 10) as u8, b'0' + (number % 10) as u8];
        number += 1;
    }
    pairs
};

/// A number's digits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Decimal {
    digits: [u8; MAX_DIGITS],
    start: usize,
}

impl Decimal {
    pub(crate) fn of(number: u64) -> Self {
        let mut decimal = Self { digits: [b'0'; MAX_DIGITS], start: MAX_DIGITS };
        let mut left = number;
        while left >= 10 {
            // Two digits at a time: half the divisions, each of which waits for the one before.
            let pair = (left % 100) as usize;
            left /= 100;
            decimal.start -= 2;
            if let (Some(place), Some(digits)) =
                (decimal.digits.get_mut(decimal.start..decimal.start + 2), PAIRS.get(pair))
            {
                place.copy_from_slice(digits);
            }
        }
        if left > 0 || number == 0 {
            decimal.start -= 1;
            if let Some(place) = decimal.digits.get_mut(decimal.start) {
                *place = b'0' + left as u8;
            }
        }
        decimal
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.digits.get(self.start..).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn the_digits_are_those_of_the_standard_library(number: u64, digits in 0_u32..64) {
            for number in [number, number >> digits, 0, u64::MAX] {
                let (decimal, text) = (Decimal::of(number), number.to_string());
                proptest::prop_assert_eq!(decimal.as_bytes(), text.as_bytes());
            }
        }
    }
}
