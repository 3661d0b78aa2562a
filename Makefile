# The first use of any target makes .venv by itself: with uv where there is one, else venv and pip. `demo` installs what
# users need, everything else what developers need.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
USED := $(VENV)/.used
# One more than there are cores: tests wait for processes, servers and clocks. Who has nothing left takes from the others.
PYTEST_WORKERS ?= $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1)
PYTEST := $(BIN)/python -m pytest -n $(PYTEST_WORKERS) --dist worksteal

.PHONY: demo quick test test-all test-pythons check bench dist schema pictures lock

demo: $(USED)
	$(BIN)/orchestrator-action demo

# What needs no git, no process and no server: at every save.
PURE := tests/core tests/text tests/render tests/docs tests/agents/test_environment.py tests/agents/test_guard.py \
  tests/agents/test_claude_stream.py tests/evidence/test_counts.py tests/evidence/test_paths.py

quick: $(STAMP)
	$(PYTEST) -q -m "not slow" $(PURE) $(PYTEST_ARGS)

# On any machine, as it is. Of what takes long it has a part: a row of each kind of a table, the plain case of a rule. The
# rest, what needs a real component from npm, long crash sweeps and soaks stand in test-all.
test: $(STAMP)
	$(PYTEST) -m "not slow and not npm" $(PYTEST_ARGS)

# What `test` runs, then the rest: each test once.
test-all: test
	$(PYTEST) -m "slow or npm" $(PYTEST_ARGS)

# What is pure or parses text, on every Python we promise that this machine has, with the newest dependencies.
test-pythons: $(STAMP)
	$(BIN)/python -m tests.pythons $(filter-out tests/docs,$(PURE))

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q tests/docs

bench: $(STAMP)
	$(BIN)/python -m benchmarks

$(STAMP): pyproject.toml requirements-dev.lock
	@echo "installing into $(VENV): the first time this takes a minute or two"
	@if command -v uv >/dev/null 2>&1; then \
	  uv venv --quiet --allow-existing --python $(PYTHON) $(VENV) && \
	  uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements-dev.lock && \
	  uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .; \
	else \
	  $(PYTHON) -m venv $(VENV) && \
	  $(BIN)/python -m pip install --quiet --require-hashes -r requirements-dev.lock && \
	  $(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .; \
	fi
	@touch $(USED) $@

$(USED): pyproject.toml requirements.lock
	@if command -v uv >/dev/null 2>&1; then \
	  uv venv --quiet --allow-existing --python $(PYTHON) $(VENV) && \
	  uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock && \
	  uv pip install --quiet --python $(BIN)/python --no-deps -e .; \
	else \
	  $(PYTHON) -m venv $(VENV) && \
	  $(BIN)/python -m pip install --quiet --require-hashes -r requirements.lock && \
	  $(BIN)/python -m pip install --quiet --no-deps -e .; \
	fi
	@touch $@

# What a release is made of, looked at and tried; nothing is published.
dist: $(STAMP)
	rm -rf dist
	$(BIN)/python -m build --no-isolation --outdir dist .
	$(BIN)/python -m tests.built dist
	$(BIN)/python -m tests.built --pythons dist

# What is made from the code, and held to it by a test: the schema of the configuration, the table of keys, the help of all commands.
schema: $(STAMP)
	$(BIN)/python -m orchestrator_action.config.load > orchestrator_action/config/orchestrator.schema.json
	$(BIN)/python -m tests.docs.test_help
	$(BIN)/python -m tests.docs.tables

# The pictures of README and docs, of a run of the demo; needs Chromium (and fonts-noto-color-emoji).
pictures: $(STAMP)
	$(BIN)/python -m benchmarks.pictures

lock:
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	  --no-emit-index-url --no-emit-find-links --extra sign pyproject.toml -o requirements.lock
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	  --no-emit-index-url --no-emit-find-links --extra sign --extra otel pyproject.toml -o requirements-otel.lock
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	  --no-emit-index-url --no-emit-find-links --extra sign --group dev pyproject.toml -o requirements-dev.lock
