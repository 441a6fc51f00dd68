# All that a fresh machine needs is Python 3.11 or newer: every target sets up .venv first, once.
VENV := .venv
READY := $(VENV)/.ready
BIN := $(VENV)/bin
# The first of these that is Python 3.11 or newer makes the environment; `make PYTHON=/path/to/python run` chooses one.
PYTHON ?= python3.11
CANDIDATES := $(PYTHON) python3 python3.14 python3.13 python3.12 python

.DEFAULT_GOAL := help
.PHONY: help run test lint types format setup clean

help:  ## Show this list.
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

run: $(READY)  ## Make the sample corpus and run recipes/quickstart.yaml, up to the report (4 minutes on 2 cores).
	$(BIN)/cloze sample data/sample
	$(BIN)/cloze run recipes/quickstart.yaml

test: $(READY)  ## Run all tests.
	$(BIN)/python -m pytest -n 2 --dist loadgroup $(ARGS)

lint: $(READY)  ## Check style and format.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)  ## Check types.
	$(BIN)/mypy

format: $(READY)  ## Write the files in the project's format.
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

setup: $(READY)  ## Only set up the environment.

clean:  ## Remove the environment and what tools leave behind; data and runs stay.
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis

$(READY): pyproject.toml constraints.txt
	@for python in $(CANDIDATES); do \
	    if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	        echo "setting up $(VENV) with $$($$python --version)"; \
	        $$python -m venv $(VENV) && exit 0; \
	        echo "error: this Python cannot make virtual environments; on Debian, install python3-venv." >&2; exit 1; \
	    fi; \
	done; \
	echo "error: cloze needs Python 3.11 or newer, and none of these is: $(CANDIDATES)." >&2; \
	echo "Install one, or name it: make PYTHON=/path/to/python ..." >&2; exit 1
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	@touch $(READY)
