#!/usr/bin/env bash
# Installs the service under a real systemd and breaks it: start, status, kill -9, a wedged process, stop with viewers, uninstall.
#
#   bash tests/packaging/systemd-nspawn.sh WHEEL
#
# systemd runs as PID 1 of a small Debian tree in a container without a network; what pip needs is brought in as wheels.
# Exits 77 where the means are missing (root, systemd-nspawn, debootstrap, a writable cgroup hierarchy).
set -euo pipefail
cd "$(dirname "$0")/../.."
wheel=$(realpath "${1:?name the wheel: bash tests/packaging/wheel.sh FOLDER makes one}")
[ "$(id -u)" = 0 ] || { echo "needs root"; exit 77; }
for command in systemd-nspawn debootstrap nsenter curl; do
    command -v $command > /dev/null || { echo "needs $command"; exit 77; }
done
# shellcheck source=/dev/null
suite=$(. /etc/os-release && echo "${VERSION_CODENAME:-bookworm}")
work=$(mktemp -d)
root=$work/tree
machine=lookout-test
leader=
cleanup() {
    if [ -n "$leader" ] && kill -0 "$leader" 2> /dev/null; then
        # Never kill nspawn itself: the systemd inside would stay behind.
        inside systemctl poweroff > /dev/null 2>&1 || true
        for _ in $(seq 40); do kill -0 "$leader" 2> /dev/null || break; sleep 0.5; done
        kill -KILL "$leader" 2> /dev/null || true
    fi
    for hierarchy in systemd unified memory; do
        find /sys/fs/cgroup/$hierarchy/$machine -depth -type d -exec rmdir {} + 2> /dev/null || true
    done
    rm -rf "$work"
}
trap cleanup EXIT
# inside COMMAND...: in the container, and within its memory limit.
inside() (
    for hierarchy in memory unified; do
        [ ! -d /sys/fs/cgroup/$hierarchy/$machine ] || echo $BASHPID > /sys/fs/cgroup/$hierarchy/$machine/cgroup.procs
    done 2> /dev/null || true
    exec nsenter -t "$leader" -a env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 "$@"
)
property() { inside systemctl show --property="$1" --value lookout.service; }
fail() {
    echo "FAILED: $*"
    if [ -n "$leader" ]; then
        inside systemctl status lookout.service --no-pager -l || true
        inside journalctl -b -u lookout.service --no-pager -n 60 || true
    fi
    exit 1
}
# until_true SECONDS COMMAND...: tries twice a second.
until_true() {
    local tries=$(($1 * 2))
    shift
    for _ in $(seq "$tries"); do
        if "$@"; then return 0; fi
        sleep 0.5
    done
    return 1
}
token=
is_ok() {
    local state
    state=$(inside curl -sf -m 2 -H "Authorization: Bearer $token" http://127.0.0.1:8642/api/state 2> /dev/null) || return 1
    [[ $state == *'"status":"ok"'* ]]
}
# said TEXT: prints the journal's lines of the unit that hold it. (No pipe: grep ending early would fail journalctl.)
said() {
    inside journalctl -b -u lookout.service --no-pager -o cat > "$work/journal" 2> /dev/null
    grep -m 3 -- "$1" "$work/journal"
}

sh tests/packaging/tree.sh "$suite" "$root" ca-certificates,systemd,systemd-sysv,dbus,python3,python3-venv,curl,procps || exit $?
version=$(chroot "$root" python3 -c 'import sys; print(f"{sys.version_info[0]}.{sys.version_info[1]}")')
mkdir "$root/wheels" "$root/src"
python3 -m pip download -qq --disable-pip-version-check --only-binary=:all: --python-version "$version" --dest "$root/wheels" "${wheel}[integrations]" ||
    { echo "the wheels could not be downloaded"; exit 77; }
cp -r systemd "$root/src/"
printf '[global]\nno-index = true\nfind-links = /wheels\n' > "$root/etc/pip.conf"
name=/wheels/$(basename "$wheel")

# A cgroup of its own, without which units fail to be killed; version 1 or hybrid hosts have it under systemd and unified.
for hierarchy in systemd unified memory; do
    [ -d /sys/fs/cgroup/$hierarchy ] || continue
    mkdir -p /sys/fs/cgroup/$hierarchy/$machine || { echo "no cgroup can be made here"; exit 77; }
done
# The smallest Pi: 512 MB, of which /tmp may take less than half.
budget=$((512 * 1024 * 1024))
limited=no
for limit in memory/$machine/memory.limit_in_bytes unified/$machine/memory.max; do
    [ ! -w "/sys/fs/cgroup/$limit" ] || { echo $budget > "/sys/fs/cgroup/$limit" && limited=yes; }
done
[ $limited = yes ] || echo "NOT PROVED: that 512 MB are enough. No memory cgroup can be made here."
(
    for hierarchy in systemd unified memory; do
        [ ! -d /sys/fs/cgroup/$hierarchy ] || echo $BASHPID > /sys/fs/cgroup/$hierarchy/$machine/cgroup.procs
    done
    exec setsid systemd-nspawn -q -b -D "$root" --machine=$machine --register=no --keep-unit --console=pipe \
        --private-network < /dev/null > "$work/boot.log" 2>&1
) &
nspawn=$!
for _ in $(seq 40); do
    leader=$(pgrep -P $nspawn | head -1 || true)
    [ -z "$leader" ] || break
    kill -0 $nspawn 2> /dev/null || break
    sleep 0.25
done
[ -n "$leader" ] || { cat "$work/boot.log"; echo "systemd does not start in a container here"; exit 77; }
booted() { case $(inside systemctl is-system-running 2> /dev/null) in running | degraded) true ;; *) false ;; esac; }
until_true 60 booted || { cat "$work/boot.log"; echo "systemd did not come up in the container"; exit 77; }
inside systemctl --version | head -1

