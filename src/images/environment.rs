//! Environments: the Python image with a set of requirements installed.

use std::collections::BTreeSet;
use std::fs::File;
use std::time::{Duration, SystemTime};

use super::ImageError;
use super::installer::{self, Built, Candidate, NoLayer};
use super::library::Library;
use super::recipe::tag_hash;
use crate::domain::requirements::Requirements;
use crate::domain::runtime::Runtime;
use crate::engine::docker::{Image, NewLayer, Progress};
use crate::sandbox::Cancel;

/// Label with the id of the image that an environment was installed on.
pub(super) const LABEL_BASE: &str = "gantry.base";
/// Label with the exact packages, so that the same can be installed again.
const LABEL_LOCK: &str = "gantry.lock";
/// Label with the packages' names and versions, in one line.
pub(super) const LABEL_PACKAGES: &str = "gantry.packages";
/// Label with the number of layers that environments have put on the base.
const LABEL_DEPTH: &str = "gantry.depth";

/// The role of environment images.
pub(super) const ROLE: &str = "environment";

/// Environments on environments at most; storage drivers end at 128 layers.
const MAX_DEPTH: u32 = 32;

/// Longest lock that a label holds, in bytes; larger ones are not kept there.
const MAX_LABEL: usize = 512 * 1024;

/// An image with requirements in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Environment {
    /// The image.
    pub image: Image,
    /// It was built just now, and not found.
    pub built: bool,
}

impl Library {
    /// The image with `requirements`, built if it is not there.
    ///
    /// # Errors
    /// [`ImageError::Install`] with the installer's words, and others.
    pub async fn environment(
        &self,
        requirements: &Requirements,
        progress: Progress<'_>,
        cancel: &Cancel,
    ) -> Result<Environment, ImageError> {
        let base = self.runtime(Runtime::Python, progress, cancel).await?;
        let tag = environment_tag(&base, requirements);
        let found = self.docker.image(&tag).await?;
        let environment = match found {
            Some(image) => Environment { image, built: false },
            None => self.built_once(&base, &tag, requirements, progress, cancel).await?,
        };
        self.mark_used(&tag);
        Ok(environment)
    }

    async fn built_once(
        &self,
        base: &Image,
        tag: &str,
        requirements: &Requirements,
        progress: Progress<'_>,
        cancel: &Cancel,
    ) -> Result<Environment, ImageError> {
        let flight = tokio::select! {
            flight = self.flight(tag, progress) => flight?,
            () = cancel.cancelled() => return Err(ImageError::Cancelled),
        };
        if let Some(image) = self.docker.image(tag).await? {
            return Ok(Environment { image, built: false });
        }
        let built = self.install(base, tag, requirements, progress, cancel).await;
        drop(flight);
        built?;
        Ok(Environment { image: self.built(tag).await?, built: true })
    }

    async fn install(
        &self,
        base: &Image,
        tag: &str,
        requirements: &Requirements,
        progress: Progress<'_>,
        cancel: &Cancel,
    ) -> Result<(), ImageError> {
        let parents = self.parents(base).await?;
        let candidates: Vec<_> = parents.iter().map(Parent::candidate).collect();
        let text = requirements.normalised();
        let install =
            installer::install_requirements(self, &base.id, &text, &candidates, progress, cancel);
        let Built { layer, installed } = install.await.map_err(|failure| match failure {
            NoLayer::Words(words) => {
                let requirement = requirements.failing_requirement(&words).map(str::to_owned);
                ImageError::Install { requirement, words }
            }
            NoLayer::Other(error) => error,
        })?;
        let parent = parents.iter().find(|it| Some(&it.id) == installed.parent.as_ref());
        let mut labels = self.labels(ROLE);
        let depth = parent.map_or(1, |it| it.depth + 1);
        labels.insert(LABEL_BASE.to_owned(), base.id.clone());
        labels.insert(LABEL_DEPTH.to_owned(), depth.to_string());
        labels.insert(LABEL_PACKAGES.to_owned(), installed.packages.join(" "));
        if installed.lock.len() <= MAX_LABEL {
            labels.insert(LABEL_LOCK.to_owned(), installed.lock);
        }
        progress("making the image");
        let new_layer = NewLayer {
            parent: parent.map_or(&base.id, |it| &it.id).clone(),
            tar: layer.path().to_owned(),
            tag: tag.to_owned(),
            labels,
        };
        Ok(self.docker.add_layer(&new_layer).await?)
    }

    /// The environments on the same base that another one could be put upon.
    async fn parents(&self, base: &Image) -> Result<Vec<Parent>, ImageError> {
        let images = self.docker.our_images().await?;
        let parents = images.into_iter().filter_map(|image| Parent::of(image, base));
        Ok(parents.filter(|it| it.depth < MAX_DEPTH).collect())
    }

    /// Notes that an environment is in use, for `gantry images prune`. An
    /// environment whose mark can't be written is only rebuilt earlier.
    fn mark_used(&self, tag: &str) {
        let folder = self.settings.data_dir.join("used");
        let path = folder.join(tag.replace(['/', ':'], "-"));
        let marked = std::fs::create_dir_all(&folder)
            .and_then(|()| File::options().create(true).append(true).open(path))
            .and_then(|file| file.set_modified(SystemTime::now()));
        if let Err(error) = marked {
            tracing::debug!(%error, "the use of an environment was not noted");
        }
    }

    /// How long ago an environment was last used here; `None` when it never was.
    pub(super) fn unused_for(&self, tag: &str) -> Option<Duration> {
        let path = self.settings.data_dir.join("used").join(tag.replace(['/', ':'], "-"));
        path.metadata().and_then(|it| it.modified()).ok()?.elapsed().ok()
    }
}

fn environment_tag(base: &Image, requirements: &Requirements) -> String {
    let hash = requirements.hash();
    format!("gantry/environment:{}", tag_hash([base.id.as_bytes(), hash.as_bytes()]))
}

#[derive(Debug)]
struct Parent {
    id: String,
    packages: BTreeSet<String>,
    depth: u32,
}

impl Parent {
    fn of(image: Image, base: &Image) -> Option<Self> {
        if image.labels.get(LABEL_BASE)? != &base.id {
            return None;
        }
        let packages = image.labels.get(LABEL_PACKAGES)?;
        Some(Self {
            packages: packages.split_whitespace().map(str::to_owned).collect(),
            depth: image.labels.get(LABEL_DEPTH)?.parse().ok()?,
            id: image.id,
        })
    }

    fn candidate(&self) -> Candidate {
        Candidate { id: self.id.clone(), packages: self.packages.iter().cloned().collect() }
    }
}
