//! The two fonts, what they can draw, and how wide that is.

use crate::PaperError;
use std::sync::OnceLock;
use ttf_parser::Face;

/// How thick letters are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    Regular,
    Bold,
}

/// How a text looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// In thousandths of a point.
    pub size: i32,
    pub weight: Weight,
    /// 0 is black, 100 white.
    pub grey: u8,
}

impl Style {
    pub const fn new(size: i32, weight: Weight, grey: u8) -> Self {
        Self { size, weight, grey }
    }

    /// From one line to the next.
    pub const fn leading(&self) -> i32 {
        self.size * 14 / 10
    }
}

impl Weight {
    pub(crate) const ALL: [Self; 2] = [Self::Regular, Self::Bold];

    pub(crate) const fn data(self) -> &'static [u8] {
        match self {
            Self::Regular => include_bytes!("../fonts/DejaVuSansCondensed.ttf"),
            Self::Bold => include_bytes!("../fonts/DejaVuSansCondensed-Bold.ttf"),
        }
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Regular => "DejaVuSansCondensed",
            Self::Bold => "DejaVuSansCondensed-Bold",
        }
    }

    /// The parsed font; `None` where it is broken, which a test would have seen.
    pub(crate) fn face(self) -> Option<&'static Face<'static>> {
        static FACES: [OnceLock<Option<Face<'static>>>; 2] = [const { OnceLock::new() }; 2];
        let place = &FACES[usize::from(self == Self::Bold)];
        place.get_or_init(|| Face::parse(self.data(), 0).ok()).as_ref()
    }

    pub(crate) fn needed(self) -> Result<&'static Face<'static>, PaperError> {
        self.face().ok_or_else(|| PaperError::Font(self.name().to_owned()))
    }

    /// The glyph that draws it; 0 is the box.
    pub(crate) fn glyph(self, letter: char) -> u16 {
        if needs_shaping(letter) {
            return 0;
        }
        self.face().and_then(|face| face.glyph_index(letter)).map_or(0, |glyph| glyph.0)
    }

    /// In thousandths of the size.
    pub(crate) fn advance(self, glyph: u16) -> i32 {
        let Some(face) = self.face() else { return 0 };
        let advance = i32::from(face.glyph_hor_advance(ttf_parser::GlyphId(glyph)).unwrap_or_default());
        advance * 1_000 / i32::from(face.units_per_em()).max(1)
    }
}

/// Scripts that run from right to left, join their letters or move them: drawn one by one they would be wrong, not only ugly.
const fn needs_shaping(letter: char) -> bool {
    matches!(letter, '\u{0590}'..='\u{10ff}' | '\u{1200}'..='\u{1cff}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{feff}')
        && !matches!(letter, '\u{10a0}'..='\u{10ff}')
}

/// How wide the text is, in thousandths of a point.
pub fn width(style: Style, text: &str) -> i32 {
    let thousandths: i64 = text.chars().map(|letter| i64::from(style.weight.advance(style.weight.glyph(letter)))).sum();
    i32::try_from(thousandths * i64::from(style.size) / 1_000).unwrap_or(i32::MAX)
}

/// The text in lines that are no wider: broken between words, and within a word that is wider alone.
pub(crate) fn wrap(style: Style, text: &str, most: i32) -> Vec<String> {
    let mut lines = Vec::new();
    for paragraph in text.lines() {
        let mut line = String::new();
        for word in paragraph.split_whitespace() {
            let longer = if line.is_empty() { word.to_owned() } else { format!("{line} {word}") };
            if width(style, &longer) <= most {
                line = longer;
                continue;
            }
            if !line.is_empty() {
                lines.push(std::mem::take(&mut line));
            }
            for letter in word.chars() {
                line.push(letter);
                if width(style, &line) > most && line.chars().nth(1).is_some() {
                    line.pop();
                    lines.push(std::mem::replace(&mut line, letter.to_string()));
                }
            }
        }
        lines.push(line);
    }
    lines
}

/// As it can be drawn on one line.
pub(crate) fn one_line(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const STYLE: Style = Style::new(9_000, Weight::Regular, 0);

    #[test]
    fn lines_are_no_wider_than_asked_and_lose_no_letter() {
        let text = "Payments, POST /a/very/long/path/without/any/place/to/break/it/at/all/because/somebody/wrote/it/so and more";
        for most in [20_000, 60_000, 200_000] {
            let lines = wrap(STYLE, text, most);
            assert!(lines.iter().all(|line| width(STYLE, line) <= most), "{lines:?}");
            assert_eq!(lines.concat().replace(' ', ""), text.replace(' ', ""));
        }
        assert_eq!(wrap(STYLE, "WWW", 1), ["W", "W", "W"]);
    }

    #[test]
    fn letters_of_europe_are_drawn_and_others_are_boxes() {
        for weight in Weight::ALL {
            for letter in "Łódź Ørsted Ğ Ş Ωμέγα Щука €£¥−₣×…“”".chars().filter(|letter| *letter != ' ')
            {
                assert_ne!(weight.glyph(letter), 0, "{letter}");
            }
            for letter in "株式会社 שלום مرحبا नमस्ते".chars().filter(|letter| *letter != ' ')
            {
                assert_eq!(weight.glyph(letter), 0, "{letter}");
            }
        }
    }
}
