# make demo    tokenize, look at and recover a sample on a three-node cluster of this machine
# make test    everything that has to pass before a change is taken
# make check   the fast part of it: style, types, imports, house rules
# make bench   measure
# make sim     the simulated cluster under the given seeds: make sim SEEDS=200
# Needs only make and Python 3.10 or newer (with its venv module): PYTHON=python3.12 picks another one.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SEEDS ?= 50
JOBS ?= 2

.DEFAULT_GOAL := help
.PHONY: help demo test check bench sim generate clean

help:
	@sed -n '/^$$/q; s/^# //p' Makefile

# The mark is newer than pyproject.toml when the environment holds what it asks for.
$(VENV)/.installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
	  { echo "tvault needs Python 3.10 or newer: make PYTHON=/path/to/python3" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || \
	  { rm -rf $(VENV); echo "cannot make $(VENV): install the venv module of $(PYTHON)" >&2; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@

demo: $(VENV)/.installed
	PATH="$(CURDIR)/$(BIN):$$PATH" sh examples/walkthrough.sh

check: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -q tests/tidy tests/docs

test: check
	$(BIN)/pytest -q -n $(JOBS) --ignore=tests/tidy --ignore=tests/docs

bench: $(VENV)/.installed
	$(BIN)/python -m tests.bench

sim: $(VENV)/.installed
	TVAULT_SEEDS=$(SEEDS) $(BIN)/pytest -q -n $(JOBS) tests/sim

# The files of the repository that the code writes.
generate: $(VENV)/.installed
	$(BIN)/python -c 'from tvault.config.writing import sample; print(sample(), end="")' > tvault.toml
	$(BIN)/python examples/generate_patients.py
	$(BIN)/python docs/diagrams/draw.py

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
