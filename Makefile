# The project's commands. `make` alone lists them.

# The interpreter that the environment is made of: 3.11 or later.
PYTHON ?= python3
# More arguments for the command behind a target: make test ARGS="-k cron"
ARGS ?=

UV := .uv/bin/uv
BIN := .venv/bin

# Only what the requirements files pin is ever fetched, and it goes into .venv, whatever the shell has active.
export UV_PYTHON_DOWNLOADS := never
# Certificates are the system's: those of a proxy that opens TLS are known there and nowhere else.
export UV_SYSTEM_CERTS ?= true
unexport VIRTUAL_ENV UV_PYTHON UV_SYSTEM_PYTHON

.DEFAULT_GOAL := help
.PHONY: help up test faults test-cron lint wheel acceptance simulation chaos bench peers mutants environment servers lock clean

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

up: environment ## run scheduler, worker and the sample entries on the embedded default (Ctrl-C ends it)
	@$(BIN)/beatd up --demo $(ARGS)

# Most tests wait for other processes most of the time: four at once, a file at a time.
test: environment servers ## run every test, on real servers
	@$(BIN)/pytest --numprocesses 4 --dist loadfile $(ARGS)

lint: environment ## ruff, mypy and the layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

wheel: environment ## build the wheel, install it into an empty environment, run it from another folder
	@$(BIN)/pytest tests/packaging/test_wheel.py $(ARGS)

acceptance: environment servers ## the long form of the acceptance tests: minutes of real time, prints lateness
	@$(BIN)/pytest tests/acceptance --acceptance $(ARGS)

test-cron: environment servers ## nasty commands under Debian's cron and under beatd, compared; needs root and that cron
	@$(BIN)/pytest tests/cron --cron $(ARGS)

simulation: environment ## the long form of the simulated year and day, with chance worlds by the thousand
	@$(BIN)/pytest tests/simulation --simulation --numprocesses 2 $(ARGS)

faults: environment servers ## real faults on real servers by a seed, and one table (ARGS="--seconds 600 --seed 7")
	@$(BIN)/python -m tests.faults.suite $(ARGS)

chaos: environment ## seeded histories of several nodes under faults, judged (ARGS="--seeds 10000 --processes 2")
	@$(BIN)/python -m tests.chaos $(ARGS)

bench: environment servers ## a storm of entries due in one second, beside raw loops and Celery beat
	@$(BIN)/python benchmarks/storm.py $(ARGS)

# mutmut is in an environment of its own: nothing else wants what it brings.
mutants: environment ## break schedules and planning on purpose, see what no test notices (ARGS=beatd/schedules/cron.py)
	@folder=$$(mktemp -d) && python=$$folder/venv/bin/python && \
	  $(UV) venv --quiet --python $(BIN)/python $$folder/venv && \
	  $(UV) pip sync --quiet --python $$python --require-hashes requirements/dev.txt requirements/mutants.txt && \
	  $$python -m tests.mutants $$folder $(ARGS)

# django-celery-beat is in an environment of its own, too.
peers: environment servers ## Celery beat and django-celery-beat beside beatd under the same faults: what is lost and doubled
	@folder=$$(mktemp -d) && python=$$folder/venv/bin/python && \
	  $(UV) venv --quiet --python $(BIN)/python $$folder/venv && \
	  $(UV) pip sync --quiet --python $$python --require-hashes requirements/peers.txt && \
	  $(BIN)/python -m benchmarks.peers_under_faults --peers $$python $(ARGS)

servers: environment
	@$(BIN)/python -m tests.services.ensure

environment: .venv/.filled

# uv, in an environment of its own
.uv/.filled: requirements/uv.txt
	@command -v "$(PYTHON)" >/dev/null || \
	  { echo "$(PYTHON) is not there: install Python 3.11 or later; on Debian: apt-get install python3-venv" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "beatd needs Python 3.11 or later, $(PYTHON) is older; name another: make PYTHON=python3.12" >&2; exit 1; }
	@"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "$(PYTHON) cannot make environments; on Debian: apt-get install python3-venv" >&2; exit 1; }
	@"$(PYTHON)" -m venv .uv
	@.uv/bin/python -m pip install -qq --disable-pip-version-check --require-hashes -r requirements/uv.txt
	@touch $@

.venv/bin/python: | .uv/.filled
	@$(UV) venv --quiet --clear --python "$$("$(PYTHON)" -c 'import sys; print(sys.executable)')" .venv

.venv/.filled: requirements/dev.txt pyproject.toml .venv/bin/python | .uv/.filled
	@$(UV) pip sync --quiet --python .venv/bin/python --require-hashes requirements/dev.txt
	@$(UV) pip install --quiet --python .venv/bin/python --no-deps --no-build-isolation --editable .
	@touch $@

# Pinned versions stay as they are unless ARGS=--upgrade (or ARGS="--upgrade-package NAME").
LOCK = $(UV) pip compile --quiet --universal --generate-hashes --no-header --no-emit-index-url $(ARGS)

lock: .uv/.filled ## pin and hash what pyproject.toml asks for into requirements/
	$(LOCK) --python-version 3.11 requirements/uv.in -o requirements/uv.txt
	$(LOCK) --all-extras --group dev pyproject.toml -o requirements/dev.txt
	$(LOCK) --python-version 3.11 --constraint requirements/dev.txt requirements/mutants.in -o requirements/mutants.txt
	$(LOCK) --python-version 3.11 --constraint requirements/dev.txt requirements/peers.in -o requirements/peers.txt
	$(LOCK) --extra all pyproject.toml --constraint requirements/dev.txt -o requirements/runtime.txt

clean: ## remove the environments and everything built
	rm -rf .venv .uv dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -prune -exec rm -rf {} +
