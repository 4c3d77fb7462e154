#!/bin/sh
# Installs Lookout as a system service, or brings an installation up to date:  sudo sh systemd/install.sh [WHEEL]
#
# From a checkout, or from the given wheel. May be run again at any time: settings, history and tokens stay as they are.
#   --no-start   install, but neither enable nor start the service
#   --demo       if there is no configuration yet, write one with the built-in demo as the camera
#   --back       put the version that was there before the last update in place again
set -eu
# The service's user must be able to read what is installed, whatever root's umask is.
umask 022

app=/opt/lookout
config=/etc/lookout/lookout.toml
unit=/etc/systemd/system/lookout.service
here=$(cd "$(dirname "$0")" && pwd)
what=$(dirname "$here")
start=yes
source=auto
back=no

for argument in "$@"; do
    case $argument in
        --no-start) start=no ;;
        --demo) source=demo ;;
        --back) back=yes ;;
        -h | --help) sed -n '2,7s/^# \{0,1\}//p' "$0"; exit 0 ;;
        -*) echo "unknown option $argument; see --help" >&2; exit 2 ;;
        *) what=$(realpath "$argument") ;;
    esac
done

say() { printf '%s\n' "$*"; }
fail() { printf 'install.sh: %s\n' "$*" >&2; exit 1; }

[ "$(id -u)" = 0 ] || fail "this must be run as root: sudo sh $0"
[ -d /run/systemd/system ] || [ "$start" = no ] || fail "systemd does not run here; see README.md for running without it"
[ -e "$what" ] || fail "there is no $what"

# Program and unit of the other version change places with those in use.
swap() {
    mv $app/venv $app/venv.other
    mv $app/venv.old $app/venv
    mv $app/venv.other $app/venv.old
    if [ -e $app/unit.old ]; then
        cp $unit $app/unit.other
        install -m 0644 $app/unit.old $unit
        mv $app/unit.other $app/unit.old
    fi
    systemctl daemon-reload
}
# Up and answering, and not about to fall over: Type=notify waits for the first answer, two watchdog periods show the rest.
runs() {
    systemctl restart lookout.service || return 1
    for _ in 1 2 3 4 5; do
        sleep 1
        [ "$(systemctl show --property=ActiveState --value lookout.service)" = active ] || return 1
    done
    [ "$(systemctl show --property=NRestarts --value lookout.service)" = 0 ]
}

if [ "$back" = yes ]; then
    [ -d $app/venv.old ] || fail "no other version is kept in $app"
    swap
    runs || { swap; systemctl restart lookout.service || true; fail "the version from before does not run either, so nothing was changed"; }
    systemctl try-restart 'lookout@*.service' || true
    say "Back: $($app/venv/bin/lookout --version) runs. To undo this, run the same command again."
    exit 0
fi

# The distribution's own Python: only that one has the Pi camera's picamera2.
python=/usr/bin/python3
[ -x $python ] || fail "there is no $python: apt install python3 python3-venv"
$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' || fail "Lookout needs Python 3.11 or newer (Raspberry Pi OS bookworm or later); this is $($python -V)"
[ "$($python -c 'import struct; print(struct.calcsize("P"))')" = 8 ] || fail "this is a 32-bit system, for which there is no onnxruntime: install the 64-bit Raspberry Pi OS"
$python -c 'import ensurepip, venv' 2> /dev/null || fail "Python cannot make environments here: apt install python3-venv"

# A user of its own, without a shell and a home; video and render open cameras and their memory.
getent passwd lookout > /dev/null ||
    useradd --system --user-group --no-create-home --home-dir /var/lib/lookout --shell /usr/sbin/nologin lookout
for group in video render; do
    # systemd refuses a unit with an unknown group; minimal systems lack one or the other.
    getent group $group > /dev/null || groupadd --system $group
done

