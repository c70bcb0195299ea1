//! The company's name and time zone.

use crate::{
    components::{Button, ButtonKind, Card, Choice, Description, DescriptionList, Form, SelectField, TextField},
    flash::flash,
    pages::form_problems::FormProblems,
    viewer::MemberViewer,
};
use domain::role::MemberRole;
use leptos::prelude::*;

const FORM: &str = "settings/company";

/// A form for owners and admins, facts for everybody else.
#[component]
pub fn Company(viewer: MemberViewer) -> impl IntoView {
    if !viewer.role.may_grant(MemberRole::Viewer) {
        return view! {
            <Card title="Company" description="Owners and admins can change this.">
                <DescriptionList>
                    <Description label="Name">{viewer.partner_name}</Description>
                    <Description label="Time zone">{viewer.time_zone}</Description>
                </DescriptionList>
            </Card>
        }
        .into_any();
    }
    let flash = flash();
    let chosen = flash.typed(FORM, "time_zone", &viewer.time_zone);
    let choices =
        zones(&chosen).into_iter().map(|zone| Choice::new(zone.clone(), zone.replace('_', " "))).collect::<Vec<_>>();
    view! {
        <Card title="Company">
            <FormProblems form=FORM/>
            <Form action="/do/settings/company" label="Company">
                <TextField
                    label="Name"
                    name="name"
                    autocomplete="organization"
                    value=flash.typed(FORM, "name", &viewer.partner_name)
                    error=flash.problem(FORM, "name")
                    maxlength=200
                    required=true
                />
                <SelectField
                    label="Time zone"
                    name="time_zone"
                    choices
                    value=chosen
                    hint="Days and months of usage are shown in it. A running billing period keeps the zone that it started with."
                    error=flash.problem(FORM, "time_zone")
                    required=true
                />
                <div class="form-actions"><Button kind=ButtonKind::Primary>"Save the company"</Button></div>
            </Form>
        </Card>
    }
    .into_any()
}

/// The IANA names that people live by: UTC, then regions and cities; and `also`, whatever it is.
fn zones(also: &str) -> Vec<String> {
    const REGIONS: [&str; 10] = [
        "Africa/",
        "America/",
        "Antarctica/",
        "Arctic/",
        "Asia/",
        "Atlantic/",
        "Australia/",
        "Europe/",
        "Indian/",
        "Pacific/",
    ];
    let known = jiff::tz::db().available().map(|name| name.to_string());
    let mut zones: Vec<String> = known.filter(|name| REGIONS.iter().any(|region| name.starts_with(region))).collect();
    zones.sort();
    zones.insert(0, "UTC".to_owned());
    if !zones.iter().any(|zone| zone == also) {
        zones.push(also.to_owned());
    }
    zones
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_zone_that_is_offered_can_be_kept() {
        let offered = zones("UTC");
        assert!(offered.len() > 300 && offered.iter().any(|zone| zone == "Pacific/Auckland"), "{}", offered.len());
        for zone in offered {
            assert!(domain::period::zone(&zone).is_ok(), "{zone}");
        }
    }
}
