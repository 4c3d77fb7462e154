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
# Several trees of one run share what they download.
cache=${LOOKOUT_DEBOOTSTRAP_CACHE:-}
[ -z "$cache" ] || mkdir -p "$cache"
if ! debootstrap ${cache:+"--cache-dir=$cache"} --variant=minbase --include="$packages" "$suite" "$folder" "$mirror" > "$folder.log" 2>&1; then
    tail -5 "$folder.log" >&2
    exit 77
fi
# How this machine reaches its package servers, so that the tree reaches them too: certificate authorities, names, proxies.
mkdir -p "$folder/etc/ssl/certs" "$folder/usr/local/share/ca-certificates"
for file in /etc/ssl/certs/ca-certificates.crt /etc/resolv.conf /etc/hosts; do
    [ ! -e "$file" ] || cp -L "$file" "$folder$file"
done
cp -rL /usr/local/share/ca-certificates/. "$folder/usr/local/share/ca-certificates/" 2> /dev/null || true
apt-config dump | grep -iE '^Acquire::https?::' > "$folder/etc/apt/apt.conf.d/99-like-the-machine-around" || true
