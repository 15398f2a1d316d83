# `make search` and `make test` set up everything they need; both can be run again, in any order.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
RUN    ?= out/search-$(shell date +%Y%m%d-%H%M%S)
JOBS   ?= 2

.PHONY: help search test lint clean

help:
	@echo "make search   find activation functions on scikit-learn's digits; leaderboard and report in out/"
	@echo "make test     set up and run the tests (SYMACT_DATA=DIR also runs those that need image data)"
	@echo "make lint     ruff and mypy"

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "symact needs Python 3.11 or newer; make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: setup.cfg pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	touch $@

$(VENV)/installed-test: setup.cfg pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[test]'
	touch $@ $(VENV)/installed

search: $(VENV)/installed
	$(BIN)/symact search evolution --evaluations 60 --workers $(JOBS) --run $(RUN)
	$(BIN)/symact top $(RUN)
	$(BIN)/symact report $(RUN) --output $(RUN)/report.html

test: $(VENV)/installed-test
	$(BIN)/python -m pytest -n $(JOBS) -m "not slow"
	$(BIN)/python -m pytest -n $(JOBS) -m slow

lint: $(VENV)/installed-test
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

clean:
	rm -rf $(VENV) out build *.egg-info
