#!/usr/bin/env bash
# native.sh ROOT NAME... - the jobs of bench/run programs as processes of the host: run.sh in the tree ROOT, with a tmpfs of its own.
set -eu
map=()
[ "$(id -u)" -eq 0 ] || map=(--map-root-user)
# shellcheck disable=SC2016
exec unshare "${map[@]}" --mount sh -c '
    root=$1
    shift
    mount -t tmpfs tmpfs "$root/tmp" && mount --rbind /dev "$root/dev" && mount --rbind /proc "$root/proc" &&
        exec chroot "$root" /bin/busybox sh /data/run.sh "$@"' sh "$@"
