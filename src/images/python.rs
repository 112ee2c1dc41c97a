//! The images of Python: one for each version that scripts ask for.
//!
//! An interpreter comes from the base image itself where it has that version, from the
//! Debian release that has it, or from uv, which fetches a build of its own
//! (python-build-standalone) and checks its hash. In every image an empty environment
//! below `/opt/env` leads to the interpreter, wherever that is.

use super::ImageError;
use super::installer::{self, Built, NoLayer};
use super::library::Library;
use super::recipe::{Recipe, UV_VERSION};
use super::release::{Base, Release};
use crate::domain::script_type::ScriptType;
use crate::domain::script_type::python::PythonVersion;
use crate::engine::docker::{Image, NewLayer, Progress};
use crate::sandbox::Cancel;

/// Label with the version of an image's Python: `3.13`. What stands upon it inherits it.
const LABEL_PYTHON: &str = "gantry.python";

/// Label of images whose interpreter was fetched by uv, with the word `uv`.
const LABEL_INTERPRETER: &str = "gantry.python-from";

/// The version of an image's Python.
pub(super) fn version_of(image: &Image) -> &str {
    image.labels.get(LABEL_PYTHON).map_or("unknown", String::as_str)
}

/// Debian packages that building Python packages from source takes. An interpreter of
/// uv's has its headers with it.
pub(super) fn compilers(image: &Image) -> Vec<String> {
    let headers = (!image.labels.contains_key(LABEL_INTERPRETER)).then_some("python3-dev");
    ["build-essential", "pkg-config"].into_iter().chain(headers).map(str::to_owned).collect()
}

impl Library {
    /// The Python image with a version, built if it is not there.
    pub(super) async fn python(
        &self,
        version: PythonVersion,
        progress: Progress<'_>,
        cancel: &Cancel,
    ) -> Result<Image, ImageError> {
        let own = self.type_image(ScriptType::Python, progress, cancel).await?;
        if version_of(&own) == version.name() {
            return Ok(own);
        }
        let mut missed = vec![format!("the base image has Python {}", version_of(&own))];
        if let Some(release) = Release::with_python(version) {
            let base = Base::of_release(&self.settings.base, release);
            match self.type_image_on(&base, ScriptType::Python, progress, cancel).await {
                Ok(image) if version_of(&image) == version.name() => return Ok(image),
                Ok(image) => missed.push(format!("{} has {}", base.name(), version_of(&image))),
                Err(ImageError::Cancelled) => return Err(ImageError::Cancelled),
                Err(error) if error.is_outage() => return Err(error),
                Err(error) => missed.push(format!("Debian {}: {error}", release.suite())),
            }
            if let Some(last) = missed.last() {
                progress(&format!("no Python {version} of Debian: {last}"));
            }
        } else {
            missed.push("no Debian release has it".to_owned());
        }
        match self.fetched(version, progress, cancel).await {
            Err(NoLayer::Words(words)) => {
                missed.push(format!("uv: {}", words.trim()));
                Err(ImageError::NoPython { version, missed })
            }
            Err(NoLayer::Other(error)) => Err(error),
            Ok(image) => Ok(image),
        }
    }

    /// The image with an interpreter that uv has fetched, built if it is not there.
    async fn fetched(
        &self,
        version: PythonVersion,
        progress: Progress<'_>,
        cancel: &Cancel,
    ) -> Result<Image, NoLayer> {
        let base = self.default_base();
        let tag = Recipe::of(ScriptType::Python).fetched_tag(&base.name(), version);
        if let Some(image) = self.docker.image(&tag).await.map_err(ImageError::from)? {
            return Ok(image);
        }
        let _flight = self.flight(&tag, progress).await?;
        if let Some(image) = self.docker.image(&tag).await.map_err(ImageError::from)? {
            return Ok(image);
        }
        progress(&format!("fetching Python {version} with uv"));
        let own = self.type_image(ScriptType::Python, progress, cancel).await?;
        let built = installer::fetch_python(self, &own.id, version, progress, cancel).await?;
        let core = self.core(&base, progress).await?;
        self.add_interpreter(core, &tag, &built, Some("uv")).await?;
        Ok(self.built(&tag).await?)
    }

    /// Builds the Python image upon a base.
    pub(super) async fn build_python(
        &self,
        base: &Base,
        tag: &str,
        progress: Progress<'_>,
        cancel: &Cancel,
    ) -> Result<(), ImageError> {
        let core = self.core(base, progress).await?;
        progress(&format!("installing uv {UV_VERSION}"));
        let built = installer::fetch_uv(self, &core.id, progress, cancel).await?;
        self.add_interpreter(core, tag, &built, None).await
    }

    /// The image before uv is in it, built if it is not there.
    async fn core(&self, base: &Base, progress: Progress<'_>) -> Result<Image, ImageError> {
        let recipe = Recipe::of(ScriptType::Python);
        let tag = recipe.core_tag(&base.name());
        if let Some(image) = self.docker.image(&tag).await? {
            return Ok(image);
        }
        let from = self.base(base, progress).await?;
        self.docker.ensure_build_network().await?;
        self.build_recipe(recipe, from, &tag, progress).await?;
        self.built(&tag).await
    }

    async fn add_interpreter(
        &self,
        core: Image,
        tag: &str,
        built: &Built,
        from: Option<&str>,
    ) -> Result<(), ImageError> {
        let mut labels = self.labels(ScriptType::Python.name());
        labels.insert(LABEL_PYTHON.to_owned(), built.installed.python.clone());
        labels.extend(from.map(|from| (LABEL_INTERPRETER.to_owned(), from.to_owned())));
        let tar = built.layer.path().to_owned();
        let layer = NewLayer { parent: core.id, tar, tag: tag.to_owned(), labels };
        Ok(self.docker.add_layer(&layer).await?)
    }
}
