# From an empty clone, with nothing but Python 3.11-3.13, make and git on the machine, every target prepares
# .venv by itself: exact versions, checked by hash, bytecode compiled. A second call finds that done.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.SUFFIXES:

VENV := .venv
BIN := $(VENV)/bin
# The machine's first Python that we support; 'make test PYTHON=python3.13' names another. Empty: there is none.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python; do \
	"$$p" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null && echo "$$p" && break; done)

# A stamp carries the digest of all that it was made from, so that neither a time stamp, nor a branch that changes
# the lock, nor an install that was cut leaves a wrong environment looking right.
digest = $(firstword $(shell cat $(1) | git hash-object --stdin))
DEMO_STAMP := $(VENV)/stamps/demo-$(call digest,pyproject.toml requirements/bootstrap.txt requirements/demo.txt)
DEV_STAMP := $(VENV)/stamps/dev-$(call digest,pyproject.toml requirements/bootstrap.txt requirements/dev.txt)
BOOTSTRAP_STAMP := $(VENV)/stamps/bootstrap-$(call digest,requirements/bootstrap.txt)

# Python itself, but with bytecode written although the machine may say otherwise.
COMPILED := env -u PYTHONDONTWRITEBYTECODE

# Build back ends come from the lock too, hence no isolation. uv is quick; pip, which knows the user's own mirrors
# and certificates, is the way out where uv reaches no registry. Both check every hash.
define install
	@echo "Installing what $(1) pins (once) ..."
	@$(COMPILED) $(BIN)/uv pip install --quiet --system-certs --python $(BIN)/python --no-build-isolation \
		--compile-bytecode --require-hashes --requirements $(1) || { \
		echo "uv could not; pip tries (slower) ..."; \
		$(COMPILED) $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation \
			--require-hashes --requirement $(1); }
	@$(COMPILED) $(BIN)/uv pip install --quiet --offline --python $(BIN)/python --no-build-isolation --no-deps \
		--editable .
	@rm -f $(VENV)/stamps/$(2)-*
	@touch $@
endef

.PHONY: help
help: ## Say what there is
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: $(DEMO_STAMP) bytecode ## Install, then watch a decision go the whole way on real flights
	@$(BIN)/headway demo

.PHONY: test
test: $(DEV_STAMP) bytecode ## Run every test, and every example in a docstring or a page of the docs
	@$(BIN)/python -m pytest -q --numprocesses logical --maxprocesses 4 --dist loadfile $(PYTEST_ARGS)

# All of them run, side by side, even where one fails: whoever mends wants the whole list.
.PHONY: check
check: $(DEV_STAMP) ## Lint, format, types, import contracts, house rules
	@$(MAKE) --no-print-directory --keep-going --output-sync --jobs 2 types lint shape contracts house
	@echo "Checked: types, lint, format, import contracts, house rules."

.PHONY: types lint shape contracts house
types:
	@$(BIN)/mypy --no-error-summary
lint:
	@$(BIN)/ruff check --quiet --output-format concise
shape:
	@$(BIN)/ruff format --quiet --check --output-format concise || { echo "'make format' puts that into shape."; exit 1; }
contracts:
	@$(BIN)/lint-imports --no-cache --no-logo >$(VENV)/contracts.log 2>&1 || { cat $(VENV)/contracts.log; exit 1; }
house:
	@$(BIN)/python -m pytest -q tests/test_house.py

.PHONY: bench
bench: $(DEV_STAMP) bytecode ## Measure, as ratios with the limit beside each
	@$(BIN)/python -m bench $(BENCH_ARGS)

.PHONY: format
format: $(DEV_STAMP) ## Put the code into shape
	@$(BIN)/ruff check --quiet --fix-only
	@$(BIN)/ruff format

.PHONY: lock
lock: $(BOOTSTRAP_STAMP) ## Pin again what pyproject.toml asks for; 'make lock UPGRADE=--upgrade' takes the newest
	@set -e; compile="$(BIN)/uv pip compile --quiet --system-certs --universal --python-version 3.11 --no-header \
		--no-annotate --no-emit-index-url --generate-hashes $(UPGRADE) --output-file"; \
	$$compile requirements/bootstrap.txt --group bootstrap; \
	$$compile requirements/dev.txt pyproject.toml --extra demo --extra pandas --extra polars \
		--extra excel --extra objects --extra postgres --extra ray --extra delta --extra iceberg --group dev --constraint requirements/bootstrap.txt; \
	$$compile requirements/demo.txt pyproject.toml --extra demo --constraint requirements/dev.txt

.PHONY: clean
clean: ## Remove what was built, the environment too; never a project's .headway/
	@rm -rf $(VENV) dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find src tests bench -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

# Our own sources, after each change: under a second, and nothing where nothing changed.
.PHONY: bytecode
bytecode:
	@$(COMPILED) $(BIN)/python -m compileall -q src

$(BOOTSTRAP_STAMP):
	@test -n "$(PYTHON)" || { echo "Headway needs Python 3.11, 3.12 or 3.13; none was found. Install one, or name it: make PYTHON=/path/to/python3" >&2; exit 1; }
	@echo "Preparing $(VENV) with $$($(PYTHON) --version) (once) ..."
	@$(PYTHON) -m venv --clear $(VENV)
	@$(COMPILED) $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes \
		--requirement requirements/bootstrap.txt
	@mkdir -p $(VENV)/stamps && touch $@

$(DEMO_STAMP): $(BOOTSTRAP_STAMP)
	$(call install,requirements/demo.txt,demo)

# What dev.txt pins holds what demo.txt pins, in the same versions.
$(DEV_STAMP): $(BOOTSTRAP_STAMP)
	$(call install,requirements/dev.txt,dev)
