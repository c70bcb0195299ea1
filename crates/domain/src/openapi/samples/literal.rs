//! String literals.

use std::fmt::Write;

/// How a language writes a character that cannot stand in a literal as it is.
#[derive(Debug, Clone, Copy)]
pub enum Escape {
    /// `\u200b`: JavaScript, Python, Go. Java too, which reads it before it looks for quotes; none of ours is one.
    Four,
    /// `\u{200b}`: Rust.
    Braces,
}

/// A literal in double quotes.
pub fn quoted(text: &str, escape: Escape) -> String {
    let mut literal = String::with_capacity(text.len() + 2);
    literal.push('"');
    for letter in text.chars() {
        match letter {
            '"' => literal.push_str("\\\""),
            '\\' => literal.push_str("\\\\"),
            '\n' => literal.push_str("\\n"),
            '\r' => literal.push_str("\\r"),
            '\t' => literal.push_str("\\t"),
            other if is_unseen(other) => escape.write(other, &mut literal),
            other => literal.push(other),
        }
    }
    literal.push('"');
    literal
}

impl Escape {
    fn write(self, letter: char, literal: &mut String) {
        // Writing to a String cannot fail; all that is escaped here fits four digits.
        let _ = match self {
            Self::Four => write!(literal, "\\u{:04x}", u32::from(letter)),
            Self::Braces => write!(literal, "\\u{{{:x}}}", u32::from(letter)),
        };
    }
}

/// Controls, and characters that change how the text around them looks.
pub fn is_unseen(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// JSON, indented, with unseen characters as escapes, which mean the same in JSON.
pub fn json(value: &serde_json::Value) -> String {
    let text = format!("{value:#}");
    if !text.chars().any(|letter| letter != '\n' && is_unseen(letter)) {
        return text;
    }
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        if letter != '\n' && is_unseen(letter) {
            Escape::Four.write(letter, &mut escaped);
        } else {
            escaped.push(letter);
        }
    }
    escaped
}
