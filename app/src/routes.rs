//! Every page and its address.

use crate::page::ErrorPage;
use crate::pages::landing::LandingPage;
use http::StatusCode;
use leptos::prelude::*;
use leptos_axum::ResponseOptions;
use leptos_meta::provide_meta_context;
use leptos_router::{
    SsrMode,
    components::{Route, Router, Routes},
    path,
};

/// The application: one route per page, all rendered whole before the first byte, so that status and title are right.
#[component]
pub fn App() -> impl IntoView {
    provide_meta_context();
    view! {
        <Router>
            <Routes fallback=NotFound>
                <Route path=path!("/") view=LandingPage ssr=SsrMode::Async/>
                <Route path=path!("/pricing") view=crate::pages::pricing::PricingPage ssr=SsrMode::Async/>
                <Route path=path!("/docs/errors") view=crate::pages::error_codes::ErrorCodesPage ssr=SsrMode::Async/>
                <Route path=path!("/docs/errors/:code") view=crate::pages::error_code::ErrorCodePage ssr=SsrMode::Async/>
                <Route path=path!("/sign-up") view=crate::pages::sign_up::SignUpPage ssr=SsrMode::Async/>
                <Route path=path!("/check-your-mail") view=crate::pages::check_mail::CheckMailPage ssr=SsrMode::Async/>
                <Route path=path!("/verify") view=crate::pages::verify::VerifyPage ssr=SsrMode::Async/>
                <Route path=path!("/sign-in") view=crate::pages::sign_in::SignInPage ssr=SsrMode::Async/>
                <Route path=path!("/reset") view=crate::pages::reset::ResetPage ssr=SsrMode::Async/>
                <Route path=path!("/reset/choose") view=crate::pages::reset_choose::ResetChoosePage ssr=SsrMode::Async/>
                <Route path=path!("/invitation") view=crate::pages::invitation::InvitationPage ssr=SsrMode::Async/>
                <Route path=path!("/console/sign-in") view=crate::pages::console_sign_in::ConsoleSignInPage ssr=SsrMode::Async/>
                <Route path=path!("/console/welcome") view=crate::pages::console_welcome::ConsoleWelcomePage ssr=SsrMode::Async/>
                <Route path=path!("/team") view=crate::pages::team::TeamPage ssr=SsrMode::Async/>
                <Route path=path!("/team/:member/remove") view=crate::pages::team_remove::TeamRemovePage ssr=SsrMode::Async/>
                <Route path=path!("/settings") view=crate::pages::settings::SettingsPage ssr=SsrMode::Async/>
                <Route path=path!("/gallery") view=crate::pages::gallery::GalleryPage ssr=SsrMode::Async/>
                <Route path=path!("/dev/inbox") view=crate::pages::inbox::InboxPage ssr=SsrMode::Async/>
                <Route path=path!("/dev/inbox/:id") view=crate::pages::inbox_mail::InboxMailPage ssr=SsrMode::Async/>
                <Route path=path!("/home") view=crate::pages::home::HomePage ssr=SsrMode::Async/>
                <Route path=path!("/products") view=crate::pages::products::ProductsPage ssr=SsrMode::Async/>
                <Route path=path!("/products/:product") view=crate::pages::product::ProductPage ssr=SsrMode::Async/>
                <Route path=path!("/products/:product/:operation") view=crate::pages::operation::OperationPage ssr=SsrMode::Async/>
                <Route path=path!("/apps") view=crate::pages::apps::AppsPage ssr=SsrMode::Async/>
                <Route path=path!("/apps/:app") view=crate::pages::app::AppPage ssr=SsrMode::Async/>
                <Route path=path!("/apps/:app/keys/:key") view=crate::pages::key::KeyPage ssr=SsrMode::Async/>
                <Route path=path!("/usage") view=crate::pages::usage::UsagePage ssr=SsrMode::Async/>
                <Route path=path!("/requests") view=crate::pages::requests::RequestsPage ssr=SsrMode::Async/>
                <Route path=path!("/requests/:place") view=crate::pages::request::RequestPage ssr=SsrMode::Async/>
                <Route path=path!("/plan") view=crate::pages::plan::PlanPage ssr=SsrMode::Async/>
                <Route path=path!("/plan/change") view=crate::pages::plan_change::PlanChangePage ssr=SsrMode::Async/>
                <Route path=path!("/plan/move") view=crate::pages::plan_moved::PlanMovedPage ssr=SsrMode::Async/>
                <Route path=path!("/plan/cancel") view=crate::pages::plan_change::PlanCancelPage ssr=SsrMode::Async/>
                <Route path=path!("/credit") view=crate::pages::credit_grants::CreditPage ssr=SsrMode::Async/>
                <Route path=path!("/invoices") view=crate::pages::invoices::InvoicesPage ssr=SsrMode::Async/>
                <Route path=path!("/disputes") view=crate::pages::disputes::DisputesPage ssr=SsrMode::Async/>
                <Route path=path!("/disputes/:dispute") view=crate::pages::dispute::DisputePage ssr=SsrMode::Async/>
                <Route path=path!("/invoices/:invoice") view=crate::pages::invoice::InvoicePage ssr=SsrMode::Async/>
                <Route path=path!("/invoices/:invoice/lines/:position") view=crate::pages::line::InvoiceLinePage ssr=SsrMode::Async/>
                <Route path=path!("/tokens") view=crate::pages::tokens::MemberTokensPage ssr=SsrMode::Async/>
                <Route path=path!("/console") view=crate::pages::console::overview::OverviewPage ssr=SsrMode::Async/>
                <Route path=path!("/console/partners") view=crate::pages::console::partners::PartnersPage ssr=SsrMode::Async/>
                <Route path=path!("/console/partners/:partner") view=crate::pages::console::partner::PartnerPage ssr=SsrMode::Async/>
                <Route path=path!("/console/unpaid") view=crate::pages::console::unpaid::AllUnpaidPage ssr=SsrMode::Async/>
                <Route path=path!("/console/partners/:partner/unpaid") view=crate::pages::console::partner_unpaid::PartnerUnpaidPage ssr=SsrMode::Async/>
                <Route path=path!("/console/partners/:partner/credit") view=crate::pages::console::credit::PartnerCreditPage ssr=SsrMode::Async/>
                <Route path=path!("/console/partners/:partner/invoices/:invoice") view=crate::pages::console::invoice::PartnerInvoicePage ssr=SsrMode::Async/>
                <Route path=path!("/console/partners/:partner/invoices/:invoice/lines/:position") view=crate::pages::console::line::PartnerInvoiceLinePage ssr=SsrMode::Async/>
                <Route path=path!("/console/partners/:partner/plan") view=crate::pages::console::partner_plan::PartnerPlanPage ssr=SsrMode::Async/>
                <Route path=path!("/console/partners/:partner/identities") view=crate::pages::console::identities::IdentitiesPage ssr=SsrMode::Async/>
                <Route path=path!("/console/partners/:partner/correct") view=crate::pages::console::correction_new::NewCorrectionPage ssr=SsrMode::Async/>
                <Route path=path!("/console/corrections") view=crate::pages::console::corrections::CorrectionsPage ssr=SsrMode::Async/>
                <Route path=path!("/console/corrections/:correction") view=crate::pages::console::correction::CorrectionPage ssr=SsrMode::Async/>
                <Route path=path!("/console/usage") view=crate::pages::console::usage::UsagePage ssr=SsrMode::Async/>
                <Route path=path!("/console/hooks") view=crate::pages::console::hooks::HooksPage ssr=SsrMode::Async/>
                <Route path=path!("/console/reconciliation") view=crate::pages::console::reconciliation::ReconciliationPage ssr=SsrMode::Async/>
                <Route path=path!("/console/conflicts") view=crate::pages::console::conflicts::ConflictsPage ssr=SsrMode::Async/>
                <Route path=path!("/console/deliveries") view=crate::pages::console::deliveries::DeliveriesPage ssr=SsrMode::Async/>
                <Route path=path!("/console/stripe-drift") view=crate::pages::console::stripe_drift::StripeDriftPage ssr=SsrMode::Async/>
                <Route path=path!("/console/stripe-events") view=crate::pages::console::stripe_events::StripeEventsPage ssr=SsrMode::Async/>
                <Route path=path!("/console/late-usage") view=crate::pages::console::late_usage::LateUsagePage ssr=SsrMode::Async/>
                <Route path=path!("/console/requests") view=crate::pages::console::plan_requests::PlanRequestsPage ssr=SsrMode::Async/>
                <Route path=path!("/console/trace") view=crate::pages::console::trace::TracePage ssr=SsrMode::Async/>
                <Route path=path!("/console/unknown-requests") view=crate::pages::console::unknown_requests::UnknownRequestsPage ssr=SsrMode::Async/>
                <Route path=path!("/console/unknown-requests/:attempt") view=crate::pages::console::unknown_request::UnknownRequestPage ssr=SsrMode::Async/>
                <Route path=path!("/console/partners/:partner/invoices/:invoice/credit") view=crate::pages::console::credit_new::NewCreditNotePage ssr=SsrMode::Async/>
                <Route path=path!("/console/credit-packages") view=crate::pages::console::credit_packages::CreditPackagesPage ssr=SsrMode::Async/>
                <Route path=path!("/console/disputes") view=crate::pages::console::disputes::AllDisputesPage ssr=SsrMode::Async/>
                <Route path=path!("/console/disputes/:dispute") view=crate::pages::console::dispute::PartnerDisputePage ssr=SsrMode::Async/>
                <Route path=path!("/console/revenue") view=crate::pages::console::revenue::RevenuePage ssr=SsrMode::Async/>
                <Route path=path!("/console/coupons") view=crate::pages::console::coupons::CouponsPage ssr=SsrMode::Async/>
                <Route path=path!("/console/credit-notes") view=crate::pages::console::credit_notes::AllCreditNotesPage ssr=SsrMode::Async/>
                <Route path=path!("/console/credit-notes/:note") view=crate::pages::console::credit_note::CreditNotePage ssr=SsrMode::Async/>
                <Route path=path!("/console/invoices") view=crate::pages::console::invoices::AllInvoicesPage ssr=SsrMode::Async/>
                <Route path=path!("/console/audit") view=crate::pages::console::audit::AuditPage ssr=SsrMode::Async/>
                <Route path=path!("/console/clock") view=crate::pages::console::clock::ClockPage ssr=SsrMode::Async/>
                <Route path=path!("/console/tokens") view=crate::pages::console::tokens::TokensPage ssr=SsrMode::Async/>
                <Route path=path!("/console/products") view=crate::pages::console::products::AllProductsPage ssr=SsrMode::Async/>
                <Route path=path!("/console/products/new") view=crate::pages::console::product_new::NewProductPage ssr=SsrMode::Async/>
                <Route path=path!("/console/products/:product") view=crate::pages::console::product::OneProductPage ssr=SsrMode::Async/>
                <Route path=path!("/console/products/:product/policy") view=crate::pages::console::policy::ProductPolicyPage ssr=SsrMode::Async/>
                <Route path=path!("/console/products/:product/policy/:operation") view=crate::pages::console::policy::operation::OperationPolicyPage ssr=SsrMode::Async/>
                <Route path=path!("/console/plans") view=crate::pages::console::plans::AllPlansPage ssr=SsrMode::Async/>
                <Route path=path!("/console/plans/new") view=crate::pages::console::plan_new::NewPlanPage ssr=SsrMode::Async/>
                <Route path=path!("/console/plans/:plan/moves") view=crate::pages::console::plan_move::PlanMovesPage ssr=SsrMode::Async/>
                <Route path=path!("/console/plans/:plan/impact") view=crate::pages::console::plan_impact::PlanImpactPage ssr=SsrMode::Async/>
                <Route path=path!("/console/plans/:plan") view=crate::pages::console::plan::OnePlanPage ssr=SsrMode::Async/>
            </Routes>
        </Router>
    }
}

#[component]
fn NotFound() -> impl IntoView {
    if let Some(response) = use_context::<ResponseOptions>() {
        response.set_status(StatusCode::NOT_FOUND);
    }
    view! { <ErrorPage title="Not found" text="There is nothing at this address, or nothing that you may see."/> }
}
