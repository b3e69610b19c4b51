PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PROGRAM := $(VENV)/.program

# pip compiles on one processor, compileall on all; what it cannot compile is not Python's of today.
# The tests that packages bring along, an eighth of their code, are compiled if they are ever run.
define install_package
@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11))" || \
  { echo "aleph needs Python 3.11 or newer; try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 2; }
test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --editable '$(1)'
@$(BIN)/python -m compileall -qq -j 0 -x '/tests?/' $(VENV) || true
endef

.PHONY: install demo test lint audit sbom docs clean

install: $(STAMP)

$(STAMP): pyproject.toml
	$(call install_package,.[dev])
	touch $(STAMP) $(PROGRAM)

# The program and its page, without the tools of development: a first fill shall not wait for them.
$(PROGRAM): pyproject.toml
	$(call install_package,.[web])
	touch $(PROGRAM)

demo: $(PROGRAM)
	$(BIN)/aleph demo --out demo

# The cluster's tests come first, by themselves: beside others its processes take minutes to start.
# The others wait for processes of their own now and then, so they are more than the cores.
test: install
	$(BIN)/python -m pytest tests/test_cluster.py
	$(BIN)/python -m pytest --ignore tests/test_cluster.py \
	  --numprocesses 4 --dist loadfile --no-loadscope-reorder

lint: install
	$(BIN)/ruff check src tests benchmarks website plugins
	$(BIN)/ruff format --check src tests benchmarks website plugins
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/bandit --quiet --recursive --severity-level medium --skip B104 src
	$(BIN)/hadolint deploy/Dockerfile
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.compose-spec deploy/compose.yaml

audit: install
	$(BIN)/python -m benchmarks audit

sbom: install
	mkdir -p dist
	$(BIN)/python -m benchmarks sbom dist/aleph.cdx.json

docs: install
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet

clean:
	rm -rf $(VENV) demo site build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
