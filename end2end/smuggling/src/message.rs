//! A strict reader of HTTP/1.1 requests (RFC 9112): what an upstream may rely on, and nothing more lenient.

/// One request as it stood in the bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    pub method: String,
    pub target: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Request {
    /// The first header of that name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// What the bytes begin with.
#[derive(Debug, PartialEq, Eq)]
pub enum Read {
    /// A whole request, and how many bytes it took.
    Whole(Request, usize),
    /// It may become one.
    More,
    /// It never will: the first thing that is wrong.
    Bad(&'static str),
}

/// Reads the request that the bytes begin with.
pub fn read(bytes: &[u8]) -> Read {
    let Some(end) = find(bytes, b"\r\n\r\n") else {
        let bare = bytes.iter().enumerate().any(|(at, byte)| *byte == b'\n' && (at == 0 || bytes[at - 1] != b'\r'));
        return if bare { Read::Bad("a bare line feed in the head") } else { Read::More };
    };
    let (request, framing) = match head(&bytes[..end]) {
        Ok(head) => head,
        Err(wrong) => return Read::Bad(wrong),
    };
    let after = end + 4;
    match framing {
        Framing::None => Read::Whole(request, after),
        Framing::Length(length) => match bytes.get(after..after.saturating_add(length)) {
            Some(body) => Read::Whole(Request { body: body.to_vec(), ..request }, after + length),
            None => Read::More,
        },
        Framing::Chunked => match chunks(&bytes[after..]) {
            Ok(Some((body, taken))) => Read::Whole(Request { body, ..request }, after + taken),
            Ok(None) => Read::More,
            Err(wrong) => Read::Bad(wrong),
        },
    }
}

enum Framing {
    None,
    Length(usize),
    Chunked,
}

fn head(bytes: &[u8]) -> Result<(Request, Framing), &'static str> {
    if bytes.iter().any(|byte| matches!(byte, 0..=8 | 11 | 12 | 14..=31 | 127)) {
        return Err("a control character in the head");
    }
    let text: String = bytes.iter().map(|byte| char::from(*byte)).collect();
    let mut lines = text.split("\r\n");
    let first = lines.next().unwrap_or_default();
    let parts: Vec<&str> = first.split(' ').collect();
    let &[method, target, version] = parts.as_slice() else { return Err("the request line has not three parts") };
    if method.is_empty() || !method.bytes().all(is_token) {
        return Err("the method is not a token");
    }
    if !target.starts_with('/') || target.contains(['\r', '\n', '\t', '#']) {
        return Err("the target is not a path");
    }
    if version != "HTTP/1.1" {
        return Err("the version is not HTTP/1.1");
    }
    let mut headers = Vec::new();
    for line in lines {
        if line.contains(['\r', '\n']) {
            return Err("a bare line end in the head");
        }
        let Some((name, value)) = line.split_once(':') else { return Err("a header line without a colon") };
        if name.is_empty() || !name.bytes().all(is_token) {
            return Err("a header's name is not a token");
        }
        headers.push((name.to_owned(), value.trim_matches([' ', '\t']).to_owned()));
    }
    let all = |wanted: &str| {
        let own = headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case(wanted));
        own.map(|(_, value)| value.clone()).collect::<Vec<_>>()
    };
    if all("host").len() != 1 {
        return Err("not exactly one Host");
    }
    let (lengths, codings) = (all("content-length"), all("transfer-encoding"));
    let framing = match (lengths.as_slice(), codings.as_slice()) {
        ([], []) => Framing::None,
        ([length], []) => {
            if length.is_empty() || !length.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err("the length is not digits");
            }
            Framing::Length(length.parse().map_err(|_| "the length is too large")?)
        }
        ([], [coding]) if coding.eq_ignore_ascii_case("chunked") => Framing::Chunked,
        ([], _) => return Err("an unusual transfer coding"),
        ([..], []) => return Err("several lengths"),
        _ => return Err("a length and a transfer coding"),
    };
    let request = Request { method: method.to_owned(), target: target.to_owned(), headers, body: Vec::new() };
    Ok((request, framing))
}

/// The body and how many bytes it took, or nothing where it has not ended.
fn chunks(bytes: &[u8]) -> Result<Option<(Vec<u8>, usize)>, &'static str> {
    let (mut body, mut at) = (Vec::new(), 0);
    loop {
        let Some(line) = find(&bytes[at..], b"\r\n") else { return Ok(None) };
        let size = &bytes[at..at + line];
        if size.is_empty() || size.len() > 8 || !size.iter().all(u8::is_ascii_hexdigit) {
            return Err("a chunk's size is not hexadecimal digits");
        }
        let digits: String = size.iter().map(|byte| char::from(*byte)).collect();
        let size = usize::from_str_radix(&digits, 16).map_err(|_| "a chunk's size is too large")?;
        at += line + 2;
        if size == 0 {
            let Some(end) = find(&bytes[at..], b"\r\n") else { return Ok(None) };
            return if end == 0 { Ok(Some((body, at + 2))) } else { Err("trailers, which the gateway drops") };
        }
        let Some(chunk) = bytes.get(at..at + size + 2) else { return Ok(None) };
        if !chunk.ends_with(b"\r\n") {
            return Err("a chunk is longer than it says");
        }
        body.extend_from_slice(&chunk[..size]);
        at += size + 2;
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

const fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_everybody_reads_alike_is_a_request() {
        let good = b"POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\nGET";
        let Read::Whole(request, taken) = read(good) else { panic!("it is whole") };
        assert_eq!((request.body.as_slice(), taken), (&b"abc"[..], good.len() - 3));
        assert_eq!(read(b"GET /a HTTP/1.1\r\nHost: h\r\n"), Read::More);
        for bad in [
            &b"GET /a HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"[..],
            b"GET /a HTTP/1.1\r\nHost: h\r\nContent-Length: +1\r\n\r\n",
            b"GET /a HTTP/1.1\r\nHost : h\r\n\r\n",
            b"GET /a HTTP/1.1\r\nHost: h\nX: y\r\n\r\n",
            b"GET /a HTTP/1.1\r\nHost: h\r\n folded: 1\r\n\r\n",
            b"GET /a HTTP/1.0\r\nHost: h\r\n\r\n",
            b"POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0x3\r\nabc\r\n0\r\n\r\n",
        ] {
            assert!(matches!(read(bad), Read::Bad(_)), "{}", String::from_utf8_lossy(bad));
        }
    }
}
