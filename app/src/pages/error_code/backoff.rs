//! Code that waits as the gateway asks and then tries again, in the languages of the reference.

use crate::components::{Card, CodeSample, CodeTabs};
use leptos::prelude::*;

/// The samples behind tabs.
#[component]
pub fn Samples(
    /// Makes the tabs' id unique on the page.
    url: &'static str,
) -> impl IntoView {
    view! {
        <Card
            title="Wait and try again"
            description="Each sample waits as long as Retry-After says, plus up to a second at random so that workers do not \
                         all come back at once, and gives up after five tries."
        >
            <CodeTabs id=format!("backoff-{url}") label="Wait and try again" samples=samples()/>
        </Card>
    }
}

fn samples() -> Vec<CodeSample> {
    vec![
        CodeSample::new("curl", "shell", CURL.trim_start()),
        CodeSample::new("JavaScript", "javascript", JAVASCRIPT.trim_start()),
        CodeSample::new("Python", "python", PYTHON.trim_start()),
        CodeSample::new("Go", "go", GO.trim_start()),
        CodeSample::new("Rust", "rust", RUST.trim_start()),
        CodeSample::new("Java", "java", JAVA.trim_start()),
    ]
}

const CURL: &str = r#"
# curl reads Retry-After by itself and also tries 429 and 503 again.
curl --retry 5 --retry-max-time 120 \
  -H "Authorization: Bearer $TURNPIKE_KEY" \
  "$URL"
"#;

const JAVASCRIPT: &str = r#"
async function callWithRetry(url, options = {}, tries = 5) {
  for (let attempt = 1; ; attempt++) {
    const response = await fetch(url, options);
    if (![429, 503].includes(response.status) || attempt === tries) return response;
    const seconds = Number(response.headers.get("retry-after") ?? 2 ** attempt);
    await new Promise((wake) => setTimeout(wake, seconds * 1000 + Math.random() * 1000));
  }
}
"#;

const PYTHON: &str = r#"
import random
import time
import urllib.error
import urllib.request

def call_with_retry(request, tries=5):
    for attempt in range(1, tries + 1):
        try:
            return urllib.request.urlopen(request)
        except urllib.error.HTTPError as error:
            if error.code not in (429, 503) or attempt == tries:
                raise
            seconds = int(error.headers.get("Retry-After", 2**attempt))
            time.sleep(seconds + random.random())
"#;

const GO: &str = r#"
// The request must have no body, or a GetBody function, so that it can be sent again.
func callWithRetry(client *http.Client, request *http.Request, tries int) (*http.Response, error) {
	for attempt := 1; ; attempt++ {
		response, err := client.Do(request)
		if err != nil || attempt == tries || (response.StatusCode != 429 && response.StatusCode != 503) {
			return response, err
		}
		response.Body.Close()
		seconds, err := strconv.Atoi(response.Header.Get("Retry-After"))
		if err != nil {
			seconds = 1 << attempt
		}
		time.Sleep(time.Duration(seconds)*time.Second + time.Duration(rand.Int63n(int64(time.Second))))
	}
}
"#;

const RUST: &str = r#"
// With the reqwest, tokio and rand crates.
async fn call_with_retry(request: reqwest::RequestBuilder, tries: u32) -> reqwest::Result<reqwest::Response> {
    let mut attempt = 1;
    loop {
        let once = request.try_clone().expect("a body that can be sent again");
        let response = once.send().await?;
        if !matches!(response.status().as_u16(), 429 | 503) || attempt == tries {
            return Ok(response);
        }
        let asked = response.headers().get("retry-after").and_then(|value| value.to_str().ok()?.parse().ok());
        let seconds: u64 = asked.unwrap_or(1 << attempt);
        let jitter = rand::random_range(0..1000);
        tokio::time::sleep(std::time::Duration::from_millis(seconds * 1000 + jitter)).await;
        attempt += 1;
    }
}
"#;

const JAVA: &str = r#"
static HttpResponse<String> callWithRetry(HttpClient client, HttpRequest request, int tries)
        throws IOException, InterruptedException {
    for (int attempt = 1; ; attempt++) {
        HttpResponse<String> response = client.send(request, HttpResponse.BodyHandlers.ofString());
        int status = response.statusCode();
        if ((status != 429 && status != 503) || attempt == tries) return response;
        long seconds = response.headers().firstValue("Retry-After").map(Long::parseLong).orElse(1L << attempt);
        Thread.sleep(seconds * 1000 + ThreadLocalRandom.current().nextLong(1000));
    }
}
"#;
