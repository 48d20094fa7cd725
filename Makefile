# make demo       damage the shipped clip in two ways and restore it, into demo_output/
# make check      format, lint, types, imports, structure, wording and unit tests: two minutes
# make test       everything that CI runs: make check, all tests but the slow ones, the site
# make docs       the documentation as a site, into site/
# make test-slow  the tests that take minutes
# make lock       torch.lock and requirements.lock of the Dockerfile, anew from constraints.txt
#
# PYTHON=python3.12 chooses the interpreter (3.11 or newer), VENV=folder the environment, and
# WORKERS=1 the number of processes that run tests (by default one per core, at most eight).

PYTHON ?= python3
VENV ?= .venv
WORKERS ?= logical
BIN = $(VENV)/bin
INSTALL = $(BIN)/python -m pip install --quiet -c constraints.txt
PYTEST = $(BIN)/python -m pytest -n $(WORKERS) --maxprocesses 8 --dist worksteal

LOCK = $(BIN)/uv pip compile --quiet -c constraints.txt --universal --python-version 3.12 \
	--generate-hashes --no-annotate --no-header

.PHONY: demo check test docs lint unit test-slow lock

demo: $(VENV)/installed
	$(BIN)/a2sb demo

check: lint unit

test: lint docs
	$(PYTEST) --cov --cov-report term:skip-covered

lint: $(VENV)/installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/hadolint Dockerfile
	$(BIN)/lint-imports
	$(BIN)/python .ci/structure.py
	$(BIN)/python .ci/wording.py
	$(BIN)/mypy --strict

unit: $(VENV)/installed-dev
	$(PYTEST) -q -m "not (integration or browser or ray or hub or docs or slow)"

docs: $(VENV)/installed-dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict  # with --quiet it overlooks warnings

test-slow: $(VENV)/installed-dev
	$(BIN)/python -m pytest -m slow

lock: $(VENV)/installed-dev
	$(INSTALL) uv
	rm -f torch.lock requirements.lock
	printf '%s\n' torch torchaudio | $(LOCK) -o torch.lock -
	$(LOCK) $$(sed -n 's/==.*//p' torch.lock | sed 's/^/--no-emit-package /') \
		--extra media --extra serve --extra web -o requirements.lock pyproject.toml

$(VENV)/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; choose one with PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) -e '.[evaluate]' || $(INSTALL) -e .  # its metric ViSQOL needs a C++ compiler
	@touch $@

$(VENV)/installed-dev: $(VENV)/installed
	$(INSTALL) -e '.[dev]'
	@touch $@
