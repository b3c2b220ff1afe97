# make demo    what a vault does, on a temporary three-node cluster, in about a minute: RECORDS=500 is shorter
# make test    everything that has to pass before a change is taken
# make check   the fast part of it: style, types, imports, house rules
# make bench   measure, in about ten minutes; in one: make bench SCALE=small; PostgreSQL, too: PEERS=1
# make measured  keep the last of these runs: docs/measured.json, and the tables and the plot made from it
# make sim     the simulated cluster under many seeds, and a third as many with five nodes: make sim SEEDS=3000
# make mutants every rule of the protocol broken on purpose, one at a time: each must be caught
# make soak    faults let loose on a real cluster with eight clients: make soak MINUTES=30 SEED=7 NODES=5
# make fuzz    ever new input for the API, by its OpenAPI document, and for all parsers: make fuzz EXAMPLES=5000
# make release the wheel and the sources of this version, in dist/, made and checked
# make observed  what real nodes log while values come, epochs change and nodes fail: the excerpts of docs/observed.md
# make recovery  how long clients wait when nodes fail, leave and come back
# Needs only make and Python 3.10 or newer (with its venv module): PYTHON=python3.12 picks another one.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SEEDS ?= 300
MINUTES ?= 10
EXAMPLES ?= 1000
JOBS ?= 2
# Tests wait for timers as often as for a processor.
WORKERS ?= -n 3 --dist worksteal
DUCKDB_1 := build/duckdb-1.5

.DEFAULT_GOAL := help
.PHONY: help demo test check bench measured observed sim mutants soak fuzz recovery release generate clean

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
	$(BIN)/tvault demo $(RECORDS)

check: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -q tests/tidy tests/docs

test: check $(DUCKDB_1)/.installed
	$(BIN)/pytest -q $(WORKERS) --ignore=tests/tidy --ignore=tests/docs
	PYTHONPATH="$(CURDIR)/$(DUCKDB_1)" $(BIN)/pytest -q $(WORKERS) tests/duck

bench: $(VENV)/.installed
	$(if $(PEERS),$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[bench]')
	$(BIN)/python -m tests.bench $(if $(SCALE),--scale $(SCALE)) $(if $(PEERS),--peers) \
	  $(if $(ONLY),--only $(ONLY))

measured: $(VENV)/.installed
	cp build/bench.json docs/measured.json
	$(BIN)/python -m tests.bench.page
	$(BIN)/python docs/diagrams/draw.py

observed: $(VENV)/.installed
	$(BIN)/python -m tests.observed

sim: $(VENV)/.installed
	$(BIN)/python -m tests.sim --seeds 0:$(SEEDS) --nodes 3 --jobs $(JOBS)
	$(BIN)/python -m tests.sim --seeds 0:$$(( ($(SEEDS) + 2) / 3 )) --nodes 5 --jobs $(JOBS)

mutants: $(VENV)/.installed
	$(BIN)/python -m tests.mutants --jobs $(JOBS)

soak: $(VENV)/.installed
	$(BIN)/python -m tests.cluster --seconds $$(( $(MINUTES) * 60 )) \
	  $(if $(SEED),--seed $(SEED)) $(if $(NODES),--nodes $(NODES)) $(FLAGS)

fuzz: $(VENV)/.installed
	TVAULT_FUZZ_EXAMPLES=$(EXAMPLES) $(BIN)/pytest -q --timeout=0 tests/fuzz tests/contract/test_schemathesis.py

recovery: $(VENV)/.installed
	$(BIN)/python -m tests.cluster.recovery all

# The wheel is made from the sources that are packed, so that these are complete.
release: $(VENV)/.installed
	rm -rf dist
	$(BIN)/python -m build --no-isolation
	$(BIN)/twine check --strict dist/*

# DuckDB 2 needs Python 3.11 and is what is installed there; the tests that use DuckDB are run with 1.5 too.
$(DUCKDB_1)/.installed: pyproject.toml $(VENV)/.installed
	rm -rf $(DUCKDB_1)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --target $(DUCKDB_1) 'duckdb>=1.5,<2'
	@touch $@

# The files of the repository that the code writes.
generate: $(VENV)/.installed
	$(BIN)/python -c 'from tvault.config.writing import sample; print(sample(), end="")' > tvault.toml
	$(BIN)/python examples/generate_patients.py
	$(BIN)/python -m tests.bench.page
	$(BIN)/python docs/diagrams/draw.py

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
