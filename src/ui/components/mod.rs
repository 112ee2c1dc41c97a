//! Components of pages.

pub(super) mod ansi;
pub(super) mod badge;
pub(super) mod cells;
pub(super) mod chart;
pub(super) mod json;
pub(super) mod pager;
pub(super) mod runs;
pub(super) mod value;
