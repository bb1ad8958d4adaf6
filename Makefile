# `make` alone prints what there is.
.DEFAULT_GOAL := help
SHELL := /bin/bash

# PYTHON=... chooses the Python that makes .venv; ARGS=... goes to the program that a target runs.
PYTHON ?=
ARGS ?=
export PYTHON

.PHONY: setup test lint format types demo bench docs lock clean help

setup: ## make .venv with everything that development needs
	@scripts/setup dev

test: setup ## lint, then all tests (ARGS="-k ledger" chooses, TEST_WORKERS=2 processes)
	@scripts/test $(ARGS)

lint: setup ## every static check: ruff, mypy, import contracts, docs
	@scripts/lint

format: setup ## format the code and mend what ruff can
	@.venv/bin/python -m ruff check --fix-only --quiet .
	@.venv/bin/python -m ruff format .

types: setup ## mypy alone
	@.venv/bin/python -m mypy

demo: ## move a bucket between two S3 servers, and images between registries, here (no root needed)
	@scripts/setup demo
	@.venv/bin/python demo/demo.py $(ARGS)

bench: ## measure against rclone and JuiceFS (takes a while)
	@scripts/setup bench
	@.venv/bin/python -m benchmarks $(ARGS)

docs: setup ## build the documentation into site/
	@NO_MKDOCS_2_WARNING=1 .venv/bin/python -m mkdocs build --strict

lock: ## write requirements/*.lock anew from pyproject.toml (ARGS=--upgrade takes the newest)
	@scripts/lock $(ARGS)

clean: ## remove .venv, caches and what was built
	@rm -rf .venv build dist site .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

help: ## print this
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
