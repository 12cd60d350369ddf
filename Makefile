# `make demo` and `make test` are the two set-up commands. Each starts from nothing but Python 3.11, make and a
# package index: it creates .venv, installs what it needs and no more, and runs.

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
PYTEST := $(BIN)/python -m pytest -q -n 2 --dist loadgroup

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow check format docs build clean distclean

help: ## say what can be made
	@sed -n 's/^\([a-z-]*\):.*## /  make \1|/p' Makefile | awk -F'|' '{ printf "%-18s %s\n", $$1, $$2 }'

demo: $(VENV)/.installed ## install, then play both example scenarios and show where their data went
	$(BIN)/mischance sweep driving/cut_in --runs 8 --out outputs/cut_in
	$(BIN)/mischance sweep payments/card_testing --runs 8 --out outputs/card_testing
	@echo
	@echo "datasets:"
	@ls -d "$(CURDIR)/outputs/cut_in" "$(CURDIR)/outputs/card_testing"
	@echo "pictures:"
	@ls "$(CURDIR)/outputs/cut_in/preview.png" "$(CURDIR)/outputs/card_testing/preview.png"

test: $(VENV)/.developed ## install, then run the tests (some minutes)
	$(PYTEST) -m "not slow" $(ARGS)

test-slow: $(VENV)/.developed ## the tests that take minutes each: killed sweeps, fuzzing
	$(PYTEST) -m slow $(ARGS)

check: $(VENV)/.developed ## ruff, formatting, mypy --strict, pyright
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict
	$(BIN)/pyright

format: $(VENV)/.developed ## let ruff mend and format the sources
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/.developed ## the documentation, into docs/_build/html; a warning is an error
	$(BIN)/python -m sphinx -q -W --keep-going -b html docs docs/_build/html
	@echo "$(CURDIR)/docs/_build/html/index.html"

build: $(VENV)/.developed ## wheel and sdist, into dist/
	rm -rf dist build
	@mkdir dist
	$(BIN)/python -m build --outdir dist . >dist/build.log 2>&1 || { cat dist/build.log; exit 1; }
	@ls dist/*.whl dist/*.tar.gz

clean: ## remove what the targets above left, but for .venv and outputs/
	rm -rf build dist docs/_build .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info
	find . -path ./$(VENV) -prune -o -name __pycache__ -type d -exec rm -rf {} +

distclean: clean ## remove .venv too
	rm -rf $(VENV)

# A stamp is older than pyproject.toml when a dependency may have changed: then pip runs again.
$(VENV)/.installed: pyproject.toml | $(BIN)/python
	$(PIP) install -e .
	@touch $@

$(VENV)/.developed: pyproject.toml | $(BIN)/python
	$(PIP) install -e '.[dev,docs]'
	@touch $@ $(VENV)/.installed

# Every place of PATH is tried, because a version manager's python3.11 may be a stub that only prints an error.
$(BIN)/python:
	@IFS=:; for name in python3.11 python3; do for folder in $$PATH; do \
	    if [ -x "$$folder/$$name" ] && "$$folder/$$name" -c \
	        'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	        echo "$$folder/$$name -m venv $(VENV)"; "$$folder/$$name" -m venv $(VENV) && exit 0; \
	        rm -rf $(VENV); exit 1; \
	    fi; done; done; \
	echo 'make: no Python 3.11 or newer with venv on PATH (on Debian: apt-get install python3.11-venv)' >&2; exit 1
