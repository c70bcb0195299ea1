//! `/docs/errors`: every refusal of the gateway on one page. Public: a program's answer links here, signed in or not.

use crate::{
    components::{Cell, Column, DataTable, PageHeader, StatusCode},
    frames::PublicFrame,
    page::{PageTitle, page},
    viewer,
};
use domain::refusal::{Code, Description};
use leptos::prelude::*;

#[component]
pub fn ErrorCodesPage() -> impl IntoView {
    let cx = viewer::anyone();
    page(async move {
        let cx = cx?;
        Ok(view! {
            <PageTitle text="Error codes"/>
            <PublicFrame cx path="/docs/errors">
                <PageHeader
                    title="Error codes"
                    description="Whatever the gateway refuses, it says why in the same form. Each code has a page with its cause and its cure."
                />
                <div class="prose error-intro">
                    <p>
                        "An answer that the gateway itself gives, not the API behind it, is a problem document ("
                        <code>"application/problem+json"</code>", RFC 9457). Its " <code>"code"</code>
                        " never changes, so programs can decide by it; its " <code>"request_id"</code>
                        " finds the call in your request log."
                    </p>
                </div>
                {families().into_iter().map(|family| view! { <FamilyTable family/> }).collect_view()}
            </PublicFrame>
        })
    })
}

/// Codes that call for the same kind of cure.
struct Family {
    title: &'static str,
    codes: Vec<Description>,
}

fn families() -> Vec<Family> {
    let pick = |title, wanted: &dyn Fn(u16) -> bool| Family {
        title,
        codes: Code::ALL.into_iter().map(Code::describe).filter(|described| wanted(described.status)).collect(),
    };
    let all = vec![
        pick("Credentials", &|status| status == 401),
        pick("Plan and account", &|status| status == 403),
        pick("Limits, quota and credit", &|status| status == 429 || status == 402),
        pick("The request", &|status| matches!(status, 400 | 404 | 405 | 408 | 409 | 413 | 414 | 421 | 422 | 431)),
        pick("The gateway and what is behind it", &|status| status >= 500),
    ];
    all.into_iter().filter(|family| !family.codes.is_empty()).collect()
}

#[component]
fn FamilyTable(family: Family) -> impl IntoView {
    let columns = vec![Column::text("Code"), Column::text("Status"), Column::text("What it means")];
    let rows = family.codes.into_iter().map(|described| {
        view! {
            <tr>
                <Cell label="Code" head=true>
                    <a href=format!("/docs/errors/{}", described.code)><code>{described.code}</code></a>
                </Cell>
                <Cell label="Status"><StatusCode code=described.status/></Cell>
                <Cell>{described.meaning}</Cell>
            </tr>
        }
    });
    let rows = rows.collect_view();
    view! {
        <section class="error-family">
            <h2>{family.title}</h2>
            <DataTable caption=format!("Error codes: {}", family.title) caption_hidden=true columns stack=true>{rows}</DataTable>
        </section>
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_in_exactly_one_family() {
        let listed: Vec<_> = families().into_iter().flat_map(|family| family.codes).map(|listed| listed.code).collect();
        for code in Code::ALL {
            let code = code.describe().code;
            assert_eq!(listed.iter().filter(|listed| **listed == code).count(), 1, "{code}");
        }
    }
}
