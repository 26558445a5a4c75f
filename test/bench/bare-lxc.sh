#!/bin/bash
# One run of `true` by the plain tools, or many at once: mount, lxc-start, umount. Prints how long that took, in microseconds,
# without the start of this shell.
#
#     bare-lxc.sh FOLDER LAYER ID...    FOLDER/ID holds config, rootfs, rw and work
set -eu
folder=$1 layer=$2
shift 2

run() {
  local own=$folder/$1
  mount -t overlay overlay -o "lowerdir=$layer,upperdir=$own/rw,workdir=$own/work" "$own/rootfs"
  lxc-start -F -n "$1" -P "$own" -f "$own/config" -- /bin/true </dev/null
  umount "$own/rootfs"
}

start=$EPOCHREALTIME
if [ $# = 1 ]; then
  run "$1"
else
  jobs=()
  for id; do
    run "$id" &
    jobs+=($!)
  done
  for job in "${jobs[@]}"; do wait "$job"; done
fi
end=$EPOCHREALTIME
echo $((${end/[^0-9]/} - ${start/[^0-9]/}))
