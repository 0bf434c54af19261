# nightly-etl: `make help` lists what there is to do. uv is installed here when the machine has none.
.DEFAULT_GOAL := help
SHELL := /bin/bash

PYTHON ?= python3
UV := $(shell command -v uv 2>/dev/null || echo .uv/bin/uv)
export UV_COMPILE_BYTECODE := 1
# the tests start thousands of processes, each of which would compile this tool again
unexport PYTHONDONTWRITEBYTECODE
RUN := $(UV) run --no-sync

IMAGE ?= nightly-etl
# linux/amd64 or linux/arm64; nothing is this machine's own.
PLATFORM ?=
# Many tests wait for a lock or a deadline: four workers keep two cores busy.
WORKERS ?= 4
# One manifest and no index, which is what BuildKit's attestations make of it and Lambda refuses; the classic builder knows
# neither. What the image is made of is `make sbom`, its commit is a label.
ONE_MANIFEST := $(shell docker buildx version >/dev/null 2>&1 && echo --provenance=false --sbom=false)

.PHONY: help setup demo test coverage test-faults test-crashes test-load test-roles test-dbt fuzz test-infra check-infra deploy check bench bench-full image reference sbom audit dist notes zips definitions module picture recording screenshot messages browser format clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

.uv/bin/uv:
	$(PYTHON) -m venv .uv
	.uv/bin/pip install --quiet --disable-pip-version-check uv

setup: $(filter .uv/bin/uv,$(UV)) ## Make the environment, as uv.lock has it
	@$(UV) sync --frozen --quiet

demo: setup ## Copy a shop from one embedded server to another and prove it (KEEP=1 leaves the servers up)
	@$(RUN) python -m demo $(if $(KEEP),--keep)

test: setup ## Run every test but the faults and the load
	$(RUN) pytest --numprocesses $(WORKERS) --dist loadgroup --ignore tests/faults --ignore tests/load $(ARGS)

coverage: setup ## Run the same tests and say which lines none of them reaches (a third slower)
	$(RUN) pytest --numprocesses $(WORKERS) --dist loadgroup --cov --cov-report term --ignore tests/faults --ignore tests/load $(ARGS)

test-faults: setup ## Inject every fault at every stage of a run, and take out each guard of a delta
	$(RUN) pytest --numprocesses $(WORKERS) --dist loadgroup tests/faults $(ARGS)

test-crashes: setup ## Kill a run at 200 random moments (ETL_CRASH_SEED=… replays them)
	ETL_CRASHES=$${ETL_CRASHES:-200} $(RUN) pytest -s tests/faults/test_crashes.py $(ARGS)

test-load: export ETL_TEST_DATA ?= $(or $(TMPDIR),/tmp)
test-load: setup ## Crowds: 200 readers, 10,000 tables, 500 rivals, and half an hour of runs (ETL_SOAK_MINUTES)
	$(RUN) pytest -s tests/load $(ARGS)
	ETL_TEST_PUBLISHES=20 ETL_TEST_HELD=60 $(RUN) pytest -s tests/integration/test_readers.py $(ARGS)

test-roles: setup ## The integration tests again, with the roles of docs/ instead of a superuser
	ETL_TEST_ROLES=1 $(RUN) pytest --numprocesses $(WORKERS) --dist loadgroup tests/integration $(ARGS)

# dbt has an environment of its own, so that its versions of packages are not the image's. From dbt-core 1.11 on, its
# installation loads a binary from GitHub.
.dbt/bin/dbt: $(filter .uv/bin/uv,$(UV))
	$(UV) venv --quiet --clear .dbt
	$(UV) pip install --quiet --python .dbt/bin/python 'dbt-core==1.10.23' 'dbt-postgres==1.9.1'

test-dbt: setup .dbt/bin/dbt ## Run dbt source freshness, as docs/dbt.md has it, after real nights
	ETL_TEST_DBT=$(CURDIR)/.dbt/bin/dbt $(RUN) pytest tests/acceptance/test_dbt.py $(ARGS)

