//! Prepares the one image that has all that a script requests: the script type's, system
//! packages upon it, Python requirements upon those, the files of a bundle, and caches
//! upon all.

use super::ImageError;
use super::environment::{Environment, RequestedPackages, environment_tag};
use super::library::Library;
use crate::domain::environment::EnvironmentSpec;
use crate::engine::docker::{Image, Progress};
use crate::sandbox::Cancel;

/// An image that has everything requested.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prepared {
    /// The image.
    pub image: Image,
    /// True if something was installed just now, and not all of it found. The image of
    /// the script type itself does not count.
    pub built: bool,
    /// The exact Python packages that are installed, to be handed in the next
    /// time; `None` where there are none, and where the image was found and this
    /// data folder does not know what is in it.
    pub lock: Option<String>,
}

impl Library {
    /// The image that a script runs in, built if it is not there. `known_lock`
    /// is the lock of an earlier build; it is used when the image has to be built
    /// and the data folder has no lock for it.
    ///
    /// # Errors
    /// [`ImageError::NoPython`] with the places that were looked in,
    /// [`ImageError::Packages`] with apt's words, [`ImageError::Install`] with those of
    /// the installer, [`ImageError::WarmUp`] with the command's, and others.
    pub async fn prepare(
        &self,
        spec: &EnvironmentSpec,
        known_lock: Option<&str>,
        progress: Progress<'_>,
        cancel: &Cancel,
    ) -> Result<Prepared, ImageError> {
        let own = match spec.needed_python() {
            Some(version) => self.python(version, progress, cancel).await?,
            None => self.type_image(spec.script_type, progress, cancel).await?,
        };
        let base = if spec.packages.is_empty() {
            Environment { image: own, built: false }
        } else {
            self.with_packages(&own, &spec.packages, progress, cancel).await?
        };
        let below = match spec.needed_requirements() {
            Some(requirements) => {
                let known_lock = known_lock.filter(|lock| !lock.trim().is_empty());
                let asked = RequestedPackages { requirements, known_lock };
                let environment = self.environment_on(&base.image, asked, progress, cancel).await?;
                Prepared {
                    lock: self.lock_of(&environment_tag(&base.image, requirements))?,
                    image: environment.image,
                    built: base.built || environment.built,
                }
            }
            None => Prepared { image: base.image, built: base.built, lock: None },
        };
        let below = match &spec.bundle {
            Some(bundle) => {
                let upon = &below.image;
                let bundled =
                    self.with_bundle(upon, spec.script_type, bundle, progress, cancel).await?;
                let built = below.built || bundled.built;
                Prepared { image: bundled.image, built, ..below }
            }
            None => below,
        };
        let Some(warm_up) = &spec.warm_up else { return Ok(below) };
        let warmed = self.warmed(&below.image, spec.script_type, warm_up, progress, cancel).await?;
        Ok(Prepared { image: warmed.image, built: below.built || warmed.built, ..below })
    }
}
