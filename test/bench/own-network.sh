#!/bin/sh
# Runs a command in a network of its own, with a /sys that shows it: lxc-start looks there for the bridge. Nothing that it
# mounts is seen outside.
#
#     own-network.sh COMMAND [ARG...]
set -eu
if [ "$1" != inside ]; then
  exec unshare --net --mount "$0" inside "$@"
fi
shift
ip link set lo up
# A new sysfs covers the cgroups, which are mounted below the old one.
cgroups=$(mktemp -d)
mount --rbind /sys/fs/cgroup "$cgroups"
mount -t sysfs sysfs /sys
mount --rbind "$cgroups" /sys/fs/cgroup
umount -l "$cgroups"
rmdir "$cgroups"
exec "$@"
