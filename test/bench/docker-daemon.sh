#!/bin/sh
# A dockerd to compare with: in namespaces of its own, with all its files in one folder, until its standard input ends.
# Then everything of it is taken away again, also where the benchmark was killed.
#
#     docker-daemon.sh FOLDER        prints the pid that its network namespace is found by; the socket is FOLDER/socket
#
# The folder's own name is also that of its cgroups.
set -u
folder=$1
group=$(basename "$folder")

if [ "${2-}" = inside ]; then
  ip link set lo up
  # What it writes at places that nothing can move goes with the mount namespace.
  mount -t tmpfs tmpfs /run
  [ ! -d /etc/docker ] || mount -t tmpfs tmpfs /etc/docker
  exec dockerd --data-root "$folder/data" --exec-root "$folder/exec" --pidfile "$folder/pid" \
    --host "unix://$folder/socket" --cgroup-parent "/$group"
fi

# The first process of a pid namespace takes all others with it, containerd and the containers too.
unshare --net --mount --pid --fork --kill-child --mount-proc "$0" "$folder" inside </dev/null >"$folder/log" 2>&1 &
echo $!
cat >/dev/null
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
rm -rf "$folder"
