//! What images there are, and which of them nobody needs any more.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use super::library::Library;
use super::{ImageError, environment};
use crate::domain::quantities::show_duration;
use crate::engine::docker::Image;
use crate::engine::{LABEL_INSTALLATION, LABEL_ROLE};

/// What an image is to this version of Gantry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// In use, or would be found and used.
    Current,
    /// Made by a version or of settings that are no longer these.
    Superseded,
}

/// An image of ours.
#[derive(Debug, Clone)]
pub struct Listed {
    /// The image.
    pub image: Image,
    /// Its tag.
    pub tag: String,
    /// `shell`, `python`, `binary`, `environment`, `rootfs`.
    pub role: String,
    /// Whether it would be used.
    pub standing: Standing,
    /// This installation has made it, and no other.
    pub is_ours: bool,
    /// How long ago it was last used here, or made.
    pub unused_for: Duration,
}

impl Listed {
    /// `name==version` of what is installed in an environment.
    #[must_use]
    pub fn packages(&self) -> Vec<&str> {
        let packages = self.image.labels.get(environment::LABEL_PACKAGES);
        packages.map(|text| text.split_whitespace().collect()).unwrap_or_default()
    }
}

/// An image that nobody needs, and why.
#[derive(Debug, Clone)]
pub struct Prunable {
    /// The image.
    pub listed: Listed,
    /// Why it can go.
    pub reason: String,
}

impl Library {
    /// All images of Gantry in the engine, the newest first.
    ///
    /// # Errors
    /// [`ImageError`] when the engine does not answer.
    pub async fn list(&self) -> Result<Vec<Listed>, ImageError> {
        let mut images = self.docker.our_images().await?;
        let ids: BTreeSet<_> = images.iter().map(|image| image.id.clone()).collect();
        images.sort_by_key(|image| std::cmp::Reverse(image.created));
        let listed = images.into_iter().flat_map(|image| {
            // Whoever builds upon an image of ours inherits its labels, but not
            // its name.
            let tags: Vec<_> =
                image.tags.iter().filter(|tag| tag.starts_with("gantry/")).cloned().collect();
            let ids = &ids;
            tags.into_iter().map(move |tag| self.listed(image.clone(), tag, ids))
        });
        Ok(listed.collect())
    }

    fn listed(&self, image: Image, tag: String, ids: &BTreeSet<String>) -> Listed {
        let role = image.labels.get(LABEL_ROLE).cloned().unwrap_or_default();
        let is_current = match role.as_str() {
            // It would be found as long as what it was installed on is there.
            environment::ROLE => {
                image.labels.get(environment::LABEL_BASE).is_some_and(|base| ids.contains(base))
            }
            role => self.current_tags(role).contains(&tag),
        };
        let standing = if is_current { Standing::Current } else { Standing::Superseded };
        let unused_for = self.unused_for(&tag).unwrap_or_else(|| age(&image));
        let is_ours = image.labels.get(LABEL_INSTALLATION) == Some(&self.settings.installation);
        Listed { image, tag, role, standing, is_ours, unused_for }
    }

    /// What can go of this installation's images: superseded ones, and
    /// environments that have not been used for `age`.
    ///
    /// # Errors
    /// [`ImageError`] when the engine does not answer.
    pub async fn prunable(&self, age: Duration) -> Result<Vec<Prunable>, ImageError> {
        let listed = self.list().await?;
        Ok(listed.into_iter().filter_map(|listed| prunable(listed, age)).collect())
    }

    /// Removes an image; one that a container uses stays, with an error.
    ///
    /// # Errors
    /// [`ImageError`] when the engine refuses.
    pub async fn prune(&self, prunable: &Prunable) -> Result<(), ImageError> {
        Ok(self.docker.remove_image(&prunable.listed.tag).await?)
    }
}

/// How long ago an image was made.
fn age(image: &Image) -> Duration {
    let created = Duration::from_secs(u64::try_from(image.created).unwrap_or_default());
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH + created).unwrap_or_default()
}

fn prunable(listed: Listed, age: Duration) -> Option<Prunable> {
    let unused = listed.unused_for;
    let reason = match (listed.standing, listed.role.as_str()) {
        _ if !listed.is_ours => return None,
        (Standing::Superseded, _) => "superseded".to_owned(),
        (Standing::Current, environment::ROLE) if unused >= age => {
            format!("not used for {}", show_duration(unused))
        }
        (Standing::Current, _) => return None,
    };
    Some(Prunable { listed, reason })
}
