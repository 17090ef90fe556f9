# Everything a fresh machine needs is Python with pip, and make. `make help` lists the commands.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules --no-print-directory
# Without compiled files every start of Lambda code and of the CDK app pays for compiling it.
unexport PYTHONDONTWRITEBYTECODE
# A virtual environment that happens to be active is not ours to fill.
unexport VIRTUAL_ENV
export UV_NO_PROGRESS := 1
# Where a company's proxy signs the traffic, its authority is among the system's; uv and Node bring lists of their own.
SYSTEM_CERTIFICATES := $(firstword $(wildcard /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/cert.pem))
ifneq ($(SYSTEM_CERTIFICATES),)
export SSL_CERT_FILE ?= $(SYSTEM_CERTIFICATES)
export NODE_EXTRA_CA_CERTS ?= $(SYSTEM_CERTIFICATES)
endif

STAMPS := .tools/stamps
OWN_UV := $(CURDIR)/.tools/uv/bin/uv
# An installed uv serves when it is new enough for pyproject.toml's `required-version`.
UV := $(shell uv --version 2>/dev/null | grep -Eq '^uv (0\.([89]|[1-9][0-9])|[1-9])' && command -v uv || echo $(OWN_UV))
RUN := $(UV) run --no-sync
# The emulator's environment and the layer are made with the same uv.
export PATH := $(dir $(UV)):$(PATH)
PYTEST := $(RUN) pytest
# What the time goes into, at the end of each run of `make test`.
SLOWEST := --durations 12 --durations-min 5

.PHONY: help setup demo test check docs unit cloud bench screenshots requirements clean

help: ## Show this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

setup: $(STAMPS)/python $(STAMPS)/node $(STAMPS)/cloud $(STAMPS)/browser ## Install everything into this folder (nothing outside it, but for the browser)

demo: $(STAMPS)/cloud ## Deploy into the embedded cloud, print the link of the phones, stay until Ctrl-C
	@$(RUN) sms-local demo

# The embedded cloud and the browser wait much of their time, so three runs go on side by side: what does without the deployed
# cloud, its tests, and its pages in a browser, in a cloud of their own. What the first and the last say comes at the end.
test: setup check ## All checks and all tests, the embedded cloud and the browser included
	@mkdir -p .local
	@$(PYTEST) $(SLOWEST) --ignore tests/browser --ignore-glob 'tests/cloud/test_*.py' > .local/beside-the-cloud.log 2>&1 & beside=$$!; \
	$(PYTEST) $(SLOWEST) tests/browser > .local/in-the-browser.log 2>&1 & pages=$$!; \
	cloud_failed=0; $(PYTEST) $(SLOWEST) tests/cloud --ignore tests/cloud/emulator || cloud_failed=$$?; \
	pages_failed=0; wait $$pages || pages_failed=$$?; \
	beside_failed=0; wait $$beside || beside_failed=$$?; \
	cat .local/in-the-browser.log .local/beside-the-cloud.log; \
	exit $$(( cloud_failed | pages_failed | beside_failed ))

check: $(STAMPS)/python docs ## Lint, format and types; the site of docs/ has no broken link
	$(RUN) ruff check
	$(RUN) ruff format --check
	$(RUN) mypy

docs: $(STAMPS)/site ## Make the site of docs/ in docs/_site; every warning is an error
	.tools/site/bin/sphinx-build -q -W --keep-going docs docs/_site
	@echo "Open docs/_site/index.html"

unit: $(STAMPS)/python $(STAMPS)/node ## The quick tests: without embedded cloud and browser
	$(PYTEST) -m "not cloud and not browser"

cloud: setup ## Only the tests of the embedded cloud and of its pages in a browser
	$(PYTEST) -m "cloud or browser"

bench: $(STAMPS)/cloud ## Measure against the sequential baseline (minutes; docs/performance.md explains the output)
	$(RUN) python benchmarks/sequential_baseline/bench.py --adapter benchmarks.adapter --repeat 21 --paths token,review,keyword
	$(RUN) python benchmarks/sequential_baseline/bench.py --adapter benchmarks.adapter --repeat 3 --paths broadcast.cpu
	$(RUN) python benchmarks/sequential_baseline/bench.py --adapter benchmarks.adapter --repeat 1 --paths broadcast.wall --customers 20000
	$(RUN) python benchmarks/consumer_table.py
	$(RUN) python benchmarks/million_events.py
	$(RUN) python benchmarks/simulation.py
	$(RUN) python benchmarks/cold_start.py
	$(RUN) python benchmarks/sizes.py
	$(RUN) python benchmarks/webhook.py
	$(RUN) python benchmarks/appointment_cost.py

screenshots: setup ## Take the pictures in docs/screenshots anew
	$(PYTEST) tests/browser --screenshots docs/screenshots

requirements: $(STAMPS)/python ## Export requirements.txt from the lock
	$(UV) export --frozen --quiet --no-dev --no-hashes --extra runtime --output-file requirements.txt

clean: ## Remove what the commands above made, the environment included
	rm -rf .venv .local .tools node_modules cdk.out docs/_site .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(OWN_UV):
	@echo "Installing uv into .tools/uv"
	@python3 -m pip install --quiet --disable-pip-version-check --root-user-action ignore --target .tools/uv 'uv>=0.8,<1' \
	  || { rm -rf .tools/uv; python3 -m venv .tools/uv && .tools/uv/bin/pip install --quiet 'uv>=0.8,<1'; } \
	  || { echo "uv could not be installed: see pip's message above" >&2; exit 1; }

# An order-only prerequisite: a newer uv is no reason to sync again.
$(STAMPS)/python: pyproject.toml local/pyproject.toml uv.lock .python-version | $(filter $(OWN_UV),$(UV))
	@echo "Syncing .venv with uv.lock"
	@$(UV) sync --frozen --quiet \
	  || { echo "uv could not fill .venv (Python $$(cat .python-version) and the packages of uv.lock): see its message above" >&2; exit 1; }
	@mkdir -p $(@D) && touch $@

$(STAMPS)/node: package.json package-lock.json $(STAMPS)/python
	@echo "Installing the CDK CLI into node_modules"
	@PATH="$(CURDIR)/.venv/bin:$$PATH" npm ci --silent --no-audit --no-fund \
	  || { echo "npm ci failed: see its message above" >&2; exit 1; }
	@mkdir -p $(@D) && touch $@

# What makes the site; apart from the product's lock, so that the layer does not hang on it.
$(STAMPS)/site: tools/site/pyproject.toml tools/site/uv.lock | $(filter $(OWN_UV),$(UV))
	@UV_PROJECT_ENVIRONMENT="$(CURDIR)/.tools/site" $(UV) sync --project tools/site --frozen --quiet
	@mkdir -p $(@D) && touch $@

# The emulator's own environment and the layer of the Lambda functions.
$(STAMPS)/cloud: local/emulator_env/pyproject.toml local/emulator_env/uv.lock uv.lock $(STAMPS)/node
	@echo "Preparing the embedded cloud"
	@$(RUN) sms-local prepare
	@mkdir -p $(@D) && touch $@

$(STAMPS)/browser: $(STAMPS)/python
	@$(RUN) python -m sms_local.chromium
	@mkdir -p $(@D) && touch $@
