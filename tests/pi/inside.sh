#!/bin/sh
# Runs a command inside the tree of setup.sh, in a mount namespace of its own, so that nothing stays mounted.
#
#   tests/pi/inside.sh FOLDER COMMAND...      the repository is at /src, read-only
set -eu
LOOKOUT_TREE=$1
LOOKOUT_REPOSITORY=$(cd "$(dirname "$0")/../.." && pwd)
export LOOKOUT_TREE LOOKOUT_REPOSITORY
shift
# shellcheck disable=SC2016  # the inner shell expands them
exec unshare --mount --propagation private sh -c '
    mount -t proc proc "$LOOKOUT_TREE/proc"
    mount --rbind /dev "$LOOKOUT_TREE/dev"
    mount --rbind /sys "$LOOKOUT_TREE/sys"
    if [ -d "$LOOKOUT_TREE/src" ]; then
        mount --bind "$LOOKOUT_REPOSITORY" "$LOOKOUT_TREE/src"
        mount -o remount,ro,bind "$LOOKOUT_TREE/src"
    fi
    exec chroot "$LOOKOUT_TREE" "$@"' sh "$@"
