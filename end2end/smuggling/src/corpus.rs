//! The requests that parsers disagree about, class by class, in our own bytes. `{open}` stands for the path that the door
//! forwards, `{auth}` for the header lines that every request needs (Host, key and case).

mod chunks;
mod heads;
mod lengths;

/// One attack.
pub struct Case {
    pub name: String,
    pub class: &'static str,
    /// With the placeholders.
    pub bytes: Vec<u8>,
    /// How many requests the bytes hold when everybody reads them alike; the rest of the classes hold one at most.
    pub requests: usize,
}

impl Case {
    fn new(class: &'static str, name: impl Into<String>, bytes: impl AsRef<[u8]>) -> Self {
        Self { name: name.into(), class, bytes: bytes.as_ref().to_vec(), requests: 1 }
    }
}

/// The request that a parser would have to see where it was led astray. Its target names what it is.
pub const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: smuggled\r\n\r\n";

/// All of them.
pub fn cases() -> Vec<Case> {
    let mut cases = plain();
    cases.extend(lengths::cases());
    cases.extend(chunks::cases());
    cases.extend(heads::cases());
    cases
}

/// What has to pass, so that a gateway that refuses everything fails.
fn plain() -> Vec<Case> {
    let post = "POST {open} HTTP/1.1\r\n{auth}";
    let mut two = Case::new(
        "plain",
        "two requests on one connection",
        format!("{}{}", "GET {open} HTTP/1.1\r\n{auth}\r\n", "GET {open} HTTP/1.1\r\n{auth}\r\n"),
    );
    two.requests = 2;
    vec![
        Case::new("plain", "a get", "GET {open} HTTP/1.1\r\n{auth}\r\n"),
        Case::new("plain", "a post with a length", format!("{post}Content-Length: 3\r\n\r\nabc")),
        Case::new(
            "plain",
            "a post in chunks",
            format!("{post}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"),
        ),
        two,
    ]
}
