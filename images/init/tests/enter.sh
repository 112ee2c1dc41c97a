#!/bin/sh
# Builds a root file system like a sandbox's out of the host's programs, and
# becomes gantry-init in it. Runs in a new PID and mount namespace, so that
# nothing of this is seen outside, nor can gantry-init kill anybody there.
#
# usage: enter.sh EMPTY-DIRECTORY GANTRY-INIT UID [COMMAND PREFIX...]
#
# With DISK in the environment, that folder is /work.
set -eu
root=$1 init=$2 uid=$3
shift 3

mount -t tmpfs tmpfs "$root"
cd "$root"
for name in usr bin sbin lib lib64 etc; do
    if [ -L "/$name" ]; then
        cp -P "/$name" "$name"
    elif [ -d "/$name" ]; then
        mkdir "$name"
        mount --rbind "/$name" "$name"
    fi
done
mkdir dev proc sys run run/gantry tmp work
mount --rbind /dev dev
mount --rbind /sys sys
mount -t proc proc proc
mount -t tmpfs -o "size=16m,mode=700,uid=$uid" tmpfs run/gantry
if [ -n "${DISK-}" ]; then
    mount --bind "$DISK" work
else
    mount -t tmpfs -o "size=64m,mode=700,uid=$uid" tmpfs work
fi
cp "$init" gantry-init
# The root of a user namespace has nobody else to become.
if [ "$uid" = 0 ]; then
    exec "$@" chroot . /gantry-init
fi
exec "$@" chroot --userspec="$uid:$uid" . /gantry-init
