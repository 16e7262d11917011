# It needs Python 3.11 or newer. `make help` lists the targets.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
# Airflow with the FAB auth manager, which does not work with the pinned version of SQLAlchemy.
FAB    := .cache/fab
FAB_VERSION := 3.10.2

export PATH := $(CURDIR)/$(BIN):$(PATH)

.DEFAULT_GOAL := help
.PHONY: help setup demo test browser check format bench torture clean constraints

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## create .venv with the packages pinned in constraints.txt

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "$(PYTHON) is older than Python 3.11. Choose another one: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || \
		{ echo "$(VENV) could not be created. On Debian and Ubuntu, run: apt install python3-venv"; exit 1; }
	@echo "Setting up $(VENV) (about a minute the first time)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt uv || \
		{ echo "uv could not be installed. Check that this machine can reach the package index."; exit 1; }
	@$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --constraint constraints.txt --editable . --group dev || \
		{ echo "The packages could not be installed. Fix the error above, then run make again."; exit 1; }
	@touch $@

$(FAB)/.ready: $(READY)
	@$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(FAB)
	@$(BIN)/uv pip install --quiet --python $(FAB)/bin/python --editable . \
		"$$(grep '^apache-airflow==' constraints.txt)" apache-airflow-providers-fab==$(FAB_VERSION) psutil && touch $@ || \
		echo "Installing the FAB auth manager failed; see the message above. Its tests are skipped."

demo: $(READY) ## start Airflow, Postgres and two emulated workspaces here, and run three syncs
	@$(BIN)/python -m demo

test: check $(FAB)/.ready ## run the checks, and all tests but those that need a browser
	@$(BIN)/python -m pytest -m "not browser"

browser: $(READY) ## test the pages in Chromium, which is installed on Debian if it is missing
	@command -v chromium > /dev/null || (apt-get update -q && apt-get install -yq chromium) || \
		{ echo "Chromium could not be installed. Install it yourself, then run make browser again."; exit 1; }
	@$(BIN)/python -m pytest -m browser

check: $(READY) ## run ruff with all rules, check the format, run mypy in strict mode
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

format: $(READY) ## format, and fix what ruff can fix
	@$(BIN)/ruff check --fix --quiet . || true
	@$(BIN)/ruff format .

bench: $(READY) ## measure the speed on this machine
	@$(BIN)/python -m benchmarks

torture: $(READY) ## test the promises under faults, kills and load; SCENARIOS="kills watermark" SEED=7 select some
	@$(BIN)/python -m torture $(SCENARIOS) --seed $(or $(SEED),1)

constraints: ## pin the newest versions that work together in constraints.txt
	@rm -rf $(VENV) && $(PYTHON) -m venv $(VENV) && $(BIN)/python -m pip install --quiet uv
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --editable . --group dev
	@$(BIN)/uv pip freeze --python $(BIN)/python --exclude-editable > constraints.txt
	@touch $(READY)

clean: ## remove everything that these targets created
	@rm -rf $(VENV) .cache .demo .torture build dist *.egg-info