echo "--- install, as a careful root with little memory"
inside mount -t tmpfs -o size=200m tmpfs /tmp
# shellcheck disable=SC2016 # the shell inside expands it
inside sh -c 'umask 027; sh /src/systemd/install.sh --demo "$1"' - "$name" || fail "install.sh"
until_true 20 is_ok || fail "no answer after the installation"
[ "$(property ActiveState)/$(property SubState)" = active/running ] || fail "not active"
[ "$(property Type)" = notify ] || fail "not of Type=notify"
echo "status: $(property StatusText)"
[ -n "$(property StatusText)" ] || fail "no status text"
[ "$(inside ps -o user= -p "$(property MainPID)")" = lookout ] || fail "runs as another user"
[ "$(inside stat -c '%a %U:%G' /etc/lookout/lookout.toml)" = "640 root:lookout" ] || fail "others can read the settings"
inside sh -c 'find /var/lib/lookout -perm /077 | grep .' && fail "files in the state folder are open to others"
inside setpriv --reuid lookout --regid lookout --init-groups env HOME=/var/lib/lookout lookout token > "$work/token" 2>&1 || { cat "$work/token"; fail "lookout token as the user lookout"; }
token=$(grep -oE 'token=[A-Za-z0-9_-]{20,}' "$work/token" | head -1 | cut -d= -f2)
[ -n "$token" ] || { cat "$work/token"; fail "no address with a token"; }
until_true 5 is_ok || fail "the new token is not accepted"
# The service looks for new tokens a few times a second.
asked() { [ "$(inside curl -s -m 2 -o /dev/null -w '%{http_code}' http://127.0.0.1:8642/api/state)" = 401 ]; }
until_true 3 asked || fail "once there is a token it must be asked for"

echo "--- install something that is no Lookout: the old one stays"
inside mkdir /nothing
inside sh /src/systemd/install.sh /nothing > "$work/failed" 2>&1 && fail "an empty folder was installed"
grep -q 'the version that was installed before stays' "$work/failed" || { cat "$work/failed"; fail "no sentence"; }
is_ok || fail "no answer after an installation that failed"

echo "--- install again: settings stay, the service goes on, and reads a file that a backup restored as root's alone"
inside sh -c 'echo "# mine" >> /etc/lookout/lookout.toml; chown root:root /etc/lookout/lookout.toml; chmod 600 /etc/lookout/lookout.toml'
# shellcheck disable=SC2016 # the shell inside expands it
inside sh -c 'umask 077; sh /src/systemd/install.sh "$1"' - "$name" > /dev/null || fail "install.sh the second time"
inside grep -q '^# mine' /etc/lookout/lookout.toml || fail "the configuration was overwritten"
until_true 20 is_ok || fail "no answer after the second installation"

