//! `/console/clock`: moves time forward in a development install, to see a period close.

use crate::{
    components::*,
    flash::flash,
    frames::OperatorFrame,
    page::{PageTitle, page},
    viewer,
};
use leptos::prelude::*;

#[component]
pub fn ClockPage() -> impl IntoView {
    let cx = viewer::operator();
    let problems = flash().problems;
    page(async move {
        let cx = cx?;
        let now = cx.now;
        let ahead = cx.state.clock.ahead_seconds();
        let hint = format!("{} hours and {} minutes ahead of real time", ahead / 3_600, ahead % 3_600 / 60);
        let steps = vec![
            Choice::new("3600", "One hour"),
            Choice::new("86400", "One day"),
            Choice::new("604800", "One week"),
            Choice::new("2678400", "31 days: into the next month"),
        ];
        Ok(view! {
            <PageTitle text="Test clock"/>
            <OperatorFrame cx=cx path="/console/clock">
                <PageHeader title="Test clock" description="Only in development installs. Time goes forward and never back; periods close and invoices are made as they would."/>
                <ErrorSummary problems=problems/>
                <Card>
                    <Stack>
                        <DescriptionList>
                            <Description label="Now"><TimeText at=now seconds=true/> " UTC"</Description>
                            <Description label="Moved">{hint}</Description>
                        </DescriptionList>
                        <Form action="/do/console/clock/advance" inline=true>
                            <SelectField label="Forward by" name="seconds" choices=steps value="86400"/>
                            <Button kind=ButtonKind::Primary>"Move time forward"</Button>
                        </Form>
                    </Stack>
                </Card>
            </OperatorFrame>
        })
    })
}
