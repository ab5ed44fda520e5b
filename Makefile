# `make sweep` and `make test` set everything up themselves; nothing but Python 3.11 and make is needed.
PYTHON ?= python3.11
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

# An environment for each group of extras: verifiers and Inspect want different versions of OpenAI's
# client, and what is trained with is large. Tests belong to a group by their marker.
EXTRAS := extras training verifiers
INSTALL := -m pip install --quiet --disable-pip-version-check --no-compile

# Byte code is kept whatever the shell says, since tests start dozens of processes, which would each
# compile every library again; beside the environment, so that no source folder is written to.
unexport PYTHONDONTWRITEBYTECODE
export PYTHONPYCACHEPREFIX := $(abspath $(VENV))/pycache

# Some tests wait for processes and servers: half as many workers again as there are cores.
CORES := $(shell getconf _NPROCESSORS_ONLN)
WORKERS ?= $(shell expr $(CORES) \* 3 / 2 + 0)

.PHONY: sweep example test test-full test-extras $(EXTRAS:%=test-extras-%) lint bench lock clean

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
	$(BIN)/python -m pytest -q -n $(WORKERS) --dist worksteal -m "not extras and not training and not verifiers"

test-extras: $(EXTRAS:%=test-extras-%)

$(EXTRAS:%=test-extras-%): test-extras-%: .venv-%/.ready
	.venv-$*/bin/python -m pytest -q -n $(WORKERS) --dist worksteal -m $*

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

# The lock says all there is: torch, which our tests do without, is in none (locks.without), so that
# pip is not asked to look for what it is needed by.
$(EXTRAS:%=.venv-%/.ready): .venv-%/.ready: requirements-%.lock pyproject.toml
	$(PYTHON) -m venv .venv-$*
	.venv-$*/bin/python $(INSTALL) --require-hashes --no-deps -r requirements-$*.lock
	.venv-$*/bin/python $(INSTALL) --no-build-isolation --no-deps --editable .
	@touch $@

# Deliberate: new versions are a decision, not a side effect of an installation. Needs uv.
COMPILE = uv pip compile --quiet --python-version 3.11 --universal --generate-hashes --no-header \
  --no-emit-index-url --override locks.without --extra dev pyproject.toml locks.in

lock:
	$(COMPILE) --output-file requirements.lock
	$(COMPILE) --extra inspect --extra published --output-file requirements-extras.lock
	$(COMPILE) --extra training --extra trl --extra ray --output-file requirements-training.lock
	$(COMPILE) --extra verifiers --output-file requirements-verifiers.lock

clean:
	rm -rf $(VENV) $(EXTRAS:%=.venv-%) .mypy_cache .pytest_cache .ruff_cache .hypothesis runs
