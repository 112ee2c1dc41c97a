//! Ingredients of a script's image: the script type's image, a version of Python, system
//! packages, Python requirements, and caches. `images` finds or builds the image.

use sha2::{Digest, Sha256};

use super::bundle::BundleLayer;
use super::script_type::ScriptType;
use super::script_type::python::PythonVersion;
use super::script_type::python::requirements::Requirements;
use super::system_packages::SystemPackages;
use super::warm_up::WarmUp;

/// Required contents of a script's image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvironmentSpec {
    /// Script type whose image is extended.
    pub script_type: ScriptType,
    /// Version of Python; `None` means the base image's. Types without Python ignore it.
    pub python: Option<PythonVersion>,
    /// Debian packages added to the base image.
    pub packages: SystemPackages,
    /// Python packages. Types without Python ignore them.
    pub requirements: Option<Requirements>,
    /// Command that fills caches; its files become part of the image.
    pub warm_up: Option<WarmUp>,
    /// Files of a bundle, which become part of the image.
    pub bundle: Option<BundleLayer>,
}

impl EnvironmentSpec {
    /// Spec without additions to the script type's image.
    #[must_use]
    pub fn plain(script_type: ScriptType) -> Self {
        Self {
            script_type,
            python: None,
            packages: SystemPackages::default(),
            requirements: None,
            warm_up: None,
            bundle: None,
        }
    }

