#!/usr/bin/env bash
# setup.sh DIRECTORY: makes the virtual environment DIRECTORY with the project and its tools in it.
#
# Needs Python 3.11 or newer with venv, and MariaDB's server for the tests (PostgreSQL comes from pip).
# What the system lacks is installed when root runs this, else the command to run is printed: exit 1.
# A MySQL or MariaDB named by CHANGECAPTURE_TEST_MYSQL_URL serves the tests in place of our own.
set -euo pipefail
venv=$1
cd "$(dirname "$0")/.."

fail() { printf 'setup: %s\n' "$@" >&2; exit 1; }

find_python() {
    local candidate
    for candidate in ${PYTHON_FOR_SETUP:-} python3 python3.{15,14,13,12,11}; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    return 1
}

# The packages that this system lacks, by their names in Debian and Ubuntu.
list_missing() {
    "$1" -c 'import ensurepip, venv' 2>/dev/null ||
        "$1" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])'
    [ -n "${CHANGECAPTURE_TEST_MYSQL_URL:-}" ] ||
        PATH="$PATH:/usr/sbin:/usr/local/sbin" command -v mariadbd >/dev/null || echo mariadb-server
}

# Debian's packages start their server when installed; 101 from policy-rc.d forbids that.
install_quietly() {
    local policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod +x "$policy"
        trap 'rm -f /usr/sbin/policy-rc.d' EXIT
    fi
    export DEBIAN_FRONTEND=noninteractive
    apt-get update </dev/null
    apt-get install -y --no-install-recommends "$@" </dev/null
}

python=$(find_python) || fail "Python 3.11 or newer is needed, found: $(python3 --version 2>&1 || true)" \
    "install one (apt-get install python3.11 python3.11-venv), or name it: PYTHON_FOR_SETUP=/path/to/python make setup"

missing=$(list_missing "$python" | xargs)
if [ -n "$missing" ]; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        # shellcheck disable=SC2086 # a list of names
        install_quietly $missing
    else
        fail "this system lacks: $missing" "run: sudo apt-get install $missing"
    fi
    missing=$(list_missing "$python" | xargs)
    [ -z "$missing" ] || fail "still missing after the installation: $missing"
fi

# Also one whose making was interrupted: it has a python but no pip yet.
"$venv/bin/python" -m pip --version >/dev/null 2>&1 || "$python" -m venv "$venv"
"$venv/bin/python" -m pip install --quiet --editable '.[dev]'
