//! Environments: the Python image with a set of requirements installed.

use std::collections::BTreeSet;
use std::time::Duration;

use super::ImageError;
use super::error::LockSource;
use super::installer::{self, Built, Candidate, Installed, NoLayer, Wanted};
use super::library::Library;
use super::lock::LockFile;
use super::python;
use super::recipe::tag_hash;
use super::wheels::MissingWheel;
use crate::domain::script_type::ScriptType;
use crate::domain::script_type::python::requirements::{Requirements, RequirementsPolicy};
use crate::domain::system_packages::SystemPackages;
use crate::engine::docker::{Image, NewLayer, Progress};
use crate::engine::{LABEL_INSTALLATION, Labels};
use crate::sandbox::Cancel;

/// Label with the id of the image that an environment was installed on.
pub(super) const LABEL_BASE: &str = "gantry.base";
/// Label of environments that others may be put upon, with [`INSTALLER_FORMAT`]. What
/// earlier formats have left is not built upon.
const LABEL_SHARED: &str = "gantry.shared-format";
/// Label with the packages' names and versions, in one line.
pub(super) const LABEL_PACKAGES: &str = "gantry.packages";
/// Label with the number of layers that environments have put on the base.
const LABEL_DEPTH: &str = "gantry.depth";

/// The role of environment images.
pub(super) const ROLE: &str = "environment";

/// Environments on environments at most; storage drivers end at 128 layers.
const MAX_DEPTH: u32 = 32;

/// A part of environments' tags: a new number has all of them built anew. It changes
/// when what the installer left before is not to be trusted any more.
const INSTALLER_FORMAT: &str = "3";

/// Prefix of environments' tags.
const TAG_PREFIX: &str = "gantry/environment:";

/// An image with requirements in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Environment {
    /// The image.
    pub image: Image,
    /// True if it was built just now, and not found.
    pub built: bool,
}

/// Packages to install.
#[derive(Debug, Clone, Copy)]
pub(super) struct RequestedPackages<'a> {
    pub(super) requirements: &'a Requirements,
    /// Exact versions of an earlier resolution; a lock in the data folder goes before
    /// them.
    pub(super) known_lock: Option<&'a str>,
}

impl Library {
    /// The image with `requirements`, built if it is not there.
    ///
    /// # Errors
    /// [`ImageError::Install`] with the installer's output, and others.
    pub async fn environment(
        &self,
        requirements: &Requirements,
        progress: Progress<'_>,
        cancel: &Cancel,
    ) -> Result<Environment, ImageError> {
        let base = self.type_image(ScriptType::Python, progress, cancel).await?;
        self.environment_on(
            &base,
            RequestedPackages { requirements, known_lock: None },
            progress,
            cancel,
        )
        .await
    }

    /// The image with requirements upon `base`, built if it is not there.
    pub(super) async fn environment_on(
        &self,
        base: &Image,
        asked: RequestedPackages<'_>,
        progress: Progress<'_>,
        cancel: &Cancel,
    ) -> Result<Environment, ImageError> {
        let tag = environment_tag(base, asked.requirements);
        let install = self.install(base, &tag, asked, progress, cancel);
        self.found_or_made(&tag, install, progress, cancel).await
    }

    /// The image with this tag. `make`, which does not start when the image is there, makes
    /// it once for all that request it at the same time.
    pub(super) async fn found_or_made(
        &self,
        tag: &str,
        make: impl Future<Output = Result<(), ImageError>>,
        progress: Progress<'_>,
        cancel: &Cancel,
    ) -> Result<Environment, ImageError> {
        let environment = match self.docker.image(tag).await? {
            Some(image) => Environment { image, built: false },
            None => self.made_once(tag, make, progress, cancel).await?,
        };
        self.mark_used(tag);
        Ok(environment)
    }

    async fn made_once(
        &self,
        tag: &str,
        make: impl Future<Output = Result<(), ImageError>>,
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
        make.await?;
        drop(flight);
        Ok(Environment { image: self.built(tag).await?, built: true })
    }

