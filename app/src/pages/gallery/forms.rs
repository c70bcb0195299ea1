//! Forms: empty, filled, wrong, read only.

use super::samples::LONG;
use crate::components::*;
use leptos::prelude::*;

#[component]
pub fn Forms() -> impl IntoView {
    view! {
        <Columns>
            <Card title="A form">
                <Form action="/gallery" label="A form">
                    <TextField
                        label="App name"
                        name="app_name"
                        hint="Shown in usage and on invoices."
                        placeholder="Checkout"
                        required=true
                        autocomplete="off"
                    />
                    <TextField label="Note" name="note" value=LONG />
                    <FormRow>
                        <SelectField
                            label="Currency"
                            name="currency"
                            required=true
                            choices=vec![Choice::new("usd", "US dollar"), Choice::new("eur", "Euro")]
                            value="eur"
                        />
                        <TextField label="Base fee" name="fee" prefix="€" suffix="a month" value="49.00" inputmode="decimal" required=true />
                    </FormRow>
                    <RadioCards
                        legend="Beyond the quota"
                        name="beyond"
                        value="bill"
                        choices=vec![
                            Choice::new("block", "Block").hint("Calls are refused with 429 until the period ends."),
                            Choice::new("bill", "Bill").hint("Calls go on and are priced per unit.").aside("$0.002 a call"),
                            Choice::new("warn", "Warn").hint("Calls go on; both of you get an e-mail.").disabled(true),
                        ]
                    />
                    <FormSection title="Headers" description="Added to every call to the upstream.">
                        <TextArea label="Headers" name="headers" mono=true value="X-Tenant: acme\nX-Region: eu-1" rows=3 />
                        <CheckField
                            label="Send the partner's name"
                            name="send_partner"
                            checked=true
                            hint="As X-Partner, so that the upstream can log it."
                        />
                        <CheckField label="Send the member's e-mail" name="send_member" disabled=true />
                    </FormSection>
                    <FormActions cancel="/gallery">
                        <Button kind=ButtonKind::Primary>"Save"</Button>
                    </FormActions>
                </Form>
            </Card>
            <Card title="The same with everything wrong">
                <Form action="/gallery" label="A form with errors">
                    <ErrorSummary problems=vec![
                        FieldProblem::new("email", "Enter an e-mail address, as name@example.com."),
                        FieldProblem::new("route", "This route belongs to another product."),
                        FieldProblem::new("", "Nothing was saved."),
                    ] />
                    <TextField
                        label="E-mail"
                        name="email"
                        kind="email"
                        value="ada@"
                        error="Enter an e-mail address, as name@example.com."
                        autocomplete="email"
                        required=true
                    />
                    <PasswordField name="new_password" new=true hint="At least 8 characters. A sentence is fine." error="This password is on a list of stolen ones. Choose another." />
                    <TextField
                        label="Route"
                        name="route"
                        mono=true
                        prefix="https://api.northwind.example"
                        value="/payments"
                        error="This route belongs to another product."
                        required=true
                    />
                    <SelectField
                        label="Plan"
                        name="plan"
                        blank="Choose a plan"
                        required=true
                        choices=vec![Choice::new("starter", "Starter"), Choice::new("pro", "Pro")]
                        error="Choose a plan."
                    />
                    <RadioCards
                        legend="Environment"
                        name="environment"
                        choices=vec![Choice::new("test", "Test"), Choice::new("live", "Live")]
                        error="Choose where the key is for."
                        required=true
                    />
                    <CheckField label="I have read the terms" name="terms" error="Tick this to go on." required=true />
                    <TextField label="Key id" name="key_id" value="key_01J9ZQ8Y4M" readonly=true mono=true />
                    <TextField label="Limit" name="limit" value="100" narrow=true inputmode="numeric" suffix="calls a minute" required=true />
                    <FormActions>
                        <Button kind=ButtonKind::Primary wide=true>"Create account"</Button>
                    </FormActions>
                </Form>
            </Card>
        </Columns>
        <Card title="Filter">
            <FilterBar action="/gallery" label="Filter requests">
                <SelectField label="Status" name="status" id="filter-status" blank="Any" choices=vec![Choice::new("2xx", "Served"), Choice::new("429", "Limited")] />
                <SelectField label="Product" name="product" id="filter-product" blank="All" choices=vec![Choice::new("payments", "Payments"), Choice::new("long", LONG)] />
                <TextField label="Path contains" name="path" id="filter-path" kind="search" mono=true />
                <Button icon=IconName::Search>"Filter"</Button>
                <ButtonLink href="/gallery" kind=ButtonKind::Quiet>"Clear"</ButtonLink>
            </FilterBar>
        </Card>
    }
}
