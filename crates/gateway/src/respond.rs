//! What the gateway itself says: refusals as problem+json (RFC 9457), and the headers about limits on every answer.
//!
//! The status and the words of each refusal are one table, [`Code::describe`]; this is the one place that sends them.

use crate::{
    decimal::Decimal,
    fields::{self, Fields},
    grpc::Refused,
    idempotency::Ours,
    meter::Reply,
    request_id::RequestText,
};
use domain::{
    directory::Unpaid,
    limit::{Limit, caller::Scope, sliding::Standing},
    period::Period,
    quota::{Beyond, Quota},
    refusal::Code,
};
use http::{
    HeaderValue, Response, StatusCode,
    header::{ALLOW, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE},
};
use std::borrow::Cow;

/// A no, and why. Named where it happens, answered here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub code: Code,
    detail: Cow<'static, str>,
    allow: Option<String>,
    retry_after: Option<u32>,
    /// The invoice for which calls are refused.
    unpaid: Option<Box<Unpaid>>,
    /// Whether the upstream may have been sent a byte of the request.
    sent: bool,
}

impl Refusal {
    /// With the table's own words.
    pub(crate) const fn of(code: Code) -> Self {
        Self {
            code,
            detail: Cow::Borrowed(code.describe().meaning),
            allow: None,
            retry_after: None,
            unpaid: None,
            sent: false,
        }
    }

    /// With a sentence about this very call.
    pub(crate) fn new(code: Code, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { code, detail: detail.into(), allow: None, retry_after: None, unpaid: None, sent: false }
    }

    /// Because of that invoice.
    pub(crate) fn unpaid(unpaid: Unpaid) -> Self {
        let detail = format!("The invoice {} is unpaid, too long after its due date.", unpaid.code());
        Self { unpaid: Some(Box::new(unpaid)), ..Self::new(Code::InvoiceUnpaid, detail) }
    }

    pub(crate) fn allow(self, methods: String) -> Self {
        Self { allow: Some(methods), ..self }
    }

    pub(crate) fn retry_after(self, seconds: u32) -> Self {
        Self { retry_after: Some(seconds), ..self }
    }

    pub(crate) fn sent(self, sent: bool) -> Self {
        Self { sent, ..self }
    }

    pub(crate) const fn status(&self) -> u16 {
        self.code.describe().status
    }

    /// The answer, without the headers about limits.
    pub(crate) fn answer(self, portal_url: &str, request_id: &str) -> Response<Reply> {
        let table = self.code.describe();
        let mut problem = serde_json::json!({
            "type": format!("{portal_url}/docs/errors/{}", table.code),
            "title": table.title,
            "status": table.status,
            "detail": format!("{} {}", self.detail, table.remedy),
            "code": table.code,
            "request_id": request_id,
        });
        if let Some(unpaid) = &self.unpaid {
            problem["invoice"] = unpaid.code().into();
            // The page asks who looks: a provider's payment link would open to whoever has a key.
            problem["pay_url"] = format!("{portal_url}/invoices/{}", unpaid.invoice).into();
        }
        let mut response = Response::new(Reply::text(problem.to_string()));
        response.extensions_mut().insert(Ours { code: self.code, sent: self.sent });
        *response.status_mut() = StatusCode::from_u16(table.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        response.extensions_mut().insert(Refused(self.code));
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if table.status == 401 {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"api\""));
        }
        if let Some(allow) = self.allow.and_then(|methods| HeaderValue::from_str(&methods).ok()) {
            headers.insert(ALLOW, allow);
        }
        let waits = matches!(table.status, 429 | 503);
        if let Some(seconds) = self.retry_after.or(waits.then_some(5)) {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// What an answer says of the call's cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SaidCost {
    /// The call has none: nobody pays for it.
    Nothing,
    /// It is known only at the answer's end.
    Unknown,
    Units(u64),
}

impl From<Option<u64>> for SaidCost {
    fn from(units: Option<u64>) -> Self {
        units.map_or(Self::Unknown, Self::Units)
    }
}

/// How the caller's limits and quota stand after this call.
#[derive(Debug, Clone, Default)]
pub(crate) struct Standings {
    pub policy: Option<HeaderValue>,
    /// The partner's limits.
    pub limits: [Option<Standing>; 4],
    /// The limits of the app and the key.
    pub own: Vec<(Scope, Standing)>,
    /// A limit that only tells is passed.
    pub warning: Option<String>,
    pub quota: Option<QuotaStanding>,
    /// Where the plan takes credit.
    pub credit: Option<CreditLeft>,
}

/// How the credit stands after this call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CreditLeft {
    /// Units; below zero where the plan lets it be.
    pub balance: i64,
    /// Units below zero that the plan lets the balance go to.
    pub overdraft: u64,
    /// Of the balance, units that only calls of this product and a few others spend, where there are any.
    pub bound: Option<u64>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct QuotaStanding {
    pub quota: Quota,
    /// Units used or reserved, this call's included.
    pub used: u64,
    /// Seconds until the next billing period.
    pub reset_seconds: u64,
}

impl Standings {
    /// What every answer says: the call's id, RateLimit-Policy and RateLimit (draft-ietf-httpapi-ratelimit-headers), the
    /// older X-RateLimit fields, which show the limit that has the fewest calls left, and what the call cost.
    pub(crate) fn fields(&self, request_id: &RequestText, cost: SaidCost) -> Fields {
        self.behind(Fields::with_capacity(512), request_id, cost)
    }

