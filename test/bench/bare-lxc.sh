#!/bin/bash
# One run of `true` by the plain tools: mount, lxc-start, umount. Prints how long that took, in microseconds, without the
# start of this shell.
#
#     bare-lxc.sh FOLDER LAYER ID    FOLDER holds config, rootfs, rw and work
set -eu
folder=$1 layer=$2 id=$3
start=$EPOCHREALTIME
mount -t overlay overlay -o "lowerdir=$layer,upperdir=$folder/rw,workdir=$folder/work" "$folder/rootfs"
lxc-start -F -n "$id" -P "$folder" -f "$folder/config" -- /bin/true </dev/null
umount "$folder/rootfs"
end=$EPOCHREALTIME
echo $((${end/[^0-9]/} - ${start/[^0-9]/}))
