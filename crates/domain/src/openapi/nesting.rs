//! How deeply a YAML text is nested, told by a quick look before the parser reads it.
//!
//! The parser's own limits act only after the whole text was scanned, and its scanner looks at every open bracket for every
//! token: 50,000 nested brackets are billions of steps. This one reads each character once. It knows quotes, comments,
//! plain and block scalars, and brackets, as far as they tell what opens a level; whether the text is YAML, it leaves to the
//! parser.

/// Levels that the parser is given; documents may have fewer (`read::MAX_DEPTH`).
pub const MAX_LEVELS: usize = 200;

/// The line, from 1, on which the text goes deeper than [`MAX_LEVELS`].
pub fn too_deep(text: &str) -> Option<u32> {
    let mut scan = Scan::default();
    (1..).zip(text.lines()).find(|(_, line)| scan.line(line) > MAX_LEVELS).map(|(number, _)| number)
}

/// Where a scan is between two lines.
#[derive(Default)]
struct Scan {
    /// Columns of the blocks that are open.
    blocks: Vec<usize>,
    /// Brackets that are open.
    flow: usize,
    /// The quote that is open.
    quote: Option<char>,
    /// Whether a text without quotes is open inside brackets.
    plain: bool,
    /// The column that lines have to be beyond to belong to the text before them.
    text_beyond: Option<usize>,
}

impl Scan {
    /// Takes a line in; gives the most levels that were open on it.
    fn line(&mut self, line: &str) -> usize {
        if self.flow > 0 || self.quote.is_some() {
            return self.inside(line);
        }
        let content = line.trim_start_matches(' ');
        let mut column = line.len() - content.len();
        if content.trim().is_empty() || self.text_beyond.is_some_and(|beyond| column > beyond) {
            return 0;
        }
        self.text_beyond = None;
        if content.starts_with('#') {
            return 0;
        }
        let mut rest = content;
        if column == 0
            && let Some(after) = rest.strip_prefix("---")
        {
            self.blocks.clear();
            rest = after.trim_start();
        }
        self.blocks.retain(|open| *open < column);
        let mut deepest = 0;
        loop {
            let shorter =
                rest.strip_prefix(['-', '?', ':']).filter(|after| after.is_empty() || after.starts_with([' ', '\t']));
            let Some(after) = shorter else { break };
            self.blocks.push(column);
            deepest = deepest.max(self.blocks.len());
            let next = after.trim_start();
            column += rest.len() - next.len();
            rest = next;
        }
        let parent = self.blocks.last().copied();
        let value = match key(rest) {
            Some(value) => {
                self.blocks.push(column);
                deepest = deepest.max(self.blocks.len());
                value
            }
            None => rest,
        };
        let beyond = if value.len() == rest.len() { parent } else { Some(column) };
        let value = without_properties(value);
        match value.chars().next() {
            Some('[' | '{' | '"' | '\'') => deepest.max(self.inside(value)),
            Some('|' | '>') => {
                self.text_beyond = beyond;
                deepest
            }
            None | Some('#') => deepest,
            Some(_) => {
                self.text_beyond = beyond;
                deepest
            }
        }
    }

    /// Goes on inside brackets or quotes, until both are closed or the line ends.
    fn inside(&mut self, line: &str) -> usize {
        let mut deepest = 0;
        let mut letters = line.chars().peekable();
        let mut before = ' ';
        while let Some(letter) = letters.next() {
            match (self.quote, letter) {
                (Some('"'), '\\') => {
                    letters.next();
                }
                (Some('\''), '\'') if letters.peek() == Some(&'\'') => {
                    letters.next();
                }
                (Some(quote), _) => {
                    if letter == quote {
                        self.quote = None;
                    }
                }
                (None, '[' | '{') => {
                    (self.flow, self.plain) = (self.flow + 1, false);
                    deepest = deepest.max(self.flow + self.blocks.len());
                }
                (None, ']' | '}') => (self.flow, self.plain) = (self.flow.saturating_sub(1), false),
                (None, ',') => self.plain = false,
                (None, ':') if letters.peek().is_none_or(|next| " \t,[]{}\"'".contains(*next)) => self.plain = false,
                (None, '#') if before == ' ' || before == '\t' => break,
                (None, '"' | '\'') if !self.plain => self.quote = Some(letter),
                (None, ' ' | '\t') => {}
                (None, _) => self.plain = true,
            }
            before = letter;
            if self.flow == 0 && self.quote.is_none() {
                self.plain = false;
                // After a quoted key comes its value.
                let value = letters.collect::<String>();
                let value =
                    value.trim_start().strip_prefix(':').map(|value| without_properties(value.trim_start()).to_owned());
                return match value {
                    Some(value) if value.starts_with(['[', '{', '"', '\'']) => deepest.max(self.inside(&value)),
                    _ => deepest,
                };
            }
        }
        deepest
    }
}

/// What comes after a key without quotes, where the line begins with one.
fn key(line: &str) -> Option<&str> {
    if line.starts_with(['[', '{', '"', '\'', '|', '>', '#']) {
        return None;
    }
    let end = line.char_indices().find(|(at, letter)| {
        *letter == ':' && line.get(at + 1..).is_some_and(|after| after.is_empty() || after.starts_with([' ', '\t']))
    });
    let comment = line.find(" #").unwrap_or(line.len());
    end.filter(|(at, _)| *at < comment).and_then(|(at, _)| line.get(at + 1..)).map(str::trim_start)
}

/// The value without anchors and tags before it.
fn without_properties(mut value: &str) -> &str {
    while value.starts_with(['&', '!']) {
        let Some((_, after)) = value.split_once([' ', '\t']) else { return "" };
        value = after.trim_start();
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_counted_however_they_are_written() {
        let many = MAX_LEVELS + 1;
        let deep = [
            ("[".repeat(many), 1),
            (format!("a: {}", "{a: ".repeat(many)), 1),
            ("[\n".repeat(many), 201),
            (format!("a:\n  - &x !t {}", "[".repeat(many)), 2),
            (format!("\"a [\": {}", "[".repeat(many)), 1),
            (format!("[don't, {}", "[".repeat(many)), 1),
            (format!("a: 'it''s ]' \nb: {}", "[".repeat(many)), 2),
            (format!("[\"]]]\", # ]]]\n{}", "[".repeat(many)), 2),
            (format!("a: text\n  - [ more\nb: {}", "[".repeat(many)), 3),
            ("- ".repeat(many), 1),
            ((0..=many).map(|level| format!("{}a:\n", " ".repeat(level))).collect(), 201),
        ];
        for (text, line) in deep {
            assert_eq!(too_deep(&text), Some(line), "{text:.40}");
        }
    }

    #[test]
    fn brackets_in_texts_open_nothing() {
        let many = "[{".repeat(MAX_LEVELS);
        let flat = [
            format!("a: \"{many}\""),
            format!("a: '{many}'"),
            format!("a: see {many}"),
            format!("a: b # {many}"),
            format!("# {many}\na: b"),
            format!("a: |\n  {many}\n\n  {many}\nb: c"),
            format!("- >-\n  {many}\n- b"),
            format!("a: first\n  {many}\nb: c"),
            format!("a: \"first\n  {many}\""),
            "- [a, {b: c}]\n".repeat(1_000),
            "a: {b: [c]}\n".repeat(1_000),
        ];
        for text in flat {
            assert_eq!(too_deep(&text), None, "{text:.40}");
        }
    }
}
