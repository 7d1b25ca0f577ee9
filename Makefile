# Everything is set up in .venv: beforehand only make and Python 3.11 or newer are needed.

PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && exit; done; echo python3)
ARGS ?=
CLUSTERS ?= 4
BIN := .venv/bin
STAMP := .venv/installed
STAGE := @printf '\n== %s\n'

.DEFAULT_GOAL := help
.PHONY: help demo playground test test-cluster assets check lint types contracts tests fix bench clean

help: ## show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 24

demo: $(STAMP) ## two hours of agents in under a minute, without a cluster: make demo ARGS="--seed 3"
	@$(BIN)/scaler demo $(ARGS)

playground: $(STAMP) ## a real cluster to try it on, without containers or a cloud; the first start builds it
	@$(BIN)/python -m tests.cluster.playground $(ARGS)

test: check tests ## everything that must hold

check: lint types contracts ## only what needs no run: lint, format, types, dependency direction

lint: $(STAMP)
	$(STAGE) 'lint and format'
	@$(BIN)/ruff check --quiet --output-format concise
	@$(BIN)/ruff format --check --quiet

types: $(STAMP)
	$(STAGE) 'types'
	@$(BIN)/mypy --no-error-summary

contracts: $(STAMP)
	$(STAGE) 'dependency direction'
	@$(BIN)/lint-imports --no-logo

tests: $(STAMP)
	$(STAGE) 'tests of the core, with branch coverage'
	@$(BIN)/pytest --quiet --numprocesses auto tests/core --cov
	$(STAGE) 'all other tests'
	@$(BIN)/pytest --quiet --numprocesses auto --ignore=tests/core --ignore=tests/cluster

# A story on a cluster may take longer than the three minutes after which any other test counts as hung. Stories wait more
# than they work, so even two cores tell four at a time, each beside a cluster of its own: CLUSTERS=2 where memory is short
# (2 GB each). What takes ten minutes and more is told where AGENT_SCALER_LONG=1: a controller that is killed after each of
# its writes or loses its way to the API server, and a storm of 2,000 claims.
test-cluster: $(STAMP) ## what must hold on a real Kubernetes, with KEDA; builds both first, once, in about 20 minutes
	$(STAGE) 'programs of the cluster'
	@$(BIN)/python -m tests.cluster.assets
	$(STAGE) 'tests on a cluster'
	@$(BIN)/pytest --quiet --override-ini=faulthandler_timeout=900 --numprocesses $(CLUSTERS) \
		--dist loadfile --no-loadscope-reorder tests/cluster $(ARGS)

assets: $(STAMP) ## build what that cluster is made of: make assets ARGS="etcd kubernetes kwok"
	$(STAGE) 'programs of the cluster'
	@$(BIN)/python -m tests.cluster.assets $(ARGS)

fix: $(STAMP) ## what lint and format can mend by themselves
	@$(BIN)/ruff check --quiet --fix-only
	@$(BIN)/ruff format --quiet

bench: $(STAMP) ## figures beside their references: make bench ARGS="tick --json"
	@$(BIN)/python -m benchmarks $(ARGS)

clean: ## remove the environment and every cache
	rm -rf .venv .coverage .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache build dist *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo '$(PYTHON) is not Python 3.11 or newer. Install one, or name it: make PYTHON=/path/to/python3.12' >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo '$(PYTHON) cannot make virtual environments. Install its venv package (Debian: apt install python3-venv)' >&2; exit 1; }
	$(STAGE) 'setting up .venv (once, about a minute)'
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt setuptools
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt \
		--no-build-isolation --editable '.[scaler,gate,sim,sweep,dev]'
	@touch $@
