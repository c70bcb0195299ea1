//! Features that the plan has to open, for an operation or for some of its query parameters.
//!
//! What is looked at is decoded once; what is forwarded are the client's bytes. Upstreams read queries in different ways, so a
//! gate closes for every reading that some server has: `&` and `;` part pairs, `+` is a plus or a space, `name[]` and
//! `name[0]` are `name`, names and values are the same in any case and with blanks around them, a list's parts count one by
//! one, and of a name that comes twice each value counts.

use crate::{respond::Refusal, snapshot::Plan};
use domain::{
    policy::{FeatureGate, ParameterGate},
    refusal::Code,
};
use std::borrow::Cow;

/// Refuses a call that needs a feature which the plan does not open.
pub(super) fn check(gates: &[FeatureGate], plan: &Plan, query: Option<&str>) -> Result<(), Refusal> {
    let mut closed = gates.iter().filter(|gate| !plan.features.contains(&gate.feature));
    let met = closed.find(|gate| match &gate.parameter {
        None => true,
        Some(parameter) => query.is_some_and(|query| is_met(parameter, query)),
    });
    let Some(gate) = met else { return Ok(()) };
    let detail = match &gate.parameter {
        None => {
            format!("The plan {} does not open the feature {}, which this operation needs.", plan.name, gate.feature)
        }
        Some(parameter) => format!(
            "The plan {} does not open the feature {}, which the query parameter {} needs here.",
            plan.name, gate.feature, parameter.name
        ),
    };
    Err(Refusal::new(Code::FeatureNotInPlan, detail))
}

/// Whether some reading of the query has the parameter, with one of the gate's values.
fn is_met(gate: &ParameterGate, query: &str) -> bool {
    let query = query.as_bytes();
    let loose = query.split(|byte| *byte == b'&' || *byte == b';');
    let strict = query.split(|byte| *byte == b'&');
    loose.chain(strict).any(|pair| {
        let mut halves = pair.splitn(2, |byte| *byte == b'=');
        let (name, value) = (halves.next().unwrap_or_default(), halves.next().unwrap_or_default());
        [true, false].into_iter().any(|plus_is_space| {
            let name = decoded(name, plus_is_space);
            if !is_named(&name, gate.name.as_bytes()) {
                return false;
            }
            let value = decoded(value, plus_is_space);
            let parts = value.split(|byte| b",|;".contains(byte)).chain([&*value]);
            let is_one =
                |part: &[u8]| gate.values.iter().any(|one| trimmed(part).eq_ignore_ascii_case(trimmed(one.as_bytes())));
            gate.values.is_empty() || parts.into_iter().any(is_one)
        })
    })
}

fn is_named(name: &[u8], gate: &[u8]) -> bool {
    let name = trimmed(name);
    let whole = name.eq_ignore_ascii_case(trimmed(gate));
    let bracket = name.iter().position(|byte| *byte == b'[' || *byte == 0).unwrap_or(name.len());
    whole || trimmed(&name[..bracket]).eq_ignore_ascii_case(trimmed(gate))
}

/// Without what servers strip from names and values: blanks, and a second question mark before the first name.
fn trimmed(text: &[u8]) -> &[u8] {
    let skipped = |byte: &u8| byte.is_ascii_whitespace() || *byte == 0;
    let start = text.iter().position(|byte| !skipped(byte) && *byte != b'?').unwrap_or(text.len());
    let text = &text[start..];
    let end = text.iter().rposition(|byte| !skipped(byte)).map_or(0, |last| last + 1);
    &text[..end]
}

/// Decodes once; a percent sign without two digits is itself.
fn decoded(text: &[u8], plus_is_space: bool) -> Cow<'_, [u8]> {
    let coded = |byte: &u8| *byte == b'%' || (plus_is_space && *byte == b'+');
    if !text.iter().any(coded) {
        return Cow::Borrowed(text);
    }
    let digit = |byte: Option<&u8>| {
        byte.and_then(|byte| char::from(*byte).to_digit(16)).and_then(|digit| u8::try_from(digit).ok())
    };
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match (byte, digit(after.first()), digit(after.get(1))) {
            (b'%', Some(high), Some(low)) => {
                out.push(high * 16 + low);
                rest = &after[2..];
            }
            (b'+', ..) if plus_is_space => out.push(b' '),
            _ => out.push(byte),
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(name: &str, values: &[&str]) -> ParameterGate {
        ParameterGate { name: name.to_owned(), values: values.iter().map(|value| (*value).to_owned()).collect() }
    }

    #[test]
    fn no_spelling_that_some_server_reads_slips_through() {
        let any = gate("export", &[]);
        let csv = gate("export", &["csv"]);
        for query in [
            "export=csv",
            "a=1&export=csv",
            "export=json&export=csv",
            "export=csv&export=json",
            "a=1;export=csv",
            "a=1%3Bx&export=csv",
            "%65xport=csv",
            "ex%70%6Frt=%63sv",
            "+export+=csv",
            "%20export=csv%20",
            "export[]=csv",
            "export%5B0%5D=csv",
            "export[a][b]=csv",
            "EXPORT=CSV",
            "?export=csv",
            "export%00x=csv",
            "export=json,csv",
            "export=json%7Ccsv",
            "&&export=csv",
        ] {
            assert!(is_met(&any, query), "{query}");
            assert!(is_met(&csv, query), "{query}");
        }
        assert!(is_met(&any, "export") && is_met(&any, "export="));
        for query in
            ["", "a=export=csv", "exports=csv", "xexport=csv", "%2565xport=csv", "export%=csv", "a=%26export%3Dcsv"]
        {
            assert!(!is_met(&any, query), "{query}");
        }
        for query in ["export=json", "export", "export=csv2", "export=c%2573v"] {
            assert!(!is_met(&csv, query), "{query}");
        }
        assert!(is_met(&gate("a b", &["c d"]), "a+b=c%20d") && is_met(&gate("a+b", &["c+d"]), "a+b=c+d"));
    }
}
