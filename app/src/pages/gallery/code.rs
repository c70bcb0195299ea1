//! Code, secrets, and a page of reference.

use crate::components::*;
use leptos::prelude::*;

const JSON: &str = r#"{
  "id": "pay_01J9ZQ8Y4M",
  "amount": 1250,
  "currency": "eur",
  "paid": true,
  "refund": null,
  "note": "Order 7: \"two <b>boxes</b>\""
}"#;

fn samples() -> Vec<CodeSample> {
    vec![
        CodeSample::new(
            "curl",
            "shell",
            "# Create a payment\ncurl https://api.northwind.example/payments/v1/payments \\\n  -H \"Authorization: Bearer $TURNPIKE_KEY\" \\\n  -d '{\"amount\": 1250, \"currency\": \"eur\"}'",
        ),
        CodeSample::new(
            "JavaScript",
            "javascript",
            "// Node 18 or later\nconst response = await fetch(\"https://api.northwind.example/payments/v1/payments\", {\n  method: \"POST\",\n  headers: { Authorization: `Bearer ${process.env.TURNPIKE_KEY}` },\n  body: JSON.stringify({ amount: 1250, currency: \"eur\" }),\n});",
        ),
        CodeSample::new(
            "Python",
            "python",
            "import os, requests\n\nresponse = requests.post(\n    \"https://api.northwind.example/payments/v1/payments\",\n    headers={\"Authorization\": f\"Bearer {os.environ['TURNPIKE_KEY']}\"},\n    json={\"amount\": 1250, \"currency\": \"eur\"},\n)  # 201",
        ),
        CodeSample::new(
            "Go",
            "go",
            "req, err := http.NewRequest(\"POST\", url, body)\nif err != nil {\n\treturn err\n}",
        ),
        CodeSample::new(
            "Rust",
            "rust",
            "let response = client.post(url).bearer_auth(key).json(&payment).send().await?;",
        ),
        CodeSample::new("Java", "java", "var response = client.send(request, BodyHandlers.ofString());"),
    ]
}

#[component]
pub fn Code() -> impl IntoView {
    let long_line = format!("{{\"token\": \"{}\"}}", "0123456789abcdef".repeat(20));
    view! {
        <Columns>
            <Card title="A secret, this once">
                <Secret label="Your live key" value="tp_live_4fQzV8mN2kLpR7sT1wXyB3cD5eF6gH9jK0aZ" />
            </Card>
            <Card title="A long line">
                <CodeBlock language="json" title="Response" code=long_line short=true />
            </Card>
        </Columns>
        <Card title="Reference">
            <DocsLayout
                label="Payments API"
                contents=view! {
                    <ul>
                        <li><a href="/gallery" aria-current="page"><MethodBadge method="POST" />"Create a payment"</a></li>
                        <li><a href="/gallery"><MethodBadge method="GET" />"Fetch a payment"</a></li>
                        <li><a href="/gallery"><MethodBadge method="DELETE" />"Forget a customer and everything we know of them"</a></li>
                    </ul>
                }
            >
                <Operation
                    id="create-payment"
                    code=view! {
                        <CodeTabs id="samples" label="Create a payment" samples=samples() />
                        <CodeBlock language="json" title="201 Created" code=JSON />
                    }
                >
                    <h2>"Create a payment"</h2>
                    <p><MethodBadge method="POST" /><code>"/payments/v1/payments"</code></p>
                    <p>
                        "Takes money from a customer. Send an " <code>"Idempotency-Key"</code>
                        " so that a repeat never takes it twice; see "
                        <a href="/gallery">"error codes"</a> " for what can go wrong."
                    </p>
                    <h3>"Body"</h3>
                    <ul>
                        <li><code>"amount"</code> " integer, required. In the smallest coin."</li>
                        <li><code>"currency"</code> " string, required. ISO 4217, lower case."</li>
                    </ul>
                </Operation>
            </DocsLayout>
        </Card>
    }
}
