//! Whether a meter measures a call, by what its answer says ([`policy::OnlyWhere`]).

use super::{Saying, Told, Unreadable};
use domain::policy;
use serde_json::Value;
use std::borrow::Cow;

/// Which answers are measured.
#[derive(Debug)]
pub(super) struct OnlyWhere {
    pub says: Told,
    rule: policy::OnlyWhere,
}

impl OnlyWhere {
    pub(super) fn new(rule: &policy::OnlyWhere) -> Self {
        Self { says: Told::new(&rule.says), rule: rule.clone() }
    }

    /// Whether the call is measured; `Err` where what the answer says cannot be read, so that it is not taken for one that says nothing.
    pub(super) fn holds(&self, answer: &Saying<'_>) -> Result<bool, Unreadable> {
        Ok(self.rule.holds(said(&self.says, answer)?.as_deref()))
    }
}

/// The one text that stands there; `None` where there is none. Whole numbers and truth values in JSON are the text that they are written as.
fn said<'a>(told: &Told, answer: &Saying<'a>) -> Result<Option<Cow<'a, str>>, Unreadable> {
    match told {
        Told::Header(None) => Ok(None),
        Told::Header(Some(name)) => {
            let mut values = answer.headers.get_all(name).iter();
            match (values.next(), values.next()) {
                (None, _) if answer.is_partial => Err(Unreadable),
                (None, _) => Ok(None),
                (Some(value), None) => {
                    let text = str::from_utf8(value.as_bytes()).map_err(|_| Unreadable)?;
                    Ok(Some(Cow::Borrowed(text.trim())))
                }
                (Some(_), Some(_)) => Err(Unreadable),
            }
        }
        Told::JsonField(pointer) => match answer.body.ok_or(Unreadable)?.pointer(pointer) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(Cow::Borrowed(text))),
            Some(value @ Value::Bool(_)) => Ok(Some(Cow::Owned(value.to_string()))),
            Some(Value::Number(number)) if !number.is_f64() => Ok(Some(Cow::Owned(number.to_string()))),
            Some(Value::Number(_) | Value::Array(_) | Value::Object(_)) => Err(Unreadable),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Items;
    use domain::id::{PartnerId, ProductId};
    use http::{HeaderMap, HeaderValue};
    use uuid::Uuid;

    /// Of such an answer, whether it is measured where it says `wanted`, and where it does not.
    fn sides(
        told: policy::Told,
        wanted: &str,
        headers: &HeaderMap,
        body: &str,
        is_partial: bool,
    ) -> Option<(bool, bool)> {
        let items = Items::new(&[7; 32]);
        let body: Option<Value> = serde_json::from_str(body).ok();
        let whose = (PartnerId(Uuid::nil()), ProductId(Uuid::nil()));
        let answer = Saying { items: &items, whose, headers, body: body.as_ref(), is_partial };
        let values = || [wanted.to_owned()].into();
        let these = policy::OnlyWhere { says: told.clone(), one_of: values(), none_of: Default::default() };
        let others = policy::OnlyWhere { says: told, one_of: Default::default(), none_of: values() };
        let side = |rule| OnlyWhere::new(rule).holds(&answer).ok();
        match (side(&these), side(&others)) {
            (Some(one), Some(other)) => Some((one, other)),
            (None, None) => None,
            sides => panic!("one side can tell and the other cannot: {sides:?}"),
        }
    }

    const THESE: Option<(bool, bool)> = Some((true, false));
    const OTHERS: Option<(bool, bool)> = Some((false, true));

    #[test]
    fn a_field_is_compared_as_it_is_written_and_what_is_no_plain_value_is_on_no_side() {
        for (body, wanted, side) in [
            (r#"{"a":"amex"}"#, "amex", THESE),
            (r#"{"a":"Amex"}"#, "amex", OTHERS),
            (r#"{"a":" amex"}"#, "amex", OTHERS),
            (r#"{"a":-12}"#, "-12", THESE),
            (r#"{"a":true}"#, "true", THESE),
            (r#"{"a":null}"#, "null", OTHERS),
            ("{}", "amex", OTHERS),
            (r#"{"a":1.50}"#, "1.5", None),
            (r#"{"a":["amex"]}"#, "amex", None),
            (r#"{"a":{}}"#, "amex", None),
            ("[", "amex", None),
            ("", "amex", None),
        ] {
            let told = policy::Told::JsonField { pointer: "/a".to_owned() };
            assert_eq!(sides(told, wanted, &HeaderMap::new(), body, false), side, "{body}");
        }
    }

    #[test]
    fn a_header_that_comes_twice_or_may_be_left_out_is_on_no_side() {
        for (values, is_partial, side) in [
            (&["ach"][..], false, THESE),
            (&[" ach "], true, THESE),
            (&["card"], false, OTHERS),
            (&[], false, OTHERS),
            (&[], true, None),
            (&["ach", "ach"], false, None),
        ] {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append("x-method", HeaderValue::from_str(value).expect("a value"));
            }
            let told = policy::Told::Header { name: "X-Method".to_owned() };
            assert_eq!(sides(told, "ach", &headers, "", is_partial), side, "{values:?}");
        }
        let told = policy::Told::Header { name: "X-Method".to_owned() };
        for (bytes, side) in [("débit".as_bytes(), THESE), (b"d\xe9bit", None)] {
            let value = HeaderValue::from_bytes(bytes).expect("a value");
            let headers = [("x-method".parse().expect("a name"), value)].into_iter().collect();
            assert_eq!(sides(told.clone(), "débit", &headers, "", false), side);
        }
    }
}
