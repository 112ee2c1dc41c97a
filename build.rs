//! Builds the programs that run in sandboxes and so go into this binary: gantry-init,
//! which is in every image, and gantry-probe, which tries what a sandbox refuses. Each is
//! one static executable, small and without unwinding. Cargo can't yet depend on a binary
//! of another profile and linkage, hence a cargo inside cargo, with a target directory of
//! its own.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    let root = PathBuf::from(variable("CARGO_MANIFEST_DIR"));
    let target = variable("TARGET");
    for folder in ["images/init", "images/probe"] {
        for source in ["src", "Cargo.toml"] {
            println!("cargo::rerun-if-changed={}", root.join(folder).join(source).display());
        }
    }
    println!("cargo::rerun-if-changed=Cargo.lock");
    println!("cargo::rerun-if-changed=build.rs");
    let init = build_static("gantry-init", &root, &target, "init");
    println!("cargo::rustc-env=GANTRY_INIT={}", init.display());
    let probe = build_static("gantry-probe", &root, &target, "probe");
    println!("cargo::rustc-env=GANTRY_PROBE={}", probe.display());
    println!("cargo::rustc-env=GANTRY_TARGET={target}");
}

/// Builds one package by itself, so that the features of the other do not change it: an
/// image is found by the hash of its content.
fn build_static(package: &str, root: &Path, target: &str, folder: &str) -> PathBuf {
    let target_dir = PathBuf::from(variable("OUT_DIR")).join(folder);
    let status = Command::new(variable("CARGO"))
        .args(["build", "--release", "--locked", "--package", package, "--target", target])
        .current_dir(root)
        .env("CARGO_TARGET_DIR", &target_dir)
        // Settings of the outer build are not meant for a static binary.
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("RUSTC_WORKSPACE_WRAPPER")
        .env("RUSTFLAGS", "-C target-feature=+crt-static")
        .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "s")
        .env("CARGO_PROFILE_RELEASE_LTO", "true")
        .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "1")
        .env("CARGO_PROFILE_RELEASE_PANIC", "abort")
        .env("CARGO_PROFILE_RELEASE_STRIP", "true")
        .status();
    match status {
        Ok(status) if status.success() => {}
        Ok(status) => panic!("{package} was not built ({status}); is the static libc installed?"),
        Err(error) => panic!("cargo can't be started: {error}"),
    }
    target_dir.join(target).join("release").join(package)
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("cargo did not set {name}"))
}
