#!/usr/bin/env bash
# A bare Debian with a copy of this checkout in it: what README's test command finds on a machine where nothing was installed.
#
#   bash tests/packaging/bare.sh make SUITE FOLDER     debootstrap's smallest Debian and python3, nothing else
#   bash tests/packaging/bare.sh run FOLDER COMMAND... runs the command there, in the copy of the checkout
#
# The tree has its own mounts and process table; network, /dev and /sys are this machine's. How this machine reaches its
# package servers (pip's and apt's settings, proxies, certificates, folders of wheels) is handed in. A folder `shared`
# beside the checkout is there too, read-only. Exits 77 where a tree cannot be made (no root, no debootstrap, no mirror).
set -euo pipefail
checkout=$(cd "$(dirname "$0")/../.." && pwd)
inside=/root/lookout # where the checkout is in the tree

# Files and folders that pip's settings name: they must be found in the tree under the same path.
named_paths() {
    { python3 -m pip config list 2> /dev/null; env | grep -E '^PIP_'; } |
        grep -oE '(=|[ '\''"]|file://)/[^ '\''",\\]+' | sed -E 's/^[^/]*(\/\/)?//; s/\/simple$//' | sort -u |
        while read -r path; do
            case $path in /etc/ssl/*) ;; *) [ ! -e "$path" ] || printf '%s\n' "$path" ;; esac
        done
}

# What of the environment goes in: how servers are reached, and what makes numeric libraries right on this processor.
handed_in() {
    env -0 | grep -zE '^(([A-Za-z]+_)?(proxy|PROXY)|PIP_[A-Z_]+|[A-Z_]*(CERT|CA_BUNDLE|CA_CERTS)[A-Z_]*|OPENBLAS_[A-Z0-9_]+|CI|LC_ALL|NO_COLOR|PYTHONDONTWRITEBYTECODE|LOOKOUT_TESTS_[A-Z_]+)='
}

make() {
    local suite=$1 folder=$2
    mkdir -p "$folder"
    sh "$checkout/tests/packaging/tree.sh" "$suite" "$folder/tree" python3 || exit $?
    mkdir -p "$folder/tree$inside"
    for file in /etc/xdg/pip/pip.conf /etc/pip.conf "$HOME/.pip/pip.conf" "$HOME/.config/pip/pip.conf"; do
        [ -e "$file" ] || continue
        install -D -m 0644 "$file" "$folder/tree${file/#"$HOME"/\/root}"
    done
    # As a clone would have it: nothing that git ignores, above all no environment that is set up already.
    (
        cd "$checkout"
        git ls-files -z --cached --others --exclude-standard 2> /dev/null ||
            find . -name '.venv*' -prune -o -name '.git' -prune -o -name __pycache__ -prune -o -type f -print0
    ) | (cd "$checkout" && xargs -0 -r ls -d -- 2> /dev/null | tar -cf - -T -) | tar -xf - -C "$folder/tree$inside"
}

run() {
    local tree=$1/tree
    shift
    export tree checkout inside
    paths=$(named_paths)
    export paths
    mapfile -d '' -t variables < <(handed_in)
    # bash stays as the first process of the tree: it reaps what tests leave, and its end ends them all.
    # shellcheck disable=SC2016 # the inner shell is to expand these
    exec unshare --mount --pid --fork --kill-child --propagation private bash -euc '
        mount --bind "$tree" "$tree"
        mount -t proc proc "$tree/proc"
        mount --rbind /dev "$tree/dev"
        mount --rbind /sys "$tree/sys"
        mount -t tmpfs tmpfs "$tree/run"
        show() {
            if [ -d "$1" ]; then mkdir -p "$tree$2"; else mkdir -p "$(dirname "$tree$2")" && touch "$tree$2"; fi
            mount --bind "$1" "$tree$2"
            mount -o remount,bind,ro "$tree$2"
        }
        for path in $paths; do show "$path" "$path"; done
        [ ! -d "$checkout/../shared" ] || show "$checkout/../shared" "$(dirname "$inside")/shared"
        cd "$tree"
        mkdir -p .around
        pivot_root . .around
        export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
        umount -l /.around
        rmdir /.around
        cd "$inside"
        code=0
        env -i HOME=/root PATH=$PATH "$@" || code=$?
        exit $code' bare "${variables[@]}" "$@"
}

case ${1:-} in
    make) shift; make "${1:?which Debian}" "${2:?which folder}" ;;
    run) shift; run "$@" ;;
    *) sed -n '2,9s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac
