PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/pip --disable-pip-version-check --quiet
# Which of examples/ `make demo` serves.
EXAMPLE ?= chat
# Passed on: `make test ARGS="-k handshake -x"`, `make demo ARGS="--port=8080"`.
ARGS ?=
# Test files that run at a time; most of a test's time is spent waiting for other programs.
JOBS ?= 4

.PHONY: help venv demo docs test lint format matrix bench clean
.DEFAULT_GOAL := help

help: ## Show this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1 \t\2/p' $(MAKEFILE_LIST) | expand -t 18

$(BIN)/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "txchannels needs Python 3.11 or newer; say which: make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || .ci/system-packages \
		"no virtual environment can be made" \
		"$$($(PYTHON) -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')"
	@$(PYTHON) -m venv $(VENV)

# What the daemon needs, and what developing it needs. Made again when setup.cfg changes.
$(VENV)/daemon.stamp: setup.cfg pyproject.toml | $(BIN)/pip
	@echo "Installing txchannels into $(VENV)"
	@$(PIP) install -e .
	@touch $@

$(VENV)/development.stamp: setup.cfg pyproject.toml | $(BIN)/pip
	@echo "Installing txchannels and what its tests need into $(VENV)"
	@$(PIP) install -e '.[test,lint,docs]'
	@touch $@

venv: $(VENV)/development.stamp ## Make .venv, with all that developing needs

demo: $(VENV)/daemon.stamp ## Serve an example on http://127.0.0.1:8000/: EXAMPLE=chat, databinding or events
	@[ -f examples/$(EXAMPLE)/manage.py ] || \
		{ echo "There is no example '$(EXAMPLE)'; there are: $$(cd examples && echo *)" >&2; exit 1; }
	@$(BIN)/python examples/$(EXAMPLE)/manage.py migrate --verbosity 0
	@$(BIN)/python examples/$(EXAMPLE)/manage.py demo
	@exec $(BIN)/twistd -n --pidfile= channels --settings=$(EXAMPLE).settings \
		--pythonpath=examples/$(EXAMPLE) $(ARGS)

docs: $(VENV)/development.stamp ## Make the site of the documentation, build/docs/index.html
	@$(BIN)/python -m sphinx -W -n -q --keep-going -b html -d build/doctrees docs build/docs

test: $(VENV)/development.stamp ## Run the tests
	@.ci/system-packages "the browser tests are skipped" chromium chromium-driver fonts-liberation
	@.ci/system-packages "the tests that need Redis itself are skipped" redis-server
	@.ci/system-packages "systemd's units are not read by systemd" systemd
	@$(BIN)/python -m pytest -n $(JOBS) --dist loadfile $(ARGS)

lint: $(VENV)/development.stamp ## Check style, types, and which room imports which
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

format: $(VENV)/development.stamp ## Sort the imports and lay out the code
	$(BIN)/ruff check --select I --fix .
	$(BIN)/ruff format .

matrix: ## Run the tests on every Python here, with every Django it may run
	@.ci/system-packages "the browser tests are skipped" chromium chromium-driver fonts-liberation
	@.ci/system-packages "the tests that need Redis itself are skipped" redis-server
	@.ci/system-packages "systemd's units are not read by systemd" systemd
	@.ci/matrix $(ARGS)

bench: | $(BIN)/pip ## Measure, beside other servers (in an environment of its own)
	@$(BIN)/python bench/run $(ARGS)

clean: ## Remove what make has made
	rm -rf $(VENV) build dist *.egg-info .coverage .hypothesis .mypy_cache .pytest_cache \
		.ruff_cache .import_linter_cache _trial_temp*
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
	find . \( -name dropin.cache -o -name twistd.pid -o -name 'twistd.log*' \) -delete
	rm -f examples/*/db.sqlite3* examples/*/.secret_key
