#!/usr/bin/env bash
# Lookout on an emulated 64-bit Arm, by hand: import, classify photographs, serve the demo, shut down.
#
#   bash tests/packaging/arm64_emulated.sh [FOLDER]
#
# FOLDER keeps the Debian tree for the next time (about 500 MB, five minutes to make). Everything in it runs some two hundred times
# slower than on a Pi, so this proves that it runs and what it answers, never how fast. Needs root, debootstrap and
# qemu-user-static; exits 77 where these are missing.
set -euo pipefail
cd "$(dirname "$0")/../.."
[ "$(id -u)" = 0 ] || { echo "needs root"; exit 77; }
for command in debootstrap qemu-aarch64-static curl; do
    command -v "$command" > /dev/null || { echo "needs $command (apt install debootstrap qemu-user-static curl)"; exit 77; }
done
python=${PYTHON:-python3}
kept=${1:-}
folder=${kept:-$(mktemp -d)}
mkdir -p "$folder"
root=$(realpath "$folder")/tree
server=
say() { printf '%s %s\n' "$(date +%T)" "$*"; }
cleanup() {
    [ -z "$server" ] || kill -KILL "$server" 2> /dev/null || true
    for mounted in proc dev; do umount -l "$root/$mounted" 2> /dev/null || true; done
    [ -n "$kept" ] || rm -rf --one-file-system "$folder"
}
trap cleanup EXIT

# The kernel hands every Arm program to the emulator, which it opens itself (flag F): none is needed inside the tree.
binfmt=/proc/sys/fs/binfmt_misc
mountpoint -q $binfmt || mount -t binfmt_misc binfmt_misc $binfmt
[ -e $binfmt/qemu-aarch64 ] || cat /usr/lib/binfmt.d/qemu-aarch64.conf > $binfmt/register

if [ ! -e "$root/made" ]; then
    say "making a Debian tree for 64-bit Arm"
    # shellcheck disable=SC2016 # apt's placeholder, not ours
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Origin: Debian' 'Created-By: Packages' | grep -v security | head -1)
    rm -rf --one-file-system "$root"
    debootstrap --foreign --arch=arm64 --variant=minbase --include=python3 bookworm "$root" "$mirror" > "$folder/debootstrap.log"
    chroot "$root" /debootstrap/debootstrap --second-stage >> "$folder/debootstrap.log"
    touch "$root/made"
fi
# Not /sys: it describes the host's processor, and cpuinfo, which onnxruntime brings, crashes over one that is no Arm.
for mounted in proc dev; do mountpoint -q "$root/$mounted" || mount --rbind --make-rslave "/$mounted" "$root/$mounted"; done

say "installing the Arm wheels that a Pi would download, and our own"
rm -rf "$root/opt/lookout" "$folder/dist" "$root/root/.local" "$root/root/.cache"
"$python" -m pip wheel -q --no-deps --disable-pip-version-check --wheel-dir "$folder/dist" .
"$python" -m pip install -q --disable-pip-version-check --no-compile --target "$root/opt/lookout" --only-binary=:all: \
    --implementation cp --python-version 311 --platform manylinux_2_28_aarch64 --platform manylinux_2_27_aarch64 \
    --platform manylinux_2_26_aarch64 --platform manylinux_2_17_aarch64 --platform manylinux2014_aarch64 "$folder"/dist/*.whl

inside() {
    chroot "$root" env -i PATH=/usr/bin:/bin HOME=/root PYTHONPATH=/opt/lookout LC_ALL=C.UTF-8 "$@"
}
lookout() { inside python3 -m service "$@"; }

say "machine: $(inside uname -m), $(inside python3 -V)"
say "classifying photographs"
for precision in fp32 int8; do
    lookout classify --precision "$precision" /opt/lookout/lookout/camera/sources/pictures
done

port=$(python3 -c "import socket; s = socket.socket(); s.bind(('127.0.0.1', 0)); print(s.getsockname()[1])")
say "serving the demo on port $port"
# One inference takes seconds here: the precision is given, so that nothing is measured first, and frames may be old.
lookout demo --server.port "$port" --model.precision int8 --model.threads 1 --camera.stale_after_s 60 > "$folder/serve.log" 2>&1 &
server=$!
state=
for _ in $(seq 120); do
    state=$(curl -sf -m 20 "http://127.0.0.1:$port/api/state" || true)
    case $state in *'"status":"ok"'*'"label"'*) break ;; esac
    kill -0 $server 2> /dev/null || break
    sleep 2
done
case $state in
    *'"status":"ok"'*) say "it answers: $(printf '%s' "$state" | grep -o '"answer":{[^}]*}' | head -1)" ;;
    *) cat "$folder/serve.log"; say "no answer: ${state:-nothing}"; exit 1 ;;
esac
page=$(curl -sf -m 60 "http://127.0.0.1:$port/")
[[ $page == *"<title"* ]] || { say "no dashboard"; exit 1; }
uploaded=$(curl -sf -m 120 --data-binary @service/lookout/camera/sources/pictures/cat.jpg "http://127.0.0.1:$port/api/classify")
say "an upload: ${uploaded:0:200} ..."
program=$(pgrep -f "lookout demo --server.port $port" | head -1)
began=$SECONDS code=0
kill -TERM "$program"
wait "$server" || code=$?
server=
cat "$folder/serve.log"
say "stopped in $((SECONDS - began)) s, exit status $code"
[ "$code" = 0 ]
