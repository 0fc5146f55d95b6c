# Every target does its own set-up: a machine needs git, make and Python 3.11 or newer, nothing else.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help run test test-stock check fmt schema settings migration graphiql graphiql-check audits schema-lint audit-dependencies fuzz faults bench clean

PYTHON ?= python3
PORT ?= 8200
BIN := .venv/bin
READY := .venv/.ready
RULES := server/*/domain.py,server/*/domain/*,server/*/service.py,server/*/service/*

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' Makefile

$(READY): pyproject.toml uv.lock scripts/bootstrap.py
	@$(PYTHON) scripts/bootstrap.py
	@touch $@

run: $(READY) ## Everything on this machine, with a demo company: http://127.0.0.1:8200/graphql (PORT=... for another)
	@exec $(BIN)/plancharge dev --port $(PORT)

test: $(READY) ## All tests, with the coverage of the rules (at least 85 %); one test: .venv/bin/pytest tests/... -k ...
	@$(BIN)/python -m pytest -n 2 --dist loadfile --cov --cov-report=
	@$(BIN)/coverage report --include='$(RULES)' --skip-covered --fail-under=85

test-stock: $(READY) ## The tests of the API once more, on graphql-core's own executor
	@$(BIN)/python -m pytest -n 2 --dist loadfile --executor graphql-core -q

check: $(READY) ## What CI runs beside the tests: style, types, direction of imports, drift of what is generated
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/bandit -q -c pyproject.toml -r server schema execution clients scripts 2>/dev/null || $(BIN)/bandit -c pyproject.toml -r server schema execution clients scripts
	$(BIN)/python -m scripts.check_lengths
	$(BIN)/plancharge export-schema --check --output schema/schema.graphql
	$(BIN)/python -m scripts.document_settings --check
	$(BIN)/python scripts/build_graphiql.py --check

fmt: $(READY) ## Format, and mend what can be mended by itself
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

schema: $(READY) ## Write schema/schema.graphql; review the difference before you commit it
	$(BIN)/plancharge export-schema --output schema/schema.graphql

settings: $(READY) ## Write docs/settings.md and .env.example from server/settings.py
	$(BIN)/python -m scripts.document_settings

migration: $(READY) ## Write a migration from the models: make migration NAME="projects get a colour"
	@$(BIN)/python -m scripts.new_migration $(NAME)

graphiql: $(READY) ## Build GraphiQL into server/graphiql (brings Node from PyPI where it is missing)
	$(BIN)/python scripts/build_graphiql.py

graphiql-check: $(READY) ## Compare server/graphiql with a fresh build
	$(BIN)/python scripts/build_graphiql.py --check

audits: $(READY) ## The public audits of GraphQL over HTTP, against a real server
	@$(BIN)/python -m scripts.run_audits

schema-lint: $(READY) ## graphql-eslint's recommended rules over the schema
	@$(BIN)/python -m scripts.lint_schema

audit-dependencies: $(READY) ## Known vulnerabilities of what uv.lock and GraphiQL name
	@$(BIN)/python -m scripts.audit_dependencies

fuzz: $(READY) ## Invented documents against a real server; FUZZ_EXAMPLES=500 for others than CI's
	@$(BIN)/python -m pytest tests/fuzzing/fuzz_graphql.py -q -s

faults: $(READY) ## Kill, pause and restart PostgreSQL, Redis and the server under load; ARGS=--list shows what
	@$(BIN)/python -m faults $(ARGS)

bench: $(READY) ## Measure against other GraphQL servers (about an hour); ARGS=--quick for a smoke run
	@$(BIN)/python -m benchmarks $(ARGS)

clean: ## Remove what was built, and the data of `make run` (.plancharge)
	rm -rf .venv .plancharge .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage htmlcov dist
	rm -rf graphiql/node_modules tests/conformance/node_modules tests/schema/lint/node_modules benchmarks/.venv benchmarks/.data benchmarks/peers/*/node_modules
