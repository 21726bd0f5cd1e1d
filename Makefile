# Everything a newcomer needs: `make demo`, `make test`. `./vla` is the command itself.
SHELL := /bin/bash
.DEFAULT_GOAL := help

export GOAL ?= put the red cube in the blue bowl
export SEED ?= 0
export ROBOT ?= panda
export SCENE ?=

.PHONY: help setup build demo lint test mutation clean

help: ## this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## */  make \1\t/'

setup: ## prepare what is missing: Debian packages, .venv, the build
	@scripts/setup.sh

build: setup ## the same: a build belongs to the set-up and is redone when its inputs change

demo: setup ## the whole graph in simulation does GOAL="..." (SEED, ROBOT, SCENE)
	@./vla demo "$$GOAL" --seed "$$SEED" --robot "$$ROBOT" $${SCENE:+--scene "$$SCENE"}

lint: setup ## style, types and import rules
	@scripts/check.sh lint

test: setup ## lint, then all tests
	@scripts/check.sh lint test

mutation: setup ## which changes to the gate's core no quick test notices (hours; goes on where it was interrupted)
	@scripts/mutation.sh

clean: ## remove what the build made; .venv stays
	rm -rf build install log mutants .coverage .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
