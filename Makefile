# The vocabulary of this repository. `make help` lists it.
#
# Everything that these targets need beyond git, make, a C compiler, Rust and Python 3.10+ they
# install themselves, into .venv and target.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SEEDS ?= 1000
SECONDS_EACH ?= 60

# An active environment of the user's own is not where this is installed.
export VIRTUAL_ENV := $(CURDIR)/$(VENV)
unexport CONDA_PREFIX PYTHONHOME

RUST_SOURCES := $(shell find src -type f) Cargo.toml Cargo.lock
TOOLS := $(VENV)/.tools
BUILT := $(VENV)/.built
INSTALLED := $(VENV)/.installed
CLAUDE := $(VENV)/claude
MERMAID := $(VENV)/mermaid

.DEFAULT_GOAL := help
.PHONY: help demo test test-rust test-python lint format bench simulate fuzz docs build clean \
	tools-present npm-left-out chromium-left-out

help: ## Show this list.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

demo: $(BUILT) ## Watch five agents work on a throw-away repository.
	@$(BIN)/parallel-orchestrate demo

test: test-rust test-python ## Run every test.

test-rust: tools-present
	cargo test --no-default-features

test-python: $(INSTALLED) \
	$(if $(shell command -v npm),$(CLAUDE)/.installed $(MERMAID)/.installed,npm-left-out) \
	$(if $(shell command -v chromium),,chromium-left-out)
	$(BIN)/python -m pytest -n auto

simulate: tools-present ## Run the simulator: make simulate SEEDS=1000000.
	SIMULATION_SEEDS=$(SEEDS) cargo test --release --no-default-features --lib simulation -- --nocapture

fuzz: tools-present ## Run each fuzz target: make fuzz SECONDS_EACH=600.
	@command -v c++ >/dev/null || { echo "missing: a C++ compiler. Debian: apt-get install build-essential." >&2; exit 1; }
	fuzz/run $(SECONDS_EACH)

lint: $(INSTALLED) ## Check formatting, lints, types and stubs.
	cargo fmt --check
	cargo fmt --check --manifest-path fuzz/Cargo.toml
	cargo clippy --all-targets --no-default-features --quiet -- -D warnings
	cargo clippy --lib --features python --quiet -- -D warnings
	$(BIN)/ruff check python tests benches examples docs
	$(BIN)/ruff format --check python tests benches examples docs
	$(BIN)/mypy
	$(BIN)/python -m mypy.stubtest orchestration._core --allowlist tests/python/stubtest-allowlist.txt

format: $(TOOLS) ## Format the sources.
	cargo fmt
	cargo fmt --manifest-path fuzz/Cargo.toml
	$(BIN)/ruff format python tests benches examples docs
	$(BIN)/ruff check --fix python tests benches examples docs

bench: $(BUILT) ## Measure, as ratios against references in the same run.
	@missed=0; cargo bench --no-default-features || missed=1; \
	for bench in dropin watching runs; do \
		$(BIN)/python benches/$$bench.py || missed=1; \
	done; exit $$missed

docs: $(INSTALLED) $(VENV)/.docs ## Build the pages as a site, into target/site.
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

build: $(BUILT) ## Build the extension into .venv.

clean: ## Remove everything that was built.
	rm -rf $(VENV) target dist

$(TOOLS): tests/requirements.txt | tools-present
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r tests/requirements.txt
	@touch $@

# Optimised, as it ships; the tests take it where it is there.
$(BUILT): $(TOOLS) pyproject.toml $(RUST_SOURCES)
	$(BIN)/maturin develop --release --quiet
	@touch $@ $(INSTALLED)

# Else they take one with the checks of a development build, which shares its dependencies with
# the Rust tests and so costs a fraction.
$(INSTALLED): $(TOOLS) pyproject.toml $(RUST_SOURCES)
	$(BIN)/maturin develop --quiet
	@rm -f $(BUILT)
	@touch $@

# What builds the site.
$(VENV)/.docs: docs/requirements.txt | $(TOOLS)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@

# The real Claude Code, which some tests run against a model of their own, and the real Mermaid.
$(VENV)/%/.installed: tests/support/%/package.json tests/support/%/package-lock.json | $(TOOLS)
	mkdir -p $(@D)
	cp $^ $(@D)
	cd $(@D) && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

npm-left-out:
	@echo "npm is missing: THE TESTS THAT RUN THE REAL CLAUDE CODE AND MERMAID ARE LEFT OUT. Install Node.js to run them." >&2

chromium-left-out:
	@echo "Chromium is missing: THE TESTS THAT LOOK AT THE PAGE OF A RUN ARE LEFT OUT. Debian: apt-get install chromium." >&2

# Names what is missing, and how to get it.
tools-present:
	@missing=0; \
	need() { command -v $$1 >/dev/null 2>&1 || { echo "missing: $$2. $$3" >&2; missing=1; }; }; \
	need git "git" "Install it with your package manager."; \
	need cc "a C compiler" "Debian: apt-get install build-essential. macOS: xcode-select --install."; \
	need cargo "Rust 1.88 or later" "See the page 'Install Rust' of the Rust project (rustup)."; \
	need $(PYTHON) "Python 3.10 or later" "Install it with your package manager, or name one: make PYTHON=python3.12."; \
	test $$missing = 0 || exit 1; \
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
	{ echo "missing: Python 3.10 or later; $(PYTHON) is older. Name another: make PYTHON=python3.12." >&2; exit 1; }; \
	$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	{ echo "missing: Python's venv. Debian: apt-get install python3-venv." >&2; exit 1; }
