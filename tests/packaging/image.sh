#!/usr/bin/env bash
# Builds the image with buildah and lets it serve the demo as its unprivileged user, root file system read-only.
#
#   bash tests/packaging/image.sh
#
# No registry is asked: a Debian tree made here takes the place and the name of the base image. Exits 77 where the means are
# missing (root, buildah, debootstrap).
set -euo pipefail
cd "$(dirname "$0")/../.."
[ "$(id -u)" = 0 ] || { echo "needs root"; exit 77; }
for command in buildah debootstrap unshare setpriv curl; do
    command -v "$command" > /dev/null || { echo "needs $command"; exit 77; }
done
export BUILDAH_ISOLATION=chroot
base=$(sed -n 's/^FROM \([^ ]*\).*/docker.io\/library\/\1/p' Dockerfile | head -1)
suite=${base##*-}
tag=localhost/lookout:test-$$
work=$(mktemp -d)
server=
container=
cleanup() {
    # unshare ignores SIGTERM; with it gone the kernel ends the program inside.
    [ -z "$server" ] || kill -KILL "$server" 2> /dev/null || true
    [ -z "$container" ] || buildah rm "$container" > /dev/null 2>&1 || true
    buildah rmi "$tag" > /dev/null 2>&1 || true
    buildah rmi "$base" > /dev/null 2>&1 || true
    rm -rf "$work"
}
trap cleanup EXIT

echo "base: $base from Debian $suite"
sh tests/packaging/tree.sh "$suite" "$work/tree" ca-certificates,python3,python3-venv || exit $?
ln -sf /usr/bin/python3 "$work/tree/usr/local/bin/python"
from=$(buildah from scratch)
buildah add -q "$from" "$work/tree" / > /dev/null
buildah config --cmd bash --env PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin "$from"
buildah commit -q --rm "$from" "$base" > /dev/null
base_kb=$(du -skx "$work/tree" | cut -f1)

certificates=/etc/ssl/certs/ca-certificates.crt
buildah bud --pull-never --format docker --volume $certificates:$certificates:ro -q -t "$tag" . > "$work/build.log" 2>&1 || {
    tail -40 "$work/build.log"
    exit 1
}
inspect() { buildah inspect --type image --format "$1" "$tag"; }
user=$(inspect '{{.Docker.Config.User}}')
[ "$user" = 10001:10001 ] || { echo "the image runs as $user"; exit 1; }
[ -n "$(inspect '{{.Docker.Config.Healthcheck}}')" ] || { echo "no health check"; exit 1; }

container=$(buildah from --pull-never "$tag")
root=$(buildah mount "$container")
echo "image: $(($(du -skx "$root" | cut -f1) / 1024)) MB unpacked, $((base_kb / 1024)) of them the stand-in for the base image"
if find "$root/opt/lookout" -name pip -path '*site-packages*' | grep -q .; then echo "pip was left in the image"; exit 1; fi
if find "$root" -xdev -user 10001 -not -path "$root/var/*" | grep -q .; then echo "the user can change the program"; exit 1; fi

# As a runtime would start it: read-only root, the two volumes, no capability, its own process tree.
port=$(python3 -c "import socket; s = socket.socket(); s.bind(('127.0.0.1', 0)); print(s.getsockname()[1])")
mkdir -p "$work/state" "$work/cache" "$work/root"
chmod 755 "$work"
chown 10001:10001 "$work/state" "$work/cache"
mapfile -t environment < <(inspect '{{range .Docker.Config.Env}}{{println .}}{{end}}' | grep '=')
export image_root=$root work
# The program is PID 1 here, as in a container.
inside() {
    # shellcheck disable=SC2016 # the inner shell is to expand these
    exec unshare --mount --pid --fork --kill-child --propagation private bash -euc '
        mount --bind "$image_root" "$work/root"
        mount -o remount,bind,ro "$work/root"
        mount -t proc proc "$work/root/proc"
        mount --rbind /dev "$work/root/dev"
        mount -t tmpfs tmpfs "$work/root/tmp"
        mount --bind "$work/state" "$work/root/var/lib/lookout"
        mount --bind "$work/cache" "$work/root/var/cache/lookout"
        exec chroot "$work/root" setpriv --reuid 10001 --regid 10001 --clear-groups --bounding-set -all \
            --inh-caps -all --no-new-privs env -i "$@"' - "${environment[@]}" "$@"
}

# Open to the network without a token: refused, in words, with the exit status for a setting that is not valid.
code=0
(inside lookout serve --server.port "$port") > "$work/refused" 2>&1 || code=$?
[ $code = 3 ] || { cat "$work/refused"; echo "without a token the image should have refused with 3, got $code"; exit 1; }
echo "without a token: refused ($(tail -n +2 "$work/refused" | head -1))"

head -c 24 /dev/urandom | base64 | tr '+/' '-_' > "$work/state/token"
chown 10001:10001 "$work/state/token"
token=$(cat "$work/state/token")
(inside lookout demo --server.port "$port" --server.token_file /var/lib/lookout/token) > "$work/log" 2>&1 &
server=$!
for _ in $(seq 60); do
    state=$(curl -sf -m 5 -H "Authorization: Bearer $token" "http://127.0.0.1:$port/api/state" || true)
    case $state in *'"status":"ok"'*) break ;; esac
    kill -0 $server 2> /dev/null || break
    sleep 1
done
case ${state:-} in
    *'"status":"ok"'*) echo "the demo answers: $(printf '%s' "$state" | head -c 200) ..." ;;
    *) cat "$work/log"; echo "no answer from the image: ${state:-nothing}"; exit 1 ;;
esac
[ "$(curl -s -o /dev/null -w '%{http_code}' "http://127.0.0.1:$port/api/state")" = 401 ] || { echo "the state needs no token"; exit 1; }
(inside python -c 'import apprise, paho.mqtt.client, prometheus_client') || { echo "the extra integrations is not in the image"; exit 1; }
(inside env LOOKOUT_SERVER__PORT="$port" python -m lookout.healthcheck) || { echo "the health check fails"; exit 1; }
page=$(curl -sf -m 5 -H "Authorization: Bearer $token" "http://127.0.0.1:$port/")
[[ $page == *"<title"* ]] || { echo "no dashboard"; exit 1; }
program=$(pgrep -P "$server")
owner=$(ps -o uid= -p "$program" | tr -d " ")
[ "$owner" = 10001 ] || { echo "it runs as $owner"; exit 1; }
echo "running as user $owner without capabilities, root file system read-only"
grep -iE 'error|traceback' "$work/log" && { echo "errors in the log"; exit 1; }

began=$(date +%s%N)
kill -TERM "$program"
code=0
wait "$server" || code=$?
server=
took=$(($(($(date +%s%N) - began)) / 1000000))
echo "stopped $took ms after SIGTERM, exit status $code"
[ "$took" -lt 5000 ] && [ $code = 0 ]
echo "image ok"
