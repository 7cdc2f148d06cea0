# Every target makes the environment it needs: Linux, Python 3.11 or newer with pip, and make are enough.

PYTHON ?= python3
MADE := .venv/.made
TESTS = tests
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help up unit test night bare check bench faults cluster oracle docs pages wheel wheels sbom format clean moved

help: ## Show what there is to make
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

up: $(MADE) ## Start the platform on this machine, with the demo line (ARGS=--no-demo: without)
	@.venv/bin/alerting up $(ARGS)

unit: $(MADE) ## Run the tests of pure functions alone
	@.venv/bin/python -m pytest -q --lane core -m "not night" $(TESTS) $(ARGS)

test: $(MADE) ## Run all tests but those of the night, in lanes (ARGS="-k name": some of them; WORKERS=0: in one process)
	@WORKERS=$(WORKERS) .venv/bin/python -m tests.run -m "not night" $(TESTS) $(ARGS)

night: $(MADE) ## Run what takes longer than a build: tests marked `night`, then the README on bare machines
	@$(MAKE) --no-print-directory test ARGS="-m night $(ARGS)"
	@$(MAKE) --no-print-directory bare

bare: $(MADE) ## Run `make up` and `make test` on a minimal Debian 12, Ubuntu 24.04 and 22.04, and the wheel on a Debian 12 (root): ONLY=bookworm ARGS=--no-test, ONLY=wheel
	@.venv/bin/python -m tests.bare.run $(if $(ONLY),--only $(ONLY)) $(ARGS)

check: $(MADE) ## Check style, types and the direction of imports
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports

bench: $(MADE) ## Run all benchmarks, or one: NAME=features
	@.venv/bin/python -m benchmarks.run $(NAME)

faults: $(MADE) ## Kill and freeze everything every few seconds, against an undisturbed run: MINUTES=30 SEED=1 OUT=faults.json (OF=streams: broker and stream services; OF=cluster: workers, primary, scheduler, broker, APIs)
	@.venv/bin/python -m tests.faults.$(if $(filter streams,$(OF)),streamed.)$(if $(filter cluster,$(OF)),clustered.)run --minutes $(or $(MINUTES),30) --seed $(or $(SEED),1) $(if $(OUT),--out $(OUT))

cluster: $(MADE) ## Start a cluster on this machine: three MongoDB, PostgreSQL, Redis, three Celery workers with homes of their own, two APIs, two stream services (ARGS=--walk: an alert over all of them)
	@.venv/bin/python -m tests.cluster.run $(ARGS)

oracle: $(MADE) ## Compare evaluation of thresholds with an oracle in many random cases: CASES=20000 SEED=7
	@THRESHOLD_CASES=$(or $(CASES),20000) THRESHOLD_SEED=$(or $(SEED),7) .venv/bin/python -m pytest tests/scenarios/test_threshold_oracle.py -q

docs: $(MADE) ## Make the pages and pictures that come from code: reference, life cycle, commands, kinds
	.venv/bin/python -m tools.pages

pages: $(MADE) ## Walk through an engineer's and an operator's day at four sizes, light and dark, with pictures: OUT=folder
	ALERTING_PICTURES=$(abspath $(or $(OUT),.alerting/pages)) .venv/bin/python -m pytest -q tests/console/test_engineers_day.py tests/console/test_operators_day.py

wheel: ## Make the wheel that installs the platform without this folder, and the pins of its packages: dist
	@rm -rf build dist && $(PYTHON) -m pip wheel --quiet --no-deps --wheel-dir dist . && rm -rf build && cp config/constraints.txt dist && ls dist/*

wheels: $(MADE) ## Make the folder wheels, with which `make up` installs on a machine without a network, and sbom.json
	@$(PYTHON) tools/make_wheels.py && .venv/bin/python -m tools.sbom sbom.json

sbom: $(MADE) ## Write the list of all parts (CycloneDX): sbom.json, with hashes after `make wheels`
	@.venv/bin/python -m tools.sbom sbom.json

format: $(MADE) ## Format all code
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

clean: ## Remove environment and caches; data in .alerting stays
	rm -rf .venv .venv-tools .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis *.egg-info
	find . -name __pycache__ -prune -exec rm -rf {} +

# An environment that was moved or copied with its folder would run the code of the old place.
ifneq ($(shell cat $(MADE) 2>/dev/null),$(CURDIR))
$(MADE): moved
endif

$(MADE): pyproject.toml config/constraints.txt config/browser_tests.txt
	@$(PYTHON) tools/make_environment.py