    async fn install(
        &self,
        base: &Image,
        tag: &str,
        asked: RequestedPackages<'_>,
        progress: Progress<'_>,
        cancel: &Cancel,
    ) -> Result<(), ImageError> {
        let requirements = asked.requirements;
        let parents = self.parents(base, requirements).await?;
        let candidates: Vec<_> = parents.iter().map(Parent::candidate).collect();
        let lock_file = LockFile::of(&self.settings.data_dir, tag);
        let (lock, source) = match self.lock_of(tag)? {
            Some(lock) => (Some(lock), Some(LockSource::File(lock_file.path().to_owned()))),
            None => {
                (asked.known_lock.map(str::to_owned), asked.known_lock.map(|_| LockSource::Caller))
            }
        };
        let text = requirements.normalised();
        let wanted = Wanted {
            requirements: &text,
            lock: lock.as_deref(),
            candidates: &candidates,
            allow_sources: requirements.policy().allow_sources,
        };
        let on = self.build_image(base, requirements, progress, cancel).await?;
        let install = installer::install_requirements(self, &on.id, &wanted, progress, cancel);
        let Built { layer, installed } = install.await.map_err(|failure| match failure {
            NoLayer::Words(words) => {
                let requirement = requirements.failing_requirement(&words).map(str::to_owned);
                let missing = MissingWheel::said_in(&words, python::version_of(base)).map(Box::new);
                ImageError::Install { requirement, words, lock: source, missing }
            }
            NoLayer::Other(error) => error,
        })?;
        let written = lock_file.write(&installed.lock);
        written.map_err(ImageError::io(lock_file.path().display().to_string()))?;
        let parent = parents.iter().find(|it| Some(&it.id) == installed.parent.as_ref());
        progress("making the image");
        let new_layer = NewLayer {
            parent: parent.map_or(&base.id, |it| &it.id).clone(),
            tar: layer.path().to_owned(),
            tag: tag.to_owned(),
            labels: self.environment_labels(base, parent, requirements, &installed),
        };
        let publish = installer::publish(self, &on.id, &installed, cancel);
        let (added, ()) = tokio::join!(self.docker.add_layer(&new_layer), publish);
        Ok(added?)
    }

    /// The image that requirements are installed on: one with a compiler where packages
    /// may be built from source. The environment goes upon `base` all the same.
    async fn build_image(
        &self,
        base: &Image,
        requirements: &Requirements,
        progress: Progress<'_>,
        cancel: &Cancel,
    ) -> Result<Image, ImageError> {
        if !requirements.policy().allow_sources {
            return Ok(base.clone());
        }
        progress("a compiler, for this build alone");
        let compilers = SystemPackages::new(python::compilers(base))
            .map_err(|error| ImageError::SandboxEnding(error.to_string()))?;
        Ok(self.with_packages(base, &compilers, progress, cancel).await?.image)
    }

    fn environment_labels(
        &self,
        base: &Image,
        parent: Option<&Parent>,
        requirements: &Requirements,
        installed: &Installed,
    ) -> Labels {
        let mut labels = self.labels(ROLE);
        let depth = parent.map_or(1, |it| it.depth + 1);
        labels.insert(LABEL_BASE.to_owned(), base.id.clone());
        labels.insert(LABEL_DEPTH.to_owned(), depth.to_string());
        labels.insert(LABEL_PACKAGES.to_owned(), installed.packages.join(" "));
        if is_shared(requirements) {
            labels.insert(LABEL_SHARED.to_owned(), INSTALLER_FORMAT.to_owned());
        }
        labels
    }

    /// The environments on the same base that another one could be put upon.
    async fn parents(
        &self,
        base: &Image,
        requirements: &Requirements,
    ) -> Result<Vec<Parent>, ImageError> {
        if !is_shared(requirements) {
            return Ok(Vec::new());
        }
        let images = self.docker.our_images().await?;
        let ours = images.into_iter().filter(|image| {
            let installation = image.labels.get(LABEL_INSTALLATION);
            installation == Some(&self.settings.installation)
                // Images that others build upon one of ours inherit its labels, but not
                // its name.
                && image.tags.iter().any(|tag| tag.starts_with(TAG_PREFIX))
        });
        let parents = ours.filter_map(|image| Parent::of(image, base));
        Ok(parents.filter(|it| it.depth < MAX_DEPTH).collect())
    }

    /// Lock of the environment with this tag, if it is known here.
    pub(super) fn lock_of(&self, tag: &str) -> Result<Option<String>, ImageError> {
        let lock_file = LockFile::of(&self.settings.data_dir, tag);
        lock_file.read().map_err(ImageError::io(lock_file.path().display().to_string()))
    }

    /// Notes that an environment is in use, for `gantry images prune`. One whose
    /// use can't be noted is only rebuilt earlier.
    pub(super) fn mark_used(&self, tag: &str) {
        if let Err(error) = LockFile::of(&self.settings.data_dir, tag).mark_used() {
            tracing::debug!(%error, "the use of an environment was not noted");
        }
    }

    /// Time since an environment was last used here; `None` when it never was.
    pub(super) fn unused_for(&self, tag: &str) -> Option<Duration> {
        LockFile::of(&self.settings.data_dir, tag).unused_for()
    }
}

/// True if the packages are those that the server's own index has under their names: only
/// such environments may be a part of others.
fn is_shared(requirements: &Requirements) -> bool {
    requirements.policy() == RequirementsPolicy::default()
}

pub(super) fn environment_tag(base: &Image, requirements: &Requirements) -> String {
    let hash = requirements.hash();
    let parts = [INSTALLER_FORMAT.as_bytes(), base.id.as_bytes(), hash.as_bytes()];
    format!("{TAG_PREFIX}{}", tag_hash(parts))
}

#[derive(Debug)]
struct Parent {
    id: String,
    packages: BTreeSet<String>,
    depth: u32,
}

impl Parent {
    fn of(image: Image, base: &Image) -> Option<Self> {
        let format = image.labels.get(LABEL_SHARED)?;
        if image.labels.get(LABEL_BASE)? != &base.id || format != INSTALLER_FORMAT {
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
