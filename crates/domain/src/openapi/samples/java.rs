//! Java with java.net.http.

use super::{
    KEY_VARIABLE,
    body::Prepared,
    literal::{Escape, quoted},
};

/// Headers that Java's client sets itself and refuses to be given.
const RESTRICTED: [&str; 5] = ["connection", "content-length", "expect", "host", "upgrade"];

pub fn render(request: &Prepared<'_>) -> String {
    let text = |text: &str| quoted(text, Escape::Four);
    let mut lines = vec![
        "import java.net.URI;".to_owned(),
        "import java.net.http.HttpClient;".to_owned(),
        "import java.net.http.HttpRequest;".to_owned(),
        "import java.net.http.HttpResponse;".to_owned(),
        String::new(),
        "public class Main {".to_owned(),
        "    public static void main(String[] args) throws Exception {".to_owned(),
        format!("        var request = HttpRequest.newBuilder(URI.create({}))", text(request.url)),
        format!("            .header(\"Authorization\", \"Bearer \" + System.getenv(\"{KEY_VARIABLE}\"))"),
    ];
    for (name, value) in &request.headers {
        if !RESTRICTED.contains(&name.to_ascii_lowercase().as_str()) {
            lines.push(format!("            .header({}, {})", text(name), text(value)));
        }
    }
    let publisher = match request.body.text() {
        None => "HttpRequest.BodyPublishers.noBody()".to_owned(),
        Some(body) => {
            let parts: Vec<String> = body.split_inclusive('\n').map(text).collect();
            let joined = if parts.is_empty() { text("") } else { parts.join("\n                + ") };
            format!("HttpRequest.BodyPublishers.ofString({joined})")
        }
    };
    lines.push(format!("            .method({}, {publisher})", text(&request.method)));
    lines.push("            .build();".to_owned());
    lines.push(
        "        var response = HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString());"
            .to_owned(),
    );
    lines.push("        System.out.println(response.statusCode() + \" \" + response.body());".to_owned());
    lines.push("    }".to_owned());
    lines.push("}".to_owned());
    lines.join("\n")
}
