//! From figures to places: integers all the way, in thousandths of the picture.

/// The picture's width and height in its own units; the page stretches it.
pub(super) const WIDTH: u64 = 10_000;
pub(super) const HEIGHT: u64 = 1_000;

/// The next round number (1, 2, 2.5, 4, 5, 6 or 8 times a power of ten) that is not less than `largest`: the axis ends there.
pub(super) fn round_up(largest: u64) -> u64 {
    let mut power: u64 = 1;
    loop {
        for quarters in [4, 8, 10, 16, 20, 24, 32] {
            let candidate = power.saturating_mul(quarters) / 4;
            if candidate >= largest.max(2) && candidate.is_multiple_of(2) {
                return candidate;
            }
        }
        match power.checked_mul(10) {
            Some(next) => power = next,
            None => return u64::MAX,
        }
    }
}

/// `value` as a height in the picture.
pub(super) fn height(value: u64, top: u64) -> u64 {
    let height = u128::from(value.min(top)) * u128::from(HEIGHT) / u128::from(top.max(1));
    u64::try_from(height).unwrap_or(HEIGHT)
}

/// A figure for an axis: `1.2k`, `3M`.
pub(super) fn short(value: u64) -> String {
    let (unit, letter) = match value {
        0..1_000 => return value.to_string(),
        1_000..1_000_000 => (1_000, "k"),
        1_000_000..1_000_000_000 => (1_000_000, "M"),
        1_000_000_000..1_000_000_000_000 => (1_000_000_000, "G"),
        _ => (1_000_000_000_000, "T"),
    };
    let tenths = value / (unit / 10);
    if tenths.is_multiple_of(10) {
        format!("{}{letter}", tenths / 10)
    } else if value.is_multiple_of(unit / 10) {
        format!("{}.{}{letter}", tenths / 10, tenths % 10)
    } else {
        let hundredths = value / (unit / 100);
        format!("{}.{:02}{letter}", hundredths / 100, hundredths % 100)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_ends_at_a_round_number() {
        for (largest, top) in [(0, 2), (2, 2), (3, 4), (11, 20), (21, 40), (180, 200), (201, 250), (1_001, 2_000)] {
            assert_eq!(round_up(largest), top, "{largest}");
        }
        assert_eq!(round_up(u64::MAX), u64::MAX);
    }

    #[test]
    fn a_height_stays_in_the_picture() {
        assert_eq!(height(5, 10), HEIGHT / 2);
        assert_eq!(height(50, 10), HEIGHT);
        assert_eq!(height(u64::MAX, u64::MAX), HEIGHT);
    }

    #[test]
    fn axis_figures_are_short() {
        for (value, text) in
            [(0, "0"), (999, "999"), (1_000, "1k"), (2_500, "2.5k"), (1_250, "1.25k"), (4_000_000, "4M")]
        {
            assert_eq!(short(value), text);
        }
    }
}
