# `make demo` and `make test` are each complete on a fresh machine: environment, installation, run.
#   PYTHON=python3.12        another interpreter for .venv: 3.11 to 3.14
#   TORCH_INDEX=https://...  where to look for torch besides PyPI. On Linux PyPI's build brings CUDA, gigabytes
#                            of it; https://download.pytorch.org/whl/cpu has the small CPU build.
#   ARGS="-k guard"          more arguments for pytest, the demo or the benchmark

FITS := import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))
PYTHON ?= $(or $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
  $$p -c '$(FITS)' 2>/dev/null && echo $$p && break; done),python3)
VENV ?= .venv
TORCH ?= torch==2.13.0
TORCH_INDEX ?=
ARGS ?=

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
INDEX := $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX))
# The pair that the README's numbers were measured with; pyproject.toml allows later pairs, `wheel-check` tries them.
MUJOCO := 3.11
DM_CONTROL := 1.0.44
PACKAGES := mbtransfer tasks world_models planners
CODE := $(PACKAGES) tests $(wildcard examples benchmarks)
READY := $(VENV)/.ready
DOCS_READY := $(VENV)/.ready-docs

# One thread per process where two test workers share the machine; commands that plan choose for themselves.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2

.DEFAULT_GOAL := help
.PHONY: help install demo test test-slow lint format type speed docs figures wheel wheel-check clean
.DELETE_ON_ERROR:

help:  ## show these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(READY)  ## create .venv and install mbtransfer in it, editable, with the developer's tools

# Made again when pyproject.toml changes. torch goes first and alone, so that nothing else picks its build.
$(READY): pyproject.toml
	@$(PYTHON) -c '$(FITS)' || { echo "mbtransfer needs Python 3.11 to 3.14, which $(PYTHON) is not:" \
	  "install one and say where, as in 'make install PYTHON=/usr/bin/python3.12'" >&2; exit 1; }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	@echo "installing $(TORCH), then mbtransfer, into $(VENV) (minutes, once)"
	@$(PIP) install $(INDEX) $(TORCH)
	@$(PIP) install -e '.[dev,suite]' 'mujoco==$(MUJOCO).*'
	@$(PIP) install --no-deps 'dm-control==$(DM_CONTROL)'  # from Python 3.13 on its labmaze cannot be had
	@touch $@

demo: $(READY)  ## collect, fit, plan and report in the kitchen: runs/demo/report.html
	$(BIN)/mbtransfer demo --out runs/demo $(ARGS)

test: $(READY)  ## run all tests but the slow ones
	$(PYTEST) -m "not slow" $(ARGS)

test-slow: $(READY)  ## run the slow tests
	$(PYTEST) -m slow $(ARGS) || [ $$? -eq 5 ]  # 5: there are none

lint: $(READY)  ## check style
	$(BIN)/ruff check $(CODE)
	$(BIN)/ruff format --check $(CODE)

format: $(READY)  ## put the code into the one format and mend what can be mended
	$(BIN)/ruff format $(CODE)
	$(BIN)/ruff check --fix $(CODE)

type: $(READY)  ## check types
	$(BIN)/mypy

speed: $(READY)  ## measure how long one decision takes on this machine
	$(BIN)/python -m benchmarks.planner $(ARGS)

# A separate mark, so that `make install` brings no more than the tests need.
$(DOCS_READY): $(READY)
	@$(PIP) install -e '.[docs]'
	@touch $@

docs: $(DOCS_READY)  ## build the documentation site: site/index.html
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

figures: $(READY)  ## draw the figures of the concept pages again, from runs/demo
	$(BIN)/python -m benchmarks.figures $(ARGS)

wheel: $(READY)  ## build the wheel in dist/
	@rm -rf dist
	$(BIN)/python -m build --wheel --outdir dist

# Apart from the checkout: only tests/ and the pytest settings come along, so that the packages tested are the
# installed ones. The wheel alone must start before the developer's tools are there.
wheel-check: wheel  ## install the wheel into a fresh environment and run the tests against it
	@set -eu; away=$$(mktemp -d); trap 'rm -rf "$$away"' EXIT; \
	wheel=$$(ls "$$PWD"/dist/*.whl); \
	cp -R tests pyproject.toml "$$away"; \
	$(PYTHON) -m venv "$$away/venv"; cd "$$away"; \
	pip="venv/bin/python -m pip --disable-pip-version-check --quiet"; \
	echo "installing $$(basename "$$wheel") into a fresh environment"; \
	$$pip install $(INDEX) $(TORCH); \
	$$pip install "$$wheel"; \
	venv/bin/python -m pip list 2>/dev/null | grep -iE '^(mujoco|dm.control|torch|gymnasium|numpy) '; \
	venv/bin/mbtransfer --help >/dev/null; \
	$$pip install "$$wheel[dev]"; \
	OMP_NUM_THREADS=1 venv/bin/python -m pytest -n 2 -p no:cacheprovider -m "not slow" $(ARGS)

clean:  ## remove what builds and checks leave; .venv and runs/ stay
	rm -rf build dist site .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find $(CODE) -name __pycache__ -type d -prune -exec rm -rf {} +
