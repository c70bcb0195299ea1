//! How much of a limit, quota or balance is used.

use super::{MaybeText, Tone};
use domain::money::group_thousands;
use leptos::prelude::*;

/// Thousandths of `limit` that `used` is, at most 1,000. Nothing of nothing is none.
fn thousandths(used: u64, limit: u64) -> u64 {
    if limit == 0 {
        return if used == 0 { 0 } else { 1000 };
    }
    let share = u128::from(used) * 1000 / u128::from(limit);
    u64::try_from(share.min(1000)).unwrap_or(1000)
}

/// Use against a limit, with the figures in words. Turns to a warning at 80 % and to danger at the limit; not where it is `soft`.
#[component]
pub fn Meter(
    /// What is used: `Calls this month`.
    #[prop(into)]
    label: String,
    used: u64,
    /// Nothing: no limit, and the bar stays away.
    #[prop(into)]
    limit: Option<u64>,
    /// After the figures: `calls`.
    #[prop(optional, into)]
    unit: String,
    /// Calls beyond it are served: reaching it is nothing to be alarmed at.
    #[prop(optional)]
    soft: bool,
    /// Below: when it starts anew, what happens beyond it.
    #[prop(optional, into)]
    hint: MaybeText,
) -> impl IntoView {
    let used_text = group_thousands(used);
    let text = match limit {
        Some(limit) => format!("{used_text} of {} {unit}", group_thousands(limit)),
        None => format!("{used_text} {unit}, no limit"),
    };
    let text = text.trim_end().to_owned();
    let bar = limit.map(|limit| {
        let share = thousandths(used, limit);
        let tone = match share {
            1000.. if !soft => Tone::Danger,
            800..1000 if !soft => Tone::Warning,
            _ => Tone::Info,
        };
        view! {
            <svg
                class=format!("meter-bar {}", tone.class())
                viewBox="0 0 1000 8"
                preserveAspectRatio="none"
                role="meter"
                aria-label=label.clone()
                aria-valuemin="0"
                aria-valuemax=limit.to_string()
                aria-valuenow=used.min(limit).to_string()
                aria-valuetext=text.clone()
            >
                <rect class="meter-track" width="1000" height="8" />
                <rect class="meter-fill" width=share.to_string() height="8" />
            </svg>
        }
    });
    let percent = limit.filter(|limit| *limit > 0).map(|limit| u128::from(used) * 100 / u128::from(limit));
    view! {
        <div class="meter">
            <p class="meter-head">
                <span class="meter-label">{label}</span>
                <span class="meter-text">
                    {text} {percent.map(|percent| view! { <span class="meter-percent">{format!(" · {percent} %")}</span> })}
                </span>
            </p>
            {bar}
            {hint.map(|hint| view! { <p class="meter-hint">{hint}</p> })}
        </div>
    }
}

/// How far something is that has an end.
#[component]
pub fn ProgressBar(#[prop(into)] label: String, done: u64, total: u64) -> impl IntoView {
    let share = thousandths(done, total);
    let text = format!("{} of {}", group_thousands(done), group_thousands(total));
    view! {
        <div class="meter">
            <p class="meter-head">
                <span class="meter-label">{label.clone()}</span>
                <span class="meter-text">{text.clone()}</span>
            </p>
            <svg
                class="meter-bar tone-success"
                viewBox="0 0 1000 8"
                preserveAspectRatio="none"
                role="progressbar"
                aria-label=label
                aria-valuemin="0"
                aria-valuemax=total.to_string()
                aria-valuenow=done.min(total).to_string()
                aria-valuetext=text
            >
                <rect class="meter-track" width="1000" height="8" />
                <rect class="meter-fill" width=share.to_string() height="8" />
            </svg>
        </div>
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_never_more_than_the_whole() {
        assert_eq!(thousandths(0, 0), 0);
        assert_eq!(thousandths(1, 0), 1000);
        assert_eq!(thousandths(799, 1000), 799);
        assert_eq!(thousandths(u64::MAX, 3), 1000);
        assert_eq!(thousandths(u64::MAX / 2, u64::MAX), 499);
    }
}
