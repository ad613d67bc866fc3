#!/bin/bash
# Usage: at_date.sh "2028-02-29 12:00:00" COMMAND...
#
# Runs a command and all of its child processes with a clock that starts at the given UTC time. No other process of the
# machine is affected. Needs Linux, a C compiler and root: the script mounts its own /etc/ld.so.preload, so that child
# processes with any environment load the shifted clock.
set -euo pipefail
if [ $# -lt 2 ] || ! moment=$(date -u -d "$1" +%s); then
    echo "usage: $0 'YYYY-MM-DD HH:MM:SS' COMMAND..." >&2
    exit 2
fi
shift
if [ "$(id -u)" -ne 0 ]; then
    echo "$0: root is needed for a mount namespace" >&2
    exit 2
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
chmod 755 "$folder"
cc -O2 -shared -fPIC -DOFFSET="($moment - $(date +%s)L)" -o "$folder/at_date.so" "$(dirname "$0")/at_date.c" -ldl
echo "$folder/at_date.so" > "$folder/preload"
[ -e /etc/ld.so.preload ] || touch /etc/ld.so.preload # A file can only be mounted over an existing file.
unshare --mount bash -c 'mount --bind "$0" /etc/ld.so.preload && exec "$@"' "$folder/preload" "$@"
