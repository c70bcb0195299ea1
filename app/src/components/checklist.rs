//! First steps, ticked by what really happened.

use super::{Icon, IconName};
use leptos::prelude::*;

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChecklistStep {
    pub title: String,
    pub text: String,
    pub href: String,
    pub done: bool,
}

impl ChecklistStep {
    pub fn new(title: impl Into<String>, text: impl Into<String>, href: impl Into<String>, done: bool) -> Self {
        Self { title: title.into(), text: text.into(), href: href.into(), done }
    }
}

/// The steps in order; the first that is not done stands out.
#[component]
pub fn Checklist(steps: Vec<ChecklistStep>) -> impl IntoView {
    let next = steps.iter().position(|step| !step.done);
    let items = steps.into_iter().enumerate().map(|(position, step)| {
        let class = match (step.done, next == Some(position)) {
            (true, _) => "checklist-done",
            (_, true) => "checklist-next",
            _ => "",
        };
        let (state, title) = if step.done {
            (view! { <Icon name=IconName::Check /> }.into_any(), view! { <span>{step.title}</span> }.into_any())
        } else {
            ((position + 1).into_any(), view! { <a href=step.href>{step.title}</a> }.into_any())
        };
        view! {
            <li class=class>
                <span class="checklist-mark" aria-hidden="true">{state}</span>
                <div>
                    <p class="checklist-title">
                        {title} {step.done.then(|| view! { <span class="visually-hidden">" (done)"</span> })}
                    </p>
                    <p>{step.text}</p>
                </div>
            </li>
        }
    });
    view! { <ol class="checklist">{items.collect_view()}</ol> }
}
