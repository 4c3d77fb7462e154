#!/bin/sh
# Makes a small Debian tree:  sh tests/packaging/tree.sh SUITE FOLDER PACKAGE,PACKAGE...
# From whatever mirror this machine's apt uses. Exits 77 where that is not possible (no root, no debootstrap, no mirror).
set -eu
suite=$1 folder=$2 packages=$3
[ "$(id -u)" = 0 ] || { echo "needs root" >&2; exit 77; }
command -v debootstrap > /dev/null || { echo "needs debootstrap" >&2; exit 77; }
# shellcheck disable=SC2016 # apt's placeholder, not ours
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Origin: Debian' 'Created-By: Packages' | grep -v security | head -1)
[ -n "$mirror" ] || { echo "no Debian mirror is configured" >&2; exit 77; }
if ! debootstrap --variant=minbase --include="ca-certificates,$packages" "$suite" "$folder" "$mirror" > "$folder.log" 2>&1; then
    tail -5 "$folder.log" >&2
    exit 77
fi
# The machine's own certificate authorities and pip settings: behind a proxy nothing could be downloaded without them.
cp -L /etc/ssl/certs/ca-certificates.crt "$folder/etc/ssl/certs/ca-certificates.crt"
