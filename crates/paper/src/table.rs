//! Tables that go on over pages, with their head on each.

use crate::{
    POINT,
    face::{Style, Weight, wrap},
    flow::{Align, Flow},
};

const HEAD: Style = Style::new(8 * POINT, Weight::Bold, 40);
const CELL: Style = Style::new(9 * POINT, Weight::Regular, 0);
const STRONG: Style = Style::new(9 * POINT, Weight::Bold, 0);
/// Above and below what is in a row.
const PADDING: i32 = 4 * POINT;
/// Between columns.
const GAP: i32 = 10 * POINT;

/// A column.
#[derive(Debug, Clone)]
pub struct Column {
    pub title: String,
    pub width: i32,
    pub align: Align,
}

/// A row.
#[derive(Debug, Clone)]
pub struct Row {
    /// As many as there are columns. A figure that is wider than its column is broken like any other text: none of it is lost.
    pub cells: Vec<String>,
    /// Bold, under a darker rule.
    pub is_sum: bool,
}

/// A table.
#[derive(Debug, Clone)]
pub struct Table {
    pub columns: Vec<Column>,
    pub rows: Vec<Row>,
}

impl Table {
    /// What a column has for its text; the last one reaches to the edge.
    fn room(&self, place: usize) -> i32 {
        let gap = if place + 1 < self.columns.len() { GAP } else { 0 };
        self.columns.get(place).map_or(0, |column| column.width - gap)
    }
}

impl Flow {
    /// Draws the table. A row is broken only where it is longer than a page.
    pub fn table(&mut self, table: &Table) {
        let head = Row { cells: table.columns.iter().map(|column| column.title.clone()).collect(), is_sum: false };
        let head = lines_of(table, &head, HEAD);
        let head_height = height(&head, HEAD);
        let first = table.rows.first().map_or(0, |row| height(&lines_of(table, row, CELL), CELL));
        if !self.has_room(head_height + first) && Self::fits_a_page(head_height + first) {
            self.break_page();
        }
        self.row(table, &head, HEAD);
        for row in &table.rows {
            let style = if row.is_sum { STRONG } else { CELL };
            let lines = lines_of(table, row, style);
            let height = height(&lines, style);
            if !self.has_room(height) && Self::fits_a_page(head_height + height) {
                self.break_page();
                self.row(table, &head, HEAD);
            }
            self.rule(if row.is_sum { 20 } else { 82 });
            if Self::fits_a_page(head_height + height) {
                self.row(table, &lines, style);
            } else {
                self.long_row(table, &lines, style, &head);
            }
        }
    }

    fn row(&mut self, table: &Table, cells: &[Vec<String>], style: Style) {
        let top = self.y;
        let mut x = 0;
        for (place, (column, lines)) in table.columns.iter().zip(cells).enumerate() {
            self.y = top + PADDING;
            for line in lines {
                self.line(x, table.room(place), column.align, style, line);
                self.y += style.leading();
            }
            x += column.width;
        }
        self.y = top + height(cells, style);
    }

    /// Page by page, as many of its lines as there is room for.
    fn long_row(&mut self, table: &Table, cells: &[Vec<String>], style: Style, head: &[Vec<String>]) {
        let mut rest: Vec<Vec<String>> = cells.to_vec();
        while rest.iter().any(|lines| !lines.is_empty()) {
            let mut fit = 0;
            while self.has_room(height_of(fit + 1, style)) && rest.iter().any(|lines| lines.len() > fit) {
                fit += 1;
            }
            // The head alone leaves room for many lines.
            let take = |lines: &mut Vec<String>| lines.drain(..lines.len().min(fit)).collect::<Vec<_>>();
            let part: Vec<Vec<String>> = rest.iter_mut().map(take).collect();
            self.row(table, &part, style);
            if rest.iter().any(|lines| !lines.is_empty()) {
                self.break_page();
                self.row(table, head, HEAD);
            }
        }
    }
}

fn lines_of(table: &Table, row: &Row, style: Style) -> Vec<Vec<String>> {
    row.cells.iter().enumerate().map(|(place, text)| wrap(style, text, table.room(place))).collect()
}

fn height(cells: &[Vec<String>], style: Style) -> i32 {
    height_of(cells.iter().map(Vec::len).max().unwrap_or_default(), style)
}

fn height_of(lines: usize, style: Style) -> i32 {
    i32::try_from(lines).unwrap_or(i32::MAX / 100_000).saturating_mul(style.leading()).saturating_add(2 * PADDING)
}
