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

    #[test]
    fn cells_are_quoted_where_needed_and_never_formulas() {
        let mut csv = Csv::new(&["a", "b"]);
        csv.row(&["plain", "say \"hi\", twice"]);
        csv.row(&["=HYPERLINK(1)", "-3.5"]);
        assert_eq!(csv.0, "a,b\r\nplain,\"say \"\"hi\"\", twice\"\r\n\"'=HYPERLINK(1)\",-3.5\r\n");
    }
}