    /// The same, behind the upstream's fields.
    pub(crate) fn behind(&self, mut fields: Fields, request_id: &RequestText, cost: SaidCost) -> Fields {
        fields.add(fields::REQUEST_ID, request_id.value());
        self.add_limits(&mut fields);
        if let SaidCost::Units(units) = cost {
            fields.add_number(fields::X_TURNPIKE_UNITS, units);
        }
        if cost != SaidCost::Nothing {
            self.add_rest(&mut fields);
        }
        fields
    }

    fn add_limits(&self, fields: &mut Fields) {
        let Some(policy) = &self.policy else { return };
        fields.add(fields::RATELIMIT_POLICY, policy);
        fields.add_written(fields::RATELIMIT, |text| self.write_limits(text));
        if let Some(warning) = self.warning.as_deref().and_then(|text| HeaderValue::from_str(text).ok()) {
            fields.add(fields::X_RATELIMIT_WARNING, &warning);
        }
        let standings = self.limits.iter().flatten().chain(self.own.iter().map(|(_, standing)| standing));
        let tightest = standings.min_by_key(|standing| standing.remaining);
        let (limit, remaining, reset) = match (tightest, self.quota) {
            (Some(tightest), _) => {
                (u64::from(tightest.limit.calls), u64::from(tightest.remaining), u64::from(tightest.reset_seconds))
            }
            (None, Some(of)) => (of.quota.units, of.quota.units.saturating_sub(of.used), of.reset_seconds),
            (None, None) => return,
        };
        fields.add_number(fields::X_RATELIMIT_LIMIT, limit);
        fields.add_number(fields::X_RATELIMIT_REMAINING, remaining);
        fields.add_number(fields::X_RATELIMIT_RESET, reset);
    }

    fn write_limits(&self, text: &mut Vec<u8>) {
        let start = text.len();
        for standing in self.limits.iter().flatten() {
            let (remaining, reset) = (u64::from(standing.remaining), u64::from(standing.reset_seconds));
            put_field(text, start, ["", standing.limit.window.code()], remaining, reset);
        }
        for (scope, standing) in &self.own {
            let (remaining, reset) = (u64::from(standing.remaining), u64::from(standing.reset_seconds));
            put_field(text, start, [scope.prefix(), standing.limit.window.code()], remaining, reset);
        }
        if let Some(QuotaStanding { quota, used, reset_seconds }) = self.quota {
            put_field(text, start, ["", "quota"], quota.units.saturating_sub(used), reset_seconds);
        }
    }

