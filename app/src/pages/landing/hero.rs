//! The first screen: what this is, the way in, and a call that looks like the real one.

use crate::components::{ButtonKind, ButtonLink, CodeBlock, Size};
use leptos::prelude::*;

#[component]
pub fn Hero(
    provider: String,
    /// An address on the gateway that can be called.
    example: String,
) -> impl IntoView {
    let call = format!("curl {example} \\\n  -H \"Authorization: Bearer tp_test_…\"");
    let answer = "HTTP/1.1 200 OK\n\
                  Content-Type: application/json\n\
                  RateLimit-Policy: \"minute\";q=100;w=60\n\
                  RateLimit: \"minute\";r=99;t=60\n\
                  X-Request-Id: 0199b2f1-6c1e-7d3a-9a40-5b1f3e9c2d77";
    view! {
        <section class="landing-hero">
            <div class="landing-hero-text">
                <p class="landing-eyebrow">{format!("{provider} for developers")}</p>
                <h1>{format!("Build on the APIs of {provider}")}</h1>
                <p class="landing-lead">
                    "Sign up, take a key and call. Reference, test environment, usage by the call and one clear invoice, "
                    "in one place."
                </p>
                <div class="cluster">
                    <ButtonLink href="/sign-up" kind=ButtonKind::Primary size=Size::Large>"Create an account"</ButtonLink>
                    <ButtonLink href="/pricing" size=Size::Large>"See prices"</ButtonLink>
                </div>
                <p class="landing-small">"Test keys are free of charge. No card needed to begin."</p>
            </div>
            <div class="landing-hero-code">
                <CodeBlock code=call language="shell" title="Your first call"/>
                <CodeBlock code=answer title="The answer, with what is left of your limit"/>
            </div>
        </section>
    }
}
