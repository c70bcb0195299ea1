//! Reading pages as somebody would who has nothing but their text: figures by their labels, tables by their captions.

/// Figures with their labels, as at the top of a page.
pub fn figures(page: &str) -> Vec<(String, String)> {
    let page = bare(page);
    let figure = |part: &str| {
        let label = text(between(part, "<dt>", "</dt>")?);
        Some((label, text(between(part, "<dd class=\"stat-figure\">", "</dd>")?)))
    };
    page.split("<div class=\"stat\">").skip(1).filter_map(figure).collect()
}

/// The rows of the table with that caption, its heading included; none where there is no such table.
pub fn table(page: &str, caption: &str) -> Vec<Vec<String>> {
    let page = bare(page);
    let named = |part: &&str| {
        let own = part.split_once("<caption").and_then(|(_, rest)| rest.split_once('>'));
        own.and_then(|(_, rest)| rest.split_once("</caption>")).is_some_and(|(own, _)| text(own) == caption)
    };
    let tables = page.split("<table").skip(1).filter_map(|part| part.split("</table>").next());
    let Some(found) = tables.into_iter().find(named) else { return Vec::new() };
    elements(found, &["tr"])
        .into_iter()
        .map(|row| elements(&row, &["th", "td"]).iter().map(|cell| text(cell)).collect())
        .collect()
}

/// The value of the form's hidden field.
pub fn hidden(page: &str, name: &str) -> Option<String> {
    let named = format!("name=\"{name}\"");
    let field =
        page.split("<input").skip(1).filter_map(|part| part.split('>').next()).find(|tag| tag.contains(&named))?;
    Some(between(field, "value=\"", "\"")?.to_owned())
}

/// A number as people read it: `1,204`, `−3`.
pub fn number(text: &str) -> Option<i64> {
    let (sign, digits) = signed(text);
    let digits: String = digits.chars().filter(|letter| *letter != ',').collect();
    Some(sign * digits.parse::<i64>().ok()?)
}

/// An amount of dollars in cents: `$1,204.50`, `-3.5`.
pub fn cents(text: &str) -> Option<i64> {
    let (sign, amount) = signed(text);
    let amount: String = amount.chars().filter(|letter| !matches!(letter, ',' | '$')).collect();
    let (whole, fraction) = amount.split_once('.').unwrap_or((&amount, ""));
    let fraction = format!("{fraction:0<2}");
    // What is finer than a cent is none that anybody owes.
    let (of_cents, finer) = fraction.split_at_checked(2)?;
    if finer.bytes().any(|digit| digit != b'0') {
        return None;
    }
    Some(sign * (whole.parse::<i64>().ok()? * 100 + of_cents.parse::<i64>().ok()?))
}

fn signed(text: &str) -> (i64, &str) {
    let text = text.trim();
    match text.strip_prefix(['−', '-']) {
        Some(rest) => (-1, rest),
        None => (1, text),
    }
}

/// Without comments.
fn bare(page: &str) -> String {
    let mut bare = String::with_capacity(page.len());
    let mut rest = page;
    while let Some((before, comment)) = rest.split_once("<!") {
        bare.push_str(before);
        rest = comment.split_once('>').map_or("", |(_, after)| after);
    }
    bare + rest
}

/// What is between the tags of these elements, none of which holds another.
fn elements(part: &str, names: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = part;
    while let Some((_, tag)) = rest.split_once('<') {
        rest = tag;
        let name: String = tag.chars().take_while(char::is_ascii_alphanumeric).collect();
        if !names.contains(&name.as_str()) {
            continue;
        }
        let Some((_, inner)) = tag.split_once('>') else { break };
        let Some((inner, after)) = inner.split_once(&format!("</{name}>")) else { break };
        found.push(inner.to_owned());
        rest = after;
    }
    found
}

/// Without tags, and with single blanks.
fn text(part: &str) -> String {
    let mut text = String::new();
    for (index, piece) in part.split('<').enumerate() {
        let words = if index == 0 { piece } else { piece.split_once('>').map_or("", |(_, words)| words) };
        text.push_str(words);
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn between<'a>(text: &'a str, from: &str, to: &str) -> Option<&'a str> {
    Some(text.split_once(from)?.1.split_once(to)?.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "<!DOCTYPE html><dl><div class=\"stat\"><dt>Units</dt><dd class=\"stat-figure\">1,204<!----></dd></div></dl>\
        <table class=\"table\"><caption class=\"x\">Lines</caption><thead><tr><th scope=\"col\">For</th><th>Amount</th></tr></thead>\
        <tbody><tr><th><a href=\"/x\">One</a> <span>two</span></th><td><span>\u{2212}$1,204.50</span></td></tr></tbody></table>\
        <form><input type=\"hidden\" name=\"preview\" value=\"1.a\"></form>";

    #[test]
    fn figures_tables_and_fields_are_found() {
        assert_eq!(figures(PAGE), [("Units".to_owned(), "1,204".to_owned())]);
        assert_eq!(table(PAGE, "Lines"), [["For", "Amount"], ["One two", "\u{2212}$1,204.50"]]);
        assert!(table(PAGE, "Others").is_empty());
        assert_eq!(hidden(PAGE, "preview").as_deref(), Some("1.a"));
    }

    #[test]
    fn numbers_and_amounts_are_exact() {
        assert_eq!((number("1,204"), number("\u{2212}3"), number("—")), (Some(1_204), Some(-3), None));
        assert_eq!(
            (cents("\u{2212}$1,204.50"), cents("49.00"), cents("3.5"), cents("7")),
            (Some(-120_450), Some(4_900), Some(350), Some(700))
        );
        assert_eq!((cents("0.0050"), cents("0.010000")), (None, Some(1)));
    }
}
