#!/bin/sh
# A Debian 13 tree in which the real picamera2 drives the real libcamera without a camera: libcamera's own "virtual"
# pipeline delivers colour bars. Two environments lie in it, as on a Pi: /opt/camera has picamera2 and no OpenCV,
# /opt/lookout has OpenCV and no picamera2.
#
#   tests/pi/setup.sh [FOLDER]      make or finish the tree (default /tmp/lookout-pi): 1 to 4 minutes, 1.3 GB; again: 1 s
#
# Needs root, amd64 or arm64, Debian or Ubuntu. Ends with 0, or with 77 and one sentence when the tree cannot be made.
set -eu

folder=${1:-${LOOKOUT_PI_TREE:-/tmp/lookout-pi}}
here=$(cd "$(dirname "$0")" && pwd)
limit=600 # seconds for each step that uses the network

refuse() { echo "tests/pi: the picamera2 environment cannot be set up: $*" >&2; exit 77; }
say() { echo "tests/pi: $*" >&2; }
inside() { sh "$here/inside.sh" "$folder" "$@"; }
done_before() { [ -e "$folder/.done-$1" ]; }

[ "$(id -u)" = 0 ] || refuse "it must be root, for chroot and debootstrap."
command -v unshare >/dev/null || refuse "the command unshare is missing (package util-linux)."

mirror() {
    [ -z "${LOOKOUT_PI_MIRROR:-}" ] || { echo "$LOOKOUT_PI_MIRROR"; return; }
    found=$(awk '/^URIs:/ {print $2; exit}' /etc/apt/sources.list.d/*.sources 2>/dev/null) || true
    [ -n "$found" ] || found=$(awk '$1 == "deb" {for (i = 2; i <= NF; i++) if ($i ~ /^http/) {print $i; exit}}' \
        /etc/apt/sources.list 2>/dev/null) || true
    echo "${found:-http://deb.debian.org/debian}"
}

base() {
    if ! command -v debootstrap >/dev/null; then
        { timeout $limit apt-get -q update && DEBIAN_FRONTEND=noninteractive timeout $limit apt-get install -y -q \
            --no-install-recommends -o DPkg::Lock::Timeout=120 debootstrap; } >/dev/null 2>&1 ||
            refuse "debootstrap is missing and cannot be installed."
    fi
    say "making a Debian 13 tree in $folder"
    rm -rf "$folder"
    mkdir -p "$folder"
    timeout $limit debootstrap --variant=minbase --include=ca-certificates trixie "$folder" "$(mirror)" \
        >"$folder.log" 2>&1 || refuse "debootstrap failed, see $folder.log."
}

# What the machine around it uses to reach its package servers.
network() {
    for file in /etc/ssl/certs/ca-certificates.crt /etc/resolv.conf /etc/hosts /etc/pip.conf; do
        [ ! -e "$file" ] || cp -fL "$file" "$folder$file"
    done
}

libraries() {
    say "installing libcamera"
    # trixie's own libcamera 0.4 gives the virtual camera's frames no time stamps.
    echo "deb $(mirror) trixie-backports main" >"$folder/etc/apt/sources.list.d/backports.list"
    inside timeout $limit sh -c '
        export DEBIAN_FRONTEND=noninteractive
        apt-get -q update &&
        apt-get install -y -q --no-install-recommends -t trixie-backports python3-libcamera libcamera-tools libcamera-ipa &&
        apt-get install -y -q --no-install-recommends python3-venv python3-dev python3-prctl gcc libc6-dev &&
        apt-get clean' >>"$folder.log" 2>&1 || refuse "libcamera cannot be installed, see $folder.log."
    grep -q PipelineHandlerVirtual "$folder"/usr/lib/*/libcamera.so.0.* || refuse "this libcamera has no virtual camera."
}

pythons() {
    say "installing picamera2 and OpenCV"
    inside timeout $limit sh -c '
        python3 -m venv --system-site-packages /opt/camera &&
        /opt/camera/bin/pip install -q pytest numpy PiDNG piexif pillow simplejpeg videodev2 av libarchive-c tqdm \
            jsonschema OpenEXR &&
        /opt/camera/bin/pip install -q --no-deps picamera2 &&
        python3 -m venv /opt/lookout &&
        /opt/lookout/bin/pip install -q pytest numpy opencv-python-headless' >>"$folder.log" 2>&1 ||
        refuse "pip failed, see $folder.log."
}

files() {
    mkdir -p "$folder/src" "$folder/usr/share/libcamera/pipeline/virtual" "$folder/opt/files"
    cp "$here"/environment/* "$folder/opt/files/"
    cp "$here/environment/virtual.yaml" "$folder/usr/share/libcamera/pipeline/virtual/virtual.yaml"
    cp "$here/environment/pykms.py" "$folder"/opt/camera/lib/python3.*/site-packages/
    inside gcc -O2 -Wall -shared -fPIC -o /opt/files/libbuffers.so /opt/files/buffers.c -ldl ||
        refuse "buffers.c does not compile."
    inside /opt/camera/bin/python /opt/files/patch_picamera2.py ||
        refuse "picamera2 has changed, a patch no longer applies."
}

done_before base || base
touch "$folder/.done-base"
network
done_before libraries || libraries
touch "$folder/.done-libraries"
done_before pythons || pythons
touch "$folder/.done-pythons"
files
