//! Content from top to bottom, page after page.

use crate::{
    BODY_WIDTH, MARGIN, PAGE_HEIGHT, PAGE_WIDTH, POINT, PaperError,
    face::{Style, Weight, one_line, width, wrap},
    file,
};

/// Where content begins on a page, and where it ends.
const TOP: i32 = 56 * POINT;
const BOTTOM: i32 = PAGE_HEIGHT - 64 * POINT;
const FOOT: Style = Style::new(8 * POINT, Weight::Regular, 40);
const RULE_GREY: u8 = 75;

/// To which side a text leans.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    Left,
    Right,
}

/// A text beside others.
#[derive(Debug, Clone)]
pub struct Block {
    /// From the left margin.
    pub x: i32,
    pub width: i32,
    pub align: Align,
    /// One under the other; each is broken where it is too wide.
    pub texts: Vec<(Style, String)>,
}

/// What a reader of files shows of it.
#[derive(Debug, Clone)]
pub struct Meta {
    pub title: String,
    /// Who made it.
    pub author: String,
}

/// What is drawn.
#[derive(Debug, Clone)]
pub(crate) enum Item {
    /// `y` is of the baseline.
    Text {
        x: i32,
        y: i32,
        style: Style,
        text: String,
    },
    Rule {
        x: i32,
        y: i32,
        width: i32,
        thickness: i32,
        grey: u8,
    },
}

/// Pages that are being filled.
#[derive(Debug)]
pub struct Flow {
    pub(crate) pages: Vec<Vec<Item>>,
    /// The upper edge of what comes next.
    pub(crate) y: i32,
    /// On the foot of every page.
    name: String,
}

impl Flow {
    /// An empty first page; `name` is on the foot of each.
    pub fn new(name: &str) -> Self {
        Self { pages: vec![Vec::new()], y: TOP, name: one_line(name) }
    }

    /// Leaves room, but not at the top of a page.
    pub fn space(&mut self, height: i32) {
        if self.y > TOP {
            self.y += height;
        }
    }

    /// Texts side by side; a page is broken before them where they do not fit.
    pub fn blocks(&mut self, blocks: &[Block]) {
        let lines: Vec<Vec<(Style, String)>> = blocks.iter().map(Block::lines).collect();
        let height = |lines: &[(Style, String)]| lines.iter().map(|(style, _)| style.leading()).sum::<i32>();
        let highest = lines.iter().map(|lines| height(lines)).max().unwrap_or_default();
        if !self.has_room(highest) && self.y > TOP {
            self.break_page();
        }
        let top = self.y;
        let mut lowest = top;
        for (block, lines) in blocks.iter().zip(lines) {
            self.y = top;
            for (style, text) in lines {
                // Texts that are longer than a page are cut: nothing of ours is.
                if !self.has_room(style.leading()) {
                    break;
                }
                self.line(block.x, block.width, block.align, style, &text);
                self.y += style.leading();
            }
            lowest = lowest.max(self.y);
        }
        self.y = lowest;
    }

    /// A text over the whole width, broken into lines, over pages where need be.
    pub fn paragraph(&mut self, style: Style, text: &str) {
        for line in wrap(style, text, BODY_WIDTH) {
            if !self.has_room(style.leading()) {
                self.break_page();
            }
            self.line(0, BODY_WIDTH, Align::Left, style, &line);
            self.y += style.leading();
        }
    }

    /// The whole file.
    ///
    /// # Errors
    /// The built-in fonts are broken.
    pub fn finish(mut self, meta: &Meta) -> Result<Vec<u8>, PaperError> {
        let count = self.pages.len();
        let baseline = PAGE_HEIGHT - 36 * POINT;
        for (place, page) in self.pages.iter_mut().enumerate() {
            let text = format!("Page {} of {count}", place + 1);
            page.push(Item::Rule {
                x: MARGIN,
                y: baseline - 16 * POINT,
                width: BODY_WIDTH,
                thickness: 500,
                grey: RULE_GREY,
            });
            let x = PAGE_WIDTH - MARGIN - width(FOOT, &text);
            let most = BODY_WIDTH - width(FOOT, &text) - 24 * POINT;
            let name = wrap(FOOT, &self.name, most).into_iter().next().unwrap_or_default();
            page.push(Item::Text { x: MARGIN, y: baseline, style: FOOT, text: name });
            page.push(Item::Text { x, y: baseline, style: FOOT, text });
        }
        file::write(&self.pages, meta)
    }

    pub(crate) fn has_room(&self, height: i32) -> bool {
        self.y + height <= BOTTOM
    }

    /// Whether that much fits on a page of its own.
    pub(crate) const fn fits_a_page(height: i32) -> bool {
        TOP + height <= BOTTOM
    }

    /// What comes next is on a new page.
    pub fn break_page(&mut self) {
        self.pages.push(Vec::new());
        self.y = TOP;
    }

    pub(crate) fn rule(&mut self, grey: u8) {
        let item = Item::Rule { x: MARGIN, y: self.y, width: BODY_WIDTH, thickness: 500, grey };
        self.draw(item);
    }

    /// One line, its upper edge here.
    pub(crate) fn line(&mut self, x: i32, room: i32, align: Align, style: Style, text: &str) {
        let text = one_line(text);
        let indent = if align == Align::Right { room - width(style, &text) } else { 0 };
        let y = self.y + style.size * 11 / 10;
        self.draw(Item::Text { x: MARGIN + x + indent, y, style, text });
    }

    fn draw(&mut self, item: Item) {
        if let Some(page) = self.pages.last_mut() {
            page.push(item);
        }
    }
}

impl Block {
    fn lines(&self) -> Vec<(Style, String)> {
        let broken = |(style, text): &(Style, String)| {
            wrap(*style, text, self.width).into_iter().map(|line| (*style, line)).collect::<Vec<_>>()
        };
        self.texts.iter().flat_map(broken).collect()
    }
}
