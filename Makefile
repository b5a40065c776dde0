# Everything here needs make and Python 3.11 or newer, and nothing else. `make` alone lists the targets.
# Paths are relative, so that a checkout in a folder with spaces in its name works.

PYTHON := .venv/bin/python
MAKEFLAGS += --no-print-directory
# Hundreds of processes start here: where Python is told to write no bytecode, each of them compiles everything anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup run test check chaos bench load audit-deps clean

help: ## Lists the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

setup: ## Makes .venv from uv.lock
	@scripts/setup.sh

run: setup ## Starts the whole stack and books one appointment (FRESH=1: without the data of former runs)
	@exec $(PYTHON) -m pitstop.devstack up $(if $(FRESH),--fresh)

test: setup check ## Checks, then runs all tests
	@$(PYTHON) -m pytest -n 4 --dist loadfile --no-loadscope-reorder

check: setup ## Style, types, layers and migrations
	@scripts/check.sh

chaos: setup ## Breaks a stack in every way and checks that nothing is lost (SEED=1 MINUTES=10 BOOKINGS=300 ONLY=soak)
	@exec $(PYTHON) -m chaos $(if $(SEED),--seed $(SEED)) $(if $(MINUTES),--minutes $(MINUTES)) \
		$(if $(BOOKINGS),--bookings $(BOOKINGS)) $(foreach program,$(ONLY),--only $(program))

bench: setup ## Measures bookings against a bare workflow and a bare insert
	@$(PYTHON) -m bench

audit-deps: setup ## Asks for known vulnerabilities of the dependencies; needs the network (SERVICE=osv: another one)
	@$(PYTHON) -m scripts.audit_dependencies $(if $(SERVICE),--service $(SERVICE))

load: setup ## 200 clients for five minutes, three times as many bookings as can be made, 300 holds that end together
	@$(PYTHON) -m bench --only load --only overload --only burst

clean: ## Removes .venv, caches, and the data of `make run`
	@scripts/clean.sh
