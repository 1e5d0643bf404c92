# Latchkey. `make` says what there is. Needed: GNU make and Python 3.11 or newer; the rest goes into .venv and .latchkey.

PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
PROJECTS := constraints.txt $(wildcard pyproject.toml contracts/pyproject.toml postroom/pyproject.toml testdatabases/pyproject.toml services/*/pyproject.toml)
DEV := $(VENV)/.installed-for-development
# The demo needs no linters and no test tools; where those are installed already, it runs with them.
DEMO := $(firstword $(wildcard $(DEV)) $(VENV)/.installed)

.DEFAULT_GOAL := help
.PHONY: help demo up down status test test-fast lint format types images test-containers mixed bench screenshots schemas settings acls chart constraints clean

help: ## Show this help
	@echo "Latchkey: organization invitations as message-driven services"
	@echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

demo: $(DEMO) ## Start the platform, play the story, stay up until Ctrl-C (ONCE=1: end after the story)
	@$(RUN) -m stack demo $(if $(filter-out 0 no false,$(ONCE)),--once)

up: $(DEMO) ## Start Kafka, PostgreSQL, the mailbox and the services, and say where they are
	@$(RUN) -m stack up

down: $(DEMO) ## Stop what `make up` started
	@$(RUN) -m stack down

status: $(DEMO) ## Say what runs, and where
	@$(RUN) -m stack status

test: $(DEV) ## Run everything that must pass, the quick things first; what needs a tool that is missing says so
	@$(RUN) tests/run.py

test-fast: $(DEV) ## The same without what starts Kafka
	@$(RUN) tests/run.py format lint types imports tests services

lint: $(DEV) ## Check format, lint and import rules
	@$(RUN) tests/run.py format lint imports

format: $(DEV) ## Format the code, and mend what the linter can mend by itself
	@$(RUN) -m ruff format --quiet .
	@$(RUN) -m ruff check --fix --quiet .

types: $(DEV) ## Check types
	@$(RUN) tests/run.py types

images: ## Build the images of the services and the stand-ins (needs Docker)
	$(need_python)
	@$(PYTHON) tools/images.py

test-containers: $(DEV) ## Build the images, play the stories in containers, and take one away at a time (needs Docker)
	@$(RUN) -m pytest --quiet --tb=short --durations=10 --durations-min=1 tests/containers

mixed: $(DEV) ## Play the stories with a service at an earlier revision (SERVICE=invites REV=v0.1.0; all, and the last release)
	@$(RUN) tests/mixed.py $(SERVICE) $(if $(REV),--rev $(REV))

bench: $(DEV) ## Measure the chain against its floor, invitations over HTTP, and usage (raw data, a picture and a page in bench/)
	@$(RUN) -m bench

screenshots: $(DEV) ## Photograph the console for the README (needs a Chromium or Chrome)
	@$(RUN) tools/screenshots.py

schemas: $(DEV) ## Write what is made from the messages: JSON Schemas, docs/events.md, docs/asyncapi.yaml; then check them
	@$(RUN) -m contracts schemas
	@$(RUN) -m contracts catalogue docs/events.md
	@$(RUN) -m contracts asyncapi docs/asyncapi.yaml
	@$(RUN) -m contracts check

settings: $(DEMO) ## Write the page of all settings (docs/settings.md)
	@$(RUN) tools/settings_table.py

acls: $(DEMO) ## Write the page of who may do what at Kafka (docs/kafka-acls.md)
	@$(RUN) tools/kafka_acls.py

chart: $(DEV) ## Check the Helm chart with Helm, kube-score, Kubernetes' schemas and yamllint (needs Go the first time)
	@$(RUN) -m pytest --quiet -m chart tests/chart

constraints: ## Resolve every dependency anew into constraints.txt (needs Python 3.11 and the network)
	$(need_python)
	@$(PYTHON) tools/install.py --constraints

clean: ## Stop the platform, and delete its data, the environment and all caches
	@if [ -x $(RUN) ] && [ -d .latchkey ]; then $(RUN) -m stack down || true; fi
	@rm -rf $(VENV) .latchkey .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.installed: $(PROJECTS)
	$(need_python)
	@$(PYTHON) tools/install.py

$(DEV): $(PROJECTS)
	$(need_python)
	@$(PYTHON) tools/install.py --dev

define need_python
@command -v $(PYTHON) >/dev/null || { echo "There is no $(PYTHON). Latchkey needs Python 3.11 or newer: make PYTHON=/path/to/python3" >&2; exit 1; }
endef
