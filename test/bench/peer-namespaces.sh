#!/bin/sh
# Another container engine to compare with: in namespaces of its own, with all its files in one folder, until a line comes on
# standard input, or its end. Then everything of it is taken away again, also where the benchmark was killed; but after a line the
# folder stays until the end of input, since to remove so much makes slow what is measured next.
#
#     peer-namespaces.sh FOLDER SCRIPT [ARG...]   runs SCRIPT FOLDER [ARG...] there as the first process; prints the pid by
#                                                 which its namespaces are found
#
# The folder's own name is also that of its cgroups.
set -u
folder=$1
group=$(basename "$folder")
script=$2
shift 2

# The first process of a pid namespace takes all others with it: daemons, shims, and the containers too.
unshare --net --mount --pid --fork --kill-child --mount-proc "$script" "$folder" "$@" </dev/null >"$folder/log" 2>&1 &
echo $!
trap '' PIPE # nobody may be there any more to read what is said below
read -r _
kill -KILL $!
wait

# A cgroup can be removed once its last process has gone, which takes a moment: only the last try complains.
remove() { find "$1" -depth -type d -exec rmdir {} +; }
for hierarchy in /sys/fs/cgroup /sys/fs/cgroup/*; do
  [ -d "$hierarchy/$group" ] || continue
  tries=100
  until remove "$hierarchy/$group" 2>/dev/null || [ $tries = 0 ]; do
    tries=$((tries - 1))
    sleep 0.1
  done
  [ ! -d "$hierarchy/$group" ] || remove "$hierarchy/$group"
done
echo ended
cat >/dev/null
rm -rf "$folder"
