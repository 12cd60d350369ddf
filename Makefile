# `make demo` and `make test` are the two set-up commands. Each starts from nothing but Python 3.11, make and a
# package index: it creates .venv, installs what it needs there, in the versions of constraints.txt, and runs.
#
# Another environment: VENV=folder. The newest version of every package instead of those in constraints.txt: LOCK=

VENV := .venv
LOCK := -c constraints.txt
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
PYTEST := $(BIN)/python -m pytest -q -n 2 --dist loadgroup
QUICK := tests/api tests/language tests/play tests/dataset tests/opening tests/writers tests/sensors tests/renderers \
    tests/test_units.py tests/test_packages.py tests/test_plugins.py tests/test_imports.py

.DEFAULT_GOAL := help
.PHONY: help demo test test-quick test-slow mutants check format docs build relock clean distclean

help: ## list these targets
	@sed -n 's/^\([a-z-]*\):.*## /  make \1|/p' Makefile | awk -F'|' '{ printf "%-18s %s\n", $$1, $$2 }'

demo: $(VENV)/.installed ## install, then play two example scenarios and show where their data went
	$(BIN)/mischance sweep driving/cut_in --runs 8 --out outputs/cut_in
	$(BIN)/mischance sweep payments/card_testing --runs 8 --out outputs/card_testing
	@echo
	@echo "datasets:"
	@ls -1d "$(CURDIR)/outputs/cut_in" "$(CURDIR)/outputs/card_testing"
	@echo "pictures:"
	@ls -1 "$(CURDIR)/outputs/cut_in/preview.png" "$(CURDIR)/outputs/card_testing/preview.png"

test: $(VENV)/.developed ## install, then run the tests (some minutes)
	$(PYTEST) -m "not slow" $(ARGS)

test-quick: $(VENV)/.developed ## the tests of language, play and datasets: no simulated worlds, no pages
	$(PYTEST) -m "not slow" $(QUICK) $(ARGS)

test-slow: $(VENV)/.developed ## the tests that take minutes each: killed sweeps, fuzzing
	$(PYTEST) -m slow $(ARGS)

mutants: $(VENV)/.developed ## try 100 small wrong changes, each with the tests of its folder (up to 100 minutes of CPU)
	$(BIN)/python -m tests.mutation $(ARGS)

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
	$(BIN)/python -m build --no-isolation --outdir dist . >dist/build.log 2>&1 || { cat dist/build.log; exit 1; }
	@ls dist/*.whl dist/*.tar.gz

relock: | $(BIN)/python ## install the newest version of every package apart, and write them down in constraints.txt
	@place=$$(mktemp -d) && trap 'rm -rf "$$place"' EXIT && \
	echo "installing the newest of everything into $$place/venv; this takes some minutes" && \
	$(BIN)/python -m venv "$$place/venv" && python="$$place/venv/bin/python -m pip --disable-pip-version-check" && \
	$$python install --quiet --upgrade setuptools && $$python install --quiet --no-build-isolation -e '.[dev,docs]' && \
	{ sed -n '/^#/p' constraints.txt; $$python list --format=freeze --exclude pip --exclude mischance; } \
	    >"$$place/constraints.txt" && mv "$$place/constraints.txt" constraints.txt
	@git --no-pager diff --stat -- constraints.txt

clean: ## remove what the targets above left, but for .venv and outputs/
	rm -rf build dist docs/_build docs/_generated .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info
	find . -path ./$(VENV) -prune -o -name __pycache__ -type d -exec rm -rf {} +

distclean: clean ## remove .venv too
	rm -rf $(VENV)

# A stamp is older than pyproject.toml or constraints.txt when a package may have changed: then pip runs again.
# setuptools comes first, so that the build uses the version written down and not the newest one.
$(VENV)/.installed: pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing mischance and the libraries that it needs into $(VENV); the first time this takes a minute or two"
	@$(PIP) install $(LOCK) --upgrade setuptools
	@$(PIP) install $(LOCK) --no-build-isolation -e .
	@touch $@

$(VENV)/.developed: pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing mischance and the tools that test it into $(VENV); the first time this takes a minute or two"
	@$(PIP) install $(LOCK) --upgrade setuptools
	@$(PIP) install $(LOCK) --no-build-isolation -e '.[dev,docs]'
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
