#!/bin/sh
# The tests of the Pi camera against the real picamera2. Ends with 0 when they ran and passed, 1 when they failed, and
# 77, with a loud word, when the environment could not be set up: then nothing was tested.
#
#   tests/pi/run.sh [FOLDER]
set -u
folder=${1:-${LOOKOUT_PI_TREE:-/tmp/lookout-pi}}
here=$(cd "$(dirname "$0")" && pwd)

if ! sh "$here/setup.sh" "$folder"; then
    echo "**************************************************************************************" >&2
    echo "*  NOT TESTED: the Pi camera. The picamera2 environment could not be set up (above). *" >&2
    echo "**************************************************************************************" >&2
    exit 77
fi

# Real time and a real libcamera: a hang must end the run, not stop it.
run() {
    python=$1
    shift
    timeout -k 10 300 sh "$here/inside.sh" "$folder" env LD_PRELOAD=/opt/files/libbuffers.so \
        LIBCAMERA_LOG_LEVELS='*:ERROR,Virtual:FATAL' LOOKOUT_PI_TESTS=1 PYTHONDONTWRITEBYTECODE=1 HOME=/root \
        PATH="$(dirname "$python"):/usr/bin:/bin" "$python" -m pytest -q -rs -p no:cacheprovider -c /src/tests/pi/pytest.ini \
        --rootdir /src --confcutdir /src/tests/pi "$@"
}

failed=0
run /opt/camera/bin/python /src/tests/pi/test_picamera2.py || failed=1
run /opt/lookout/bin/python /src/tests/pi/test_isolated_pi.py || failed=1
exit $failed
