//! How long a body is: lengths and codings that contradict each other or are spelled oddly.

use super::{Case, SMUGGLED};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let post = "POST {open} HTTP/1.1\r\n{auth}";
    let hidden = format!("0\r\n\r\n{SMUGGLED}");
    // One part takes the length, the other the chunks.
    let both = [
        ("length first", format!("Content-Length: {}\r\nTransfer-Encoding: chunked\r\n", hidden.len())),
        ("coding first", format!("Transfer-Encoding: chunked\r\nContent-Length: {}\r\n", hidden.len())),
        ("short length", "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n".to_owned()),
        ("zero length", "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n".to_owned()),
        (
            "length named by Connection",
            format!("Connection: content-length\r\nContent-Length: {}\r\nTransfer-Encoding: chunked\r\n", hidden.len()),
        ),
        (
            "coding named by Connection",
            format!(
                "Connection: transfer-encoding\r\nContent-Length: {}\r\nTransfer-Encoding: chunked\r\n",
                hidden.len()
            ),
        ),
    ];
    for (name, lines) in both {
        cases.push(Case::new("length and coding", name, format!("{post}{lines}\r\n{hidden}")));
    }
    let length = SMUGGLED.len();
    for (name, lines) in [
        ("two different", format!("Content-Length: 0\r\nContent-Length: {length}\r\n")),
        ("two different, turned", format!("Content-Length: {length}\r\nContent-Length: 0\r\n")),
        ("two equal", format!("Content-Length: {length}\r\nContent-Length: {length}\r\n")),
        ("a list", format!("Content-Length: 0, {length}\r\n")),
        ("an equal list", format!("Content-Length: {length}, {length}\r\n")),
        ("a plus sign", format!("Content-Length: +{length}\r\n")),
        ("a minus sign", "Content-Length: -1\r\n".to_owned()),
        ("minus zero", "Content-Length: -0\r\n".to_owned()),
        ("hexadecimal", format!("Content-Length: 0x{length:x}\r\n")),
        ("octal-looking", format!("Content-Length: 0{length}\r\n")),
        ("an exponent", "Content-Length: 4e1\r\n".to_owned()),
        ("a fraction", format!("Content-Length: {length}.0\r\n")),
        ("a blank inside", "Content-Length: 4 2\r\n".to_owned()),
        ("an underscore inside", "Content-Length: 4_2\r\n".to_owned()),
        ("a vertical tab before", format!("Content-Length: \u{b}{length}\r\n")),
        ("letters after", format!("Content-Length: {length}abc\r\n")),
        ("empty", "Content-Length:\r\n".to_owned()),
        ("larger than 64 bits", "Content-Length: 18446744073709551658\r\n".to_owned()),
        ("larger than 128 bits", "Content-Length: 340282366920938463463374607431768211498\r\n".to_owned()),
        ("a blank before the colon", format!("Content-Length : {length}\r\n")),
        ("a tab before the colon", format!("Content-Length\t: {length}\r\n")),
        ("folded", format!("Content-Length:\r\n {length}\r\n")),
        ("an underscore in the name", format!("Content_Length: {length}\r\n")),
        ("a null in the name", format!("Content-Length\0: {length}\r\n")),
    ] {
        cases.push(Case::new("length", name, format!("{post}{lines}\r\n{SMUGGLED}")));
    }
    for (name, value) in [
        ("a comma before", ",chunked"),
        ("a comma after", "chunked,"),
        ("twice in a list", "chunked, chunked"),
        ("identity after", "chunked, identity"),
        ("identity before", "identity, chunked"),
        ("identity alone", "identity"),
        ("another coding", "gzip, chunked"),
        ("chunked not last", "chunked, gzip"),
        ("a parameter", "chunked;q=1"),
        ("quoted", "\"chunked\""),
        ("a vertical tab before", "\u{b}chunked"),
        ("a vertical tab after", "chunked\u{b}"),
        ("a form feed before", "\u{c}chunked"),
        ("a null after", "chunked\0"),
        ("an x before", "xchunked"),
        ("capital letters", "CHUNKED"),
        ("a folded line", "\r\n chunked"),
        ("a bare carriage return", "\rchunked"),
        ("empty", ""),
        ("a trailing blank", "chunked "),
        ("a long s, which lower-cases to s", "chun\u{212a}ed"),
    ] {
        let lines = format!("Content-Length: 4\r\nTransfer-Encoding: {value}\r\n");
        cases.push(Case::new("coding", format!("{name}, with a length"), format!("{post}{lines}\r\n{hidden}")));
        let lines = format!("Transfer-Encoding: {value}\r\n");
        cases.push(Case::new("coding", name, format!("{post}{lines}\r\n{hidden}")));
    }
    for (name, lines) in [
        ("two headers, the second odd", "Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n"),
        ("two headers, the first odd", "Transfer-Encoding: x\r\nTransfer-Encoding: chunked\r\n"),
        ("two equal headers", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
        ("a blank before the colon", "Transfer-Encoding : chunked\r\n"),
        ("a blank before the name", " Transfer-Encoding: chunked\r\n"),
        ("an underscore in the name", "Transfer_Encoding: chunked\r\n"),
        ("after a bare line feed", "X: y\nTransfer-Encoding: chunked\r\n"),
        ("after a bare carriage return", "X: y\rTransfer-Encoding: chunked\r\n"),
    ] {
        cases.push(Case::new("coding", name, format!("{post}Content-Length: 4\r\n{lines}\r\n{hidden}")));
    }
    for (version, lines) in [
        ("HTTP/1.0", "Transfer-Encoding: chunked\r\n"),
        ("HTTP/1.0", "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n"),
        ("HTTP/1.0", "Connection: keep-alive\r\nTransfer-Encoding: chunked\r\n"),
    ] {
        let bytes = format!("POST {{open}} {version}\r\n{{auth}}{lines}\r\n{hidden}");
        cases.push(Case::new("old version", format!("{version} with {}", lines.trim().replace("\r\n", ", ")), bytes));
    }
    for method in ["GET", "HEAD", "DELETE", "OPTIONS"] {
        let bytes = format!("{method} {{open}} HTTP/1.1\r\n{{auth}}Content-Length: {length}\r\n\r\n{SMUGGLED}");
        cases.push(Case::new("body where none is usual", method, bytes));
    }
    cases
}
