#!/bin/sh
# A dockerd in the namespaces of peer-namespaces.sh; its socket is FOLDER/socket.
#
#     peer-docker.sh FOLDER              until it ends
#     peer-docker.sh FOLDER restarted    with live-restore, and started again whenever it ends
set -u
folder=$1
ip link set lo up
# What it writes at places that nothing can move goes with the mount namespace.
mount -t tmpfs tmpfs /run
[ ! -d /etc/docker ] || mount -t tmpfs tmpfs /etc/docker
set -- --data-root "$folder/data" --exec-root "$folder/exec" --pidfile "$folder/pid" --host "unix://$folder/socket" \
  --cgroup-parent "/$(basename "$folder")" ${2:+--live-restore}
case $* in *--live-restore) ;; *) exec dockerd "$@" ;; esac
while :; do
  dockerd "$@"
  rm -f "$folder/pid"
  sleep 0.2
done
