# Every recipe sets up what it needs in .venv.
PYTHON ?= python3
BIN := .venv/bin
.DEFAULT_GOAL := help

help:            ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/:/' | column -t -s:

.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install -q -c constraints.txt torch
	$(BIN)/pip install -q -c constraints.txt -e '.[torch,data,search,ray,postgres,tables,tensorboard,mlflow,serve,remote,plot]' pytest pytest-xdist hypothesis ruff pyright codespell \
		deptry httpx playwright prometheus-client 'moto[s3]' flask flask-cors mkdocs-material 'mkdocstrings[python]'
	$(BIN)/python -m archip.hardware.compile
	touch $@

venv: .venv/ready  ## set up .venv, nothing else

demo: venv       ## set up and run the main job: two networks and a chip in about a minute
	$(BIN)/archip run examples/two_tasks.yaml

test: venv       ## set up and run the tests
	$(BIN)/python -m pytest -m "not slow and not gpu" -n 2 --dist loadfile

slow: venv       ## the tests that take minutes
	$(BIN)/python -m pytest -m slow

check: venv      ## format, lint, types, spelling, dependencies
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright
	$(BIN)/codespell
	$(BIN)/deptry archip

docs: venv       ## build the documentation into build/site; every broken link is an error
	$(BIN)/mkdocs build --strict --quiet

claims: venv     ## run the claims that are new or have changed; writes claims/LEDGER.md
	$(BIN)/python -m claims

bench: venv      ## the demo against random search, stage by stage; writes benchmarks/results/
	$(BIN)/python -m benchmarks.demo

RUNS ?= 200
chaos: venv      ## runs that are killed, starved and confused, RUNS of them; each has to end as an undisturbed one
	$(BIN)/python -m benchmarks.chaos --runs $(RUNS)

INPUTS ?= 100000
fuzz: venv       ## INPUTS wrong files of every kind; each has to bring a result or a message in time
	$(BIN)/python -m benchmarks.fuzz --inputs $(INPUTS)

.PHONY: help venv demo test slow check docs claims bench chaos fuzz
