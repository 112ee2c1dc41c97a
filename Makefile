# The commands that a developer needs. Everything they install or build is
# either in target/ or an image with a gantry/ tag.

CARGO ?= cargo

.PHONY: demo test bench fuzz-frames lint base

# From a clean clone to real results on real input.
demo: base
	$(CARGO) build --release --locked
	GANTRY=target/release/gantry examples/demo.sh

# Every test; those of the sandbox run on the real engine.
test: base
	$(CARGO) build --locked
	target/debug/gantry images build
	@if command -v python3 >/dev/null; then \
	  python3 -m unittest discover --start-directory images/python; \
	else echo 'python3 is not installed: the tests of install.py were left out'; fi
	$(CARGO) test --workspace --locked

# Gantry beside the engine's own floor and hardened `docker run`, in one run.
bench: base
	$(CARGO) build --release --locked
	target/release/gantry images build
	$(CARGO) bench --locked --bench side_by_side

# A minute of hostile bytes for the frame decoder; needs cargo-fuzz.
fuzz-frames:
	mkdir -p images/init/fuzz/corpus/answers
	cd images/init && RUSTC_BOOTSTRAP=1 $(CARGO) fuzz run answers fuzz/corpus/answers fuzz/seeds/answers -- -max_total_time=60

# What .ci/run checks before the tests.
lint:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- --deny warnings
	@if $(CARGO) deny --version >/dev/null 2>&1; then .ci/deny; \
	else echo "cargo-deny is not installed: licences and advisories were not checked"; fi

# What base images are made of: a registry's image, or mmdebstrap.
base:
	@images/base/prepare
