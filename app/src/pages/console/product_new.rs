//! `/console/products/new`

use super::product_form::ProductForm;
use crate::{
    components::*,
    flash::flash,
    frames::OperatorFrame,
    page::{PageTitle, page},
    viewer,
};
use leptos::prelude::*;

#[component]
pub fn NewProductPage() -> impl IntoView {
    let cx = viewer::operator();
    let flash = flash();
    page(async move {
        let cx = cx?;
        Ok(view! {
            <PageTitle text="Add product"/>
            <OperatorFrame cx=cx path="/console/products">
                <Breadcrumbs trail=vec![Crumb::new("Products", "/console/products")] current="Add product"/>
                <PageHeader title="Add product" description="An API that already runs. Nothing of it changes; the gateway goes in front."/>
                <Card><ProductForm there=None flash=flash/></Card>
            </OperatorFrame>
        })
    })
}
