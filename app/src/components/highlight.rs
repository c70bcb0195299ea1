//! Colours for code, done on the server: JSON, shell and the languages of our samples. Escapes everything it is given.

/// What a piece of code is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Piece {
    Plain,
    Comment,
    Text,
    Key,
    Number,
    Word,
}

impl Piece {
    const fn class(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Comment => Some("code-comment"),
            Self::Text => Some("code-text"),
            Self::Key => Some("code-key"),
            Self::Number => Some("code-number"),
            Self::Word => Some("code-word"),
        }
    }
}

fn words_of(language: &str) -> &'static [&'static str] {
    match language {
        "json" => &["true", "false", "null"],
        "yaml" => &["true", "false", "null"],
        "shell" | "curl" | "bash" => &["curl", "export", "echo", "cargo"],
        "javascript" | "js" => &[
            "const", "let", "await", "async", "function", "return", "if", "throw", "new", "import", "from", "true",
            "false", "null",
        ],
        "python" => &[
            "import", "from", "def", "return", "if", "raise", "with", "as", "for", "in", "print", "True", "False",
            "None",
        ],
        "go" => &[
            "package", "import", "func", "return", "if", "err", "nil", "defer", "var", "type", "struct", "true",
            "false",
        ],
        "rust" => {
            &["use", "let", "fn", "async", "await", "mut", "pub", "struct", "impl", "match", "return", "true", "false"]
        }
        "java" => &[
            "import", "public", "class", "static", "void", "new", "var", "return", "throws", "final", "true", "false",
            "null",
        ],
        _ => &[],
    }
}

fn comment_of(language: &str) -> Option<&'static str> {
    match language {
        "shell" | "curl" | "bash" | "python" | "yaml" => Some("#"),
        "javascript" | "js" | "go" | "rust" | "java" => Some("//"),
        _ => None,
    }
}

/// `code` as HTML with spans of class `code-…`. An unknown language is only escaped.
pub(super) fn highlight(language: &str, code: &str) -> String {
    let known = !words_of(language).is_empty();
    let mut html = String::with_capacity(code.len() * 2);
    let mut rest = code;
    let mut at_word_start = true;
    while let Some(first) = rest.chars().next() {
        let (piece, length) =
            if known { next_piece(language, rest, first, at_word_start) } else { (Piece::Plain, rest.len()) };
        let (taken, left) = rest.split_at(length);
        push(&mut html, piece, taken);
        at_word_start = !taken.ends_with(|c: char| c.is_alphanumeric() || c == '_');
        rest = left;
    }
    html
}

/// The piece that `rest` begins with, and its length in bytes (never zero).
fn next_piece(language: &str, rest: &str, first: char, at_word_start: bool) -> (Piece, usize) {
    if let Some(mark) = comment_of(language)
        && at_word_start
        && rest.starts_with(mark)
    {
        return (Piece::Comment, rest.find('\n').unwrap_or(rest.len()));
    }
    if matches!(first, '"' | '\'' | '`') && language != "yaml" {
        let length = text_length(rest, first);
        let after = rest.get(length..).unwrap_or_default().trim_start();
        let piece = if language == "json" && after.starts_with(':') { Piece::Key } else { Piece::Text };
        return (piece, length);
    }
    if first.is_ascii_digit() && at_word_start {
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '.' && c != '_').unwrap_or(rest.len());
        return (Piece::Number, end);
    }
    if first.is_alphabetic() || first == '_' {
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        let piece = if language == "yaml" && after.starts_with(':') {
            Piece::Key
        } else if at_word_start && words_of(language).contains(&word) {
            Piece::Word
        } else {
            Piece::Plain
        };
        return (piece, end);
    }
    if first == '-' && at_word_start && matches!(language, "shell" | "curl" | "bash") {
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '-').unwrap_or(rest.len());
        return (Piece::Key, end);
    }
    (Piece::Plain, first.len_utf8())
}

/// The length of a quoted text with its quotes; to the end where it is not closed.
fn text_length(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at + c.len_utf8(),
            _ => {}
        }
    }
    rest.len()
}

fn push(html: &mut String, piece: Piece, text: &str) {
    match piece.class() {
        Some(class) => {
            html.push_str("<span class=\"");
            html.push_str(class);
            html.push_str("\">");
            push_escaped(html, text);
            html.push_str("</span>");
        }
        None => push_escaped(html, text),
    }
}

/// Adds `text` so that it is text in HTML, in an attribute as well.
pub(super) fn push_escaped(html: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            c => html.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The text that a browser would show.
    fn shown(html: &str) -> String {
        let mut text = String::new();
        let mut inside = false;
        for c in html.chars() {
            match c {
                '<' => inside = true,
                '>' => inside = false,
                c if !inside => text.push(c),
                _ => {}
            }
        }
        text.replace("&lt;", "<")
            .replace("&gt;", ">")
            .replace("&quot;", "\"")
            .replace("&#39;", "'")
            .replace("&amp;", "&")
    }

    #[test]
    fn no_code_becomes_markup() {
        let code = "</code><script>alert(\"x\")</script> 'it''s' \\ \"open";
        for language in ["json", "shell", "python", "javascript", "go", "rust", "java", "yaml", "", "unheard-of"] {
            let html = highlight(language, code);
            assert!(!html.contains("<script"), "{language}: {html}");
            assert_eq!(shown(&html), code, "{language}");
        }
    }

    #[test]
    fn tells_a_json_key_from_a_value() {
        let html = highlight("json", r#"{"amount": 12.5, "note": "a: b", "paid": true}"#);
        assert!(html.contains(r#"<span class="code-key">&quot;amount&quot;</span>"#), "{html}");
        assert!(html.contains(r#"<span class="code-number">12.5</span>"#), "{html}");
        assert!(html.contains(r#"<span class="code-text">&quot;a: b&quot;</span>"#), "{html}");
        assert!(html.contains(r#"<span class="code-word">true</span>"#), "{html}");
    }
}
