//! What another reader of PDF finds on the pages.

use lopdf::Document;
use paper::{Align, BODY_WIDTH, Block, Column, Flow, Meta, POINT, Row, Style, Table, Weight};

const PLAIN: Style = Style::new(9 * POINT, Weight::Regular, 0);

fn table(rows: impl Iterator<Item = (String, String)>) -> Table {
    let columns = vec![
        Column { title: "For".to_owned(), width: BODY_WIDTH - 100 * POINT, align: Align::Left },
        Column { title: "Amount".to_owned(), width: 100 * POINT, align: Align::Right },
    ];
    let rows = rows.map(|(text, amount)| Row { cells: vec![text, amount], is_sum: false }).collect();
    Table { columns, rows }
}

fn written(fill: impl FnOnce(&mut Flow)) -> Document {
    let mut flow = Flow::new("Invoice TP-000042");
    fill(&mut flow);
    let meta = Meta { title: "Invoice TP-000042".to_owned(), author: "Łódź Bank".to_owned() };
    Document::load_mem(&flow.finish(&meta).expect("a file")).expect("a readable file")
}

fn text(document: &Document, page: u32) -> String {
    document.extract_text(&[page]).expect("text")
}

#[test]
fn a_table_goes_on_with_its_head_and_loses_no_row() {
    let rows = (0..400).map(|number| (format!("Row {number}."), format!("−$1,{number:03}.50")));
    let document = written(|flow| flow.table(&table(rows)));
    let pages = document.get_pages().len();
    assert!((8..=14).contains(&pages), "{pages}");
    let mut found = Vec::new();
    for page in 1..=u32::try_from(pages).expect("few") {
        let text = text(&document, page);
        assert!(text.contains("Amount"), "page {page} has no head: {text}");
        assert!(text.contains(&format!("Page {page} of {pages}")), "{text}");
        found.extend(text.lines().filter(|line| line.starts_with("Row ")).map(str::to_owned));
    }
    assert_eq!(found, (0..400).map(|number| format!("Row {number}.")).collect::<Vec<_>>());
}

#[test]
fn a_row_that_is_longer_than_a_page_is_broken_and_whole() {
    let words: Vec<String> = (0..3_000).map(|number| format!("word{number}")).collect();
    let rows = [("First".to_owned(), "$1.00".to_owned()), (words.join(" "), "$2.00".to_owned())];
    let document = written(|flow| flow.table(&table(rows.into_iter())));
    let pages = u32::try_from(document.get_pages().len()).expect("few");
    let all: String = (1..=pages).map(|page| text(&document, page)).collect();
    let found: Vec<&str> = all.split_whitespace().filter(|word| word.starts_with("word")).collect();
    assert_eq!(found, words);
}

#[test]
fn letters_outside_latin_1_are_read_back_and_what_is_not_in_the_font_is_told() {
    let name = "Żółta Łódź Ωμέγα Щука €12";
    let block =
        |text: &str| Block { x: 0, width: BODY_WIDTH, align: Align::Left, texts: vec![(PLAIN, text.to_owned())] };
    let document = written(|flow| flow.blocks(&[block(name)]));
    assert!(text(&document, 1).contains(name), "{}", text(&document, 1));
    // Boxes stand for no letter; the text is beside them.
    let document = written(|flow| flow.blocks(&[block("株式会社 Ltd")]));
    let page = *document.get_pages().get(&1).expect("a page");
    let content = document.get_page_content(page);
    let utf_16: Vec<u8> = "株式会社 Ltd".encode_utf16().flat_map(u16::to_be_bytes).collect();
    let needle = [b"\xfe\xff".as_slice(), &utf_16].concat();
    let hex: String = needle.iter().map(|byte| format!("{byte:02X}")).collect();
    let found = content.windows(needle.len()).any(|window| window == needle)
        || String::from_utf8_lossy(&content).to_uppercase().contains(&hex);
    assert!(found, "{}", String::from_utf8_lossy(&content));
}

#[test]
fn the_same_content_gives_the_same_bytes() {
    let bytes = || {
        let mut flow = Flow::new("x");
        flow.table(&table([("One".to_owned(), "$1.00".to_owned())].into_iter()));
        flow.finish(&Meta { title: "x".to_owned(), author: "y".to_owned() }).expect("a file")
    };
    assert_eq!(bytes(), bytes());
}
