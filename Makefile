# `make help` lists the targets.  Everything is installed into .venv; delete it to start afresh.

VENV := .venv
BIN := $(VENV)/bin
# The wheels without CUDA; where this index cannot be reached, pip uses the one it is configured for.
TORCH := --no-deps --retries 1 --timeout 15 --extra-index-url https://download.pytorch.org/whl/cpu torch==2.13.0
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
JOBS ?= 2
MINUTES ?= 10

.DEFAULT_GOAL := help
.PHONY: help demo test check bench fuzz experiments docs tools clean

help:  ## list the targets
	@sed -n 's/^\([a-z]*\):.*  ## /  make \1\t/p' Makefile | expand -t 16

demo: $(VENV)/demo.stamp  ## compile the shipped CAN detector, run it on emulated boards, print one table
	@$(BIN)/edgetrain demo

test: $(VENV)/dev.stamp  ## run the tests (first installs what they need)
	@tools/install-tools --if-allowed
	OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist loadfile $(PYTEST_ARGS)

check: $(VENV)/dev.stamp  ## lint, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/dev.stamp  ## measure speed and sizes
	$(BIN)/python -m edgetrain.benchmarks --write docs/benchmarks.md

fuzz: $(VENV)/dev.stamp  ## verify training programs of every kind for MINUTES (10), going on where the last run ended
	OPENBLAS_NUM_THREADS=1 $(BIN)/python -m tests.fuzz --jobs $(JOBS) --minutes $(MINUTES)

experiments: $(VENV)/dev.stamp  ## regenerate docs/experiments.md (hours), going on where it ended; ONLY=REGEX: a part, KEEP=1: what is new
	OPENBLAS_NUM_THREADS=1 nice $(BIN)/python -m tools.experiments --jobs $(JOBS) --only '$(ONLY)' $(if $(KEEP),--keep)

docs: $(VENV)/demo.stamp  ## bring the generated tables of README.md and docs/ up to date
	$(BIN)/python -m tools.docs_tables

tools:  ## install compilers and emulators with apt (root or sudo; Debian and Ubuntu)
	@tools/install-tools

clean:  ## delete what was built, the virtual environment included
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/pyvenv.cfg:
	@tools/create-venv $(VENV)

$(VENV)/demo.stamp: pyproject.toml | $(VENV)/pyvenv.cfg
	@echo "installing packages into $(VENV) ..."
	@$(PIP) install --editable '.[mcu,can]'
	@touch $@

$(VENV)/dev.stamp: pyproject.toml | $(VENV)/pyvenv.cfg
	@echo "installing packages for development into $(VENV) ..."
	@$(PIP) install $(TORCH)
	@$(PIP) install --editable '.[train,can,mcu,fpga,dev]'
	@touch $@ $(VENV)/demo.stamp
