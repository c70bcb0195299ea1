//! Prepaid units that apps and teams have for themselves: how they stand, and the forms that allocate some and give them back; for both
//! sides.

use crate::{components::*, flash::Flash, page::PageError};
use domain::{
    credit::allocation::{Holder, Spend},
    id::PartnerId,
    money::group_thousands,
};
use leptos::prelude::*;
use store::{CreditAllocation, Store};
use uuid::Uuid;

/// The forms' names in a flash.
const ALLOCATE: &str = "credit/allocate";
const GIVE_BACK: &str = "credit/give-back";

/// What is wrong with them, by the fields' places on the page: other forms have units, too.
pub fn problems(flash: &Flash) -> Vec<(String, String)> {
    let of_page = |(field, message): (String, String)| match field.as_str() {
        "units" => ("allocate-units".to_owned(), message),
        "of" => ("holder".to_owned(), message),
        _ => (field, message),
    };
    flash.problems_of(ALLOCATE).into_iter().map(of_page).chain(flash.problems_of(GIVE_BACK)).collect()
}

/// What the cards are made of.
pub struct Allocations {
    all: Vec<CreditAllocation>,
    /// Apps and teams, by the text of their identifiers.
    holders: Vec<Choice>,
}

impl Allocations {
    pub async fn load(store: &Store, partner: PartnerId) -> Result<Self, PageError> {
        let apps = store.apps(partner).await?.into_iter().map(|one| (one.app.id.to_string(), "App", one.app.name));
        let teams = store.teams(partner).await?.into_iter().map(|team| (team.id.to_string(), "Team", team.name));
        let holders = teams.chain(apps).map(|(id, what, name)| Choice::new(id, format!("{what}: {name}"))).collect();
        Ok(Self { all: store.credit_allocations(partner).await?, holders })
    }

    /// Units of all of them that no call has used.
    pub fn left(&self) -> u64 {
        self.all.iter().map(|own| own.left).sum()
    }

    /// The table; and where somebody may change it, the forms. They go to these addresses with this partner's identifier, where it is not
    /// the viewer's own.
    pub fn cards(self, forms: Option<Forms<'_>>) -> AnyView {
        let table = table(&self.all);
        let forms = forms.filter(|_| !self.holders.is_empty()).map(|forms| {
            let open = self.all.iter().filter(|own| own.ended_at.is_none());
            let to_give_back: Vec<_> = open
                .map(|own| {
                    Choice::new(own.id.to_string(), format!("{}: {} left", named(own), group_thousands(own.left)))
                })
                .collect();
            let give_back = (!to_give_back.is_empty()).then(|| give_back_form(&forms, to_give_back));
            view! { {allocate_form(&forms, self.holders)} {give_back} }
        });
        view! { {table} {forms} }.into_any()
    }
}

/// Where the forms go.
#[derive(Clone, Copy)]
pub struct Forms<'a> {
    pub allocate: &'static str,
    pub give_back: &'static str,
    pub partner: Option<PartnerId>,
    pub flash: &'a Flash,
}

fn named(own: &CreditAllocation) -> String {
    let what = match own.of {
        Holder::App(_) => "App",
        Holder::Team(_) => "Team",
    };
    format!("{what}: {}", own.name)
}

fn table(all: &[CreditAllocation]) -> AnyView {
    let description = "Only calls of the app, or of those apps of the team that have none of their own, spend these units. They expire with the grants \
        that they came from.";
    if all.is_empty() {
        return view! {
            <Card title="Units of apps and teams" description=description flush=true>
                <EmptyState
                    title="Nothing is allocated"
                    text="All calls spend the same units. Allocate some to an app or a team, and no other can use them up."
                    icon=IconName::Layers
                />
            </Card>
        }
        .into_any();
    }
    let rows = all.iter().map(row).collect_view();
    view! {
        <Card title="Units of apps and teams" description=description flush=true>
            <DataTable
                caption="Units of apps and teams"
                caption_hidden=true
                columns=vec![
                    Column::text("Whose"),
                    Column::text("When used up"),
                    Column::numeric("Units"),
                    Column::numeric("Used"),
                    Column::numeric("Left"),
                ]
                stack=true
            >
                {rows}
            </DataTable>
        </Card>
    }
    .into_any()
}

