//! The images that sandboxes are made of: one per script type, one per set of system
//! packages, and one per set of Python requirements. Each is built once, found by
//! a tag that carries the hash of everything that went into it, and never
//! changed. Start with [`Library::prepare`].
//!
//! ```text
//! registry image ─┐
//!                 ├─▶ shell ─ python ─ binary        (Dockerfiles in images/)
//! mmdebstrap ─────┘             │
//!                               └─▶ environment ─▶ environment + more packages
//!
//! any script type ─▶ packages ─▶ environment, where the script type is python
//! any of these ─▶ bundle: the files of a script that has many
//! any of these ─▶ warm-up: the caches that a command of the script's has filled
//! ```
//!
//! There is a python image for each version that scripts ask for, upon the Debian release
//! that has it, or with an interpreter that uv has fetched.
//!
//! Whatever is installed from a package index is installed in a build sandbox, which is
//! as hardened as any other but has a network, and leaves it as a layer that is
//! checked ([`layer`]) before the engine gets it, and before its packages are kept for
//! other builds. No index URL, certificate or
//! credential can be in an image's history or configuration: they travel in the
//! request, never in a Dockerfile.

mod base;
mod build;
mod bundle;
mod bytecode;
mod environment;
mod error;
mod installer;
mod installer_settings;
pub mod layer;
mod library;
mod lock;
mod packages;
mod prepare;
mod prune;
mod python;
mod recipe;
mod release;
mod secrets;
mod single_flight;
mod warm_up;
mod wheels;

pub use environment::Environment;
pub use error::{ImageError, LockSource};
pub use installer_settings::{BuildDisk, InstallerSettings};
pub use library::{Library, LibrarySettings};
pub use prepare::Prepared;
pub use prune::{ImageState, Listed, Prunable};
pub use release::BaseSource;
