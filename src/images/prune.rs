//! Lists the images, and removes unused ones.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use super::library::Library;
use super::{ImageError, bundle, environment, packages, warm_up};
use crate::domain::quantities::show_duration;
use crate::engine::docker::Image;
use crate::engine::{LABEL_INSTALLATION, LABEL_ROLE, Labels};

/// Labels of all images of Gantry, by their ids.
type KnownImages = BTreeMap<String, Labels>;

/// State of an image for this version of Gantry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageState {
    /// In use, or would be found and used.
    Current,
    /// Made by a version or of settings that are no longer these.
    Superseded,
}

/// An image of Gantry.
#[derive(Debug, Clone)]
pub struct Listed {
    /// The image.
    pub image: Image,
    /// Its tag.
    pub tag: String,
    /// `shell`, `python`, `binary`, `packages`, `environment`, `bundle`, `warm-up`, `rootfs`.
    pub role: String,
    /// Its state.
    pub standing: ImageState,
    /// True if this installation has made it.
    pub is_ours: bool,
    /// Time since it was last used here, or made.
    pub unused_for: Duration,
}

impl Listed {
    /// `name==version` of the packages in an environment, after its requested system
    /// packages.
    #[must_use]
    pub fn packages(&self) -> Vec<&str> {
        let labels = [packages::LABEL_SYSTEM_PACKAGES, environment::LABEL_PACKAGES];
        let texts = labels.into_iter().filter_map(|label| self.image.labels.get(label));
        texts.flat_map(|text| text.split_whitespace()).collect()
    }
}

/// An unused image, and the reason to remove it.
#[derive(Debug, Clone)]
pub struct Prunable {
    /// The image.
    pub listed: Listed,
    /// The reason to remove it.
    pub reason: String,
}

impl Library {
    /// All images of Gantry in the engine, the newest first.
    ///
    /// # Errors
    /// [`ImageError`] when the engine does not answer.
    pub async fn list(&self) -> Result<Vec<Listed>, ImageError> {
        let mut images = self.docker.our_images().await?;
        let known: KnownImages =
            images.iter().map(|image| (image.id.clone(), image.labels.clone())).collect();
        images.sort_by_key(|image| std::cmp::Reverse(image.created));
        let listed = images.into_iter().flat_map(|image| {
            // Images that others build upon one of ours inherit its labels, but not its
            // name.
            let tags: Vec<_> =
                image.tags.iter().filter(|tag| tag.starts_with("gantry/")).cloned().collect();
            let known = &known;
            tags.into_iter().map(move |tag| self.listed(image.clone(), tag, known))
        });
        Ok(listed.collect())
    }

    fn listed(&self, image: Image, tag: String, known: &KnownImages) -> Listed {
        let role = role(&image.labels).to_owned();
        let is_current = match role.as_str() {
            role if is_for_scripts(role) => stands(&image.labels, known),
            role => self.current_tags(role).contains(&tag),
        };
        let standing = if is_current { ImageState::Current } else { ImageState::Superseded };
        let unused_for = self.unused_for(&tag).unwrap_or_else(|| age(&image));
        let is_ours = image.labels.get(LABEL_INSTALLATION) == Some(&self.settings.installation);
        Listed { image, tag, role, standing, is_ours, unused_for }
    }

    /// This installation's images that can be removed: superseded ones, and environments
    /// and images with system packages that have not been used for `age`. One that an
    /// environment stands upon goes with or after it.
    ///
    /// # Errors
    /// [`ImageError`] when the engine does not answer.
    pub async fn prunable(&self, age: Duration) -> Result<Vec<Prunable>, ImageError> {
        let listed = self.list().await?;
        Ok(all_prunable(listed, age))
    }

    /// Removes an image; one that a container uses stays, with an error.
    ///
    /// # Errors
    /// [`ImageError`] when the engine refuses.
    pub async fn prune(&self, prunable: &Prunable) -> Result<(), ImageError> {
        Ok(self.docker.remove_image(&prunable.listed.tag).await?)
    }
}

/// Age of an image.
fn age(image: &Image) -> Duration {
    let created = Duration::from_secs(u64::try_from(image.created).unwrap_or_default());
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH + created).unwrap_or_default()
}

/// Roles of the images that scripts ask for, those that stand upon others first.
const ROLES_FOR_SCRIPTS: [&str; 4] =
    [warm_up::ROLE, bundle::ROLE, environment::ROLE, packages::ROLE];

/// Images upon images at most: a warm-up on a bundle on an environment on packages.
const MAX_BELOW: usize = ROLES_FOR_SCRIPTS.len();

fn is_for_scripts(role: &str) -> bool {
    ROLES_FOR_SCRIPTS.contains(&role)
}

