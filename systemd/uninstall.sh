#!/bin/sh
# Removes Lookout from the system:  sudo sh systemd/uninstall.sh [--purge]
#
# Settings (/etc/lookout) and history (/var/lib/lookout) are kept, so that a later install goes on with them.
#   --purge   remove them too, and the user lookout
set -eu

purge=no
case ${1:-} in
    "") ;;
    --purge) purge=yes ;;
    -h | --help) sed -n '2,5s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) echo "unknown option $1; see --help" >&2; exit 2 ;;
esac
[ "$(id -u)" = 0 ] || { echo "uninstall.sh: this must be run as root: sudo sh $0" >&2; exit 1; }

if [ -d /run/systemd/system ] && [ -e /etc/systemd/system/lookout.service ]; then
    systemctl disable --now --quiet lookout.service || true
fi
if [ -d /run/systemd/system ]; then
    # Further cameras, each an instance of lookout@.service.
    systemctl list-units --all --plain --no-legend 'lookout@*.service' | while read -r instance _; do
        systemctl disable --now --quiet "$instance" || true
    done
fi
rm -f /etc/systemd/system/lookout@.service /etc/systemd/system/multi-user.target.wants/lookout@*.service
rm -f /etc/systemd/system/lookout.service /etc/systemd/system/multi-user.target.wants/lookout.service
# What `systemctl edit lookout` wrote is a setting: kept, unless all is to go.
[ "$purge" = no ] || rm -rf /etc/systemd/system/lookout.service.d /etc/systemd/system/lookout@*.service.d
if [ -d /run/systemd/system ]; then
    systemctl daemon-reload
    systemctl reset-failed lookout.service 2> /dev/null || true
fi
# Only the link that install.sh made: another `lookout` of that name is not ours.
[ "$(readlink /usr/local/bin/lookout || true)" != /opt/lookout/venv/bin/lookout ] || rm -f /usr/local/bin/lookout
rm -rf /opt/lookout /var/cache/lookout /var/cache/lookout-*

if [ "$purge" = yes ]; then
    rm -rf /etc/lookout /var/lib/lookout /var/lib/lookout-*
    if getent passwd lookout > /dev/null; then userdel lookout; fi
    if getent group lookout > /dev/null; then groupdel lookout; fi
    echo "Lookout is removed, with its settings and history."
else
    echo "Lookout is removed. Kept: /etc/lookout (settings), /var/lib/lookout (history). Remove them too: --purge"
fi