    /// The credit that is left, and that a quota is passed where the plan only warns of it.
    fn add_rest(&self, fields: &mut Fields) {
        if let Some(CreditLeft { balance, overdraft, bound }) = self.credit {
            fields.add_signed(fields::X_TURNPIKE_CREDIT_REMAINING, balance);
            if overdraft > 0 {
                fields.add_signed(fields::X_TURNPIKE_CREDIT_FLOOR, 0_i64.saturating_sub_unsigned(overdraft));
            }
            if let Some(bound) = bound {
                fields.add_number(fields::X_TURNPIKE_CREDIT_BOUND, bound);
            }
        }
        if let Some(of) = self.quota.filter(|of| of.quota.beyond == Beyond::Warn && of.used > of.quota.units) {
            fields.add_written(fields::X_QUOTA_WARNING, |text| {
                text.extend_from_slice(Decimal::of(of.used).as_bytes());
                text.extend_from_slice(b" of ");
                text.extend_from_slice(Decimal::of(of.quota.units).as_bytes());
                text.extend_from_slice(b" units used");
            });
        }
    }
}

/// `"name";r=1;t=2`, after a comma where it is not the first.
fn put_field(text: &mut Vec<u8>, start: usize, name: [&str; 2], remaining: u64, reset_seconds: u64) {
    text.extend_from_slice(if text.len() == start { b"\"" } else { b", \"" });
    name.iter().for_each(|part| text.extend_from_slice(part.as_bytes()));
    text.extend_from_slice(b"\";r=");
    text.extend_from_slice(Decimal::of(remaining).as_bytes());
    text.extend_from_slice(b";t=");
    text.extend_from_slice(Decimal::of(reset_seconds).as_bytes());
}

/// The RateLimit-Policy field: a policy for each scope and window by its name, and one for the quota, which counts units.
pub(crate) fn policy(scopes: [(Scope, &[Limit]); 3], quota: Option<(Quota, Period)>) -> Option<HeaderValue> {
    let limits = scopes.into_iter().flat_map(|(scope, limits)| limits.iter().map(move |limit| (scope.prefix(), limit)));
    let mut policies: Vec<String> = limits
        .map(|(prefix, limit)| {
            format!("\"{prefix}{}\";q={};w={}", limit.window.code(), limit.calls, limit.window.seconds())
        })
        .collect();
    if let Some((quota, period)) = quota {
        let seconds = period.end.as_second() - period.start.as_second();
        policies.push(format!("\"quota\";q={};w={seconds};qu=\"units\"", quota.units));
    }
    if policies.is_empty() { None } else { HeaderValue::from_str(&policies.join(", ")).ok() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request_id::RequestIds;
    use domain::limit::Window;
    use http::HeaderMap;

    #[test]
    fn the_fields_follow_the_draft_and_the_older_ones_show_the_tightest_limit() {
        let limits = [Limit { calls: 10, window: Window::Second }, Limit { calls: 100, window: Window::Minute }];
        let at = |second| jiff::Timestamp::from_second(second).expect("in range");
        let quota = Quota { units: 1000, beyond: Beyond::Warn };
        let standings = Standings {
            policy: policy(
                [(Scope::Partner, &limits[..]), (Scope::App, &[]), (Scope::Key, &[])],
                Some((quota, Period { start: at(0), end: at(2_592_000) })),
            ),
            limits: [
                Some(Standing { limit: limits[0], remaining: 9, reset_seconds: 1 }),
                Some(Standing { limit: limits[1], remaining: 4, reset_seconds: 31 }),
                None,
                None,
            ],
            own: Vec::new(),
            warning: None,
            quota: Some(QuotaStanding { quota, used: 1003, reset_seconds: 7 }),
            credit: Some(CreditLeft { balance: -12, overdraft: 40, bound: Some(5) }),
        };
        let mut headers = HeaderMap::new();
        headers.insert("ratelimit", HeaderValue::from_static("another's"));
        let request_id = RequestIds::new().take(&headers, at(0));
        let fields = standings.fields(&request_id, SaidCost::Units(3));
        let lines = String::from_utf8(fields.as_bytes().to_vec()).expect("text");
        assert_eq!(
            lines.lines().filter(|line| line.split(':').next().is_some_and(|name| fields::is_ours(name, true))).count(),
            11
        );
        assert_eq!((lines.lines().count(), lines.matches("\r\n").count()), (11, 11));
        fields.put(&mut headers);
        let text = |name: &str| headers[name].to_str().expect("text").to_owned();
        assert_eq!(
            text("ratelimit-policy"),
            "\"second\";q=10;w=1, \"minute\";q=100;w=60, \"quota\";q=1000;w=2592000;qu=\"units\""
        );
        assert_eq!(text("ratelimit"), "\"second\";r=9;t=1, \"minute\";r=4;t=31, \"quota\";r=0;t=7");
        assert_eq!((text("x-ratelimit-limit"), text("x-ratelimit-remaining")), ("100".to_owned(), "4".to_owned()));
        assert_eq!((text("x-ratelimit-reset"), text("x-turnpike-units")), ("31".to_owned(), "3".to_owned()));
        assert_eq!(
            [text("x-turnpike-credit-remaining"), text("x-turnpike-credit-floor"), text("x-turnpike-credit-bound")],
            ["-12", "-40", "5"]
        );
        assert_eq!(text("x-quota-warning"), "1003 of 1000 units used");
    }
}
