//! How the gateway's answer looks for each code: status line, headers, problem document.

use domain::refusal::Code;

const REQUEST_ID: &str = "0199b2f1-6c1e-7d3a-9a40-5b1f3e9c2d77";

/// The status line and the headers.
pub fn head(code: Code) -> String {
    let status = code.describe().status;
    let reason = http::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
    let mut lines = vec![
        format!("HTTP/1.1 {status} {}", reason.unwrap_or_default()),
        "Content-Type: application/problem+json".to_owned(),
    ];
    lines.extend(example_headers(code).iter().map(|line| (*line).to_owned()));
    lines.push(format!("X-Request-Id: {REQUEST_ID}"));
    lines.join("\n")
}

/// The problem document.
pub fn body(code: Code, portal_url: &str) -> String {
    let described = code.describe();
    let text = |value: &str| serde_json::Value::from(value).to_string();
    let members = [
        ("type", text(&format!("{portal_url}/docs/errors/{}", described.code))),
        ("title", text(described.title)),
        ("status", described.status.to_string()),
        ("detail", text(&format!("{} {}", detail(code), described.remedy))),
        ("code", text(described.code)),
        ("request_id", text(REQUEST_ID)),
    ];
    let lines = members.map(|(name, value)| format!("  \"{name}\": {value}"));
    format!("{{\n{}\n}}", lines.join(",\n"))
}

/// What the headers that matter for this code say.
pub fn headers(code: Code) -> Vec<(&'static str, &'static str)> {
    match code {
        Code::LimitExceeded => vec![
            (
                "Retry-After",
                "Whole seconds until a call can pass again. Wait at least this long, plus a little at random.",
            ),
            (
                "RateLimit-Policy",
                "Every limit of your plan: \"minute\";q=100;w=60 reads 100 calls (q) in any 60 seconds (w). The quota stands last.",
            ),
            (
                "RateLimit",
                "How each of them stands: r is how many calls are left, t the seconds until the window is whole again.",
            ),
            (
                "X-RateLimit-Limit, -Remaining, -Reset",
                "The fullest limit once more, for older libraries. Reset is in seconds from now, not a date.",
            ),
        ],
        Code::QuotaExceeded => vec![
            ("Retry-After", "Seconds until the next billing period starts."),
            (
                "RateLimit-Policy",
                "The quota is the policy \"quota\": q is its units, w the seconds of the billing period.",
            ),
            ("RateLimit", "r is how many units are left, t the seconds until the next billing period."),
        ],
        Code::MethodNotAllowed => vec![("Allow", "The methods that this path answers to.")],
        Code::IdempotencyInFlight => vec![("Retry-After", "Whole seconds to wait before asking for the answer.")],
        other => match other.describe().status {
            401 => vec![("WWW-Authenticate", "How to send a credential: as a bearer token.")],
            429 | 503 => vec![("Retry-After", "Whole seconds to wait before trying again.")],
            _ => Vec::new(),
        },
    }
}

fn example_headers(code: Code) -> &'static [&'static str] {
    match code {
        Code::LimitExceeded => &[
            "Retry-After: 18",
            "RateLimit-Policy: \"second\";q=10;w=1, \"minute\";q=100;w=60",
            "RateLimit: \"second\";r=10;t=0, \"minute\";r=0;t=18",
            "X-RateLimit-Limit: 100",
            "X-RateLimit-Remaining: 0",
            "X-RateLimit-Reset: 18",
        ],
        Code::QuotaExceeded => &[
            "Retry-After: 864000",
            "RateLimit-Policy: \"minute\";q=100;w=60, \"quota\";q=10000;w=2592000;qu=\"units\"",
            "RateLimit: \"minute\";r=99;t=60, \"quota\";r=0;t=864000",
        ],
        Code::MethodNotAllowed => &["Allow: GET, POST"],
        Code::IdempotencyInFlight => &["Retry-After: 1"],
        other => match other.describe().status {
            401 => &["WWW-Authenticate: Bearer realm=\"api\""],
            429 | 503 => &["Retry-After: 5"],
            _ => &[],
        },
    }
}

fn detail(code: Code) -> &'static str {
    match code {
        Code::LimitExceeded => "The plan's limit of 100 calls a minute is reached.",
        Code::QuotaExceeded => "10000 of the period's 10000 units are used.",
        Code::MethodNotAllowed => "This path takes GET, POST.",
        other => other.describe().meaning,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_example_holds_a_problem_document_of_its_code() {
        for code in Code::ALL {
            let described = code.describe();
            assert!(head(code).starts_with(&format!("HTTP/1.1 {} ", described.status)), "{}", head(code));
            let problem: serde_json::Value =
                serde_json::from_str(&body(code, "https://developers.example")).expect("JSON");
            assert_eq!(problem["code"], described.code);
            assert_eq!(problem["status"], described.status);
        }
    }

    #[test]
    fn whatever_asks_to_wait_says_how_long() {
        for code in Code::ALL.into_iter().filter(|code| matches!(code.describe().status, 429 | 503)) {
            assert!(head(code).contains("\nRetry-After: "), "{code:?}");
            assert!(headers(code).iter().any(|(name, _)| *name == "Retry-After"), "{code:?}");
        }
    }
}
