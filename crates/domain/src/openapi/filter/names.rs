//! What hidden operations are called, and where a text says it.

use crate::openapi::operations::OperationSummary;
use serde_json::Value;
use std::collections::HashSet;

/// What stands where a hidden operation was named.
const INSTEAD: &str = "another operation";

/// Names that a filtered document may not hold.
pub struct Names {
    /// Identifiers and paths of hidden operations, each as it is written.
    hidden: HashSet<String>,
    /// Of those, the ones that are no plain words: a text that holds them means the operation.
    telling: HashSet<String>,
    /// Telling names with signs that do not stand inside a word, such as spaces.
    phrases: Vec<String>,
    /// Identifiers of visible operations, which may hold a hidden one's as a part.
    visible: Vec<String>,
}

impl Names {
    pub fn new(original: &Value, visible: &[&OperationSummary], hidden: &[&OperationSummary]) -> Self {
        let identifiers = |operation: &&OperationSummary| {
            let own = original.pointer(&operation.pointer).and_then(|it| it.get("operationId")).and_then(Value::as_str);
            own.map(str::to_owned).into_iter().chain([operation.code.clone()]).filter(|name| !name.trim().is_empty())
        };
        let shown_paths: HashSet<&str> = visible.iter().map(|operation| operation.path.as_str()).collect();
        let shown: Vec<String> = visible.iter().flat_map(identifiers).collect();
        let mut names: HashSet<String> = hidden.iter().flat_map(identifiers).collect();
        names.retain(|name| !shown.contains(name));
        let mut telling: HashSet<String> = names.iter().filter(|name| is_telling(name)).cloned().collect();
        let paths = hidden.iter().map(|operation| operation.path.as_str()).filter(|path| !shown_paths.contains(path));
        for path in paths.filter(|path| path.len() > 1) {
            names.insert(path.to_owned());
            telling.insert(path.trim_end_matches('/').to_owned());
        }
        let phrases = telling.iter().filter(|name| !name.chars().all(is_inside)).cloned().collect();
        Self { hidden: names, telling, phrases, visible: shown }
    }

    /// Whether nothing is hidden.
    pub fn is_empty(&self) -> bool {
        self.hidden.is_empty()
    }

    /// Whether any text in this value names a hidden operation, as a whole or inside of it.
    pub fn mentioned_in(&self, value: &Value) -> bool {
        match value {
            Value::String(text) => self.hidden.contains(text) || self.next_in(text).is_some(),
            Value::Array(items) => items.iter().any(|item| self.mentioned_in(item)),
            Value::Object(fields) => fields.iter().any(|(field, value)| {
                self.hidden.contains(field) || self.next_in(field).is_some() || self.mentioned_in(value)
            }),
            _ => false,
        }
    }

    /// The text without names of hidden operations, or `None` where it has none. A Markdown link to one becomes its words.
    pub fn redacted(&self, text: &str) -> Option<String> {
        self.next_in(text)?;
        let mut rest = self.without_links(text);
        let mut clean = String::with_capacity(rest.len());
        while let Some((start, end)) = self.next_in(&rest) {
            let (Some(before), Some(after)) = (rest.get(..start), rest.get(end..)) else { break };
            // A path at the end of an address keeps the address in one piece.
            let in_address = before.chars().next_back().is_some_and(is_inside);
            clean.push_str(before);
            clean.push_str(if in_address { "/…" } else { INSTEAD });
            rest = after.to_owned();
        }
        clean.push_str(&rest);
        Some(clean)
    }

    /// Whether the name of a component holds that of a hidden operation, and not only as a part of a visible one's.
    pub fn leak_in(&self, name: &str) -> bool {
        let covered = |start: usize, end: usize| {
            self.visible.iter().any(|shown| {
                name.match_indices(shown.as_str()).any(|(place, _)| place <= start && place + shown.len() >= end)
            })
        };
        let whole = |start: usize, end: usize| {
            let joined = |letter: Option<char>| letter.is_some_and(|letter| letter.is_ascii_alphanumeric());
            let before = name.get(..start).and_then(|before| before.chars().next_back());
            let after = name.get(end..).and_then(|after| after.chars().next());
            !joined(before) && !joined(after)
        };
        self.telling.iter().any(|hidden| {
            let mut places = name.match_indices(hidden.as_str());
            places.any(|(start, _)| whole(start, start + hidden.len()) && !covered(start, start + hidden.len()))
        })
    }

    /// Where a hidden operation is named next, in bytes.
    fn next_in(&self, text: &str) -> Option<(usize, usize)> {
        if self.telling.is_empty() {
            return None;
        }
        let phrase = self.phrases.iter().filter_map(|phrase| text.find(phrase).map(|at| (at, at + phrase.len()))).min();
        let mut start = None;
        let ends = text.char_indices().map(|(at, letter)| (at, is_inside(letter))).chain([(text.len(), false)]);
        for (at, inside) in ends {
            match (start, inside) {
                (None, true) => start = Some(at),
                (Some(from), false) => {
                    start = None;
                    if phrase.is_some_and(|(earlier, _)| earlier <= from) {
                        break;
                    }
                    if let Some(found) = text.get(from..at).and_then(|run| self.in_run(run)) {
                        return Some((from + found.0, from + found.1));
                    }
                }
                _ => {}
            }
        }
        phrase
    }

    /// A run of letters and signs: a path at its end, or an identifier between slashes.
    fn in_run(&self, run: &str) -> Option<(usize, usize)> {
        let run = run.trim_end_matches(['.', '-', '/', '~']);
        for (slash, _) in run.match_indices('/') {
            if run.get(slash..).is_some_and(|path| self.telling.contains(path)) {
                return Some((slash, run.len()));
            }
        }
        let mut from = 0;
        for part in run.split(['/', '{', '}']) {
            let trimmed = part.trim_start_matches(['.', '-']);
            let skipped = part.len() - trimmed.len();
            if self.telling.contains(trimmed.trim_end_matches(['.', '-'])) {
                return Some((from + skipped, from + skipped + trimmed.trim_end_matches(['.', '-']).len()));
            }
            from += part.len() + 1;
        }
        None
    }

    /// `[words](target)` becomes `words` where the target names a hidden operation.
    fn without_links(&self, text: &str) -> String {
        let mut clean = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("](") {
            let Some((target, behind)) = after.split_once(')') else { break };
            match (self.next_in(target), before.rsplit_once('[')) {
                (Some(_), Some((outside, words))) => {
                    clean.push_str(outside);
                    clean.push_str(words);
                }
                _ => {
                    clean.push_str(before);
                    clean.push_str("](");
                    clean.push_str(target);
                    clean.push(')');
                }
            }
            rest = behind;
        }
        clean.push_str(rest);
        clean
    }
}

/// Letters and signs of identifiers and path templates.
fn is_inside(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || "_.-~/{}".contains(letter)
}

/// `capturePayment` and `orders.get` mean the operation wherever they stand; `search` is a word like others.
fn is_telling(name: &str) -> bool {
    let inner_capital = name.chars().skip(1).any(|letter| letter.is_ascii_uppercase());
    let sign_or_digit = name.chars().any(|letter| !letter.is_ascii_alphabetic());
    name.len() > 2 && (inner_capital || sign_or_digit)
}