say "installing the program into $app (Python packages; a few minutes the first time)"
# Built beside and swapped in at the end: a failed download must leave the old version running.
rm -rf $app/venv.new $app/tmp
mkdir -p $app/tmp
chmod 0755 $app
trap 'rm -rf $app/venv.new $app/tmp' EXIT
kept="nothing was changed"
[ ! -d $app/venv ] || kept="the version that was installed before stays"
# pip unpacks some 200 MB; /tmp may be half of a small memory.
export TMPDIR=$app/tmp
$python -m venv $app/venv.new || fail "the environment could not be made (see above); $kept"
$app/venv.new/bin/python -m pip install --quiet --disable-pip-version-check "${what}[integrations]" ||
    fail "the program could not be installed (see above); $kept"
$app/venv.new/bin/python -m lookout --help > /dev/null || fail "the program does not run on this machine (see above); $kept"
# Scripts of an environment contain its path; the new one replaces the old one.
grep -rlI "$app/venv.new" $app/venv.new/bin $app/venv.new/pyvenv.cfg | xargs -r sed -i "s#$app/venv\.new#$app/venv#g"
rm -rf $app/venv.old
[ ! -d $app/venv ] || mv $app/venv $app/venv.old
mv $app/venv.new $app/venv
ln -sfn $app/venv/bin/lookout /usr/local/bin/lookout

mkdir -p "$(dirname $config)"
chmod 0755 "$(dirname $config)"
if [ -e $config ]; then
    say "keeping $config"
    # After a restore from a backup, only root may be able to read it.
    if ! setpriv --reuid lookout --regid lookout --clear-groups test -r $config; then
        chgrp lookout $config
        chmod g+r $config
        say "the service can read it again (group lookout)"
    fi
else
    # Only what differs from the defaults; `lookout config --template` prints all settings with their explanation.
    {
        say "# Settings of Lookout. All of them, explained: lookout config --template"
        say "[camera]"
        say "source = \"$source\""
        say ""
        say "[server]"
        say "# Only reachable from this machine. To open it to your network: 0.0.0.0 (visitors then need the token)."
        say 'host = "127.0.0.1"'
        say "port = 8642"
        say ""
        say "[state]"
        say "# The folder that systemd creates for the service; set here so that \`lookout token\` finds the same one."
        say 'folder = "/var/lib/lookout"'
    } > $config
    # A camera's address may contain its password: only the service may read it.
    chown root:lookout $config
    chmod 0640 $config
    say "wrote $config"
fi

rm -f $app/unit.old
[ ! -e $unit ] || cp $unit $app/unit.old
install -m 0644 "$here/lookout.service" $unit
install -m 0644 "$here/lookout@.service" "$(dirname $unit)/lookout@.service"
if [ "$start" = yes ]; then
    systemctl daemon-reload
    systemctl enable --quiet lookout.service
    if ! runs; then
        # The settings may be at fault: then the version from before fails as well, and the new one stays.
        if [ -d $app/venv.old ] && { swap; runs; }; then
            fail "the new version did not start, so the one from before runs again; what the new one said: journalctl -u lookout -n 40"
        fi
        [ ! -d $app/venv.old ] || { swap; systemctl restart lookout.service || true; }
        fail "the service did not start; what it says: journalctl -u lookout -n 20"
    fi
    systemctl try-restart 'lookout@*.service' || true
    say "Lookout is running: $(systemctl show --property=StatusText --value lookout.service)"
fi

if grep -qsi raspberry /proc/device-tree/model && ! $python -c 'import picamera2' 2> /dev/null; then
    say "For a ribbon-cable camera:  sudo apt install python3-picamera2 && sudo systemctl restart lookout"
fi
say "Next:  to open it to your network:                  host = \"0.0.0.0\" in $config"
say "       the address for your browser, with a token:  sudo -u lookout lookout token"
say "       then, if you opened it:                      sudo systemctl restart lookout"
say "       what is wrong, if anything is:               sudo lookout doctor"