# Playwright drives the distribution's Chromium: its own would be a download from elsewhere. axe-core comes from npm, which
# holds it against the lock, and gives its files the time of 1985.
AXE := .axe/node_modules/axe-core/axe.min.js
$(AXE): tests/acceptance/axe/package-lock.json
	@mkdir -p .axe && cp tests/acceptance/axe/*.json .axe
	npm ci --prefix .axe --ignore-scripts --no-audit --no-fund --silent
	@touch $@

browser: $(AXE) ## Install what the tests of the page need: axe-core and, as root, Chromium
	@[[ -n $$ETL_TEST_CHROMIUM ]] || command -v chromium chromium-browser google-chrome google-chrome-stable >/dev/null || \
	{ apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -o Acquire::Retries=3 --no-install-recommends chromium fonts-liberation >/dev/null; }

fuzz: setup ## Fuzz every text that comes from outside, a minute each (ARGS="url -max_total_time=600")
	$(UV) run --frozen --quiet --with atheris==3.0.0 python -m tests.fuzz $(ARGS)

test-infra: setup check-infra ## Apply the infrastructure's examples in moto, run them, destroy them (minutes)
	$(RUN) pytest -m deploys tests/infra $(ARGS)

check-infra: $(filter .uv/bin/uv,$(UV)) ## Hold the infrastructure against checkov's rules
	$(UV) tool run --quiet --from checkov==3.3.30 checkov --config-file infra/.checkov.yaml --directory infra

deploy: zips ## Build the image, push it, apply an example (EXAMPLE=complete)
	EXAMPLE=$(or $(EXAMPLE),complete) infra/deploy $(ARGS)

check: setup ## Lint, types, import rules, formatting
	$(RUN) ruff check
	$(RUN) ruff format --check
	$(RUN) mypy
	$(RUN) lint-imports
	$(RUN) python -m statemachine.picture --check
	$(RUN) python -m docs.reference --check
	$(RUN) python -m docs.commands --check
	$(RUN) python -m docs.jobs_commands --check
	$(RUN) python -m docs.scheduler_costs --check
	$(RUN) python -m docs.man_pages --check
	$(RUN) python -m tests.causes --check
	$(RUN) python -m statemachine.shipped --check
	$(RUN) zizmor --offline --quiet .github

bench: setup ## Measure a tenth of the rows beside its peers, in minutes (ARGS="--only a": one piece of work)
	$(RUN) python -m benchmarks $(ARGS)

bench-full: setup ## Measure all of it, in hours, on a quiet machine; goes on where it was stopped
	$(RUN) python -m benchmarks --full $(ARGS)

image: $(filter .uv/bin/uv,$(UV)) ## Build the container image (PLATFORM=linux/arm64)
	docker build $(if $(PLATFORM),--platform $(PLATFORM)) $(ONE_MANIFEST) --build-arg VERSION=$$($(UV) version --short) \
		--build-arg REVISION=$$(git rev-parse --short HEAD 2>/dev/null || echo unknown) --tag $(IMAGE) .

dist: zips module ## Build what a release has, in dist/: the wheel, its sources, the zips, and their checksums
	rm -f dist/nightly_etl-*
	$(UV) build --quiet --no-create-gitignore --out-dir dist
	cd dist && sha256sum nightly_etl-* notifier.zip starter.zip scheduler.zip module.zip | tee SHA256SUMS

notes: $(filter .uv/bin/uv,$(UV)) ## Print what CHANGELOG.md says of this version (TAG=v0.1.0: fail where that is not its tag)
	@version=$$($(UV) version --short) && \
	if [[ $${TAG:=v$$version} != v$$version ]]; then echo "notes: the tag is $$TAG, but pyproject.toml says $$version" >&2; exit 1; fi && \
	awk -v version="$$version" '/^## / {on = $$2 == version; found += on; next} on; END {exit !found}' CHANGELOG.md || \
	{ echo "notes: CHANGELOG.md has no heading '## $$version'" >&2; exit 1; }

zips: setup ## Build the zips of the state machine's Lambdas and of the scheduler's, in dist/
	@$(RUN) python -m statemachine.zips dist

definitions: setup ## Copy the state machine's definitions into the Terraform module, from statemachine/
	@$(RUN) python -m statemachine.shipped

module: ## Pack the Terraform module as it is committed, in dist/
	mkdir -p dist
	git archive --format=zip --output=dist/module.zip HEAD:infra

picture: setup ## Draw the state machine into docs/state-machine.md, from its definition
	@$(RUN) python -m statemachine.picture

recording: setup ## Run etl on a terminal and draw what it shows, into docs/recording.svg
	@$(UV) run --frozen --quiet --with pyte==0.8.2 python -m demo.recording

screenshot: setup ## Draw the page of a night into docs/page-light.png and docs/page-dark.png
	@$(RUN) python -m tests.screenshot

reference: setup ## Write docs/reference.md, commands.md, schemas/ and man/ from the settings' declarations and the commands
	@$(RUN) python -m docs.reference
	@$(RUN) python -m docs.commands
	@$(RUN) python -m docs.jobs_commands
	@$(RUN) python -m docs.scheduler_costs
	@$(RUN) python -m docs.man_pages

messages: setup ## Write Slack's messages into docs/slack-messages.md, from the examples of the tests
	@$(RUN) python -m tests.causes

sbom: setup ## Write what the image is made of, from the lock (CycloneDX)
	$(UV) export --frozen --no-dev --no-emit-project --format cyclonedx1.5 --output-file sbom.cdx.json

audit: setup ## Look up known vulnerabilities of what the image and the Lambdas are made of (asks pypi.org)
	set -o pipefail; $(UV) export --frozen --quiet --no-dev --all-extras --group notifier --group starter --group scheduler --no-emit-project \
	  | $(UV) run --frozen --isolated --only-group audit pip-audit --strict --disable-pip --require-hashes -r /dev/stdin

format: setup ## Format the code and mend what can be mended
	$(RUN) ruff format
	$(RUN) ruff check --fix

clean: ## Remove the environment and what the tools left
	rm -rf .venv .uv .dbt .axe .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage*
