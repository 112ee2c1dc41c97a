//! Settings of a script: what operators may change at any time, without a new version. Each one
//! is declared here, with its default and its rule.

use std::num::NonZeroU32;

use serde::Serialize;
use serde_json::Value;
use thiserror::Error;

use crate::domain::limits::{Limits, Timeout};
use crate::domain::mount::Mount;

/// Most warm sandboxes of one script.
pub const MAX_WARM: u32 = 64;

/// Settings of a script. An accepted execution keeps those that it was accepted with. Its fields
/// have the API's names, and are the only ones that operators may change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ScriptSettings {
    /// Time limit of one execution; a request can only lower it.
    pub timeout_secs: Timeout,
    /// Limits of one execution.
    pub limits: Limits,
    /// Most concurrent executions on each node; `None` means as many as fit.
    pub max_concurrency: Option<NonZeroU32>,
    /// Warm sandboxes that each node keeps for it, as far as its pool has room; at most
    /// [`MAX_WARM`].
    pub warm: u32,
    /// True if it can be invoked.
    pub is_enabled: bool,
}

impl Default for ScriptSettings {
    fn default() -> Self {
        Self {
            timeout_secs: Timeout::default(),
            limits: Limits::default(),
            max_concurrency: None,
            warm: 0,
            is_enabled: true,
        }
    }
}

/// Fault of a setting.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SettingFault {
    /// No execution would ever start.
    #[error("0 would never run it; set is_enabled to false, or null for as many as fit")]
    NeverRun,
    /// Too many sandboxes would be held.
    #[error("{0} sandboxes, at most {MAX_WARM} are held for a script")]
    TooManyHeld(u32),
    /// The engine resolves mounts at a container's start, and they may point elsewhere when it
    /// is used.
    #[error(
        "{0} sandboxes can't be held for a script with mounts, which are looked up when a \
         sandbox is started; set warm to 0"
    )]
    HeldWithMounts(u32),
}

impl ScriptSettings {
    /// Names of all settings.
    #[must_use]
    pub fn names() -> Vec<String> {
        match serde_json::to_value(Self::default()) {
            Ok(Value::Object(settings)) => settings.into_iter().map(|(name, _)| name).collect(),
            _ => Vec::new(),
        }
    }

    /// Checks a number of concurrent executions.
    ///
    /// # Errors
    /// [`SettingFault::NeverRun`].
    pub fn check_max_concurrency(number: u32) -> Result<Option<NonZeroU32>, SettingFault> {
        NonZeroU32::new(number).map(Some).ok_or(SettingFault::NeverRun)
    }

    /// Checks a number of warm sandboxes.
    ///
    /// # Errors
    /// [`SettingFault::TooManyHeld`].
    pub fn check_warm(number: u32) -> Result<u32, SettingFault> {
        if number <= MAX_WARM { Ok(number) } else { Err(SettingFault::TooManyHeld(number)) }
    }

    /// Checks that sandboxes of a script with these mounts may be held.
    ///
    /// # Errors
    /// [`SettingFault::HeldWithMounts`].
    pub fn check_held(&self, mounts: &[Mount]) -> Result<(), SettingFault> {
        match self.warm {
            1.. if !mounts.is_empty() => Err(SettingFault::HeldWithMounts(self.warm)),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_has_its_rule() {
        let most = NonZeroU32::new(3);
        assert_eq!(ScriptSettings::check_max_concurrency(3), Ok(most));
        assert_eq!(ScriptSettings::check_max_concurrency(0), Err(SettingFault::NeverRun));
        assert_eq!(ScriptSettings::check_warm(MAX_WARM), Ok(MAX_WARM));
        assert_eq!(ScriptSettings::check_warm(65), Err(SettingFault::TooManyHeld(65)));
        let held = ScriptSettings { warm: 1, ..ScriptSettings::default() };
        let mounts = [Mount::new("/data".into(), "/in", true).unwrap()];
        assert_eq!(held.check_held(&mounts), Err(SettingFault::HeldWithMounts(1)));
        assert_eq!(held.check_held(&[]), Ok(()));
        assert_eq!(ScriptSettings::default().check_held(&mounts), Ok(()));
    }

    #[test]
    fn settings_are_named_as_in_the_api() {
        let mut names = ScriptSettings::names();
        names.sort();
        assert_eq!(names[..2], ["is_enabled", "limits"]);
        assert!(names.contains(&"max_concurrency".to_owned()), "{names:?}");
    }
}
