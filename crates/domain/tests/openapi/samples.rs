//! Samples say the same in every language, whatever is in the request: the shell, Node and Python are asked what they
//! understood, the compilers of Java and Rust whether it is a program at all.

use domain::openapi::samples::{Language, Request, render};
use proptest::{prelude::*, test_runner::TestRunner};
use serde_json::{Value, json};
use std::process::{Command, Stdio};

/// Characters that mean something in one of the languages, and some that mean something to a reader.
const LETTERS: &str = "aZ 09\"'`$\\{}[]()<>&|;*?!#%~^=+-_/.,:@\n\r\t\u{1}\u{7f}äé€😀\u{200b}\u{202e}\u{2028}\u{feff}u0";

fn words() -> impl Strategy<Value = String> {
    let letters: Vec<char> = LETTERS.chars().collect();
    prop::collection::vec(prop::sample::select(letters), 0..12).prop_map(|letters| letters.into_iter().collect())
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        words().prop_map(Value::from)
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::vec((words(), inner), 0..3)
                .prop_map(|entries| Value::Object(entries.into_iter().collect()))
        ]
    })
}

fn requests() -> impl Strategy<Value = Request> {
    let method = prop::sample::select(vec!["GET", "POST", "PUT", "PATCH", "DELETE"]);
    let url = words().prop_map(|tail| {
        let tail: String = tail.chars().filter(|letter| !letter.is_control() && *letter != '\u{feff}').collect();
        format!("https://api.example.com/payments/{tail}")
    });
    // Fetch and Python's client refuse other characters in a header.
    let header =
        words().prop_map(|text| text.chars().filter(|letter| (' '..='~').contains(letter)).collect::<String>());
    (method, url, header, prop::option::of(values())).prop_map(|(method, url, header, body)| Request {
        method: method.to_owned(),
        url,
        headers: vec![
            ("X-Note".to_owned(), header.trim().to_owned()),
            ("Authorization".to_owned(), "Bearer tp_live_secret".to_owned()),
        ],
        body,
    })
}

/// What `program` prints when it runs `code`, or `None` where there is no such program.
fn run(program: &str, arguments: &[&str], code: &str) -> Option<Vec<u8>> {
    let child = Command::new(program)
        .args(arguments)
        .env("TURNPIKE_KEY", "the key")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let mut child = match child {
        Ok(child) => child,
        Err(_) => {
            println!("skipped: {program} is not installed");
            return None;
        }
    };
    std::io::Write::write_all(&mut child.stdin.take().expect("piped"), code.as_bytes()).expect("written");
    let output = child.wait_with_output().expect("ran");
    assert!(output.status.success(), "{program} refuses:\n{code}");
    Some(output.stdout)
}

fn each(cases: u32, check: impl Fn(Request) -> Result<(), TestCaseError>) {
    let mut runner = TestRunner::new(ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() });
    runner.run(&requests(), check).unwrap_or_else(|failure| panic!("{failure}"));
}

#[test]
fn the_shell_hands_curl_exactly_the_request() {
    each(150, |request| {
        let sample = render(Language::Curl, &request);
        prop_assert!(!sample.contains("secret"));
        // A function in curl's place prints its arguments, each with a NUL behind it.
        let script = format!("curl() {{ for a in \"$@\"; do printf '%s\\0' \"$a\"; done; }}\n{sample}\n");
        let Some(output) = run("sh", &[], &script) else { return Ok(()) };
        let text = String::from_utf8(output).expect("UTF-8");
        let arguments: Vec<&str> = text.split_terminator('\0').collect();
        let after = |name: &str| -> Vec<&str> {
            arguments.windows(2).filter(|pair| pair[0] == name).map(|pair| pair[1]).collect()
        };
        prop_assert_eq!(after("--url"), vec![request.url.as_str()]);
        let headers = after("--header");
        prop_assert_eq!(headers[0], "Authorization: Bearer the key");
        let note = &request.headers[0].1;
        let expected = if note.is_empty() { "X-Note;".to_owned() } else { format!("X-Note: {note}") };
        prop_assert!(headers.contains(&expected.as_str()), "{headers:?}");
        let sent: Vec<Value> =
            after("--data-raw").iter().map(|body| serde_json::from_str(body).expect("JSON")).collect();
        prop_assert_eq!(sent, request.body.into_iter().collect::<Vec<_>>());
        Ok(())
    });
}

#[test]
fn javascript_fetches_exactly_the_request() {
    each(40, |request| {
        let stand_in = "globalThis.fetch = async (url, options) => ({ status: 200, text: async () => \
                        JSON.stringify([url, options.method, options.headers, options.body ?? null]) });\n";
        let code = format!("{stand_in}{}\n", render(Language::JavaScript, &request));
        let Some(output) = run("node", &["--input-type=module"], &code) else { return Ok(()) };
        let text = String::from_utf8(output).expect("UTF-8");
        let seen: Value = serde_json::from_str(text.trim_start_matches("200 ")).expect("JSON");
        let sent = seen[3].as_str().map(|body| serde_json::from_str::<Value>(body).expect("JSON"));
        prop_assert_eq!(&seen[0], &json!(request.url));
        prop_assert_eq!(&seen[1], &json!(request.method));
        prop_assert_eq!(&seen[2]["Authorization"], "Bearer the key");
        prop_assert_eq!(&seen[2]["X-Note"], &json!(request.headers[0].1));
        prop_assert_eq!(sent, request.body);
        Ok(())
    });
}

