//! Finding the sandboxes of a kind: by all that decides how their container is made.

use std::collections::HashMap;

use divan::Bencher;
use gantry::domain::limits::Limits;
use gantry::domain::run_folder::RunFolder;
use gantry::domain::sandbox_spec::{Network, Purpose, SandboxSpec};

fn spec(kind: u64) -> SandboxSpec {
    let limits = Limits::default();
    SandboxSpec {
        image: format!("sha256:{:064x}", kind % 7),
        limits: Limits { memory_bytes: limits.memory_bytes + kind, ..limits },
        network: Network::None,
        mounts: Vec::new(),
        owner: None,
        folder: RunFolder::None,
        oci_runtime: None,
        exec: true,
        purpose: Purpose::Execution,
    }
}

#[divan::bench(args = [1, 500])]
fn look_up(bencher: Bencher<'_, '_>, kinds: u64) {
    let pool: HashMap<SandboxSpec, u64> = (0..kinds).map(|kind| (spec(kind), kind)).collect();
    let wanted = spec(kinds / 2);
    bencher.bench(|| pool.get(divan::black_box(&wanted)).copied());
}

#[divan::bench]
fn look_up_what_is_not_there(bencher: Bencher<'_, '_>) {
    let pool: HashMap<SandboxSpec, u64> = (0..500).map(|kind| (spec(kind), kind)).collect();
    let wanted = spec(1000);
    bencher.bench(|| pool.get(divan::black_box(&wanted)).copied());
}
