//! Numbers as hexadecimal digits in lower case, without the machinery of `fmt`.

/// All eight digits at once: each is spread to a byte of its own.
pub(crate) const fn hexadecimal(number: u32) -> [u8; 8] {
    let spread = number as u64;
    let spread = (spread << 16 | spread) & 0x0000_ffff_0000_ffff;
    let spread = (spread << 8 | spread) & 0x00ff_00ff_00ff_00ff;
    let digits = (spread << 4 | spread) & 0x0f0f_0f0f_0f0f_0f0f;
    let letters = ((digits + 0x0606_0606_0606_0606) >> 4) & 0x0101_0101_0101_0101;
    (digits + 0x3030_3030_3030_3030 + letters * 0x27).to_be_bytes()
}

/// Writes all sixteen digits.
pub(crate) fn write(number: u64, out: &mut [u8; 16]) {
    let (high, low) = out.split_at_mut(8);
    high.copy_from_slice(&hexadecimal((number >> 32) as u32));
    low.copy_from_slice(&hexadecimal(number as u32));
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn the_digits_are_those_of_the_standard_library(number: u64) {
            let mut text = [0; 16];
            write(number, &mut text);
            proptest::prop_assert_eq!(text.to_vec(), format!("{number:016x}").into_bytes());
        }
    }
}
