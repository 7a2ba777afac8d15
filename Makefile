# make help says what there is. Everything happens in .venv; nothing but pip downloads anything.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input
CODE := src tests scripts benchmarks examples

# The tests, on all cores; a process of them has one thread for arithmetic.
FAST := -m "not slow" -n logical --maxprocesses 4 --dist worksteal

# Compiled modules are kept, whatever is set outside: the tests start Python hundreds of times.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help demo test lint format docs clean

help:  ## this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/make \1\t\2/' | expand -t 16

demo: $(VENV)/.stamp-demo  ## verify and detect on the photos of the package, write pictures
	$(BIN)/python examples/quickstart.py

test: $(VENV)/.stamp-test  ## the tests; .ci/run has the slow ones, too
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(FAST)

lint: $(VENV)/.stamp-test  ## ruff and mypy
	$(BIN)/ruff check $(CODE)
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/mypy

format: $(VENV)/.stamp-test  ## let ruff format the code
	$(BIN)/ruff check --fix $(CODE)
	$(BIN)/ruff format $(CODE)

docs: $(VENV)/.stamp-docs  ## build the docs into site/; broken links and names fail
	$(BIN)/zensical build --clean --strict

clean:  ## remove .venv, caches, the docs and what the demo wrote
	rm -rf $(VENV) demo site .cache build dist .pytest_cache .mypy_cache .ruff_cache

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "lineament needs Python 3.11 or newer; say which: make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || \
	  { echo "Python cannot make virtual environments here. On Debian and Ubuntu run:" >&2; \
	    echo "    sudo apt-get install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.stamp-demo: requirements/demo.txt pyproject.toml | $(BIN)/python
	$(PIP) install --quiet -r requirements/demo.txt
	$(PIP) install --quiet --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.stamp-test: requirements/test.txt $(VENV)/.stamp-demo
	$(PIP) install --quiet -r requirements/test.txt
	@touch $@

$(VENV)/.stamp-docs: requirements/docs.txt $(VENV)/.stamp-demo
	$(PIP) install --quiet -r requirements/docs.txt
	@touch $@
