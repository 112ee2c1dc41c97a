//! System packages: the image of a script type with Debian packages on it.
//!
//! They are installed as those of the script types are, by the engine's builder on
//! the network of builds: apt needs root's rights, which a build sandbox never
//! has. Nothing secret goes in, and no name that [`SystemPackages`] has not
//! checked.

use super::ImageError;
use super::environment::{Environment, LABEL_BASE};
use super::library::Library;
use super::recipe::{dockerfile_context, tag_hash};
use crate::domain::system_packages::{SystemPackage, SystemPackages};
use crate::engine::docker::{Image, ImageBuild, Progress};
use crate::engine::{EngineError, Labels};
use crate::sandbox::Cancel;

/// The role of images with system packages.
pub(super) const ROLE: &str = "packages";

/// Label with the requested packages, in one line. Environments upon such an image
/// inherit it.
pub(super) const LABEL_SYSTEM_PACKAGES: &str = "gantry.system-packages";

const DOCKERFILE: &str = include_str!("../../images/packages/Dockerfile");

/// The line of the Dockerfile that the names take the place of.
const PLACE: &str = "\nPACKAGES\n";

impl Library {
    /// `base` with packages on it, built if it is not there.
    pub(super) async fn with_packages(
        &self,
        base: &Image,
        packages: &SystemPackages,
        progress: Progress<'_>,
        cancel: &Cancel,
    ) -> Result<Environment, ImageError> {
        let dockerfile = dockerfile(packages);
        let tag = tag(base, &dockerfile);
        let make = async {
            tokio::select! {
                built = self.build_packages(base, &tag, &dockerfile, progress) => built,
                () = cancel.cancelled() => Err(ImageError::Cancelled),
            }
        };
        self.found_or_made(&tag, make, progress, cancel).await
    }

    async fn build_packages(
        &self,
        base: &Image,
        tag: &str,
        dockerfile: &str,
        progress: Progress<'_>,
    ) -> Result<(), ImageError> {
        progress("installing system packages");
        let installer = &self.settings.installer;
        let context = dockerfile_context(&[("Dockerfile", 0o644, dockerfile.as_bytes())])
            .map_err(ImageError::io("the build context"))?;
        let build = ImageBuild {
            context: context.into(),
            arguments: installer.proxies().chain([("BASE".to_owned(), base.id.clone())]).collect(),
            tag: tag.to_owned(),
            labels: self.packages_labels(base),
        };
        self.docker.ensure_build_network().await?;
        // apt's output may contain a proxy's password.
        let redacted = |line: &str| progress(&installer.redacted(line));
        self.docker.build(build, &redacted).await.map_err(|error| match error {
            EngineError::Refused { message, .. } => {
                ImageError::Packages { words: installer.redacted(&apts_words(&message)) }
            }
            other => other.into(),
        })
    }

    fn packages_labels(&self, base: &Image) -> Labels {
        let mut labels = self.labels(ROLE);
        labels.insert(LABEL_BASE.to_owned(), base.id.clone());
        labels
    }
}

/// The Dockerfile that installs these packages. What they are called is in a
/// label there, too: in the labels of a build it would be in a request's URL,
/// which is too short for a hundred names.
fn dockerfile(packages: &SystemPackages) -> String {
    let lines: Vec<_> = packages.iter().map(|it| format!("      {} \\", argument(it))).collect();
    let names: Vec<_> = packages.iter().map(ToString::to_string).collect();
    let label = format!("LABEL \"{LABEL_SYSTEM_PACKAGES}\"=\"{}\"\n", names.join(" "));
    DOCKERFILE.replace(PLACE, &format!("\n{}\n", lines.join("\n"))) + &label
}

/// Argument of apt-get for a package, as the Dockerfile explains.
fn argument(package: &SystemPackage) -> String {
    let name = package.name();
    match package.version() {
        Some(version) => format!("{name}:native={version}"),
        None => format!("{name}:native"),
    }
}

fn tag(base: &Image, dockerfile: &str) -> String {
    format!("gantry/{ROLE}:{}", tag_hash([base.id.as_bytes(), dockerfile.as_bytes()]))
}

