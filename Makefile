# make run    sets everything up and starts the server with its sample applications
# make test   sets everything up and runs every check and test
# Both do only what is still to do.

PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
DEV_STAMP := .venv/.installed-dev
CORES := $(shell nproc 2>/dev/null || echo 2)
# Rooms whose branches their own unit tests must cover. Only they are traced: tracing costs time.
COVERED := interpreter sip dtmf
# Seconds after which one of the benches is ended.
BENCH_SECONDS ?= 600

.PHONY: run test lint unit integration bench format clean packages
.NOTPARALLEL:
.DELETE_ON_ERROR:

run: $(STAMP)
	@cat scripts/welcome.txt
	@exec $(BIN)/vxml-server serve

test: packages lint unit integration

lint: $(DEV_STAMP)
	@echo "== lint: style, format, types, the order of the rooms"
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy --explicit-package-bases apps scripts
	$(BIN)/lint-imports

unit: $(DEV_STAMP)
	@echo "== unit tests and applications, and the branches that they cover"
	$(BIN)/pytest -n $(CORES) -m "not integration" $(COVERED:%=tests/%) \
		$(COVERED:%=--cov=vxml_server/%) --cov-report=json --cov-report=
	$(BIN)/python scripts/check_branch_coverage.py coverage.json 90 $(COVERED:%=vxml_server/%)
	$(BIN)/pytest -n $(CORES) --dist worksteal -m "not integration" --ignore=tests/integration \
		$(COVERED:%=--ignore=tests/%)

integration: packages $(DEV_STAMP)
	@echo "== calls from other people's telephones, real engines, databases that fail"
	$(BIN)/pytest -m calls tests/integration
	$(BIN)/pytest -n $(CORES) --dist loadfile -m "integration and not calls" \
		tests/integration tests/queues tests/recording tests/sip tests/test_cli.py tests/testing

bench: packages $(DEV_STAMP)
	@failed=; for name in dtmf media interpreter grammar speech load queues; do \
		echo "== bench/$$name.py"; \
		timeout $(BENCH_SECONDS) $(BIN)/python bench/$$name.py || failed="$$failed $$name"; \
	done; \
	test -z "$$failed" || { echo "== not passed:$$failed"; exit 1; }

format: $(DEV_STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf .venv build dist *.egg-info coverage.json .coverage .coverage.*
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

packages:
	@scripts/system_packages.sh

$(BIN)/python:
	@scripts/make_venv.sh $(PYTHON) .venv

$(STAMP): pyproject.toml | $(BIN)/python
	@echo "== installing the server into .venv"
	$(BIN)/pip install -qq --disable-pip-version-check --editable .
	@touch $@

$(DEV_STAMP): pyproject.toml | $(BIN)/python
	@echo "== installing the server and its test tools into .venv"
	$(BIN)/pip install -qq --disable-pip-version-check --editable '.[dev]'
	@touch $@ $(STAMP)
