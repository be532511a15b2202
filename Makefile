# Every target sets up what it needs in .venv by itself. `make help` lists them.

SHELL := /bin/sh
VENV := .venv
BIN := $(VENV)/bin

# The first Python that is new enough and can make virtual environments.
PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	"$$python" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' \
	2>/dev/null && echo "$$python" && break; done)

DEMO = $(BIN)/trioresource run examples/quickstart.toml --plain --for 8

# A worker for each core; one that has nothing left to do takes tests from another.
PYTEST = $(BIN)/python -m pytest --numprocesses logical --dist worksteal
PYTEST_ARGS ?=
# For whole spaces and under coverage: more than a test otherwise may take, on a machine that is busy.
PATIENTLY = --timeout 300 --override-ini faulthandler_timeout=240

# The variable silences an advertisement for another tool.
MKDOCS = NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs

# The floors that carry the guarantees, and the least coverage (with branches) of each, in percent.
COVERED = _model _monitor _cluster
COVERAGE_MIN = 95

.DEFAULT_GOAL := help
.PHONY: help demo test test-full check bench docs hooks clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

demo: $(VENV)/.installed-cli ## run the example cluster for 8 seconds
	$(DEMO)

test: $(VENV)/.installed-dev ## run the tests, the largest spaces of schedules bounded
	@scripts/install-test-programs
	$(PYTEST) $(PYTEST_ARGS)

# Whole spaces run without coverage: it would take three times as long, and count the same lines.
test-full: $(VENV)/.installed-dev ## run the whole spaces, then all tests, and check the coverage
	@scripts/install-test-programs
	TRIORESOURCE_WHOLE_SPACES=1 $(PYTEST) -m bounded $(PATIENTLY) $(PYTEST_ARGS)
	$(PYTEST) --cov --cov-report= $(PATIENTLY) $(PYTEST_ARGS)
	$(BIN)/coverage report
	@for part in $(COVERED); do \
		echo "trioresource/$$part must be covered to $(COVERAGE_MIN) %:"; \
		$(BIN)/coverage report --include="trioresource/$$part/*" \
			--fail-under=$(COVERAGE_MIN) || exit 1; \
	done

# pyright takes the first Python of the PATH; --verifytypes knows no other way.
check: export PATH := $(CURDIR)/$(BIN):$(PATH)
check: $(VENV)/.installed-dev ## lint, types, import rules, documentation
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/flake8 .
	$(BIN)/mypy
	$(BIN)/pyright
	$(BIN)/pyright --verifytypes trioresource --ignoreexternal
	$(BIN)/lint-imports --no-logo
	$(BIN)/python scripts/check-private-attributes
	$(MKDOCS) build --strict --quiet

bench: $(VENV)/.installed-dev ## run the benchmarks
	$(BIN)/python -m benchmarks

docs: $(VENV)/.installed-docs ## build the documentation into site/
	$(MKDOCS) build --strict

hooks: $(VENV)/.installed-dev ## let git run the quick checks on each commit
	$(BIN)/pre-commit install

clean: ## remove everything that was made here
	rm -rf $(VENV) build dist site .coverage .coverage.* \
		.hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@test -n "$(PYTHON)" || { \
		echo "trioresource needs Python 3.11 or newer with the venv module (Debian: python3-venv);" \
			"name one with: make PYTHON=/path/to/python3" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed-%: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[$*]'
	@touch $@