echo "--- reload"
pid=$(property MainPID)
inside systemctl reload lookout.service || fail "reload"
sleep 1
[ "$(property MainPID)" = "$pid" ] || fail "the reload was a restart"
until_true 10 is_ok || fail "no answer after the reload"

echo "--- integrations: what the installer brings works within the unit's restrictions"
cp tests/packaging/receiver.py "$root/src/"
inside sh -c 'umask 027; cp /etc/lookout/lookout.toml /root/before; cd /etc/lookout; echo json://127.0.0.1:9099/ > phone; chgrp lookout phone; cat >> lookout.toml' << 'END'
[mqtt]
url = "mqtt://127.0.0.1:9"
[metrics]
enabled = true
[[notify.rules]]
name = "health"
when = "health"
to = ["phone", "hook", "bell"]
[notify.targets.phone]
url_file = "/etc/lookout/phone"
[notify.targets.hook]
webhook = "http://127.0.0.1:9099/"
[notify.targets.bell]
exec = ["/usr/bin/true"]
END
inside python3 -I /src/receiver.py 9099 /root/received &
inside systemctl restart lookout.service
until_true 20 is_ok || fail "no answer with integrations switched on"
ask() { inside curl -s -m 5 -H "Authorization: Bearer $token" "$@"; }
for target in phone hook bell; do
    ask -o /dev/null -H 'Content-Type: application/json' -d "{\"target\": \"$target\"}" http://127.0.0.1:8642/api/notify/test
