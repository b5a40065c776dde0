#!/bin/sh
# Removes what `make setup`, `make run` and the tools have made. Refuses while the stack runs.
set -eu
cd "$(dirname "$0")/.."
if [ -d .pitstop ] && .venv/bin/python -m pitstop.devstack status >/dev/null 2>&1; then
    echo 'The stack is running: stop it first (Ctrl-C, or `.venv/bin/python -m pitstop.devstack stop`).' >&2
    exit 1
fi
rm -rf .venv .pitstop .cache .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
find . -name __pycache__ -type d -prune -exec rm -rf {} +
