# Every target does its own set-up, on a fresh machine with Python 3.11 or newer.
#   make demo    review the sample pictures in the browser (make demo ARGS='--simulate' hands arguments on)
#   make test    all tests            make check   lint, types, fast tests
#   make bench   what it does, measured
#   make synth   the stack's template, as `cdk deploy` would deploy it
#   make deploy-local   the real `cdk deploy`, used and destroyed, with a stand-in for AWS on this machine

.DELETE_ON_ERROR:
.PHONY: setup demo test check bench synth deploy-local browser node_modules lock clean

PYTHON := $(shell for python in python3 python3.13 python3.12 python3.11 python3.14; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input --quiet
ARGS ?=

demo: .venv/demo
	$(BIN)/bulkqa demo $(ARGS)

setup: .venv/setup

test: .venv/dev node_modules browser
	$(BIN)/python -m pytest --numprocesses 2 --dist worksteal $(ARGS)

check: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -m 'not slow and not browser and not aws' --numprocesses 2 \
		$(patsubst %,--ignore tests/%,aws browser e2e lambdas) --hypothesis-profile few $(ARGS)

bench: .venv/dev
	$(BIN)/python -m benchmarks $(ARGS)

synth: .venv/infra node_modules/.package-lock.json
	node_modules/.bin/cdk synth --quiet $(ARGS)

deploy-local: .venv/dev node_modules/.package-lock.json
	$(BIN)/python -m tests.e2e.deploy_local

# Writes the requirement files anew. Hashes of all platforms, and no address of any index. First the one
# that asks for most, so that all agree.
LOCK := uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --quiet \
	--no-emit-index-url --no-emit-find-links --system-certs
lock:
	$(LOCK) --upgrade requirements/dev.in -o requirements/dev.txt
	for name in infra setup demo lambda; do \
		$(LOCK) requirements/$$name.in -c requirements/dev.txt -o requirements/$$name.txt || exit 1; done

clean:
	rm -rf .venv node_modules build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis

.venv/python:
	@test -n '$(PYTHON)' || { echo 'bulkqa needs Python 3.11 or newer.' >&2; exit 1; }
	@$(PYTHON) -m venv .venv || { \
		rm -rf .venv; \
		echo 'Python cannot make a virtual environment. On Debian or Ubuntu: apt-get install python3-venv' >&2; \
		exit 1; }
	@touch $@

.venv/demo: requirements/demo.txt pyproject.toml | .venv/python
	@echo 'Installing what bulkqa needs into .venv ...'
	@$(PIP) install --require-hashes -r requirements/demo.txt
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

.venv/setup: requirements/setup.txt .venv/demo
	@echo 'Installing what bulkqa needs on AWS into .venv ...'
	@$(PIP) install --require-hashes -r requirements/setup.txt
	@touch $@

.venv/infra: requirements/infra.txt .venv/setup
	@echo 'Installing what cdk needs into .venv ...'
	@$(PIP) install --require-hashes -r requirements/infra.txt
	@touch $@

.venv/dev: requirements/dev.txt .venv/infra
	@echo 'Installing what the tests need into .venv ...'
	@$(PIP) install --require-hashes -r requirements/dev.txt
	@touch $@

# A second DynamoDB for the tests, and cdk, run on Node. Without Node tests say that they were left out.
node_modules:
	@if command -v npm >/dev/null; then $(MAKE) -s node_modules/.package-lock.json; \
		else echo 'No Node here: tests on dynalite and of deploys are left out (under CI=true they fail).' >&2; fi

node_modules/.package-lock.json: package.json package-lock.json .npmrc
	@command -v npm >/dev/null || { echo 'This needs Node 22 or newer, with npm.' >&2; exit 1; }
	@echo 'Installing cdk and a second DynamoDB into node_modules ...'
	@npm ci --silent
	@touch $@

# The browser tests drive Chromium. Who may install it gets it; else they say that they were left out.
browser:
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null \
		|| command -v google-chrome >/dev/null \
		|| { test "$$(id -u)" = 0 && command -v apt-get >/dev/null \
			&& echo 'Installing Chromium ...' \
			&& apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y chromium >/dev/null; } \
		|| echo 'No Chromium here: browser tests will be left out (under CI=true they fail).' >&2
