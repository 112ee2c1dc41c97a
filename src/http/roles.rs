//! Roles that routes allow, by what they permit. The API and the console share them, so that a page
//! allows nobody whom the API refuses.

use crate::domain::token::Role::{self, Admin, Operator, Runner, Viewer};

/// Roles of every token.
pub(crate) const ANYBODY: &[Role] = &[Admin, Operator, Runner, Viewer];

/// Roles that see everything.
pub(crate) const SEEING: &[Role] = &[Admin, Operator, Viewer];

/// Roles that submit executions.
pub(crate) const INVOKING: &[Role] = &[Admin, Runner];

/// Roles that cancel executions.
pub(crate) const CANCELLING: &[Role] = &[Admin, Operator, Runner];

/// Roles that change run settings.
pub(crate) const OPERATING: &[Role] = &[Admin, Operator];

/// Roles that may do everything.
pub(crate) const ADMIN: &[Role] = &[Admin];