done
# shellcheck disable=SC2016 # Python's text
delivered() { ask http://127.0.0.1:8642/api/notify | python3 -c 'import json, sys; sys.exit(sum(one["delivered"] for one in json.load(sys.stdin)["targets"]) != 3)'; }
until_true 30 delivered || { ask http://127.0.0.1:8642/api/notify; fail "notices did not arrive"; }
[ "$(inside cat /root/received | wc -l)" = 2 ] || fail "the receiver was sent $(inside cat /root/received)"
ask http://127.0.0.1:8642/metrics > "$work/metrics"
grep -q '^lookout_camera_up' "$work/metrics" || fail "no metrics"
ask http://127.0.0.1:8642/api/integrations > "$work/integrations"
grep -q 'broker' "$work/integrations" || { cat "$work/integrations"; fail "no sentence on the broker that is not there"; }
echo "a webhook, Apprise and a program were sent a notice; metrics are there; a missing broker is a sentence"
inside sh -c 'cat /root/before > /etc/lookout/lookout.toml; rm /etc/lookout/phone; systemctl restart lookout.service'
until_true 20 is_ok || fail "no answer after integrations were switched off"
pid=$(property MainPID)

echo "--- kill -9"
began=$(date +%s%N)
inside systemctl kill -s KILL lookout.service
back() { [ "$(property MainPID)" != "$pid" ] && is_ok; }
until_true 30 back || fail "not back after kill -9"
echo "answering again $((($(date +%s%N) - began) / 1000000)) ms after kill -9 (2000 of them RestartSec)"

echo "--- wedged: SIGSTOP, the watchdog must notice"
pid=$(property MainPID)
began=$(date +%s%N)
inside kill -STOP "$pid"
until_true 45 back || fail "not back after SIGSTOP"
echo "answering again $((($(date +%s%N) - began) / 1000000)) ms after SIGSTOP (WatchdogSec=10, RestartSec=2)"
said 'Watchdog timeout' || fail "it was not the watchdog"

echo "--- stop with viewers"
for _ in 1 2 3 4 5; do
    (inside curl -sN -H "Authorization: Bearer $token" http://127.0.0.1:8642/api/stream.mjpg > /dev/null 2>&1 || true) &
    (inside curl -sN -H "Authorization: Bearer $token" http://127.0.0.1:8642/api/live.sse > /dev/null 2>&1 || true) &
done
sleep 2
began=$(date +%s%N)
inside systemctl stop lookout.service
took=$((($(date +%s%N) - began) / 1000000))
echo "stopped in $took ms with ten viewers"
[ $took -lt 5000 ] || fail "the stop took $took ms"
[ "$(property Result)" = success ] || fail "the stop was not clean: $(property Result)"
[ -z "$(inside pgrep -u lookout || true)" ] || fail "processes were left: $(inside pgrep -au lookout)"

echo "--- a setting that is not valid: said once, no restart loop"
inside sh -c 'printf "[camera]\nsuorce = \"demo\"\n" > /etc/lookout/lookout.toml'
inside systemctl start lookout.service 2> /dev/null || true
sleep 4
[ "$(property ActiveState)" = failed ] || fail "a wrong setting should leave the unit failed, it is $(property ActiveState)"
[ "$(property ExecMainStatus)" = 3 ] || fail "exit status $(property ExecMainStatus), not 3"
[ "$(property NRestarts)" = 0 ] || fail "it was restarted $(property NRestarts) times"
said suorce || fail "the journal does not name the setting"

echo "--- one more camera"
inside sh -c 'printf "[camera]\nsource = \"demo\"\n[server]\nport = 8643\n[state]\nfolder = \"/var/lib/lookout-garden\"\n" > /etc/lookout/garden.toml
    printf "[camera]\nsource = \"demo\"\n" > /etc/lookout/lookout.toml
    chmod 0644 /etc/lookout/*.toml'
inside systemctl reset-failed lookout.service
inside systemctl restart lookout.service || fail "the service did not come back"
inside systemctl enable --quiet --now lookout@garden.service || fail "lookout@garden"
until_true 20 inside curl -sf -m 2 -o /dev/null http://127.0.0.1:8643/readyz || fail "the second camera does not answer"
inside test -d /var/lib/lookout-garden || fail "the second camera has no state folder"

echo "--- updates: one that fails, one that runs, and back"
# other VERSION FILE: the same wheel under another version; FILE, if given, is broken in it.
other() {
    python3 - "$wheel" "$root/wheels" "$@" << 'P'
import pathlib, sys, zipfile
wheel, folder, version, *broken = sys.argv[1:]
old = pathlib.Path(wheel).name.split("-")[1]
with zipfile.ZipFile(wheel) as source, zipfile.ZipFile(f"{folder}/lookout_camera-{version}-py3-none-any.whl", "w") as target:
    for entry in source.infolist():
        data = source.read(entry)
        if entry.filename in ("lookout/__init__.py", f"lookout_camera-{old}.dist-info/METADATA"):
            data = data.replace(old.encode(), version.encode())
        if entry.filename in broken:
            data = b"raise SystemExit(1)\n"
        target.writestr(entry.filename.replace(f"-{old}.dist-info", f"-{version}.dist-info"), data)
P
}
other 9.9.8
other 9.9.9 lookout/server/serve.py
was=$(inside lookout --version)
if inside lookout update /wheels/lookout_camera-9.9.9-py3-none-any.whl; then fail "a version that does not start was taken"; fi
[ "$(inside lookout --version)" = "$was" ] || fail "the version from before is not in place: $(inside lookout --version)"
until_true 20 is_ok || fail "no answer after an update that failed"
inside lookout update /wheels/lookout_camera-9.9.8-py3-none-any.whl || fail "lookout update"
[ "$(inside lookout --version)" = "lookout 9.9.8" ] || fail "it is $(inside lookout --version)"
until_true 20 is_ok || fail "no answer after the update"
until_true 20 inside curl -sf -m 2 -o /dev/null http://127.0.0.1:8643/readyz || fail "the second camera did not come back"
inside lookout update
inside lookout update --back || fail "lookout update --back"
[ "$(inside lookout --version)" = "$was" ] || fail "after going back it is $(inside lookout --version)"
until_true 20 is_ok || fail "no answer after going back"

echo "--- uninstall"
inside sh /src/systemd/uninstall.sh || fail "uninstall.sh"
inside test -d /var/lib/lookout || fail "history was not kept"
inside test -e /etc/lookout/lookout.toml || fail "settings were not kept"
inside sh -c 'test ! -e /opt/lookout && test ! -e /usr/local/bin/lookout && test ! -e /etc/systemd/system/lookout.service && test ! -e /etc/systemd/system/lookout@.service' || fail "something was left"
inside sh /src/systemd/uninstall.sh --purge || fail "uninstall.sh --purge"
inside sh -c 'test ! -e /var/lib/lookout && test ! -e /var/lib/lookout-garden && test ! -e /etc/lookout && ! getent passwd lookout' || fail "something was left after --purge"
echo "systemd ok"
