# make quickstart   install, run jobs/digits.yaml on this machine, write its report
# make bench        measure what mcdist promises about speed on this machine, results in results/bench.json
# make test         install with development tools, check style, types, imports, run all tests
# make test-cluster run the tests that start Ray clusters on this machine (clusters/README.md)
PYTHON ?= python3
BIN := .venv/bin

.PHONY: quickstart bench bench-table test test-long test-cluster lint clean

quickstart: .venv/installed
	$(BIN)/mcdist run jobs/digits.yaml --store results/digits
	$(BIN)/mcdist report results/digits

bench: .venv/installed
	@mkdir -p results
	$(BIN)/mcdist bench --out results/bench.json

bench-table:  # the README's table of those results
	@$(BIN)/python -m mcdist.bench.table results/bench.json

test: .venv/installed-dev lint
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "not long and not cluster"  # by file: what a file sets up once stays so

test-long: .venv/installed-dev
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "long and not cluster"

test-cluster: .venv/installed-dev  # one after the other: each starts several Ray nodes
	$(BIN)/python -m pytest -m cluster

lint: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

clean:
	rm -rf .venv results

.venv/python:
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed; say make PYTHON=python3.11" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv .venv
	@touch $@

# constraints.txt holds the versions that the tests were passed with
.venv/installed: .venv/python pyproject.toml constraints.txt
	@echo "installing into .venv: about 6 GB (torch with CUDA), two minutes or more"
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable .
	@touch $@

.venv/installed-dev: .venv/installed
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@
