#!/bin/sh
# Sets Lookout up in .venv/ beside this file and runs its demo, which needs no camera: sh demo.sh [OPTIONS OF lookout demo]
#
# Needs only Python 3.11 or newer: Debian's python3-venv is installed if that is allowed.
set -eu
cd "$(dirname "$0")"
# shellcheck source=tests/environment.sh
. tests/environment.sh

case ${1:-} in -h | --help) sed -n '2,4s/^# \{0,1\}//p' "$0"; exit 0 ;; esac

find_python
# The environment runs the checkout itself, so it is made once for each interpreter and list of packages.
stamp="$(cksum < pyproject.toml) $("$python" -c 'import sys; print(sys.executable, sys.version)')"
if [ "$(cat .venv/stamp 2> /dev/null)" != "$stamp" ]; then
    say "setting up .venv (Python packages, a minute the first time)"
    "$python" -m venv --clear .venv
    .venv/bin/python -m pip install -q --disable-pip-version-check -e .
    printf '%s\n' "$stamp" > .venv/stamp
fi
exec .venv/bin/lookout demo "$@"
