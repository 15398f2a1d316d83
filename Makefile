# `make search` and `make test` set up everything they need; both can be run again, in any order.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
RUN    ?= out/search-$(shell date +%Y%m%d-%H%M%S)
JOBS   ?= 2
# `make search TORCH=cpu` takes PyTorch's own CPU wheels; PyPI's wheels for Linux bring CUDA along.
TORCH  ?= default
# Seconds after which a test is taken to hang; all limits in tests scale with it. For slow or busy machines.
TIMEOUT ?= 1800

PIP    := $(BIN)/python -m pip install --disable-pip-version-check --progress-bar on
CPU    := --index-url https://download.pytorch.org/whl/cpu 'torch>=2.4,<3' torchvision

.PHONY: help search test docs lint clean

help:
	@echo "make search   find activation functions on scikit-learn's digits; leaderboard and report in out/"
	@echo "              (installs about 6.2 GB with CUDA, under 2 GB with TORCH=cpu, into $(VENV))"
	@echo "make test     set up and run the tests (SYMACT_DATA=DIR also runs those that need image data;"
	@echo "              JOBS=N at a time, TIMEOUT=SECONDS per test)"
	@echo "make docs     build the documentation into build/site (its search needs a server:"
	@echo "              python3 -m http.server -d build/site)"
	@echo "make lint     ruff and mypy"

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "symact needs Python 3.11 or newer; make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/torch: | $(BIN)/python
	@echo "Installing PyTorch and what symact needs into $(VENV): about 6.2 GB on Linux with the CUDA wheels of PyPI,"
	@echo "under 2 GB with the CPU wheels (TORCH=cpu). Now: TORCH=$(TORCH)."
	$(if $(filter cpu,$(TORCH)),$(PIP) $(CPU))
	touch $@

$(VENV)/installed: setup.cfg pyproject.toml | $(VENV)/torch
	$(PIP) -e .
	touch $@

$(VENV)/installed-test: setup.cfg pyproject.toml | $(VENV)/torch
	$(PIP) -e '.[test]'
	touch $@ $(VENV)/installed

search: $(VENV)/installed
	$(BIN)/symact search evolution --evaluations 60 --workers $(JOBS) --run $(RUN)
	$(BIN)/symact report $(RUN) --output $(RUN)/report.html

# One worker more than jobs: many tests wait for processes that they have started.
test: $(VENV)/installed-test
	$(BIN)/python -m pytest -n $$(($(JOBS) + 1)) --dist worksteal --timeout $(TIMEOUT)

docs: $(VENV)/torch setup.cfg mkdocs.yml
	$(PIP) -e '.[docs]'
	$(BIN)/mkdocs build --strict

lint: $(VENV)/installed-test
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

clean:
	rm -rf $(VENV) out build *.egg-info
