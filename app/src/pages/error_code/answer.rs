//! How the gateway's answer looks for each code: status line, headers, problem document.

use domain::refusal::Code;

/// A whole example answer.
pub fn example(code: Code, portal_url: &str) -> String {
    let described = code.describe();
    let mut lines = vec![
        format!("HTTP/1.1 {} {}", described.status, reason(described.status)),
        "Content-Type: application/problem+json".to_owned(),
    ];
    lines.extend(example_headers(code).iter().map(|line| (*line).to_owned()));
    lines.push("X-Request-Id: 0199b2f1-6c1e-7d3a-9a40-5b1f3e9c2d77".to_owned());
    lines.push(String::new());
    lines.push(format!(
        "{{\n  \"type\": \"{portal_url}/docs/errors/{code}\",\n  \"title\": \"{title}\",\n  \"status\": {status},\n  \
         \"detail\": \"{detail}\",\n  \"code\": \"{code}\",\n  \"request_id\": \"0199b2f1-6c1e-7d3a-9a40-5b1f3e9c2d77\"\n}}",
        code = described.code,
        title = described.title,
        status = described.status,
        detail = detail(code).replace('"', "\\\""),
    ));
    lines.join("\n")
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
                "Every limit of your plan: \"minute\";q=100;w=60 reads 100 calls (q) in any 60 seconds (w).",
            ),
            (
                "RateLimit",
                "The limit that is nearest to its end: r is how many calls are left, t the seconds until there are more.",
            ),
            (
                "X-RateLimit-Limit, -Remaining, -Reset",
                "The same three figures for older libraries. Reset is in seconds from now, not a date.",
            ),
        ],
        Code::QuotaExceeded => vec![
            ("Retry-After", "Seconds until the next billing period starts."),
            ("RateLimit-Policy", "The quota is the policy \"quota\": q is its units in a billing period."),
            ("RateLimit", "r is how many units are left, t the seconds until the next billing period."),
        ],
        Code::Overloaded | Code::MeteringUnavailable => {
            vec![("Retry-After", "Whole seconds to wait before trying again.")]
        }
        Code::MethodNotAllowed => vec![("Allow", "The methods that this path answers to.")],
        Code::MissingKey
        | Code::MalformedKey
        | Code::UnknownKey
        | Code::ExpiredKey
        | Code::RevokedKey
        | Code::ConflictingCredentials => vec![("WWW-Authenticate", "How to send a key: Bearer.")],
        _ => Vec::new(),
    }
}

fn example_headers(code: Code) -> &'static [&'static str] {
    match code {
        Code::LimitExceeded => &[
            "Retry-After: 18",
            "RateLimit-Policy: \"second\";q=10;w=1, \"minute\";q=100;w=60",
            "RateLimit: \"minute\";r=0;t=18",
            "X-RateLimit-Limit: 100",
            "X-RateLimit-Remaining: 0",
            "X-RateLimit-Reset: 18",
        ],
        Code::QuotaExceeded => &[
            "Retry-After: 864000",
            "RateLimit-Policy: \"minute\";q=100;w=60, \"quota\";q=10000;qu=\"requests\"",
            "RateLimit: \"quota\";r=0;t=864000",
        ],
        Code::Overloaded | Code::MeteringUnavailable => &["Retry-After: 2"],
        Code::MethodNotAllowed => &["Allow: GET, POST"],
        Code::MissingKey
        | Code::MalformedKey
        | Code::UnknownKey
        | Code::ExpiredKey
        | Code::RevokedKey
        | Code::ConflictingCredentials => &["WWW-Authenticate: Bearer"],
        _ => &[],
    }
}

fn detail(code: Code) -> &'static str {
    match code {
        Code::LimitExceeded => "Your plan allows 100 calls a minute. Try again in 18 seconds.",
        Code::QuotaExceeded => "All 10,000 units of this billing period are used up.",
        other => other.describe().meaning,
    }
}

fn reason(status: u16) -> &'static str {
    http::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_example_holds_a_problem_document_of_its_code() {
        for code in Code::ALL {
            let described = code.describe();
            let text = example(code, "https://developers.example");
            let (head, body) = text.split_once("\n\n").expect("a head and a body");
            assert!(head.starts_with(&format!("HTTP/1.1 {} ", described.status)), "{head}");
            let problem: serde_json::Value = serde_json::from_str(body).expect("JSON");
            assert_eq!(problem["code"], described.code);
            assert_eq!(problem["status"], described.status);
        }
    }

    #[test]
    fn whatever_asks_to_wait_says_how_long() {
        for code in Code::ALL.into_iter().filter(|code| matches!(code.describe().status, 429 | 503)) {
            assert!(example(code, "").contains("\nRetry-After: "), "{code:?}");
            assert!(headers(code).iter().any(|(name, _)| *name == "Retry-After"), "{code:?}");
        }
    }
}
