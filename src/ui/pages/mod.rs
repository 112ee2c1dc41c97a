//! The pages, one file or folder each.

pub(super) mod audit;
pub(super) mod editor;
pub(super) mod environments;
pub(super) mod execution;
pub(super) mod executions;
pub(super) mod files;
pub(super) mod job;
pub(super) mod overview;
pub(super) mod run;
pub(super) mod script;
pub(super) mod scripts;
pub(super) mod storage;
pub(super) mod system;
pub(super) mod tokens;
pub(super) mod versions;
