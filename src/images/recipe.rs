//! Content of a script type's image, and the tag made from it.

use std::io;

use sha2::{Digest, Sha256};

use crate::domain::script_type::ScriptType;
use crate::domain::script_type::python::PythonVersion;

/// PID 1, built by `build.rs` for this version of Gantry.
const INIT: &[u8] = include_bytes!(env!("GANTRY_INIT"));

/// mmdebstrap's arguments, one a line. The root file system that they make is below all
/// images where no registry can be reached.
pub(super) const BOOTSTRAP_ARGUMENTS: &str = include_str!("../../images/base/mmdebstrap.args");

/// `/etc/hosts` of every image. Docker puts an empty file over it where a
/// container has no network; other engines leave it.
const HOSTS: &[u8] = b"127.0.0.1\tlocalhost sandbox\n::1\tlocalhost sandbox\n";

/// The version of uv in the Python image; part of its tag.
pub(super) const UV_VERSION: &str = "0.13.9";

/// SHA-256 of that version's wheels for manylinux: x86_64, aarch64.
pub(super) const UV_HASHES: [&str; 2] = [
    "sha256:d7f459fe4fd247d830351c75686d3996ace3c6f3f728eb0e85a30b7ada0cef19",
    "sha256:5435c5ce14a56431208ca0996416d310f1598e8c2c8ba707688985a16bb82dbe",
];

/// Part of the tag of Python images: a new number has all of them built anew. It changes
/// with what the installer leaves in them beside uv.
const PYTHON_FORMAT: &str = "2";

/// Characters of a hash in a tag: 80 bits, for names that people see.
const TAG_HASH: usize = 20;

/// Script type, whose folder has the Dockerfile and what it copies.
#[derive(Debug, Clone, Copy)]
pub(super) struct Recipe {
    pub(super) script_type: ScriptType,
}

impl Recipe {
    pub(super) fn of(script_type: ScriptType) -> Self {
        Self { script_type }
    }

    /// The tag of the finished image. The same inputs give the same tag; `base`
    /// names where the root file system comes from.
    pub(super) fn tag(&self, base: &str) -> String {
        let uv =
            self.script_type.has_python().then(|| [&UV_HASHES.concat(), PYTHON_FORMAT].concat());
        format!("gantry/{}:{}", self.script_type, self.hash(&[base, &uv.unwrap_or_default()]))
    }

    /// The tag of the image with an interpreter that uv has fetched.
    pub(super) fn fetched_tag(&self, base: &str, version: PythonVersion) -> String {
        let uv = [&UV_HASHES.concat(), PYTHON_FORMAT].concat();
        format!("gantry/{}:{}", self.script_type, self.hash(&[base, &uv, version.name()]))
    }

    /// The tag of the image before uv is in it.
    pub(super) fn core_tag(&self, base: &str) -> String {
        format!("gantry/{}-core:{}", self.script_type, self.hash(&[base, "core"]))
    }

    fn hash(&self, more: &[&str]) -> String {
        let more = more.iter().chain([&BOOTSTRAP_ARGUMENTS]).map(|text| text.as_bytes());
        let files = self.files().map(|(_, _, content)| content);
        tag_hash(files.chain(more))
    }

    /// The tar that the engine's builder gets.
    pub(super) fn context(&self) -> io::Result<Vec<u8>> {
        dockerfile_context(&self.files().collect::<Vec<_>>())
    }

    /// Name, mode and content of all that goes in.
    fn files(&self) -> impl Iterator<Item = (&'static str, u32, &'static [u8])> {
        let image = self.script_type.image();
        let of_all = [
            ("Dockerfile", 0o644, image.dockerfile.as_bytes()),
            ("hosts", 0o644, HOSTS),
            ("gantry-init", 0o755, INIT),
        ];
        let of_type = image.files.iter().map(|(name, content)| (*name, 0o644, content.as_bytes()));
        of_all.into_iter().chain(of_type)
    }
}

/// A tar of files: name, mode, content.
pub(super) fn dockerfile_context(files: &[(&str, u32, &[u8])]) -> io::Result<Vec<u8>> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, mode, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(*mode);
        tar.append_data(&mut header, name, *bytes)?;
    }
    tar.into_inner()
}

/// A short hash over parts; where one part ends counts.
pub(super) fn tag_hash<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    let mut hex = hex::encode(hash.finalize());
    hex.truncate(TAG_HASH);
    hex
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_made_of_everything_that_goes_in() {
        let tags: Vec<_> = ScriptType::ALL
            .into_iter()
            .flat_map(|script_type| ["a", "b"].map(|base| Recipe::of(script_type).tag(base)))
            .collect();
        for (at, tag) in tags.iter().enumerate() {
            assert!(!tags[..at].contains(tag), "{tag} twice");
        }
        assert_eq!(tags[0], Recipe::of(ScriptType::Shell).tag("a"));
    }

    #[test]
    fn where_a_part_ends_counts() {
        assert_ne!(tag_hash([b"ab".as_slice(), b"c"]), tag_hash([b"a".as_slice(), b"bc"]));
    }

    #[test]
    fn init_is_a_small_static_binary() {
        assert!(INIT.starts_with(b"\x7fELF"));
        assert!(INIT.len() < 1_500_000, "gantry-init has {} bytes", INIT.len());
    }
}