/// Extracts apt's error lines from the end of a failed build's output, or all of it when
/// there are none: the engine's own are a long generated command. Where dpkg failed, apt
/// gives no reason: the packages' own scripts have printed it.
fn apts_words(message: &str) -> String {
    let is_apts = |line: &&str| ["E: ", "Err:", "W: "].iter().any(|it| line.starts_with(it));
    let lines = || message.lines().map(str::trim_end).filter(|line| !line.is_empty());
    let mut said: Vec<_> = lines().map(str::trim).filter(is_apts).collect();
    if said.is_empty() || said.iter().any(|line| line.contains("returned an error code")) {
        said = lines().filter(|line| !is_routine(line)).collect();
    }
    said.join("\n").replace(":native", "")
}

/// True for lines of the engine, apt and dpkg when all goes well, and for generated parts
/// of a failed step.
fn is_routine(line: &str) -> bool {
    const ROUTINE: [&str; 10] = [
        "The command '",
        "Removing intermediate container ",
        "Get:",
        "Fetched ",
        "Selecting previously ",
        "Preparing to unpack ",
        "Unpacking ",
        "Setting up ",
        "Processing triggers ",
        "(Reading database",
    ];
    ROUTINE.iter().any(|begin| line.starts_with(begin))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packages(names: &[&str]) -> SystemPackages {
        SystemPackages::new(names.iter().map(|name| (*name).to_owned()).collect()).unwrap()
    }

    #[test]
    fn the_dockerfile_has_a_line_for_each_package() {
        let text = dockerfile(&packages(&["tree", "g++", "jq=1.7.1-6"]));
        let lines = "--no-remove -- \\\n      g++:native \\\n      jq:native=1.7.1-6 \\\n      \
                     tree:native \\\n && find";
        assert!(text.contains(lines), "{text}");
        let label = "\nLABEL \"gantry.system-packages\"=\"g++ jq=1.7.1-6 tree\"\n";
        assert!(text.ends_with(label), "{text}");
    }

    #[test]
    fn the_largest_list_fits_into_the_builders_lines() {
        let longest = |number: usize| format!("{number:0128}={number:0128}");
        let names: Vec<_> = (0..100).map(longest).collect();
        let packages = SystemPackages::new(names).unwrap();
        // The classic builder reads lines of up to 64 KiB (bufio.Scanner).
        assert!(dockerfile(&packages).lines().all(|line| line.len() < 60 * 1024));
    }

    #[test]
    fn apts_words_are_what_is_shown() {
        let message = "The command '/bin/sh -c apt-get' returned a non-zero code: 100\n\
                       Reading package lists...\nE: Unable to locate package nosuch:native\n";
        assert_eq!(apts_words(message), "E: Unable to locate package nosuch");
        assert_eq!(apts_words("no space left on device"), "no space left on device");
    }

    #[test]
    fn where_dpkg_fails_its_own_words_are_shown() {
        let message = "The command '/bin/sh -c apt-get' returned a non-zero code: 100\n\
                       Setting up java-common (0.76) ...\n\
                       Setting up openjdk-21-jre-headless:amd64 (21.0.9+10-1) ...\n\
                       update-alternatives: error: error creating symbolic link '/usr/share/man/man1/\
                       java.1.gz.dpkg-tmp': No such file or directory\n\
                       dpkg: error processing package openjdk-21-jre-headless:amd64 (--configure):\n \
                       installed openjdk-21-jre-headless:amd64 package post-installation script \
                       subprocess returned error exit status 2\n\
                       Errors were encountered while processing:\n openjdk-21-jre-headless:amd64\n\
                       E: Sub-process /usr/bin/dpkg returned an error code (1)\n\
                       Removing intermediate container b3fd25eb8390\n";
        let words = apts_words(message);
        assert!(words.starts_with("update-alternatives: error: error creating"), "{words}");
        assert!(words.contains("\n installed openjdk-21-jre-headless:amd64 package"), "{words}");
        assert!(
            words.ends_with("E: Sub-process /usr/bin/dpkg returned an error code (1)"),
            "{words}"
        );
    }
}
