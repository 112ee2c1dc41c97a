# The commands that a developer needs. Everything they install or build is
# either in target/ or an image with a gantry/ tag.

CARGO ?= cargo

.PHONY: demo film install test explore chaos bench soak fuzz fuzz-api client-test conformance lint base

# From a clean clone to real results on real input.
# It takes a development build, as `make test` does: that is ready in a third of the time.
demo: base
	$(CARGO) build --locked
	GANTRY=target/debug/gantry examples/demo.sh

# A clip goes through a chain of scripts by reference: frames, grading, a film.
film: base
	$(CARGO) build --locked
	GANTRY=target/debug/gantry examples/film.sh

# The optimised binary, in cargo's folder of binaries (~/.cargo/bin).
install:
	$(CARGO) install --path . --locked

# Every test; those of the sandbox run on the real engine, those of the store on
# PostgreSQL, too (in a container, or at GANTRY_TEST_POSTGRES_URL), and those of the
# console in Debian's Chromium, in a container as well.
# Property tests take the same cases each time; `make explore` looks at others.
#
# make test ENGINE=trixie, or sid: those that need an engine, on Docker 26.1 or the
# newest that Debian has instead of the machine's (tests/engines/beside; needs root).
# ENGINE_FLAGS are dockerd's: --default-runtime=crun, --feature=containerd-snapshotter=true;
# ENGINE_TESTS says which test binaries, ENGINE_SKIP which of their tests are left out.
test: export PROPTEST_RNG_SEED ?= 1
ifdef ENGINE
ENGINE_TESTS ?= sandbox cli server chaos
test: base
	$(CARGO) build --locked
	target/debug/gantry images build
	tests/postgres/prepare
	tests/engines/beside $(ENGINE) $(ENGINE_FLAGS) -- \
	  $(CARGO) test --locked --no-fail-fast $(ENGINE_TESTS:%=--test %) -- $(ENGINE_SKIP:%=--skip %)
else
test: base
	$(CARGO) build --locked
	target/debug/gantry images build
	@if command -v python3 >/dev/null; then \
	  python3 -m unittest discover --start-directory images/python \
	  && python3 -m unittest discover --start-directory tests/conformance; \
	else echo 'python3 is not installed: the tests of install.py were left out'; fi
	@if python3 -c 'import ensurepip, venv' 2>/dev/null; then \
	  GANTRY=target/debug/gantry tests/client/run.py \
	  && GANTRY=target/debug/gantry tests/client/uploads.py; \
	else echo 'python3 or its venv is not installed: no client was generated and tested'; fi
	tests/postgres/prepare
	tests/browser/prepare
	$(CARGO) test --workspace --locked
endif

# The property tests with a hundred times as many cases, new ones each time.
explore: export PROPTEST_CASES ?= 25600
explore:
	$(CARGO) test --package gantry --lib --locked
	$(CARGO) test --package gantry-init --locked

# Hundreds of executions while the server, a private engine, the database and the
# disk break; a short form is in `make test`. Needs root. A seed says what breaks in
# which order: odd ones are on PostgreSQL, and of four in a row two have live-restore.
# make chaos SEED=7 EXECUTIONS=300, or one seed after the other: make chaos SEED=1..20
SEED ?= 1..4
EXECUTIONS ?= 250
chaos: base
	$(CARGO) build --locked
	target/debug/gantry images build
	tests/postgres/prepare
	CHAOS_SEEDS=$(SEED) CHAOS_EXECUTIONS=$(EXECUTIONS) $(CARGO) test --locked --test chaos

# Every figure that the README states, measured here: executions beside `docker
# run`, the engine's API and no sandbox at all; environments beside `docker build`;
# the server by itself; and the pieces that every execution goes through. Some of
# it: make bench BENCH=side_by_side, make bench BENCH='burst idle' and so on, as
# benches/figures/main.rs says. The server is built with the benchmarks: by itself
# it would be built twice, because their dependencies have more features.
bench: base
	@$(CARGO) bench --no-run --locked --quiet --bench figures
	@target/release/gantry images build
	@$(CARGO) bench --locked --quiet --bench figures -- $(BENCH)
	@$(if $(BENCH),,$(CARGO) bench --locked --quiet --bench hot_pieces)

# Ten thousand executions on one server, and what it takes of the machine all the
# while: benches/soak.md and soak.svg. Fails when an execution does not end as it must
# or anything is left. A quarter of an hour; less: make soak SOAK_EXECUTIONS=1000
SOAK_EXECUTIONS ?= 10000
soak: base
	@$(CARGO) bench --no-run --locked --quiet --bench figures
	@target/release/gantry images build
	@SOAK_EXECUTIONS=$(SOAK_EXECUTIONS) $(CARGO) bench --locked --quiet --bench figures -- soak

# A minute of made-up bytes for each of all that reads what others write; needs
# cargo-fuzz. Some of it, or more: make fuzz FUZZ='requests elf' FUZZ_SECONDS=3600
fuzz:
	@CARGO='$(CARGO)' tests/fuzz/run $(FUZZ)

# Two minutes of requests that the OpenAPI document allows and forbids, made by
# schemathesis against a real server; needs python3 and its venv. More of it:
# make fuzz-api FUZZ_API_SECONDS=3600 FUZZ_API_EXAMPLES=1000 FUZZ_API_SEED=7
fuzz-api: base
	$(CARGO) build --locked
	target/debug/gantry images build
	GANTRY=target/debug/gantry tests/fuzz_api/run.py

# A client that openapi-python-client makes of the OpenAPI document, used against a real
# server; a part of `make test`. Needs python3 and its venv.
client-test: base
	$(CARGO) build --locked
	target/debug/gantry images build
	GANTRY=target/debug/gantry tests/client/run.py
	GANTRY=target/debug/gantry tests/client/uploads.py

# CPython's own tests, of the version that the image has, in sandboxes that start for
# them, in sandboxes that waited, and in a plain container; the table of what differs is
# left in target/conformance. An hour or two; a run that was interrupted goes on where it
# was. Less: make conformance MODULES='test_io', also with --again or --table (run.py)
conformance: base
	$(CARGO) build --locked
	target/debug/gantry images build
	GANTRY=target/debug/gantry tests/conformance/run.py $(MODULES)

# What .ci/run checks before the tests.
lint:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- --deny warnings
	@if $(CARGO) deny --version >/dev/null 2>&1; then .ci/deny; \
	else echo "cargo-deny is not installed: licences and advisories were not checked"; fi

# What base images are made of: a registry's image, or mmdebstrap.
base:
	@images/base/prepare
