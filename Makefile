# make demo: a living greenhouse in the terminal.   make test: everything that CI checks, on this machine.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# What the demo needs, and what the tests need on top of it.
RUN := $(VENV)/.installed
DEV := $(VENV)/.installed-dev

.PHONY: demo test lint bench clean

demo: $(RUN)
	@$(BIN)/growyd demo $(ARGS)

test: $(DEV)
	$(BIN)/pytest --numprocesses 3 --dist loadgroup $(ARGS)

lint: $(DEV)
	$(BIN)/ruff check growy sensor_libs tests bench
	$(BIN)/ruff format --check growy sensor_libs tests bench
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(DEV)
	$(BIN)/python -m bench.convert
	$(BIN)/python -m bench.store
	$(BIN)/python -m bench.migrate
	$(BIN)/python -m bench.wire
	$(BIN)/python -m bench.start
	$(BIN)/python -m bench.fleet
	$(BIN)/python -m bench.metrics
	$(BIN)/python -m bench.rules
	$(BIN)/python -m bench.login
	$(BIN)/python -m bench.replay
	$(BIN)/python -m bench.control
	$(BIN)/python -m bench.ingest
	$(BIN)/python -m bench.live
	$(BIN)/python -m bench.tree

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "growyd needs Python 3.11 or newer, this is %d.%d: make PYTHON=python3.11 ..." % sys.version_info[:2])'
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

$(RUN): pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[embedded]'
	@touch $@

$(DEV): pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@ $(RUN)

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
