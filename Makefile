# Two commands do all the set-up on a fresh machine: `make run` and `make test`.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# The same versions today and tomorrow; pyproject.toml leaves ranges open for users.
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

# What is imported is compiled once: where this is set, every process would compile all of torch anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: run test lint types docs models format screenshots release-check clean

run: $(VENV)/.run-installed
	@$(BIN)/interpboard

# Types take longest, on one core: the other checks run beside them. Then a process for each core, at most 8,
# each with files that lie together. (loadfile of pytest-xdist waits for ever once a process has died.)
test: $(VENV)/.test-installed
	@$(MAKE) --no-print-directory --jobs 3 lint types docs
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 8 --dist worksteal

lint: $(VENV)/.test-installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: $(VENV)/.test-installed
	$(BIN)/mypy

# Every type of model that transformers names, built small and held against plain forwards (an hour):
# what docs/models.md says of them. `make test` looks at some.
models: $(VENV)/.test-installed
	$(BIN)/python -m tests.model_types

# A broken link, or a name that the program no longer has, fails it.
docs: $(VENV)/.test-installed
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet

format: $(VENV)/.test-installed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

screenshots: $(VENV)/.run-installed
	$(BIN)/python screenshots/make.py

# All of a release but publishing it; docs/releasing.md has the rest.
release-check: $(VENV)/.test-installed
	$(BIN)/python -m scripts.release_check

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache

$(BIN)/python:
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; v >= (3, 11) or sys.exit(f"InterpBoard needs Python 3.11 or newer, {sys.executable} is {v[0]}.{v[1]}. Try: make PYTHON=python3.12 ...")'
	@$(PYTHON) -m venv $(VENV)

# Each stamp is newer than what decides the set-up, so a changed pyproject.toml installs again.
$(VENV)/.run-installed: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing InterpBoard into $(VENV) (torch is large: minutes the first time) ..." >&2
	@$(PIP) --editable . >&2
	@touch $@

# Modules are compiled as they are imported: to compile every one that is there takes a minute more.
$(VENV)/.test-installed: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing InterpBoard and what its tests need into $(VENV) (torch is large: minutes the first time) ..." >&2
	@$(PIP) --no-compile --editable ".[test,docs]" >&2
	@touch $(VENV)/.run-installed $@
