#!/bin/sh
# A place for podman in the namespaces of peer-namespaces.sh: there is no daemon, but what its runs leave goes with this.
#
#     peer-podman.sh FOLDER
set -u
ip link set lo up
# What it writes at places that nothing can move goes with the mount namespace.
for place in /run /dev/shm /var/lib; do mount -t tmpfs tmpfs "$place"; done
# crun refuses a machine that has cgroups of both versions, though the second kind holds nothing there.
! mountpoint -q /sys/fs/cgroup/unified || umount /sys/fs/cgroup/unified
: >"$1/ready"
# Not exec: a shell that waits is one that reaps.
sleep infinity
exit 1
