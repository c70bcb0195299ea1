//! Request lines and header lines: blanks, line ends, hosts, and what a hop keeps to itself.

use super::{Case, SMUGGLED};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, line) in [
        ("two blanks", "GET  {open} HTTP/1.1"),
        ("a tab for a blank", "GET\t{open} HTTP/1.1"),
        ("a blank before", " GET {open} HTTP/1.1"),
        ("no version", "GET {open}"),
        ("a lower-case version", "GET {open} http/1.1"),
        ("version 1.2", "GET {open} HTTP/1.2"),
        ("version 2.0", "GET {open} HTTP/2.0"),
        ("version 1.10", "GET {open} HTTP/1.10"),
        ("words after the version", "GET {open} HTTP/1.1 HTTP/1.1"),
        ("a lower-case method", "get {open} HTTP/1.1"),
        ("a method with a colon", "GET: {open} HTTP/1.1"),
        ("trace", "TRACE {open} HTTP/1.1"),
        ("connect", "CONNECT smuggled:80 HTTP/1.1"),
        ("the HTTP/2 preface", "PRI * HTTP/2.0"),
        ("an absolute target", "GET http://smuggled{open} HTTP/1.1"),
        ("an absolute target of another scheme", "GET ftp://smuggled{open} HTTP/1.1"),
        ("a star", "GET * HTTP/1.1"),
        ("a target with a fragment", "GET {open}#/smuggled HTTP/1.1"),
        ("a target with a null", "GET {open}\0 HTTP/1.1"),
        ("a target with a bare carriage return", "GET {open}\r/smuggled HTTP/1.1"),
        ("a target with a vertical tab", "GET {open}\u{b} HTTP/1.1"),
        ("a target with a high byte", "GET {open}\u{e9} HTTP/1.1"),
        ("a target with a backslash", "GET {open}\\..\\smuggled HTTP/1.1"),
        ("a target without a slash", "GET smuggled HTTP/1.1"),
    ] {
        cases.push(Case::new("request line", name, format!("{line}\r\n{{auth}}\r\n")));
    }
    for (name, lines) in [
        ("a bare line feed", "X: y\nZ: a\r\n"),
        ("a bare carriage return", "X: y\rZ: a\r\n"),
        ("a null in a value", "X: a\0b\r\n"),
        ("a null in a name", "X\0: a\r\n"),
        ("a folded line", "X: a\r\n b\r\n"),
        ("a folded line that frames", "X: a\r\n Content-Length: 50\r\n"),
        ("a line without a colon", "nothing\r\n"),
        ("a line that is only a colon", ": a\r\n"),
        ("a blank in a name", "X Y: a\r\n"),
        ("a blank before the colon", "X : a\r\n"),
        ("a name in brackets", "X[]: a\r\n"),
        ("a high byte in a name", "X\u{e9}: a\r\n"),
        ("an escape in a value", "X: \u{1b}[31m\r\n"),
        ("a delete in a value", "X: a\u{7f}\r\n"),
        ("a second host", "Host: smuggled\r\n"),
        ("a second host, spelled with a blank", "Host : smuggled\r\n"),
        ("trusted headers", "X-Turnpike-Partner: other\r\nX_Turnpike_Partner: other\r\nX-Forwarded-For: 10.0.0.1\r\n"),
        ("a connection that names trusted headers", "Connection: x-turnpike-partner, x-case, host\r\n"),
        ("a connection that closes and keeps", "Connection: close, keep-alive\r\n"),
        ("an upgrade that nobody asked", "Connection: Upgrade\r\nUpgrade: smuggled\r\n"),
        (
            "an upgrade to h2c",
            "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n",
        ),
        ("an expectation", "Expect: 100-continue\r\n"),
        ("an unknown expectation", "Expect: 200-ok\r\n"),
        ("a proxy's credentials", "Proxy-Authorization: Basic YTpi\r\n"),
        ("a method override", "X-HTTP-Method-Override: DELETE\r\n"),
        ("a rewritten address", "X-Original-URL: /smuggled\r\nX-Rewrite-URL: /smuggled\r\n"),
    ] {
        cases.push(Case::new("header line", name, format!("GET {{open}} HTTP/1.1\r\n{{auth}}{lines}\r\n")));
    }
    for (name, bytes) in [
        ("line feeds only", "GET {open} HTTP/1.1\n{auth}\n".to_owned()),
        ("line feeds before the request", "\n\nGET {open} HTTP/1.1\r\n{auth}\r\n".to_owned()),
        ("an empty line before the request", "\r\nGET {open} HTTP/1.1\r\n{auth}\r\n".to_owned()),
        ("a bare carriage return before the end", format!("GET {{open}} HTTP/1.1\r\n{{auth}}\r\r\n{SMUGGLED}")),
        ("a request that never ends", "GET {open} HTTP/1.1\r\n{auth}".to_owned()),
        ("a blank line of blanks", format!("GET {{open}} HTTP/1.1\r\n{{auth}} \r\n{SMUGGLED}")),
        ("a TLS greeting", "\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\u{1}".to_owned()),
    ] {
        cases.push(Case::new("line ends", name, bytes));
    }
    let no_host = "GET {open} HTTP/1.1\r\nX-API-Key: {key}\r\nX-Case: {case}\r\n";
    cases.push(Case::new("host", "none", format!("{no_host}\r\n")));
    for (name, host) in [
        ("empty", ""),
        ("with user information", "user@smuggled"),
        ("with a path", "smuggled/path"),
        ("with a comma", "a, smuggled"),
        ("with a blank", "a smuggled"),
        ("with a bad port", "a:99999"),
        ("with a null", "a\0"),
    ] {
        cases.push(Case::new("host", name, format!("{no_host}Host: {host}\r\n\r\n")));
    }
    cases
}
