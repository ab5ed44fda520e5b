# `make sweep` and `make test` set everything up themselves; nothing but Python 3.11 and make is needed.
PYTHON ?= python3.11
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

EXTRAS ?= .venv-extras
EXTRAS_READY := $(EXTRAS)/.ready
INSTALL := -m pip install --quiet --disable-pip-version-check --no-compile

# Some tests wait for processes and servers: half as many workers again as there are cores.
CORES := $(shell getconf _NPROCESSORS_ONLN)
WORKERS ?= $(shell expr $(CORES) \* 3 / 2 + 0)

.PHONY: sweep example test test-full test-extras lint bench lock clean

# The demonstration: a model organism whose zero does not hold. A sweep that finds it brittle exits
# with 1, so that is what success is here; anything else fails.
sweep: $(READY)
	@$(BIN)/holdfast sweep; test $$? -eq 1

# Two small policies, one trained narrowly, one on augmented environments: table and figure.
example: $(READY)
	$(BIN)/python -m examples.teaching_to_the_test

test: $(READY)
	$(BIN)/python -m pytest -q -n $(WORKERS) --dist worksteal

test-full: $(READY)
	$(BIN)/python -m pytest -q -n $(WORKERS) --dist worksteal -m "not extras"

test-extras: $(EXTRAS_READY)
	$(EXTRAS)/bin/python -m pytest -q -n $(WORKERS) --dist worksteal -m extras

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(READY)
	$(BIN)/python -m benchmarks

# Hashes are checked for every file installed, the build backend included; the project itself is
# then built by that locked backend, without a second look at a registry.
$(READY): requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python $(INSTALL) --require-hashes --only-binary :all: -r requirements.lock
	$(BIN)/python $(INSTALL) --no-build-isolation --no-deps --editable .
	@touch $(READY)

$(EXTRAS_READY): requirements-extras.lock pyproject.toml
	$(PYTHON) -m venv $(EXTRAS)
	$(EXTRAS)/bin/python $(INSTALL) --require-hashes -r requirements-extras.lock
	$(EXTRAS)/bin/python $(INSTALL) --no-build-isolation --no-deps --editable .
	@touch $(EXTRAS_READY)

# Deliberate: new versions are a decision, not a side effect of an installation. Needs uv.
lock:
	uv pip compile --quiet --python-version 3.11 --universal --generate-hashes --no-header --extra dev \
	  --no-emit-index-url pyproject.toml locks.in --output-file requirements.lock
	uv pip compile --quiet --python-version 3.11 --universal --generate-hashes --no-header --extra dev \
	  --extra inspect --extra published --no-emit-index-url pyproject.toml locks.in --output-file requirements-extras.lock

clean:
	rm -rf $(VENV) $(EXTRAS) .mypy_cache .pytest_cache .ruff_cache .hypothesis runs
