#!/bin/sh
# Style, types, layers and migrations, by the tools of .venv. Their settings are in pyproject.toml and .squawk.toml.
# All of them run, so that one reads everything that is wrong at once; fails if any of them does.
set -eu
cd "$(dirname "$0")/.."
PATH="$PWD/.venv/bin:$PATH"
failed=''

check() {
    name=$1
    shift
    if output=$("$@" 2>&1); then
        printf '  ok      %s\n' "$name"
    else
        printf '  FAILED  %s\n%s\n' "$name" "$output"
        failed="$failed $name"
    fi
}

check format ruff format --check .
check lint ruff check .
check types mypy .
check layers lint-imports
check workflows python -m scripts.histories check
check migrations squawk migrations/*.sql

[ -z "$failed" ] || { echo "Failed:$failed" >&2; exit 1; }
