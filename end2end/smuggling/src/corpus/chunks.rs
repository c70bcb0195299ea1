//! Chunks: sizes, extensions, line ends and trailers.

use super::{Case, SMUGGLED};

pub(super) fn cases() -> Vec<Case> {
    let head = "POST {open} HTTP/1.1\r\n{auth}Transfer-Encoding: chunked\r\n\r\n";
    let mut cases = Vec::new();
    for (name, body) in [
        ("a size with 0x", "0x3\r\nabc\r\n0\r\n\r\n".to_owned()),
        ("a size with a plus", "+3\r\nabc\r\n0\r\n\r\n".to_owned()),
        ("a size with a minus", "-3\r\nabc\r\n0\r\n\r\n".to_owned()),
        ("a size with an underscore", "0_3\r\nabc\r\n0\r\n\r\n".to_owned()),
        ("a size with a blank before", " 3\r\nabc\r\n0\r\n\r\n".to_owned()),
        ("a size with a blank after", "3 \r\nabc\r\n0\r\n\r\n".to_owned()),
        ("a size with a tab after", "3\t\r\nabc\r\n0\r\n\r\n".to_owned()),
        ("a size that is no number", "zz\r\nabc\r\n0\r\n\r\n".to_owned()),
        ("no size", "\r\nabc\r\n0\r\n\r\n".to_owned()),
        ("a size larger than 64 bits", "10000000000000003\r\nabc\r\n0\r\n\r\n".to_owned()),
        ("a size that wraps 32 bits", "100000003\r\nabc\r\n0\r\n\r\n".to_owned()),
        ("many leading zeros", format!("{}3\r\nabc\r\n0\r\n\r\n", "0".repeat(300))),
        ("a size with a null", "3\0\r\nabc\r\n0\r\n\r\n".to_owned()),
        ("an extension", "3;a=b\r\nabc\r\n0\r\n\r\n".to_owned()),
        ("an extension with a bare line feed", format!("3;a\nabc\r\n0\r\n\r\n{SMUGGLED}")),
        ("an extension with a bare carriage return", format!("3;a\rb\r\nabc\r\n0\r\n\r\n{SMUGGLED}")),
        ("a quoted extension with a line end", format!("3;a=\"\r\nabc\r\n0\r\n\r\n{SMUGGLED}\"\r\n")),
        ("a very long extension", format!("3;{}\r\nabc\r\n0\r\n\r\n", "x".repeat(70_000))),
        ("a line feed after the size", format!("3\nabc\r\n0\r\n\r\n{SMUGGLED}")),
        ("a line feed after the data", format!("3\r\nabc\n0\r\n\r\n{SMUGGLED}")),
        ("two other bytes after the data", format!("3\r\nabcXX0\r\n\r\n{SMUGGLED}")),
        ("data longer than its size", format!("3\r\nabcdef\r\n0\r\n\r\n{SMUGGLED}")),
        ("an end without its last line", "3\r\nabc\r\n0\r\n".to_owned()),
        ("line feeds at the end", format!("3\r\nabc\r\n0\n\n{SMUGGLED}")),
        ("an end of several zeros", "3\r\nabc\r\n0000\r\n\r\n".to_owned()),
        ("a trailer", "3\r\nabc\r\n0\r\nX-Trailer: 1\r\n\r\n".to_owned()),
        ("a trailer that frames", format!("3\r\nabc\r\n0\r\nContent-Length: 50\r\n\r\n{SMUGGLED}")),
        ("a trailer that addresses", "3\r\nabc\r\n0\r\nHost: other\r\n\r\n".to_owned()),
        ("a trailer that authenticates", "3\r\nabc\r\n0\r\nX-Turnpike-Partner: other\r\n\r\n".to_owned()),
        ("a trailer without a colon", format!("3\r\nabc\r\n0\r\n{SMUGGLED}")),
        ("a trailer with a bare line feed", format!("3\r\nabc\r\n0\r\nX: y\n\n{SMUGGLED}")),
    ] {
        cases.push(Case::new("chunks", name, format!("{head}{body}")));
    }
    cases
}
