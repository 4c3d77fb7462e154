# Sourced by demo.sh and tests/run: finds Python, and installs Debian packages where that is allowed.
# shellcheck shell=sh
set -eu

say() { printf '%s\n' "$*" >&2; }

# Prints the command prefix that may install packages; fails where there is none. system=no asks for none.
privileged() {
    [ "${system:-yes}" = yes ] && command -v apt-get > /dev/null || return 1
    if [ "$(id -u)" = 0 ]; then
        echo env
    elif command -v sudo > /dev/null && sudo -n true 2> /dev/null; then
        echo sudo
    else
        return 1
    fi
}

# Installs Debian packages. One that cannot be had costs only what needs it, so a failure of all together is retried singly.
install_packages() {
    prefix=$(privileged) || { say "not installed (no root, no sudo without a password, or no apt): $*"; return 0; }
    say "installing Debian packages: $*"
    apt() { $prefix env DEBIAN_FRONTEND=noninteractive apt-get -y -qq -o DPkg::Lock::Timeout=300 "$@" > /dev/null; }
    apt update || say "apt-get update failed; going on with the lists that are here"
    if ! apt install --no-install-recommends "$@"; then
        for package in "$@"; do
            apt install --no-install-recommends "$package" || say "could not install $package"
        done
    fi
}

# Leaves in $python an interpreter that is new enough and can make environments, or ends with one sentence.
find_python() {
    python=${PYTHON:-python3}
    if ! command -v "$python" > /dev/null; then
        say "There is no $python. Install Python 3.11 or newer (sudo apt install python3 python3-venv)."
        exit 1
    fi
    if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
        say "$python is $("$python" -V); Lookout needs Python 3.11 or newer. Another one: PYTHON=python3.13 sh $0"
        exit 1
    fi
    if ! "$python" -c 'import ensurepip, venv' 2> /dev/null; then
        install_packages python3-venv
        "$python" -c 'import ensurepip, venv' 2> /dev/null || {
            say "Python cannot make environments here: sudo apt install python3-venv"
            exit 1
        }
    fi
}
