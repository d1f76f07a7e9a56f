# Everything runs in a virtual environment of the project's own, made when it is missing.
# Another Python: make test PYTHON=python3.13 VENV=.venv-3.13

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
ARGS ?=
# Many tests wait for a process or a pause: four at a time keep two cores busy. Fast ones run first.
PARALLEL := -n 4 --dist loadscope --no-loadscope-reorder

.DEFAULT_GOAL := help
.PHONY: help run test test-emulator lint format bench bench-guard fuzz soak lock audit licences sbom release clean

help: ## This list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

run: $(VENV)/local ## The whole pipeline on this machine; ARGS=--once ends after the samples
	@$(BIN)/python -m local $(ARGS)

test: $(VENV)/dev ## The tests; those on Google's emulator are skipped
	$(BIN)/pytest $(PARALLEL) $(ARGS)

test-emulator: $(VENV)/dev ## The tests of Pub/Sub behaviour on Google's emulator (gcloud and Java)
	$(BIN)/pytest $(PARALLEL) -m emulator --emulator=required $(ARGS)

lint: $(VENV)/dev ## Style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/dev ## Mend what can be mended by itself
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/bench ## The comparisons that the README quotes, about ten minutes
	$(BIN)/python -m benchmarks $(ARGS)

bench-guard: $(VENV)/bench ## Those that must not get worse, about a minute
	$(BIN)/python -m benchmarks --guard $(ARGS)

lock: $(VENV)/dev ## Pin what pyproject.toml names, and all it needs, with hashes; ARGS=--upgrade
	$(BIN)/uv pip compile pyproject.toml --universal --generate-hashes --quiet $(ARGS) \
		--custom-compile-command "make lock" --output-file requirements.txt
	@# What the job that reconciles needs besides.
	$(BIN)/uv pip compile pyproject.toml --extra ops --constraint requirements.txt --universal \
		--generate-hashes --quiet $(ARGS) --custom-compile-command "make lock" \
		--output-file deploy/reconcile/requirements.txt \
		$$(sed -nE 's/^([a-z0-9-]+)==.*/--no-emit-package=\1/p' requirements.txt)

fuzz: $(VENV)/dev ## What strangers send, by coverage; ARGS="body --seconds 600"
	$(BIN)/python -m tests.fuzz $(or $(ARGS),all --seconds 60)

soak: $(VENV)/dev ## Load and faults at random, then the account; MINUTES=10
	$(BIN)/python -m tests.soak --minutes $(or $(MINUTES),1) $(ARGS)

audit: $(VENV)/release ## Known vulnerabilities of what the functions install (needs a network)
	$(BIN)/pip-audit --requirement requirements.txt --require-hashes --disable-pip --strict

licences: $(VENV)/release ## docs/licences.md: the terms of what the functions install
	$(BIN)/pip-licenses --format=markdown --with-urls --output-file=docs/licences.md --partial-match \
		--fail-on="GPL;Unknown" --packages $(shell sed -nE 's/^([a-z0-9-]+)==.*/\1/p' requirements.txt)

release: ## Tag what is committed as VERSION, with what the changelog says of it
	.ci/release $(VERSION)

sbom: $(VENV)/release ## sbom.json: the bill of materials of what the functions install
	$(BIN)/cyclonedx-py requirements requirements.txt --output-reproducible --output-file sbom.json

clean: ## Remove the virtual environment and caches
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis

# A stamp for each set of packages: what the functions need, and what is around them.
$(VENV)/ops $(VENV)/local $(VENV)/dev $(VENV)/bench $(VENV)/release: $(VENV)/%: requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; say which: make PYTHON=python3.12")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@# Apart: what has hashes is installed only with those that have them, too.
	$(BIN)/pip install --quiet --requirement requirements.txt
	$(BIN)/pip install --quiet --editable '.[$*]'
	@touch $@
