//! Every number in one table: what the ledger expects, and what each door of the product said.

use std::collections::HashMap;

/// A number and its names at all doors.
#[derive(Debug, Default)]
struct Row {
    name: String,
    /// `None` where a door told of something that the ledger does not know.
    expected: Option<i64>,
    seen: Vec<(&'static str, i64)>,
    /// Whether it is printed where all agree.
    is_shown: bool,
}

#[derive(Debug, Default)]
pub struct Table {
    rows: Vec<Row>,
    places: HashMap<String, usize>,
    doors: Vec<&'static str>,
}

impl Table {
    /// What all doors that show this number must say.
    pub fn expect(&mut self, name: impl Into<String>, value: i64) {
        let row = self.row(name.into());
        (row.expected, row.is_shown) = (Some(value), true);
    }

    /// The same for one of very many.
    pub fn expect_quietly(&mut self, name: impl Into<String>, value: i64) {
        self.row(name.into()).expected = Some(value);
    }

    pub fn saw(&mut self, door: &'static str, name: impl Into<String>, value: i64) {
        if !self.doors.contains(&door) {
            self.doors.push(door);
        }
        self.row(name.into()).seen.push((door, value));
    }

    fn row(&mut self, name: String) -> &mut Row {
        let place = *self.places.entry(name.clone()).or_insert_with(|| {
            self.rows.push(Row { name, ..Row::default() });
            self.rows.len() - 1
        });
        &mut self.rows[place]
    }

    /// How many numbers each door showed, and how many of them are not the ledger's.
    pub fn doors(&self) -> Vec<(&'static str, usize, usize)> {
        let judge = |door: &'static str| {
            let seen = self.rows.iter().flat_map(|row| row.seen.iter().map(move |seen| (row, seen)));
            let own: Vec<bool> = seen
                .filter(|(_, (other, _))| *other == door)
                .map(|(row, (_, value))| row.expected == Some(*value))
                .collect();
            (door, own.len(), own.iter().filter(|agrees| !**agrees).count())
        };
        self.doors.iter().copied().map(judge).collect()
    }

    /// What is not as it should be, as people read it.
    pub fn differing(&self) -> Vec<String> {
        let mut differing = Vec::new();
        for row in &self.rows {
            if row.seen.is_empty() {
                differing.push(format!("{}: no door shows it", row.name));
            }
            for (door, value) in &row.seen {
                match row.expected {
                    Some(expected) if expected == *value => {}
                    Some(expected) => differing.push(format!("{}: {door} {value}, ledger {expected}", row.name)),
                    None => differing.push(format!("{}: {door} {value}, which the ledger does not know", row.name)),
                }
            }
        }
        differing
    }

    /// One line for each number, one column for each door; what differs from the ledger is marked.
    pub fn print(&self) {
        let cells = |row: &Row| -> Vec<String> {
            let of = |door: &&'static str| {
                let values: Vec<&i64> =
                    row.seen.iter().filter(|(other, _)| other == door).map(|(_, value)| value).collect();
                let odd = values.iter().find(|value| Some(***value) != row.expected);
                match (odd, values.first()) {
                    (Some(odd), _) => format!("*{odd}"),
                    (None, Some(value)) => value.to_string(),
                    (None, None) => "-".to_owned(),
                }
            };
            let expected = row.expected.map_or_else(|| "-".to_owned(), |expected| expected.to_string());
            [row.name.clone(), expected].into_iter().chain(self.doors.iter().map(of)).collect()
        };
        let heads: Vec<String> =
            ["", "ledger"].into_iter().chain(self.doors.iter().copied()).map(str::to_owned).collect();
        let is_printed = |row: &&Row| row.is_shown || row.seen.iter().any(|(_, value)| Some(*value) != row.expected);
        let lines: Vec<Vec<String>> =
            [heads].into_iter().chain(self.rows.iter().filter(is_printed).map(cells)).collect();
        let width = |column: usize| lines.iter().map(|line| line[column].len()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..self.doors.len() + 2).map(width).collect();
        for line in &lines {
            let (name, rest) = line.split_at(1);
            let rest: String = rest.iter().zip(&widths[1..]).map(|(cell, width)| format!("  {cell:>width$}")).collect();
            println!("  {:<width$}{rest}", name[0], width = widths[0]);
        }
        let hidden = self.rows.iter().filter(|row| !row.is_shown).count();
        println!("  and {hidden} numbers by day and hour, which are printed only where they differ");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_or_is_not_shown_is_named() {
        let mut table = Table::default();
        table.expect("units", 5);
        table.expect_quietly("units of a day", 3);
        table.saw("page", "units", 5);
        table.saw("CSV", "units", 6);
        table.saw("CSV", "units of nobody", 1);
        assert_eq!(table.doors(), [("page", 1, 0), ("CSV", 2, 2)]);
        assert_eq!(
            table.differing(),
            [
                "units: CSV 6, ledger 5",
                "units of a day: no door shows it",
                "units of nobody: CSV 1, which the ledger does not know"
            ]
        );
    }
}
