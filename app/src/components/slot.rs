//! A place in a component for a piece of page: takes `view! { .. }` or a closure that makes one.

use leptos::prelude::*;

/// What stands in the place; nothing by default.
#[derive(Default)]
pub struct Slot(Option<Box<dyn FnOnce() -> AnyView + Send>>);

impl Slot {
    pub fn is_some(&self) -> bool {
        self.0.is_some()
    }

    /// The piece itself.
    pub fn run(self) -> Option<AnyView> {
        self.0.map(|make| make())
    }

    /// A view around the piece, where there is one.
    pub fn map<V: IntoView>(self, view: impl FnOnce(AnyView) -> V) -> Option<V> {
        self.run().map(view)
    }
}

impl<F, V> From<F> for Slot
where
    F: FnOnce() -> V + Send + 'static,
    V: IntoView + 'static,
{
    fn from(make: F) -> Self {
        Self(Some(Box::new(move || make().into_any())))
    }
}

impl<V> From<View<V>> for Slot
where
    V: IntoView + 'static,
{
    fn from(view: View<V>) -> Self {
        Self(Some(Box::new(move || view.into_any())))
    }
}
