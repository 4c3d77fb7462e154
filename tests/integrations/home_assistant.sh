#!/usr/bin/env bash
# A real Home Assistant core, and the real MQTT integration of both sides on a real broker between them.
#
#   bash tests/integrations/home_assistant.sh make FOLDER    a Debian tree with Home Assistant in it (about 1 GB)
#   bash tests/integrations/home_assistant.sh walk FOLDER    discovery, answers, events, commands, a lost camera, other labels
#
# FOLDER may be kept for another walk. Exits 77, loudly, where the means are missing: then it proved nothing.
set -euo pipefail
cd "$(dirname "$0")/../.."
version=2026.11.0
# MQTT, and what it and the core import.
components=(mqtt auth camera conversation ffmpeg file_upload frontend hassio http infrared radio_frequency stream tts)
requirements='
import json, pathlib, sys, homeassistant.components as components
for name in sys.argv[1:]:
    manifest = pathlib.Path(components.__path__[0], name, "manifest.json")
    for requirement in json.loads(manifest.read_text()).get("requirements", []) if manifest.exists() else []:
        print(requirement)
'

missing() {
    echo "HOME ASSISTANT WAS NOT TRIED: $1" >&2
    exit 77
}

make() {
    local root=$1 work=$1.uv fetched
    [ ! -e "$root/ha/complete" ] || return 0
    # Its Python is newer than the one of Debian's stable releases.
    timeout 480 sh tests/packaging/tree.sh sid "$root" python3,python3-venv,ca-certificates || missing "there is no tree of Debian sid"
    # pip alone needs a quarter of an hour to resolve what uv resolves in seconds.
    timeout 120 python3 -m pip download -q --no-deps -d "$work" uv || missing "uv cannot be downloaded"
    python3 -m zipfile -e "$work"/uv-*.whl "$work"
    install -m 755 "$(find "$work" -path '*/scripts/uv' -type f)" "$root/usr/local/bin/uv"
    rm -rf "$work"
    chroot "$root" python3 -m venv /ha
    add "$root" "homeassistant==$version"
    # What Home Assistant would fetch itself when it loads these, each in the release that it names.
    mapfile -t fetched < <(chroot "$root" /ha/bin/python -c "$requirements" "${components[@]}")
    add "$root" "${fetched[@]}"
    touch "$root/ha/complete"
}

# add FOLDER PACKAGE...: with the machine's own certificates, and its index where it has one.
add() {
    local root=$1
    shift
    timeout 240 chroot "$root" env ${PIP_INDEX_URL:+"UV_DEFAULT_INDEX=$PIP_INDEX_URL"} UV_NO_CACHE=1 \
        uv pip install -q --system-certs --python /ha/bin/python "$@" ||
        missing "homeassistant $version cannot be installed"
}

walk() {
    local root=$1 python=.venv-tests/bin/python
    [ -e "$root/ha/complete" ] || missing "it is not in $root: make it first"
    [ -x $python ] || missing "needs the tests' environment: sh tests/run --setup-only"
    command -v mosquitto > /dev/null || [ -x /usr/sbin/mosquitto ] || missing "needs mosquitto"
    cp tests/integrations/inside_home_assistant.py "$root/inside.py"
    PYTHONPATH=service timeout 300 $python -m tests.integrations.home_assistant "$root"
}

[ "$(id -u)" = 0 ] || missing "needs root"
case ${1:-} in
    make) make "$(realpath -m "${2:?which folder}")" ;;
    walk) walk "$(realpath -m "${2:?which folder}")" ;;
    *) sed -n '2,7s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac
