# The few commands that people use. Each makes the environment first, if it is not there.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TESTS := -n auto --dist loadscope $(if $(FAST),-m "not slow",)

.PHONY: serve test check bench format clean

serve: $(VENV)/.serve
	$(BIN)/textwright serve

test: $(VENV)/.dev
	$(BIN)/python -m pytest $(TESTS) $(ARGS)

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/textwright check

bench: $(VENV)/.dev
	$(BIN)/python -m bench $(ARGS)

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) tests/browser/node_modules build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis

# durable-rules comes as source only: the first install compiles it, which takes a C compiler.
$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.serve: $(VENV)/bin/python pyproject.toml
	$(BIN)/pip install --quiet --disable-pip-version-check -e .
	touch $@

$(VENV)/.dev: $(VENV)/bin/python pyproject.toml
	$(BIN)/pip install --quiet --disable-pip-version-check -e ".[dev]"
	touch $@ $(VENV)/.serve
