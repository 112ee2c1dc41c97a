//! Finds the image that a script needs, or has it built.

use std::path::PathBuf;
use std::sync::Arc;

use super::ImageError;
use super::installer_settings::InstallerSettings;
use super::recipe::Recipe;
use super::release::{Base, BaseSource, Release, root_file_system_tag};
use super::single_flight::Flight;
use crate::domain::elf::Architecture;
use crate::domain::script_type::ScriptType;
use crate::domain::script_type::python::PythonVersion;
use crate::engine::docker::{Docker, Image, ImageBuild, Progress};
use crate::engine::{EngineError, LABEL_INSTALLATION, LABEL_ROLE, Labels};
use crate::sandbox::{Cancel, Remover};

/// Target of this binary, as a Rust target triple.
const TARGET: &str = env!("GANTRY_TARGET");

/// Settings of a [`Library`].
#[derive(Debug, Clone)]
pub struct LibrarySettings {
    /// Source of root file systems.
    pub base: BaseSource,
    /// Locks, unfinished layers, and when which environment was last used.
    pub data_dir: PathBuf,
    /// The id of this installation.
    pub installation: String,
    /// The id of this process, which is on the containers that it builds in.
    pub process: String,
    /// The volume that wheels are kept on between builds.
    pub cache_volume: String,
    /// The OCI runtime of build sandboxes, when it is not the engine's default.
    pub oci_runtime: Option<String>,
    /// Settings of installers from the server's environment.
    pub installer: InstallerSettings,
}

/// The images of this installation.
#[derive(Clone)]
pub struct Library {
    pub(super) docker: Docker,
    pub(super) remover: Remover,
    pub(super) settings: Arc<LibrarySettings>,
}

impl Library {
    /// A library on an engine.
    #[must_use]
    pub fn new(docker: Docker, remover: Remover, settings: LibrarySettings) -> Self {
        Self { docker, remover, settings: Arc::new(settings) }
    }

    /// The image of a script type, built if it is not there.
    ///
    /// # Errors
    /// [`ImageError`] when it can't be built.
    pub async fn type_image(
        &self,
        script_type: ScriptType,
        progress: Progress<'_>,
        cancel: &Cancel,
    ) -> Result<Image, ImageError> {
        self.type_image_on(&self.default_base(), script_type, progress, cancel).await
    }

    /// The image of a script type upon a base, built if it is not there.
    pub(super) async fn type_image_on(
        &self,
        base: &Base,
        script_type: ScriptType,
        progress: Progress<'_>,
        cancel: &Cancel,
    ) -> Result<Image, ImageError> {
        let tag = Recipe::of(script_type).tag(&base.name());
        if let Some(image) = self.docker.image(&tag).await? {
            return Ok(image);
        }
        let _flight = self.flight(&tag, progress).await?;
        if let Some(image) = self.docker.image(&tag).await? {
            return Ok(image);
        }
        tokio::select! {
            built = self.build_type_image(base, script_type, &tag, progress, cancel) => built?,
            () = cancel.cancelled() => return Err(ImageError::Cancelled),
        }
        self.built(&tag).await
    }

    /// Base of script types for which no other was requested.
    pub(super) fn default_base(&self) -> Base {
        Base::of(&self.settings.base)
    }

    /// The image of a script type, if it is there.
    ///
    /// # Errors
    /// [`EngineError`] when the engine does not answer.
    pub async fn find_type_image(
        &self,
        script_type: ScriptType,
    ) -> Result<Option<Image>, EngineError> {
        self.docker.image(&self.type_tag(script_type)).await
    }

    /// The tag of a script type's image.
    #[must_use]
    pub fn type_tag(&self, script_type: ScriptType) -> String {
        Recipe::of(script_type).tag(&self.default_base().name())
    }

