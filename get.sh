#!/bin/sh
# Installs Lookout as a system service, or updates it, from a wheel, without a clone of the repository:
#
#   curl -fsSL ADDRESS/get.sh | sudo sh -s -- WHEEL [SHA256] [OPTIONS OF install.sh]
#
# WHEEL is a file or an https:// address (lookout_camera-VERSION-py3-none-any.whl); with SHA256 it is checked before anything of
# it runs. Besides the wheel only the Python packages that it names are fetched, by pip. The installer is the one in the wheel.
set -eu
umask 022

# The last line calls it, so that a download that breaks off runs nothing.
main() {
    wheel=${1:-}
    case $wheel in
        "" | -h | --help)
            echo "usage: sudo sh get.sh WHEEL [SHA256] [--no-start] [--demo]"
            echo "WHEEL: a file, or an https:// address, of lookout_camera-VERSION-py3-none-any.whl"
            [ -n "$wheel" ] || exit 2
            exit 0
            ;;
    esac
    shift
    sum=
    case ${1:-} in
        "" | -*) ;;
        *) sum=$1; shift ;;
    esac
    [ "$(id -u)" = 0 ] || fail "this must be run as root: put sudo before sh"
    command -v python3 > /dev/null || fail "there is no python3: apt install python3 python3-venv"
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    name=${wheel##*/}
    case $name in
        lookout_camera-*-py3-none-any.whl) ;;
        *) fail "$name is not named like a wheel of Lookout: lookout_camera-VERSION-py3-none-any.whl" ;;
    esac
    case $wheel in
        https://*)
            command -v curl > /dev/null || fail "there is no curl: apt install curl"
            say "downloading $wheel"
            curl -fsSL --proto =https --proto-redir =https --max-time 600 --max-filesize 200000000 -o "$work/$name" "$wheel" ||
                fail "the wheel could not be downloaded; nothing was changed"
            ;;
        *://*) fail "the address must begin with https://" ;;
        *) cp "$wheel" "$work/$name" || fail "there is no $wheel" ;;
    esac
    if [ -n "$sum" ]; then
        echo "$sum  $work/$name" | sha256sum --check --status || fail "the wheel's SHA-256 is not $sum; nothing was changed"
    fi
    python3 - "$work/$name" "$work" << 'P' || fail "the wheel holds no installer; nothing was changed"
import sys, zipfile
wheel = zipfile.ZipFile(sys.argv[1])
for name in ("install.sh", "uninstall.sh", "lookout.service", "lookout@.service"):
    wheel.extract(f"lookout/systemd/{name}", sys.argv[2])
P
    sh "$work/lookout/systemd/install.sh" "$work/$name" "$@"
}

say() { printf '%s\n' "$*"; }
fail() { printf 'get.sh: %s\n' "$*" >&2; exit 1; }

main "$@"
