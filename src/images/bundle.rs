//! Bundles: the files of a script that has many, as a layer upon its environment. They
//! are root's, nobody may write them, and their times are fixed, so that equal bundles
//! are equal layers.

use std::fs::File;
use std::io;
use std::path::PathBuf;

use super::ImageError;
use super::build::{check_layer, new_layer};
use super::environment::{Environment, LABEL_BASE};
use super::library::Library;
use super::python;
use super::recipe::tag_hash;
use crate::bundles::{BundleError, PythonParts, python_sources, write_layer};
use crate::domain::bundle::BundleLayer;
use crate::domain::file::FileDigest;
use crate::domain::script_type::ScriptType;
use crate::engine::docker::{Image, NewLayer, Progress};
use crate::sandbox::Cancel;

/// The role of images with a bundle.
pub(super) const ROLE: &str = "bundle";

/// A part of the tags: a new number has all of them made anew.
const FORMAT: &str = "1";

/// Label with the digest of the bundle's manifest.
const LABEL_BUNDLE: &str = "gantry.bundle";

/// Folders that a bundle's layer may write to: its own, and that of Python's packages, which gets
/// one file.
const PLACES: &[&str] = &["opt/bundle", "opt/env/lib"];

impl Library {
    /// `below` with the files of a bundle, made if it is not there.
    pub(super) async fn with_bundle(
        &self,
        below: &Image,
        script_type: ScriptType,
        bundle: &BundleLayer,
        progress: Progress<'_>,
        cancel: &Cancel,
    ) -> Result<Environment, ImageError> {
        let packages = script_type
            .has_python()
            .then(|| format!("opt/env/lib/python{}/site-packages", python::version_of(below)));
        let tag = tag(below, packages.as_deref(), bundle);
        let make = async {
            tokio::select! {
                made = self.add_bundle(below, &tag, packages, bundle, (progress, cancel)) => made,
                () = cancel.cancelled() => Err(ImageError::Cancelled),
            }
        };
        self.found_or_made(&tag, make, progress, cancel).await
    }

    async fn add_bundle(
        &self,
        below: &Image,
        tag: &str,
        packages: Option<String>,
        bundle: &BundleLayer,
        (progress, cancel): (Progress<'_>, &Cancel),
    ) -> Result<(), ImageError> {
        progress("adding the files of the bundle");
        let digest = bundle.digest;
        let missing = || BundleError::Missing(digest.hex());
        let archive = bundle.archive.clone().ok_or_else(missing)?;
        let bytecode = match packages {
            Some(_) => self.compiled(below, archive.clone(), digest, progress, cancel).await?,
            None => None,
        };
        let folder = self.settings.data_dir.join("layers");
        let writing = tokio::task::spawn_blocking(move || -> Result<_, ImageError> {
            let layer = new_layer(&folder).map_err(ImageError::io(folder.display().to_string()))?;
            let python = packages.map(|packages| PythonParts { packages, bytecode });
            write_layer(&archive, digest, python, layer.as_file())?;
            Ok(layer)
        });
        let layer = writing.await.map_err(panicked).flatten()?;
        check_layer(&layer, PLACES).await?;
        let mut labels = self.labels(ROLE);
        labels.insert(LABEL_BASE.to_owned(), below.id.clone());
        labels.insert(LABEL_BUNDLE.to_owned(), digest.to_string());
        let tar = layer.path().to_owned();
        let new_layer = NewLayer { parent: below.id.clone(), tar, tag: tag.to_owned(), labels };
        Ok(self.docker.add_layer(&new_layer).await?)
    }

    /// Bytecode of the bundle's modules, if there is any.
    async fn compiled(
        &self,
        below: &Image,
        archive: PathBuf,
        digest: FileDigest,
        progress: Progress<'_>,
        cancel: &Cancel,
    ) -> Result<Option<File>, ImageError> {
        let reading = tokio::task::spawn_blocking(move || python_sources(&archive, digest));
        let Some(sources) = reading.await.map_err(panicked)?? else { return Ok(None) };
        let compiled = self.bytecode(below, &sources, progress, cancel).await?;
        let reopened = compiled.map(|it| it.reopen()).transpose();
        reopened.map_err(ImageError::io("the bundle's bytecode"))
    }
}

fn panicked(error: tokio::task::JoinError) -> ImageError {
    ImageError::io("the bundle's layer")(io::Error::other(error))
}

fn tag(below: &Image, packages: Option<&str>, bundle: &BundleLayer) -> String {
    let packages = packages.unwrap_or_default();
    let digest = bundle.digest.hex();
    let parts = [FORMAT, &below.id, packages, &digest].map(str::as_bytes);
    format!("gantry/{ROLE}:{}", tag_hash(parts))
}
