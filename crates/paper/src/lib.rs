//! Sheets of A4 as PDF: text in two weights, rules, and tables that go on over pages. Knows nothing of what is written on them.
//!
//! Lengths are thousandths of a point, counted from the upper left corner. The same content gives the same bytes. Latin, Greek,
//! Cyrillic and the signs of currencies are drawn; a letter that is not in the font, or whose script has to be shaped, is drawn as
//! a box, and whoever copies, searches or reads the page aloud gets the text as it was.

mod face;
mod file;
mod flow;
mod table;

pub use face::{Style, Weight, width};
pub use flow::{Align, Block, Flow, Meta};
pub use table::{Column, Row, Table};

/// The sheet cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum PaperError {
    /// The fonts that are built in are not what this was written for.
    #[error("the built-in font cannot be used: {0}")]
    Font(String),
}

/// A point.
pub const POINT: i32 = 1_000;
/// A4.
pub const PAGE_WIDTH: i32 = 595_276;
/// A4.
pub const PAGE_HEIGHT: i32 = 841_890;
/// Left and right.
pub const MARGIN: i32 = 48 * POINT;
/// What is between the margins.
pub const BODY_WIDTH: i32 = PAGE_WIDTH - 2 * MARGIN;