/// True if all that an image was installed on is still there: only then would it be
/// found. At the bottom is a script type's.
fn stands(labels: &Labels, known: &KnownImages) -> bool {
    let mut labels = labels;
    for _ in 0..=MAX_BELOW {
        if !is_for_scripts(role(labels)) {
            return true;
        }
        let base = labels.get(environment::LABEL_BASE).and_then(|id| known.get(id));
        let Some(base) = base else { return false };
        labels = base;
    }
    false
}

fn role(labels: &Labels) -> &str {
    labels.get(LABEL_ROLE).map(String::as_str).unwrap_or_default()
}

fn all_prunable(mut listed: Vec<Listed>, age: Duration) -> Vec<Prunable> {
    let level = |listed: &Listed| ROLES_FOR_SCRIPTS.iter().position(|it| *it == listed.role);
    // What stands upon others goes before them; script types' go by themselves.
    listed.sort_by_key(level);
    let mut bases_in_use = BTreeSet::new();
    let mut all = Vec::new();
    for listed in listed {
        let reason = reason(&listed, age).filter(|_| !bases_in_use.contains(&listed.image.id));
        match reason {
            Some(reason) => all.push(Prunable { listed, reason }),
            None if is_for_scripts(&listed.role) => {
                bases_in_use.extend(listed.image.labels.get(environment::LABEL_BASE).cloned());
            }
            None => {}
        }
    }
    all
}

/// Reason to remove an image, without regard to other images.
fn reason(listed: &Listed, age: Duration) -> Option<String> {
    let unused = listed.unused_for;
    match (listed.standing, listed.role.as_str()) {
        _ if !listed.is_ours => None,
        (ImageState::Superseded, _) => Some("superseded".to_owned()),
        (ImageState::Current, role) if is_for_scripts(role) && unused >= age => {
            Some(format!("not used for {}", show_duration(unused)))
        }
        (ImageState::Current, _) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(86400);

    fn labels(role: &str, base: &str) -> Labels {
        let label = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        Labels::from([label(LABEL_ROLE, role), label(environment::LABEL_BASE, base)])
    }

    fn image(id: &str, role: &str, base: &str, days: u32) -> Listed {
        let image = Image {
            id: id.to_owned(),
            tags: Vec::new(),
            labels: labels(role, base),
            created: 0,
            bytes: 0,
        };
        Listed {
            image,
            tag: id.to_owned(),
            role: role.to_owned(),
            standing: ImageState::Current,
            is_ours: true,
            unused_for: days * DAY,
        }
    }

    fn tags(prunable: &[Prunable]) -> Vec<&str> {
        prunable.iter().map(|it| it.listed.tag.as_str()).collect()
    }

    #[test]
    fn what_an_environment_stands_upon_stays_as_long_as_it() {
        let images = |days| {
            vec![
                image("packages", packages::ROLE, "python", 40),
                image("environment", environment::ROLE, "packages", days),
                image("python", "python", "", 40),
            ]
        };
        assert!(all_prunable(images(1), 30 * DAY).is_empty());
        assert_eq!(tags(&all_prunable(images(31), 30 * DAY)), ["environment", "packages"]);
    }

    #[test]
    fn an_environment_stays_as_long_as_the_warm_up_upon_it() {
        let images = |days| {
            vec![
                image("environment", environment::ROLE, "python", 40),
                image("warm", warm_up::ROLE, "environment", days),
            ]
        };
        assert!(all_prunable(images(1), 30 * DAY).is_empty());
        assert_eq!(tags(&all_prunable(images(31), 30 * DAY)), ["warm", "environment"]);
    }

    #[test]
    fn what_nothing_stands_upon_goes_by_its_own_age() {
        let images = |days| vec![image("packages", packages::ROLE, "shell", days)];
        assert!(all_prunable(images(29), 30 * DAY).is_empty());
        assert_eq!(tags(&all_prunable(images(30), 30 * DAY)), ["packages"]);
    }

    #[test]
    fn what_others_have_made_stays_and_keeps_what_it_stands_upon() {
        let mut environment = image("environment", environment::ROLE, "packages", 99);
        environment.is_ours = false;
        let images = vec![image("packages", packages::ROLE, "python", 99), environment];
        assert!(all_prunable(images, DAY).is_empty());
    }

    #[test]
    fn an_environment_stands_with_all_that_is_below_it() {
        let mut known = KnownImages::from([
            ("python".to_owned(), Labels::new()),
            ("packages".to_owned(), labels(packages::ROLE, "python")),
        ]);
        assert!(stands(&labels(environment::ROLE, "packages"), &known));
        assert!(stands(&labels(environment::ROLE, "python"), &known));
        assert!(stands(&labels(packages::ROLE, "python"), &known));
        known.insert("environment".to_owned(), labels(environment::ROLE, "packages"));
        assert!(stands(&labels(warm_up::ROLE, "environment"), &known));
        known.remove("python");
        assert!(!stands(&labels(warm_up::ROLE, "environment"), &known));
        assert!(!stands(&labels(environment::ROLE, "packages"), &known));
        assert!(!stands(&labels(packages::ROLE, "python"), &known));
    }
}
