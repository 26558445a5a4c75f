#!/bin/bash
# One run of `true` by mount, runc and umount. Prints how long that took, in microseconds, without the start of this shell.
#
#     bare-runc.sh FOLDER LAYER ID    FOLDER is a bundle, config.json and rootfs, and holds rw, work and state too
set -eu
folder=$1 layer=$2 id=$3
start=$EPOCHREALTIME
mount -t overlay overlay -o "lowerdir=$layer,upperdir=$folder/rw,workdir=$folder/work" "$folder/rootfs"
runc --root "$folder/state" run -b "$folder" "$id" </dev/null
umount "$folder/rootfs"
end=$EPOCHREALTIME
echo $((${end/[^0-9]/} - ${start/[^0-9]/}))
