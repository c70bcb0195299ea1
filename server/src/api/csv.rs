//! CSV (RFC 4180), safe to open in a spreadsheet.

use axum::{
    http::header,
    response::{IntoResponse, Response},
};

/// Rows under a heading, as they are written.
pub struct Csv(String);

impl Csv {
    pub fn new(columns: &[&str]) -> Self {
        let mut csv = Self(String::new());
        csv.row(columns);
        csv
    }

    /// Rows alone.
    pub const fn empty() -> Self {
        Self(String::new())
    }

    pub fn into_text(self) -> String {
        self.0
    }

    pub fn row<T: AsRef<str>>(&mut self, cells: &[T]) {
        for (index, cell) in cells.iter().enumerate() {
            if index > 0 {
                self.0.push(',');
            }
            self.cell(cell.as_ref());
        }
        self.0.push_str("\r\n");
    }

    fn cell(&mut self, text: &str) {
        // A spreadsheet would run a text that begins like this as a formula; a number may be negative.
        let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']) && text.parse::<f64>().is_err();
        if !formula && !text.contains(['"', ',', '\n', '\r']) {
            self.0.push_str(text);
            return;
        }
        self.0.push('"');
        if formula {
            self.0.push('\'');
        }
        self.0.push_str(&text.replace('"', "\"\""));
        self.0.push('"');
    }
}

impl IntoResponse for Csv {
    fn into_response(self) -> Response {
        ([(header::CONTENT_TYPE, "text/csv; charset=utf-8")], self.0).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::Csv;
    use proptest::prelude::*;

    #[test]
    fn cells_are_quoted_where_needed_and_never_formulas() {
        let mut csv = Csv::new(&["a", "b"]);
        csv.row(&["plain", "say \"hi\", twice"]);
        csv.row(&["=HYPERLINK(1)", "-3.5"]);
        assert_eq!(csv.0, "a,b\r\nplain,\"say \"\"hi\"\", twice\"\r\n\"'=HYPERLINK(1)\",-3.5\r\n");
    }

    /// Texts in which characters that mean something are frequent.
    fn cell() -> impl Strategy<Value = String> {
        const SPECIAL: &[&str] =
            &["", "\"", ",", "\r\n", "\n", "\r", "=", "+", "-1", "@", "\t", "'", "\"\"", "-1.5e3", "a", " ", "é"];
        let part = prop_oneof![prop::sample::select(SPECIAL).prop_map(str::to_owned), any::<String>()];
        prop::collection::vec(part, 0..4).prop_map(|parts| parts.concat())
    }

    proptest! {
        /// A reader of RFC 4180 that is not ours finds the same cells, but for the mark before what would be a formula.
        #[test]
        fn fuzz_what_is_written_reads_back_cell_by_cell(
            rows in prop::collection::vec(prop::collection::vec(cell(), 2..6), 0..6),
        ) {
            let mut written = Csv::new(&["a", "b"]);
            rows.iter().for_each(|row| written.row(row));
            let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(written.0.as_bytes());
            let read: Vec<Vec<String>> =
                reader.records().map(|row| row.expect("a row").iter().map(str::to_owned).collect()).collect();
            let is_formula =
                |text: &str| text.starts_with(['=', '+', '-', '@', '\t', '\r']) && text.parse::<f64>().is_err();
            let marked = |text: String| if is_formula(&text) { format!("'{text}") } else { text };
            let expected: Vec<Vec<String>> =
                rows.into_iter().map(|row| row.into_iter().map(marked).collect()).collect();
            prop_assert_eq!(read, expected);
        }
    }
}
