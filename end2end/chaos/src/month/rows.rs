//! Files of rows as RFC 4180 writes them, read by a reader of our own.

use crate::Trouble;
use std::collections::HashMap;

/// The rows, each by the names of its heading.
pub fn read(file: &str) -> Result<Vec<HashMap<String, String>>, Trouble> {
    let mut rows = cells(file)?.into_iter();
    let heading = rows.next().ok_or("a file without a heading")?;
    rows.map(|row| {
        if row.len() != heading.len() {
            return Err(format!("a row of {} cells under {} names: {row:?}", row.len(), heading.len()).into());
        }
        Ok(heading.iter().cloned().zip(row).collect())
    })
    .collect()
}

fn cells(file: &str) -> Result<Vec<Vec<String>>, Trouble> {
    let (mut rows, mut row, mut cell) = (Vec::new(), Vec::new(), String::new());
    let mut letters = file.chars().peekable();
    let mut is_quoted = false;
    while let Some(letter) = letters.next() {
        match (is_quoted, letter) {
            (true, '"') if letters.next_if_eq(&'"').is_some() => cell.push('"'),
            (true, '"') => is_quoted = false,
            (true, other) => cell.push(other),
            (false, '"') if cell.is_empty() => is_quoted = true,
            (false, ',') => row.push(std::mem::take(&mut cell)),
            (false, '\r') if letters.next_if_eq(&'\n').is_some() => {
                row.push(std::mem::take(&mut cell));
                rows.push(std::mem::take(&mut row));
            }
            (false, other) => cell.push(other),
        }
    }
    if is_quoted || !cell.is_empty() || !row.is_empty() {
        return Err("a file that breaks off in a row".into());
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_cells_hold_commas_quotes_and_line_ends() {
        let rows = read("a,b\r\n\"x, \"\"y\"\"\r\n\",1\r\n").expect("rows");
        assert_eq!((rows.len(), rows[0]["a"].as_str(), rows[0]["b"].as_str()), (1, "x, \"y\"\r\n", "1"));
        assert!(read("a,b\r\n1\r\n").is_err() && read("a,b\r\n1,2").is_err());
    }
}