    /// The tags of a role's images that would be found and used.
    pub(super) fn current_tags(&self, role: &str) -> Vec<String> {
        let Ok(script_type) = role.parse::<ScriptType>() else {
            return Release::ALL.map(root_file_system_tag).into();
        };
        let recipe = Recipe::of(script_type);
        let of_base = |base: Base| [recipe.tag(&base.name()), recipe.core_tag(&base.name())];
        let mut tags: Vec<_> = of_base(self.default_base()).into();
        if script_type.has_python() {
            let base = |release| Base::of_release(&self.settings.base, release);
            tags.extend(Release::ALL.into_iter().flat_map(|release| of_base(base(release))));
            let name = self.default_base().name();
            let fetched = |version| recipe.fetched_tag(&name, version);
            tags.extend(PythonVersion::ALL.map(fetched));
        }
        tags
    }

    async fn build_type_image(
        &self,
        base: &Base,
        script_type: ScriptType,
        tag: &str,
        progress: Progress<'_>,
        cancel: &Cancel,
    ) -> Result<(), ImageError> {
        self.check_architecture().await?;
        if script_type.has_python() {
            return self.build_python(base, tag, progress, cancel).await;
        }
        let from = self.base(base, progress).await?;
        self.docker.ensure_build_network().await?;
        self.build_recipe(Recipe::of(script_type), from, tag, progress).await
    }

    /// PID 1 was built with Gantry, for one architecture.
    async fn check_architecture(&self) -> Result<(), ImageError> {
        let engine = self.docker.describe().await?.architecture;
        let ours = Architecture::from_engine(TARGET.split('-').next().unwrap_or_default());
        if Architecture::from_engine(&engine) == ours {
            return Ok(());
        }
        let ours = ours.map_or(TARGET, Architecture::name).to_owned();
        Err(ImageError::Architecture { engine, ours })
    }

    pub(super) async fn build_recipe(
        &self,
        recipe: Recipe,
        base: String,
        tag: &str,
        progress: Progress<'_>,
    ) -> Result<(), ImageError> {
        let name = recipe.script_type.name();
        progress(&format!("building the {name} image on {base}"));
        let context = recipe.context().map_err(ImageError::io("the build context"))?;
        let build = ImageBuild {
            context: context.into(),
            arguments: self
                .settings
                .installer
                .proxies()
                .chain([("BASE".to_owned(), base)])
                .collect(),
            tag: tag.to_owned(),
            labels: self.labels(name),
        };
        let installer = &self.settings.installer;
        // apt's output may contain a proxy's password.
        let redacted = |line: &str| progress(&installer.redacted(line));
        self.docker.build(build, &redacted).await.map_err(|error| match error {
            EngineError::Refused { message, .. } => {
                ImageError::Build { name, words: installer.redacted(&message) }
            }
            other => other.into(),
        })
    }

    /// The image that was built just now.
    pub(super) async fn built(&self, tag: &str) -> Result<Image, ImageError> {
        self.docker.image(tag).await?.ok_or_else(|| ImageError::Build {
            name: "new",
            words: format!("the engine has no {tag} after building it"),
        })
    }

    /// The labels of everything that this installation has made.
    #[must_use]
    pub fn installation_labels(&self) -> Labels {
        Labels::from([(LABEL_INSTALLATION.to_owned(), self.settings.installation.clone())])
    }

    pub(super) fn labels(&self, role: &str) -> Labels {
        Labels::from([
            (LABEL_ROLE.to_owned(), role.to_owned()),
            (LABEL_INSTALLATION.to_owned(), self.settings.installation.clone()),
        ])
    }

    pub(super) async fn flight(
        &self,
        tag: &str,
        progress: Progress<'_>,
    ) -> Result<Flight, ImageError> {
        let key = tag.replace(['/', ':'], "-");
        let folder = self.settings.data_dir.join("locks");
        let what = folder.display().to_string();
        Flight::begin(&folder, &key, || progress("waiting for another process that builds it"))
            .await
            .map_err(ImageError::io(what))
    }
}
