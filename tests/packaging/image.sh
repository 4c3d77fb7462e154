#!/usr/bin/env bash
# Builds the image with buildah and lets it serve the demo as its unprivileged user, root file system read-only.
#
#   bash tests/packaging/image.sh
#
# No registry is asked: a Debian tree made here takes the place and the name of the base image. Exits 77 where the means are
# missing (root, buildah, bubblewrap, debootstrap).
set -euo pipefail
cd "$(dirname "$0")/../.."
[ "$(id -u)" = 0 ] || { echo "needs root"; exit 77; }
for command in buildah bwrap debootstrap; do
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
    [ -z "$server" ] || kill "$server" 2> /dev/null || true
    [ -z "$container" ] || buildah rm "$container" > /dev/null 2>&1 || true
    buildah rmi "$tag" > /dev/null 2>&1 || true
    buildah rmi "$base" > /dev/null 2>&1 || true
    rm -rf "$work"
}
trap cleanup EXIT

echo "base: $base from Debian $suite"
sh tests/packaging/tree.sh "$suite" "$work/tree" python3,python3-venv || exit $?
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
port=18642
mkdir -p "$work/state" "$work/cache"
chown 10001:10001 "$work/state" "$work/cache"
environment=()
while IFS= read -r setting; do environment+=(--setenv "${setting%%=*}" "${setting#*=}"); done \
    < <(inspect '{{range .Docker.Config.Env}}{{println .}}{{end}}' | grep '=')
inside() {
    exec bwrap --ro-bind "$root" / --proc /proc --dev /dev --tmpfs /tmp --bind "$work/state" /var/lib/lookout \
        --bind "$work/cache" /var/cache/lookout --unshare-user --unshare-pid --uid 10001 --gid 10001 --cap-drop ALL \
        --die-with-parent --clearenv "${environment[@]}" "$@"
}

# Open to the network without a token: refused, in words, with the exit status for a setting that is not valid.
code=0
(inside lookout serve --server.port $port) > "$work/refused" 2>&1 || code=$?
[ $code = 3 ] || { cat "$work/refused"; echo "without a token the image should have refused with 3, got $code"; exit 1; }
echo "without a token: refused ($(head -1 "$work/refused"))"

head -c 24 /dev/urandom | base64 | tr '+/' '-_' > "$work/state/token"
chown 10001:10001 "$work/state/token"
token=$(cat "$work/state/token")
(inside lookout demo --server.port $port --server.token_file /var/lib/lookout/token) > "$work/log" 2>&1 &
server=$!
for _ in $(seq 60); do
    state=$(curl -sf -m 5 -H "Authorization: Bearer $token" http://127.0.0.1:$port/api/state || true)
    case $state in *'"status":"ok"'*) break ;; esac
    kill -0 $server 2> /dev/null || break
    sleep 1
done
case ${state:-} in
    *'"status":"ok"'*) echo "the demo answers: $(printf '%s' "$state" | head -c 200) ..." ;;
    *) cat "$work/log"; echo "no answer from the image: ${state:-nothing}"; exit 1 ;;
esac
[ "$(curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:$port/api/state)" = 401 ] || { echo "the state needs no token"; exit 1; }
curl -sf -m 5 http://127.0.0.1:$port/healthz > /dev/null
curl -sf -m 5 -H "Authorization: Bearer $token" http://127.0.0.1:$port/ | grep -qi '<title' || { echo "no dashboard"; exit 1; }
owner=$(ps -o uid= -p "$(pgrep -f -- "--server.port $port --server.token_file" | tail -1)" | tr -d ' ')
echo "running as user $owner, root file system read-only"
grep -iE 'error|traceback' "$work/log" && { echo "errors in the log"; exit 1; }

began=$(date +%s%N)
kill -TERM "$(pgrep -f "^[^ ]*python[^ ]* .*lookout demo --server.port $port" | tail -1)"
wait "$server" || true
server=
took=$(($(($(date +%s%N) - began)) / 1000000))
echo "stopped $took ms after SIGTERM"
[ "$took" -lt 5000 ]
echo "image ok"
