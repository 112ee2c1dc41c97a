//! Builds gantry-init, which goes into every image and so into this binary: one
//! static executable, small and without unwinding. Cargo can't yet depend on a
//! binary of another profile and linkage, hence a cargo inside cargo, with a
//! target directory of its own.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    let root = PathBuf::from(variable("CARGO_MANIFEST_DIR"));
    let target = variable("TARGET");
    let target_dir = PathBuf::from(variable("OUT_DIR")).join("init");
    for source in ["src", "Cargo.toml"] {
        println!("cargo::rerun-if-changed={}", root.join("images/init").join(source).display());
    }
    println!("cargo::rerun-if-changed=Cargo.lock");
    println!("cargo::rerun-if-changed=build.rs");
    build_init(&root, &target, &target_dir);
    let init = target_dir.join(&target).join("release/gantry-init");
    println!("cargo::rustc-env=GANTRY_INIT={}", init.display());
    println!("cargo::rustc-env=GANTRY_TARGET={target}");
}

fn build_init(root: &Path, target: &str, target_dir: &Path) {
    let status = Command::new(variable("CARGO"))
        .args(["build", "--release", "--locked", "--package", "gantry-init", "--target", target])
        .current_dir(root)
        .env("CARGO_TARGET_DIR", target_dir)
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
        Ok(status) => panic!("gantry-init was not built ({status}); is the static libc installed?"),
        Err(error) => panic!("cargo can't be started: {error}"),
    }
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("cargo did not set {name}"))
}
