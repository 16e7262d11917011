# Everything a fresh machine needs: Python >= 3.11 and make. `make help` lists the targets.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

export PATH := $(CURDIR)/$(BIN):$(PATH)

.DEFAULT_GOAL := help
.PHONY: help setup demo test browser check format bench torture clean constraints

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## create .venv with everything pinned by constraints.txt

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed, $(PYTHON) is older. Name another: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || \
		{ echo "Creating $(VENV) failed. On Debian and Ubuntu: apt install python3-venv"; exit 1; }
	@echo "Setting up $(VENV) (about a minute the first time)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt uv || \
		{ echo "Installing uv failed. Is the package index reachable from here?"; exit 1; }
	@$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --constraint constraints.txt --editable . --group dev || \
		{ echo "Installing the packages failed; see the message above, then run make again."; exit 1; }
	@touch $@

demo: $(READY) ## a real Airflow, a Postgres and two workspaces on this machine: three syncs, start to end
	@$(BIN)/python -m demo

test: check ## everything but pages: check, unit, integration, Airflow, end to end
	@$(BIN)/python -m pytest -m "not browser"

browser: $(READY) ## pages in a real Chromium, which is installed on Debian if it is missing
	@command -v chromium > /dev/null || (apt-get update -q && apt-get install -yq chromium) || \
		{ echo "Installing chromium failed; install it yourself, then run make browser again."; exit 1; }
	@$(BIN)/python -m pytest -m browser

check: $(READY) ## ruff (all rules), format, mypy strict
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

format: $(READY) ## let ruff mend what it can
	@$(BIN)/ruff check --fix --quiet . || true
	@$(BIN)/ruff format .

bench: $(READY) ## how fast is it here
	@$(BIN)/python -m benchmarks

torture: $(READY) ## does it hold what it promises under faults, kills and load; SCENARIOS="kills watermark" SEED=7 choose
	@$(BIN)/python -m torture $(SCENARIOS) --seed $(or $(SEED),1)

constraints: ## pin the newest versions that work together
	@rm -rf $(VENV) && $(PYTHON) -m venv $(VENV) && $(BIN)/python -m pip install --quiet uv
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --editable . --group dev
	@$(BIN)/uv pip freeze --python $(BIN)/python --exclude-editable > constraints.txt
	@touch $(READY)

clean: ## remove what was made here
	@rm -rf $(VENV) .cache .demo .torture build dist *.egg-info
