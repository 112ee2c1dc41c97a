//! Settings of a script: what operators may change at any time, without a new version. Each one
//! is declared here, with its default and its rule.

use std::collections::HashSet;
use std::num::NonZeroU32;

use serde::Serialize;
use serde_json::Value;
use thiserror::Error;

use crate::domain::limits::{Limits, Timeout, in_full};
use crate::domain::mount::Mount;
use crate::domain::sanitize::sanitize;

/// Most warm sandboxes of one script.
pub const MAX_WARM: u32 = 64;

/// Most tags of one script.
pub const MAX_TAGS: usize = 20;

/// Longest tag, in characters.
pub const MAX_TAG_CHARS: usize = 40;

/// Settings of a script. An accepted execution keeps those that it was accepted with. Its fields
/// have the API's names, and are the only ones that operators may change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ScriptSettings {
    /// Time limit of one execution; a request can only lower it.
    pub timeout_secs: Timeout,
    /// Limits of one execution.
    #[serde(serialize_with = "in_full")]
    pub limits: Limits,
    /// Most concurrent executions on each node; `None` means as many as fit.
    pub max_concurrency: Option<NonZeroU32>,
    /// Warm sandboxes that each node keeps for it, as far as its pool has room; at most
    /// [`MAX_WARM`].
    pub warm: u32,
    /// True if it can be invoked.
    pub is_enabled: bool,
    /// Words by which people find it.
    pub tags: Tags,
}

impl Default for ScriptSettings {
    fn default() -> Self {
        Self {
            timeout_secs: Timeout::default(),
            limits: Limits::default(),
            max_concurrency: None,
            warm: 0,
            is_enabled: true,
            tags: Tags::default(),
        }
    }
}

/// Tags in the order in which they were given, each once.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Tags(Vec<String>);

impl Tags {
    /// Checks tags.
    ///
    /// # Errors
    /// [`SettingFault::TooManyTags`], [`SettingFault::TagTwice`], and those of [`Tags::check`].
    pub fn new(tags: Vec<String>) -> Result<Self, SettingFault> {
        if tags.len() > MAX_TAGS {
            return Err(SettingFault::TooManyTags(tags.len()));
        }
        tags.iter().try_for_each(|tag| Self::check(tag))?;
        let mut seen = HashSet::new();
        match tags.iter().find(|tag| !seen.insert(tag.as_str())) {
            Some(tag) => Err(SettingFault::TagTwice(tag.clone())),
            None => Ok(Self(tags)),
        }
    }

    /// Checks one tag.
    ///
    /// # Errors
    /// [`SettingFault::Tag`].
    pub fn check(tag: &str) -> Result<(), SettingFault> {
        let is_first = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let is_tag = tag.len() <= MAX_TAG_CHARS
            && tag.bytes().next().is_some_and(is_first)
            && tag.bytes().all(|byte| is_first(byte) || b"._-".contains(&byte));
        if is_tag { Ok(()) } else { Err(SettingFault::Tag(sanitize(tag))) }
    }

    /// The tags, with a space between two.
    #[must_use]
    pub fn joined(&self) -> String {
        self.0.join(" ")
    }

    /// Each tag.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
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
    /// The word is no tag.
    #[error(
        "{0:?} is not a tag: it begins with a lower-case letter or a digit, and has 1 to \
         {MAX_TAG_CHARS} of a-z, 0-9, '.', '_' and '-'"
    )]
    Tag(String),
    /// There are too many.
    #[error("{0} tags, at most {MAX_TAGS} are allowed")]
    TooManyTags(usize),
    /// A tag is repeated.
    #[error("the tag {0:?} is there more than once")]
    TagTwice(String),
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
    use proptest::prelude::*;

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

    fn tags(tags: &[&str]) -> Result<Tags, SettingFault> {
        Tags::new(tags.iter().map(|&tag| tag.to_owned()).collect())
    }

    #[test]
    fn tags_keep_their_order_and_are_written_as_a_list() {
        let tags = tags(&["print", "0", "colour.v2_x-y", &"z".repeat(MAX_TAG_CHARS)]).unwrap();
        assert_eq!(tags.iter().take(3).collect::<Vec<_>>(), ["print", "0", "colour.v2_x-y"]);
        assert_eq!(serde_json::to_value(&tags).unwrap()[1], "0");
        assert_eq!(tags.joined().split(' ').count(), 4);
    }

    #[test]
    fn what_is_no_tag_is_refused_and_named() {
        let long = "x".repeat(MAX_TAG_CHARS + 1);
        let huge = "x".repeat(1 << 20);
        for word in ["", "Colour", "ä", ".a", "-a", "_a", "a b", "a/b", "a\0", "a\n", &long, &huge]
        {
            let fault = tags(&["fine", word]).unwrap_err();
            assert!(matches!(fault, SettingFault::Tag(_)), "{word:?}: {fault}");
            assert!(fault.to_string().len() < 1_000, "{word:?}");
        }
        assert_eq!(tags(&["a", "b", "a"]), Err(SettingFault::TagTwice("a".to_owned())));
        let many: Vec<_> = (0..=MAX_TAGS).map(|number| number.to_string()).collect();
        assert!(Tags::new(many[1..].to_vec()).is_ok());
        assert_eq!(Tags::new(many), Err(SettingFault::TooManyTags(MAX_TAGS + 1)));
    }

    proptest! {
        #[test]
        fn accepted_tags_are_the_same_after_they_were_joined(
            words in prop::collection::vec("[a-z0-9._ -]{0,5}|\\PC{0,45}", 0..25)
        ) {
            if let Ok(tags) = Tags::new(words) {
                let joined = tags.joined();
                let again = joined.split_whitespace().map(str::to_owned).collect();
                prop_assert_eq!(Tags::new(again), Ok(tags));
            }
        }
    }

    #[test]
    fn settings_are_named_as_in_the_api() {
        let mut names = ScriptSettings::names();
        names.sort();
        assert_eq!(names[..2], ["is_enabled", "limits"]);
        assert!(names.contains(&"max_concurrency".to_owned()), "{names:?}");
    }
}
