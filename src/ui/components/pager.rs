//! Paging of long lists.

use maud::{Markup, html};

use super::value::count;
use crate::ui::address::query;
use crate::ui::form::FormFields;

/// Entries of a page.
pub(in crate::ui) const PAGE: u32 = 50;

/// Number of entries before the page that a query asks for.
pub(in crate::ui) fn offset(fields: &FormFields) -> u64 {
    let page: u64 = fields.text("page").parse().unwrap_or(1);
    page.clamp(1, 1_000_000).saturating_sub(1) * u64::from(PAGE)
}

/// Position in a list of known length, with links to its pages. `filters` are kept.
pub(in crate::ui) fn pages(
    address: &str,
    filters: &[(&str, &str)],
    offset: u64,
    total: u64,
) -> Markup {
    let page = offset / u64::from(PAGE) + 1;
    let last = total.div_ceil(u64::from(PAGE)).max(1);
    let to = |page: u64| {
        let number = page.to_string();
        let mut pairs = filters.to_vec();
        if page > 1 {
            pairs.push(("page", &number));
        }
        format!("{address}{}", query(&pairs))
    };
    html! {
        @if last > 1 {
            nav.pager aria-label="Pages" {
                @if page > 1 { a rel="prev" href=(to(page - 1)) { "← Previous" } }
                span.muted { "Page " (count(page)) " of " (count(last)) }
                @if page < last { a rel="next" href=(to(page + 1)) { "Next →" } }
            }
        }
    }
}
