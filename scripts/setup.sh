#!/bin/sh
# Makes .venv with exactly what uv.lock names, and nothing else. Quick when that is done already.
#
# uv does it: the one on PATH, else one from the package index, put into .venv by pip. (uv.lock names uv too, so it stays.)
# Settings of pip are honoured: PIP_INDEX_URL, PIP_CERT, PIP_DEFAULT_TIMEOUT; uv's own, and SSL_CERT_FILE, go before them.
set -eu
cd "$(dirname "$0")/.."
unset VIRTUAL_ENV UV_PROJECT_ENVIRONMENT PYTHONHOME PYTHONPATH
python=.venv/bin/python
stamp=.venv/made-from

# What the environment depends on: its scripts name this folder, its packages are those of the lock.
inputs() {
    pwd -P
    cat uv.lock pyproject.toml
}

if [ -f "$stamp" ] && inputs | cmp -s - "$stamp" && "$python" -c '' 2>/dev/null; then
    exit 0
fi

fail() {
    printf '%s\n' "$@" >&2
    exit 1
}

# Names a Python that is new enough, if possible one that can make environments with pip. A name on PATH may be a shim
# with nothing behind it, so each one is tried.
find_python() {
    for modules in 'sys, ensurepip, venv' sys; do
        for name in python3.13 python3.12 python3.11 python3; do
            if "$name" -c "import $modules; sys.exit(sys.version_info < (3, 11))" 2>/dev/null; then
                echo "$name"
                return
            fi
        done
    done
    fail 'Pitstop needs Python 3.11 or newer, and there is none on PATH.' \
        'Debian, Ubuntu: apt-get install python3 python3-venv    Fedora: dnf install python3    macOS: brew install python'
}

sync() {
    export SSL_CERT_FILE="${SSL_CERT_FILE:-${PIP_CERT:-}}" UV_HTTP_TIMEOUT="${UV_HTTP_TIMEOUT:-${PIP_DEFAULT_TIMEOUT:-60}}"
    [ -n "$SSL_CERT_FILE" ] || unset SSL_CERT_FILE
    if [ -n "${PIP_INDEX_URL:-}" ]; then
        # The lock names the files of the public index; with another index, only names, versions and hashes count.
        "$1" --quiet export --frozen --python "$python" --output-file .venv/requirements.txt
        "$1" --quiet pip install --python "$python" --index-url "$PIP_INDEX_URL" \
            --require-hashes --requirement .venv/requirements.txt
    else
        "$1" --quiet sync --frozen --python "$python"
    fi
}

began=$(date +%s)
echo 'Setting up .venv from uv.lock …'
# The scripts of an environment name its folder: one that was made elsewhere is of no use.
if [ -f "$stamp" ] && [ "$(head -n 1 "$stamp")" != "$(pwd -P)" ]; then
    rm -rf .venv
fi
"$python" -c '' 2>/dev/null || rm -rf .venv
rm -f "$stamp"
found=$(find_python)

if uv --version >/dev/null 2>&1; then
    [ -d .venv ] || uv --quiet venv --python "$found" .venv
    sync uv
else
    if [ ! -x .venv/bin/pip ]; then
        rm -rf .venv
        version=$("$found" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
        "$found" -c 'import ensurepip, venv' 2>/dev/null || fail "Python $version here cannot make environments with pip." \
            "Debian, Ubuntu: apt-get install python$version-venv    elsewhere: install uv, which can"
        "$found" -m venv .venv
    fi
    wanted=$(sed -n '/^name = "uv"$/{n;s/^version = "\(.*\)"$/\1/p;}' uv.lock)
    "$python" -m pip install --quiet --disable-pip-version-check --root-user-action ignore "uv==$wanted"
    sync .venv/bin/uv
fi

inputs >"$stamp.new"
mv "$stamp.new" "$stamp"
echo "Done in $(($(date +%s) - began)) s."
