//! Go with net/http.

use super::{
    KEY_VARIABLE,
    body::Prepared,
    literal::{Escape, is_unseen, quoted},
};

pub fn render(request: &Prepared<'_>) -> String {
    let text = |text: &str| quoted(text, Escape::Four);
    let body = request.body.text();
    let mut imports = vec!["fmt", "io", "net/http", "os"];
    if body.is_some() {
        imports.push("strings");
    }
    let mut lines = vec!["package main".to_owned(), String::new(), "import (".to_owned()];
    lines.extend(imports.iter().map(|import| format!("\t\"{import}\"")));
    lines.extend([")", "", "func main() {"].map(str::to_owned));
    let reader = match &body {
        // A raw literal keeps JSON readable; it cannot hold a backtick, and drops carriage returns.
        Some(body) if !body.contains('`') && !body.chars().any(|letter| letter != '\n' && is_unseen(letter)) => {
            format!("strings.NewReader(`{body}`)")
        }
        Some(body) => format!("strings.NewReader({})", text(body)),
        None => "nil".to_owned(),
    };
    let (method, url) = (text(&request.method), text(request.url));
    lines.push(format!("\trequest, err := http.NewRequest({method}, {url}, {reader})"));
    lines.extend(["\tif err != nil {", "\t\tpanic(err)", "\t}"].map(str::to_owned));
    lines.push(format!("\trequest.Header.Set(\"Authorization\", \"Bearer \"+os.Getenv(\"{KEY_VARIABLE}\"))"));
    let header = |(name, value): &(String, String)| format!("\trequest.Header.Set({}, {})", text(name), text(value));
    lines.extend(request.headers.iter().map(header));
    let end = "\n\tresponse, err := http.DefaultClient.Do(request)\n\tif err != nil {\n\t\tpanic(err)\n\t}\n\tdefer \
               response.Body.Close()\n\tanswer, err := io.ReadAll(response.Body)\n\tif err != nil {\n\t\tpanic(err)\n\t}\n\t\
               fmt.Println(response.StatusCode, string(answer))\n}";
    lines.push(end.to_owned());
    lines.join("\n")
}
