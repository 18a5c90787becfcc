# Sluice. `make up` runs it, `make test` tests it.

PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
PORT ?= 8000
WORKERS ?= 4

.PHONY: up test lint bench bench-quick chaos screenshots clean

up: $(VENV)/.runs
	@$(RUN) manage.py up --port $(PORT) --workers $(WORKERS) $(UP)

# What it takes to run.
$(VENV)/.runs: requirements.txt
	@$(RUN) -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv $(VENV)
	@echo "Installing what Sluice needs …"
	@$(RUN) -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

# What it takes to test: Python packages, and servers where we may install them.
$(VENV)/.tests: requirements.txt tests/requirements.txt
	@$(RUN) -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv $(VENV)
	@echo "Installing what the tests need …"
	@$(RUN) -m pip install --quiet --disable-pip-version-check -r tests/requirements.txt
	@touch $(VENV)/.runs $@

test: $(VENV)/.tests
	@$(RUN) -m tests.servers
	@$(MAKE) --no-print-directory lint
	@$(RUN) -m tests.both

lint: $(VENV)/.tests
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/mypy
	@$(VENV)/bin/lint-imports

# Everything; bench-quick is the first part of it, and takes less than three minutes.
bench: $(VENV)/.tests
	@$(RUN) -m tests.bench all

bench-quick: $(VENV)/.tests
	@$(RUN) -m tests.bench quick

# As in `make chaos MINUTES=30 CHAOS="--seed 7"`.
MINUTES ?= 2
chaos: $(VENV)/.tests
	@$(RUN) -m tests.chaos --minutes $(MINUTES) --database sqlite $(CHAOS)
	@$(RUN) -m tests.chaos --minutes $(MINUTES) --database postgres $(CHAOS)

# Every page in light, dark and on a phone, in screenshots/; a few of them for the README and docs.
screenshots: $(VENV)/.tests
	@$(RUN) -m tests.screenshots screenshots

clean:
	rm -rf $(VENV) data bench-results screenshots .pytest_cache .mypy_cache .ruff_cache .hypothesis
