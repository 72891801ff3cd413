# Every habit, one command each. `make` lists them.
SHELL := /bin/sh
.DEFAULT_GOAL := help
BIN := .venv/bin
PY := $(BIN)/python
PYTEST := $(PY) -m pytest
# Tests share the cores. Those of stacks wait more than they compute, so two run side by side wherever; those that
# watch the whole machine run with nothing beside them.
PARALLEL := -n logical --maxprocesses 4 --dist worksteal
ONLY ?=
TESTS ?= tests

.PHONY: help setup demo up quick test test-long lint types format bench catalog zoo openapi migration gpu-check

help: ## list the habits
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## make .venv with every package pinned (the others do this themselves; PYTHON=, TORCH_INDEX=)
	@.ci/setup

demo: setup ## train three small networks, audit them over HTTP, show history and reports, stop everything
	@$(PY) -m lamina demo

up: setup ## start broker, API, scheduler and worker here, and keep them running until Ctrl-C
	@$(PY) -m lamina up

quick: setup ## the tests that need no server, within 90 seconds
	@$(PYTEST) $(PARALLEL) -m "not slow and not stack and not soak and not gpu" $(TESTS)

test: setup lint types ## everything: SQLite and Postgres, a real broker, real worker processes; brings its own servers
	@$(PYTEST) $(PARALLEL) -m "not stack and not soak and not gpu" $(TESTS)
	@$(PYTEST) -n 2 --dist worksteal -m "stack and not alone and not soak and not gpu" $(TESTS)
	@$(PYTEST) -m "alone and not soak and not gpu" $(TESTS)

test-long: setup ## long fuzz and soak runs
	@HYPOTHESIS_PROFILE=drawn $(PYTEST) -m "soak" --timeout=3600 $(TESTS)

lint: setup ## ruff, formatting and the import contracts
	@$(BIN)/ruff check -q . && $(BIN)/ruff format -q --check . && $(BIN)/lint-imports --no-cache >/tmp/lamina-lint-$$$$ 2>&1 \
		&& rm -f /tmp/lamina-lint-$$$$ || { cat /tmp/lamina-lint-$$$$ 2>/dev/null; rm -f /tmp/lamina-lint-$$$$; exit 1; }

types: setup ## mypy --strict on service, workers and lamina
	@$(BIN)/mypy

format: setup ## rewrite the code in the house format
	@$(BIN)/ruff check -q --fix . ; $(BIN)/ruff format -q .

bench: setup ## measure against captum and the floors; ONLY=attribution for a part; updates benchmarks/results.json
	@$(PY) -m benchmarks $(ONLY)

catalog: setup ## write service/catalog.json and the README's table of kinds from the workers' registry
	@$(PY) -m workers.catalog

zoo: setup ## export, inspect and audit a network of every family; write docs/zoo.md and the cells the tests hold on to
	@$(PY) -m lamina.zoo

openapi: setup ## write docs/openapi.json from the declared endpoints
	@$(PY) -m service.http.openapi > docs/openapi.json

migration: setup ## a new migration from the difference between models and schema: make migration REASON="add slots"
	@$(PY) -m service.store.migrate new "$(REASON)"

gpu-check: setup ## on a machine with a GPU: parity with the CPU, memory back after a kill, two workers, benchmark (<= 10 minutes)
	@$(PYTEST) -m gpu --timeout=600 $(TESTS) && $(PY) -m benchmarks attribution