fn row(own: &CreditAllocation) -> impl IntoView + use<> {
    let then = match (own.ended_at, own.spend) {
        (Some(_), _) => "Ended: gateways let go of the rest",
        (None, Spend::Only) => "Calls are refused",
        (None, Spend::First) => "Calls spend the shared units",
    };
    let returning = (own.returning > 0 && own.ended_at.is_none()).then(|| {
        let told = format!("{} on their way back", group_thousands(own.returning));
        view! { " " <span class="invoice-prepaid">{told}</span> }
    });
    let (whose, units, used, left) = (named(own), own.units, own.used, own.left);
    view! {
        <tr>
            <Cell label="Whose" head=true>{whose} {returning}</Cell>
            <Cell label="When used up">{then}</Cell>
            <Cell label="Units" numeric=true><Figure value=units/></Cell>
            <Cell label="Used" numeric=true><Figure value=used/></Cell>
            <Cell label="Left" numeric=true><Figure value=left/></Cell>
        </tr>
    }
}

fn hidden(partner: Option<PartnerId>) -> impl IntoView {
    view! {
        {partner.map(|partner| view! { <input type="hidden" name="partner" value=partner.to_string()/> })}
        <input type="hidden" name="once" value=format!("form-{}", Uuid::now_v7())/>
    }
}

fn allocate_form(forms: &Forms<'_>, holders: Vec<Choice>) -> impl IntoView + use<> {
    let Forms { allocate, partner, flash, .. } = *forms;
    let typed = |field: &str| flash.typed(ALLOCATE, field, "");
    let problem = |field: &str| flash.problem(ALLOCATE, field);
    let (holder, holder_error) = (typed("holder"), problem("holder").or_else(|| problem("of")));
    let (units, units_error) = (typed("units"), problem("units"));
    let (spend, spend_error) = (flash.typed(ALLOCATE, "spend", Spend::Only.code()), problem("spend"));
    let choices = vec![
        Choice::new(Spend::Only.code(), "Its calls are refused"),
        Choice::new(Spend::First.code(), "Its calls spend the shared units"),
    ];
    view! {
        <Card title="Allocate units" description="They are taken from the units that all calls share, first those that would be used next. Allocating again adds to what is there; 0 units change only what happens when they are used up.">
            <Form action=allocate label="Allocate units">
                {hidden(partner)}
                <SelectField label="App or team" name="holder" id="field-holder" choices=holders blank="Choose an app or a team" value=holder error=holder_error required=true/>
                <TextField label="Units" name="units" id="field-allocate-units" value=units error=units_error inputmode="numeric" narrow=true required=true/>
                <SelectField label="When they are used up" name="spend" id="field-spend" choices=choices value=spend error=spend_error required=true/>
                <FormActions><Button>"Allocate"</Button></FormActions>
            </Form>
        </Card>
    }
}

fn give_back_form(forms: &Forms<'_>, choices: Vec<Choice>) -> impl IntoView + use<> {
    let Forms { give_back, partner, flash, .. } = *forms;
    let typed = |field: &str| flash.typed(GIVE_BACK, field, "");
    let (allocation, allocation_error) = (typed("allocation"), flash.problem(GIVE_BACK, "allocation"));
    let (units, units_error) = (typed("back_units"), flash.problem(GIVE_BACK, "back_units"));
    view! {
        <Card title="Give units back" description="What no gateway holds is shared again at once; the rest follows within seconds. Without a number all of it goes back, and its calls spend the shared units from then on.">
            <Form action=give_back label="Give units back">
                {hidden(partner)}
                <SelectField label="Whose" name="allocation" id="field-allocation" choices=choices blank="Choose whose units" value=allocation error=allocation_error required=true/>
                <TextField label="Units" name="units" id="field-back_units" value=units error=units_error hint="Empty: all of them" inputmode="numeric" narrow=true/>
                <FormActions><Button>"Give back"</Button></FormActions>
            </Form>
        </Card>
    }
}
