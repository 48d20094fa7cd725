# make demo       restore a shipped clip in two ways, into demo_output/
# make test       all checks but the slow ones
# make docs       the documentation as a site, into site/
# make test-slow  the tests that take minutes
#
# PYTHON=python3.12 chooses the interpreter (3.11 or newer), VENV=folder the environment.

PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
INSTALL = $(BIN)/python -m pip install --quiet -c constraints.txt

.PHONY: demo test docs test-slow

demo: $(VENV)/installed
	$(BIN)/a2sb demo

test: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/mypy --strict
	$(BIN)/lint-imports
	$(BIN)/python -m pytest
	$(MAKE) docs

docs: $(VENV)/installed-dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict  # with --quiet it overlooks warnings

test-slow: $(VENV)/installed-dev
	$(BIN)/python -m pytest -m slow

$(VENV)/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; choose one with PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) -e '.[evaluate]' || $(INSTALL) -e .  # its metric ViSQOL needs a C++ compiler
	@touch $@

$(VENV)/installed-dev: $(VENV)/installed
	$(INSTALL) -e '.[dev]'
	@touch $@
