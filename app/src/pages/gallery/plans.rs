//! Plans side by side, and signing in.

use crate::components::*;
use leptos::prelude::*;

#[component]
pub fn Plans() -> impl IntoView {
    let features = |calls: &str| {
        vec![
            format!("{calls} calls a minute"),
            "Payments, refunds, customers".to_owned(),
            "Test environment".to_owned(),
        ]
    };
    let prices: Vec<String> =
        (1..=12).map(|number| format!("Payments, Method {number}: 2.9 % of the value and $0.30 a call")).collect();
    view! {
        <PlanGrid>
            <PlanCard
                name="Starter"
                description="To build and to try."
                price="Free"
                price_note="10,000 calls a month"
                features=features("100")
                current=true
            >
                <Button disabled=true action="button">"Your plan"</Button>
            </PlanCard>
            <PlanCard
                name="Pro"
                description="For products with customers."
                price="$199"
                price_note="a month, then $0.002 a call"
                features=features("1,000")
                prices
                highlighted=true
            >
                <Button kind=ButtonKind::Primary action="button">"Change to Pro"</Button>
            </PlanCard>
            <PlanCard
                name="Enterprise"
                description="With an agreement, and somebody to call."
                price="Talk to us"
                price_note="from $2,000 a month"
                features=features("10,000")
            >
                <Button action="button">"Request Enterprise"</Button>
            </PlanCard>
        </PlanGrid>
    }
}

#[component]
pub fn SignIn() -> impl IntoView {
    view! {
        <SignInCard
            title="Sign in"
            description="To your company's account at Northwind Payments."
            below=view! { "No account yet? " <a href="/sign-up">"Sign up"</a> }
        >
            <Form action="/gallery" label="Sign in">
                <TextField label="E-mail" name="sign_in_email" kind="email" autocomplete="username" required=true />
                <PasswordField />
                <Button kind=ButtonKind::Primary wide=true>"Sign in"</Button>
            </Form>
        </SignInCard>
    }
}
