#!/usr/bin/env bash
# setup_browser.sh DIRECTORY: what the tests in a browser need beside setup.sh: Chromium, and Playwright, which drives it.
#
# A Chromium of yours is named by CHANGECAPTURE_TEST_CHROMIUM. Root gets Debian's package, others are told its name.
set -euo pipefail
venv=$1
cd "$(dirname "$0")/.."

find_chromium() {
    local name
    for name in "${CHANGECAPTURE_TEST_CHROMIUM:-}" chromium chromium-browser google-chrome; do
        if [ -n "$name" ] && command -v "$name" >/dev/null; then return; fi
    done
    return 1
}

if ! find_chromium; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        apt-get update </dev/null
        DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends chromium fonts-dejavu-core </dev/null
    fi
    find_chromium || {
        printf 'setup: %s\n' "the tests in a browser need Chromium" "run: sudo apt-get install chromium" >&2
        exit 1
    }
fi
"$venv/bin/python" -m pip install --quiet --editable '.[browser]'
