# The main targets are `make demo` and `make test`. Both first install the pinned dependencies into .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: demo test lint bench pictures supply-chain clean

demo: $(INSTALLED)
	@$(BIN)/openai-costs demo $(ARGS)

# The FOCUS validator needs an environment of its own, which takes a minute to download. It is created while the linters run.
# If the download fails, the test of the validator is skipped.
test: $(INSTALLED)
	@$(BIN)/python -m openai_costs_dagster_tests.end_to_end.focus_validator & validator=$$!; \
	$(MAKE) --no-print-directory lint; linted=$$?; wait $$validator; exit $$linted
	$(BIN)/python -m pytest --numprocesses logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder $(ARGS)

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python .ci/check_javascript.py

bench: $(INSTALLED)
	$(BIN)/python -m benchmarks.everything $(ARGS)

pictures: $(INSTALLED)
	$(BIN)/python -m openai_costs_dagster_tests.browser.pictures

supply-chain: $(INSTALLED)
	$(BIN)/python .ci/supply_chain.py $(ARGS)

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed; name one with make PYTHON=python3.12 ...")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing pinned dependencies into $(VENV)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[test]' -c constraints.txt
	@touch $@

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
