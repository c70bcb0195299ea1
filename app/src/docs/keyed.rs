//! What a partner reads of operations that take an Idempotency-Key.

use crate::secrets::fill_random;
use store::KeyedOperation;

/// The header's name.
pub const HEADER: &str = "Idempotency-Key";

/// What the header does at this operation.
pub fn sentence(keyed: KeyedOperation) -> String {
    let KeyedOperation { required, keep_seconds } = keyed;
    let takes = if required { "Required: a call without it is refused." } else { "Optional." };
    format!(
        "{takes} The same request sent again with the same key within {} is not carried out twice: it gets the first answer, \
         for nothing.",
        time(keep_seconds)
    )
}

/// A key that nobody has used, to try a call with.
pub fn new_key() -> String {
    let mut bytes = [0; 16];
    fill_random(&mut bytes);
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `24 hours`, `7 days`, `90 seconds`: in the largest unit that divides it, days from two on.
fn time(seconds: u32) -> String {
    let units = [(86_400, 172_800, "day"), (3_600, 3_600, "hour"), (60, 60, "minute")];
    let fits = units.into_iter().find(|(unit, least, _)| seconds.is_multiple_of(*unit) && seconds >= *least);
    let (count, name) = fits.map_or((seconds, "second"), |(unit, _, name)| (seconds / unit, name));
    format!("{count} {name}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_in_the_unit_that_fits() {
        let cases =
            [(60, "1 minute"), (90, "90 seconds"), (3_600, "1 hour"), (86_400, "24 hours"), (604_800, "7 days")];
        for (seconds, text) in cases {
            assert_eq!(time(seconds), text);
        }
    }
}
