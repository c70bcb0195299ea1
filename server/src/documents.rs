//! Invoices as files: one as PDF, and many of them as CSV, JSON Lines or a ZIP.

pub mod credit_note;
pub mod draft;
pub mod invoice_pdf;
pub mod journal;
pub mod lines;
pub mod many;
pub mod teams;

use http::header;

/// A file that is offered under a name, in place of being shown.
pub fn attachment(name: &str) -> [(header::HeaderName, String); 1] {
    [(header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\""))]
}