#[test]
fn python_requests_exactly_the_request() {
    each(40, |request| {
        let stand_in = "import sys, types, json as _json\n\
                        def _request(method, url, headers, timeout, json=None, data=None):\n    \
                        body = _json.loads(data) if data is not None else json\n    \
                        return types.SimpleNamespace(status_code=200, text=_json.dumps([url, method, headers, body]))\n\
                        sys.modules['requests'] = types.SimpleNamespace(request=_request)\n";
        let code = format!("{stand_in}{}\n", render(Language::Python, &request));
        let Some(output) = run("python3", &["-X", "utf8", "-"], &code) else { return Ok(()) };
        let text = String::from_utf8(output).expect("UTF-8");
        let seen: Value = serde_json::from_str(text.trim_start_matches("200 ")).expect("JSON");
        prop_assert_eq!(&seen[0], &json!(request.url));
        prop_assert_eq!(&seen[2]["Authorization"], "Bearer the key");
        prop_assert_eq!(&seen[2]["X-Note"], &json!(request.headers[0].1));
        prop_assert_eq!(&seen[3], &request.body.unwrap_or_default());
        Ok(())
    });
}

#[test]
fn bodies_are_literals_of_rust_and_go_that_end_where_they_should() {
    each(300, |request| {
        let rust = render(Language::Rust, &request);
        let go = render(Language::Go, &request);
        let java = render(Language::Java, &request);
        for (language, text) in [("rust", &rust), ("go", &go), ("java", &java)] {
            prop_assert!(!text.contains("secret"), "{language}");
            prop_assert!(!text.contains(['\u{202e}', '\u{feff}', '\u{1}']), "{language}:\n{text}");
            prop_assert!(text.ends_with('}'), "{language}:\n{text}");
        }
        // A raw literal ends at the first quote with its hashes: only the one that closes it.
        if let Some((_, raw)) = rust.split_once(".body(r") {
            let hashes: String = raw.chars().take_while(|letter| *letter == '#').collect();
            let inside = &raw[hashes.len() + 1..];
            let (body, rest) = inside.split_once(&format!("\"{hashes}")).expect("is closed");
            prop_assert!(rest.starts_with(")\n        .send()"), "{rust}");
            prop_assert_eq!(
                &serde_json::from_str::<Value>(body).expect("JSON"),
                request.body.as_ref().expect("a body")
            );
        }
        if let Some((_, raw)) = go.split_once("strings.NewReader(`") {
            let (body, rest) = raw.split_once('`').expect("is closed");
            prop_assert!(rest.starts_with("))\n"), "{go}");
            prop_assert_eq!(
                &serde_json::from_str::<Value>(body).expect("JSON"),
                request.body.as_ref().expect("a body")
            );
        }
        Ok(())
    });
}

/// A request with everything that a language could stumble over.
fn hard() -> Request {
    Request {
        method: "POST".to_owned(),
        url: format!("https://api.example.com/{}", LETTERS.replace(['\n', '\r', '\t', '\u{1}', '\u{7f}'], "")),
        headers: vec![("X-Note".to_owned(), "a\"b\\u0041'c`".to_owned())],
        body: Some(json!({ "text": LETTERS, "\"#": ["\"##", "\\u000a", "`"], "deep": { "a": [null, true, -1] } })),
    }
}

#[test]
fn the_compilers_of_java_and_rust_take_the_hardest_request() {
    let folder = std::env::temp_dir().join(format!("turnpike-samples-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("can be made");
    std::fs::write(folder.join("Main.java"), render(Language::Java, &hard())).expect("written");
    // Only what a sample uses of it.
    let stand_in = "mod reqwest { pub mod blocking { pub struct Client; pub struct It; impl Client { pub fn new() -> Self \
                    { Self } pub fn request(self, _: super::Method, _: &str) -> It { It } } impl It { pub fn bearer_auth(self, \
                    _: String) -> It { self } pub fn header(self, _: &str, _: &str) -> It { self } pub fn body(self, _: \
                    &'static str) -> It { self } pub fn send(self) -> Result<It, std::fmt::Error> { Ok(self) } pub fn \
                    status(&self) -> u16 { 200 } pub fn text(self) -> Result<String, std::fmt::Error> { Ok(String::new()) } } \
                    } pub struct Method; impl Method { pub fn from_bytes(_: &[u8]) -> Result<Self, std::fmt::Error> { \
                    Ok(Self) } } }";
    let rust = format!("{stand_in}\n{}", render(Language::Rust, &hard()));
    std::fs::write(folder.join("main.rs"), rust).expect("written");
    for (program, arguments) in [
        ("javac", vec!["-encoding", "UTF-8", "Main.java"]),
        ("rustc", vec!["--edition=2021", "--emit=metadata", "main.rs"]),
    ] {
        match Command::new(program).args(arguments).current_dir(&folder).output() {
            Err(_) => println!("skipped: {program} is not installed"),
            Ok(output) => assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr)),
        }
    }
    std::fs::remove_dir_all(&folder).expect("removed");
}