    /// True if the script type's own image is enough.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.packages.is_empty()
            && self.needed_python().is_none()
            && self.needed_requirements().is_none()
            && self.warm_up.is_none()
            && self.bundle.is_none()
    }

    /// Requested version of Python, if this script type uses one.
    #[must_use]
    pub fn needed_python(&self) -> Option<PythonVersion> {
        self.python.filter(|_| self.script_type.has_python())
    }

    /// Requirements, if there is anything to install for this script type.
    #[must_use]
    pub fn needed_requirements(&self) -> Option<&Requirements> {
        let requirements = self.requirements.as_ref().filter(|it| !it.is_empty());
        requirements.filter(|_| self.script_type.has_python())
    }

    /// True if the image has its own Python, `/opt/env/bin/python`, with the requirements
    /// and of the requested version.
    #[must_use]
    pub fn has_own_python(&self) -> bool {
        self.needed_python().is_some() || self.needed_requirements().is_some()
    }

    /// Lowercase hexadecimal SHA-256 over everything that determines the image's content.
    /// `type_tag` is the tag of the base image, which covers everything that made it.
    /// Equal sets have equal keys, however they were written.
    #[must_use]
    pub fn key(&self, type_tag: &str) -> String {
        let packages: Vec<_> = self.packages.iter().map(ToString::to_string).collect();
        let requirements = self.needed_requirements().map(Requirements::hash);
        let mut hasher = Sha256::new();
        // The length of each part, and the end of the packages, are hashed too.
        let mut add = |part: &str| {
            hasher.update((part.len() as u64).to_le_bytes());
            hasher.update(part);
        };
        add(type_tag);
        add(&packages.len().to_string());
        packages.iter().for_each(|package| add(package));
        add(&requirements.unwrap_or_default());
        // Later additions are hashed only if they are present: the keys of all other sets
        // stay the same.
        if let Some(python) = self.needed_python() {
            add("python");
            add(python.name());
        }
        if let Some(warm_up) = &self.warm_up {
            add("warm_up");
            add(&warm_up.command.len().to_string());
            warm_up.command.iter().for_each(|argument| add(argument));
            add(&warm_up.file_name);
            add(&hex::encode(Sha256::digest(&warm_up.script)));
            warm_up.entry.iter().for_each(|entry| add(entry));
        }
        if let Some(bundle) = &self.bundle {
            add("bundle");
            add(&bundle.digest.hex());
        }
        hex::encode(hasher.finalize())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::file::FileDigest;
    use crate::domain::script_type::python::requirements::RequirementsPolicy;

    fn spec(
        script_type: ScriptType,
        packages: &[&str],
        requirements: Option<&str>,
    ) -> EnvironmentSpec {
        let packages = packages.iter().map(|text| (*text).to_owned()).collect();
        let parse = |text| Requirements::parse(text, RequirementsPolicy::default()).unwrap();
        EnvironmentSpec {
            packages: SystemPackages::new(packages).unwrap(),
            requirements: requirements.map(parse),
            ..EnvironmentSpec::plain(script_type)
        }
    }

    fn python(version: Option<PythonVersion>) -> EnvironmentSpec {
        EnvironmentSpec { python: version, ..EnvironmentSpec::plain(ScriptType::Python) }
    }

    fn warmed(command: &[&str], script: &'static [u8]) -> EnvironmentSpec {
        let command = command.iter().map(|it| (*it).to_owned()).collect();
        let warm_up =
            WarmUp { command, file_name: "x.py".to_owned(), script: script.into(), entry: None };
        EnvironmentSpec { warm_up: Some(warm_up), ..EnvironmentSpec::plain(ScriptType::Python) }
    }

    fn bundled(byte: u8) -> EnvironmentSpec {
        let digest = FileDigest::new([byte; 32]);
        let bundle = Some(BundleLayer { digest, archive: None });
        EnvironmentSpec { bundle, ..EnvironmentSpec::plain(ScriptType::Python) }
    }

    #[test]
    fn an_archive_can_be_anywhere() {
        let mut spec = bundled(1);
        let key = spec.key("t");
        spec.bundle.as_mut().unwrap().archive = Some("/elsewhere".into());
        assert_eq!(spec.key("t"), key);
        assert!(!spec.is_plain());
    }

    #[test]
    fn only_python_heeds_a_version_of_python() {
        assert!(!python(Some(PythonVersion::Python311)).is_plain());
        assert!(python(Some(PythonVersion::Python311)).has_own_python());
        let shell = EnvironmentSpec {
            script_type: ScriptType::Shell,
            ..python(Some(PythonVersion::Python311))
        };
        assert!(shell.is_plain() && !shell.has_own_python());
        assert_eq!(shell.key("t"), EnvironmentSpec::plain(ScriptType::Shell).key("t"));
    }

    #[test]
    fn a_runtime_is_enough_where_nothing_is_asked_for() {
        use ScriptType::{Python, Shell};
        assert!(EnvironmentSpec::plain(Shell).is_plain());
        assert!(spec(Python, &[], Some("# nothing\n")).is_plain());
        assert!(spec(Shell, &[], Some("six")).is_plain());
        assert!(!spec(Python, &[], Some("six")).is_plain());
        assert!(!spec(Shell, &["tree"], None).is_plain());
    }

    #[test]
    fn equal_sets_have_equal_keys() {
        let key = |packages: &[&str], requirements| {
            spec(ScriptType::Python, packages, requirements).key("gantry/python:1")
        };
        assert_eq!(key(&["tree", "jq"], Some("six")), key(&["jq", "tree", "jq"], Some("# \nSix")));
        assert_eq!(key(&[], None), key(&[], Some("")));
        assert_eq!(key(&[], None).len(), 64);
    }

    #[test]
    fn whatever_differs_changes_the_key() {
        let keys = [
            spec(ScriptType::Python, &[], None).key("gantry/python:1"),
            spec(ScriptType::Python, &[], None).key("gantry/python:2"),
            spec(ScriptType::Python, &["tree"], None).key("gantry/python:1"),
            spec(ScriptType::Python, &["tree=1"], None).key("gantry/python:1"),
            spec(ScriptType::Python, &["jq", "tree"], None).key("gantry/python:1"),
            spec(ScriptType::Python, &[], Some("six")).key("gantry/python:1"),
            spec(ScriptType::Python, &["tree"], Some("six")).key("gantry/python:1"),
            python(Some(PythonVersion::Python311)).key("gantry/python:1"),
            python(Some(PythonVersion::Python312)).key("gantry/python:1"),
            warmed(&["a", "b"], b"1").key("gantry/python:1"),
            warmed(&["a b"], b"1").key("gantry/python:1"),
            warmed(&["a", "b"], b"2").key("gantry/python:1"),
            bundled(1).key("gantry/python:1"),
            bundled(2).key("gantry/python:1"),
        ];
        for (at, key) in keys.iter().enumerate() {
            assert!(!keys[..at].contains(key), "{at}");
        }
    }
}
