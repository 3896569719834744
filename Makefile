# Each target sets up what it needs in a fresh clone: Python 3.11 and make for `demo`, npm too for the rest.
VENV   ?= .venv
MPC    ?= .venv-mpc
PYTHON ?= python3
ARGS   ?=
PY     := $(VENV)/bin/python
PIP    := $(PY) -m pip install --quiet --disable-pip-version-check -c constraints.txt
NPM    := npm ci --no-audit --no-fund --loglevel=error

.PHONY: help demo test long mpc check bench fmt clean
help:  ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

demo: $(VENV)/.core  ## the whole story end to end, in one process; ARGS="…" go to `dtxeth demo`
	$(VENV)/bin/dtxeth demo $(ARGS)

test: $(VENV)/.dev $(MPC)/.mpc hardhat-free-env/node_modules/.ready hardhat-free-env/ipfs/node_modules/.ready  ## all tests with coverage; ARGS="…" go to pytest
	$(PY) -m pytest -n 2 --dist loadfile --cov --cov-report=term:skip-covered --cov-fail-under=90 $(ARGS)
	$(MPC)/bin/python -m pytest tests/mpc tests/learning/test_network.py

long: $(VENV)/.dev hardhat-free-env/node_modules/.ready  ## the tests that take minutes each: killed executors, hosts with broken links
	$(PY) -m pytest -n 2 --dist loadfile -m long $(ARGS)

mpc: $(MPC)/.mpc  ## a second environment with the extra mpc, which needs numpy < 2 and CPython 3.11

check: $(VENV)/.dev hardhat-free-env/node_modules/.ready  ## lint, types, import rules, contract lint, reproducible artifacts, gas
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports
	hardhat-free-env/node_modules/.bin/solhint --max-warnings 0 'contracts/**/*.sol'
	$(PY) scripts/compile.py --check
	$(PY) scripts/gen_bindings.py --check
	$(PY) scripts/gen_errors.py --check
	$(PY) scripts/gen_detection.py --check
	$(PY) scripts/gas.py --check

bench: $(VENV)/.bench  ## the benchmarks; ARGS="NAME …" runs scripts/bench/NAME.py …
	@set -- $(ARGS); if [ $$# -gt 0 ]; then name=$$1; shift; exec $(PY) scripts/bench/$$name.py "$$@"; fi; \
	for script in scripts/bench/[a-z]*.py; do echo "== $$script"; $(PY) $$script || exit 1; done

fmt: $(VENV)/.dev  ## format the Python code
	$(VENV)/bin/ruff format .
	$(VENV)/bin/ruff check --fix .

clean:  ## remove what the other targets set up
	rm -rf $(VENV) $(MPC) .bench hardhat-free-env/node_modules hardhat-free-env/ipfs/node_modules

$(PY):
	$(PYTHON) -m venv $(VENV)

$(VENV)/.core: pyproject.toml constraints.txt | $(PY)
	$(PIP) -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.core
	$(PIP) -e '.[dev]'
	@touch $@

$(MPC)/.mpc: pyproject.toml constraints-mpc.txt
	test -x $(MPC)/bin/python || $(PYTHON) -m venv $(MPC)
	$(MPC)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints-mpc.txt -e '.[dev,mpc]'
	@touch $@

# sf-heu is a yardstick, not a dependency: without a wheel for this platform the benchmarks leave its column out.
$(VENV)/.bench: $(VENV)/.core
	-$(PIP) -e '.[bench]'
	@touch $@

%/node_modules/.ready: %/package-lock.json
	cd $* && $(NPM)
	@touch $@
