//! Debian releases, and what there is to make their root file systems of.

use super::recipe::{BOOTSTRAP_ARGUMENTS, tag_hash};
use crate::domain::script_type::python::PythonVersion;

/// A Debian release whose own Python scripts can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Release {
    Bookworm,
    Trixie,
    Forky,
}

impl Release {
    /// Release of all images that request no other.
    pub(super) const DEFAULT: Self = Self::Trixie;

    /// All of them, oldest first.
    pub(super) const ALL: [Self; 3] = [Self::Bookworm, Self::Trixie, Self::Forky];

    /// The name in archives and in images' tags.
    pub(super) fn suite(self) -> &'static str {
        match self {
            Self::Bookworm => "bookworm",
            Self::Trixie => "trixie",
            Self::Forky => "forky",
        }
    }

    /// The version of its `python3` package.
    fn python(self) -> PythonVersion {
        match self {
            Self::Bookworm => PythonVersion::Python311,
            Self::Trixie => PythonVersion::Python313,
            Self::Forky => PythonVersion::Python314,
        }
    }

    /// The release that has a version of Python, if one has.
    pub(super) fn with_python(version: PythonVersion) -> Option<Self> {
        Self::ALL.into_iter().find(|release| release.python() == version)
    }
}

/// Source of the root file system of all images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BaseSource {
    /// This image, if it can be pulled, and otherwise mmdebstrap.
    Registry(String),
    /// mmdebstrap, without a registry.
    Bootstrap,
}

/// A release, and where its root file system comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Base {
    pub(super) source: BaseSource,
    pub(super) release: Release,
}

impl Base {
    /// Base that the settings select.
    pub(super) fn of(source: &BaseSource) -> Self {
        Self { source: source.clone(), release: Release::DEFAULT }
    }

    /// Another release from the same place: an image's tag names its release. One that
    /// names none has no others beside it.
    pub(super) fn of_release(source: &BaseSource, release: Release) -> Self {
        let source = match source {
            BaseSource::Registry(reference) => renamed(reference, release.suite()),
            BaseSource::Bootstrap => None,
        };
        Self { source: source.map_or(BaseSource::Bootstrap, BaseSource::Registry), release }
    }

    /// A part of the tags of all images upon it.
    pub(super) fn name(&self) -> String {
        match (&self.source, self.release) {
            (BaseSource::Registry(reference), _) => reference.clone(),
            (BaseSource::Bootstrap, Release::DEFAULT) => "mmdebstrap".to_owned(),
            (BaseSource::Bootstrap, release) => format!("mmdebstrap {}", release.suite()),
        }
    }
}

/// The tag of the root file system that this version's arguments make.
pub(super) fn root_file_system_tag(release: Release) -> String {
    let suite = (release != Release::DEFAULT).then(|| release.suite().as_bytes());
    format!("gantry/rootfs:{}", tag_hash([BOOTSTRAP_ARGUMENTS.as_bytes()].into_iter().chain(suite)))
}

/// `debian:bookworm-slim` of `debian:trixie-slim`. A digest is one image's alone.
fn renamed(reference: &str, suite: &str) -> Option<String> {
    let (name, tag) = reference.rsplit_once(':').filter(|_| !reference.contains('@'))?;
    let known =
        Release::ALL.into_iter().find(|it| tag.split('-').any(|part| part == it.suite()))?;
    Some(format!("{name}:{}", tag.replace(known.suite(), suite)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_image_of_another_release_is_beside_the_first() {
        for (reference, expected) in [
            ("debian:trixie-slim", Some("debian:bookworm-slim")),
            ("r.example:5000/os/debian:trixie", Some("r.example:5000/os/debian:bookworm")),
            ("debian:latest", None),
            ("r.example:5000/trixie", None),
            ("debian:trixie-slim@sha256:00", None),
        ] {
            assert_eq!(renamed(reference, "bookworm").as_deref(), expected, "{reference}");
        }
    }

    #[test]
    fn the_default_is_named_as_it_ever_was() {
        let name = |release| Base::of_release(&BaseSource::Bootstrap, release).name();
        assert_eq!(name(Release::Trixie), "mmdebstrap");
        assert_eq!(name(Release::Bookworm), "mmdebstrap bookworm");
    }
}
