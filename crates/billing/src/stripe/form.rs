//! `application/x-www-form-urlencoded`, as Stripe takes it; nested names are written out by the caller.

/// Encodes names and values.
pub fn encode<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut form = String::new();
    for (name, value) in pairs {
        if !form.is_empty() {
            form.push('&');
        }
        escape(name, &mut form);
        form.push('=');
        escape(value, &mut form);
    }
    form
}

fn escape(text: &str, form: &mut String) {
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => form.push(char::from(byte)),
            _ => {
                const HEX: &[u8; 16] = b"0123456789ABCDEF";
                form.push('%');
                form.push(char::from(HEX[usize::from(byte >> 4)]));
                form.push(char::from(HEX[usize::from(byte & 15)]));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::encode;

    #[test]
    fn everything_but_unreserved_characters_is_escaped() {
        assert_eq!(encode([("metadata[a b]", "x&y=é"), ("n", "-5")]), "metadata%5Ba%20b%5D=x%26y%3D%C3%A9&n=-5");
    }
}
