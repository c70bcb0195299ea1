//! Numbers as decimal digits, without the machinery of `fmt`.

const MAX_DIGITS: usize = 20;

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
        for digit in decimal.digits.iter_mut().rev() {
            *digit = b'0' + (left % 10) as u8;
            left /= 10;
            decimal.start -= 1;
            if left == 0 {
                break;
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
