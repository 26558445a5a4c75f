#!/usr/bin/env bash
# From a clone to a container's output, in one command: sets up what is missing, starts the daemon, makes the `base`
# image and runs a container. What is there already is found and kept, so it can be run again at any time. Called by
# hand, as root or with sudo:
#
#     examples/quickstart.sh
set -euo pipefail

fail() {
  echo "quickstart.sh: $1" >&2
  exit 1
}

case ${1-} in
  '') ;;
  -h | --help)
    echo 'Usage: quickstart.sh'
    exit 0
    ;;
  *) fail "Cannot use \"$1\": no arguments are taken" ;;
esac

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || fail 'Cannot start containers: this needs root, and sudo is not there'
  exec sudo -H env "PATH=$PATH" "$here/quickstart.sh" # with the PATH, for a node that lies in a home
fi
sudo=${SUDO_USER:+sudo } # what to type before tsdock afterwards

program=$(dirname -- "$here")/dist/src/tsdock.cjs
link=/usr/local/bin/tsdock
log=/var/log/tsdock.log
pid_file=/run/tsdock.pid
address=127.0.0.1:4242
export DOCKER=$address # this daemon, whatever the user's DOCKER says
unset TSDOCK_VERBATIM

tsdock() {
  node "$program" "$@"
}

# 1. What the machine lacks, and the build.
"$here/setup.sh" || exit

# 2. The name `tsdock`. A link to a clone that is gone is replaced; anything else that has the name is left alone.
if [ "$(readlink "$link" || true)" = "$program" ]; then
  typed=tsdock
elif [ ! -e "$link" ] && { [ ! -L "$link" ] || [[ $(readlink "$link") == */dist/src/tsdock.cjs ]]; }; then
  mkdir -p "${link%/*}"
  ln -sfn "$program" "$link"
  echo "quickstart: linked $link to $program"
  typed=tsdock
else
  echo "quickstart: $link is something else and stays: type the path of this clone's program instead"
  typed=$(printf %q "$program")
fi

# 3. The daemon.
answers() {
  # A port that somebody else holds may never answer.
  timeout 5 node "$program" images -q >/dev/null 2>&1
}

start_daemon() {
  local pid deadline=$((SECONDS + 15))
  # A session of its own, so that it outlives this script and its terminal; from /, so that it holds no folder.
  (cd / && exec setsid nohup node "$program" -d </dev/null >>"$log" 2>&1) &
  pid=$!
  until answers; do
    kill -0 "$pid" 2>/dev/null || give_up 'it ended'
    ((SECONDS < deadline)) || give_up "no answer on $address within 15 s"
    sleep 0.1
  done
  # Somebody else's daemon could have answered, while ours found the port taken.
  kill -0 "$pid" 2>/dev/null || give_up 'it ended'
  echo "$pid" >"$pid_file"
  disown "$pid"
}

give_up() {
  [ -z "${pid-}" ] || kill "$pid" 2>/dev/null || true
  echo "The end of $log:" >&2
  tail -n 20 "$log" >&2
  fail "Cannot start the daemon: $1"
}

if answers; then
  echo "quickstart: the daemon answers on $address"
else
  echo "quickstart: starting the daemon on $address"
  start_daemon
fi

# 4. The image. It goes through a file, so that a tar that broke off never becomes an image.
images=$(tsdock images -q base) || fail "Cannot list the images: ${images:-the daemon gives no reason}"
if [ -n "$images" ]; then
  echo 'quickstart: the image base is there'
else
  echo 'quickstart: making the image base from the programs of this machine'
  tar=$(mktemp "${TMPDIR:-/tmp}/tsdock-base-tar.XXXXXX")
  trap 'rm -f "$tar"' EXIT
  "$here/base.sh" >"$tar" || fail 'Cannot make the image base: base.sh says why above'
  tsdock put base <"$tar" || fail 'Cannot put the image base: the daemon says why above'
  rm -f "$tar"
fi

# 5. A container. Detached, because `run -d` prints the id, and with it the container can be removed again.
echo 'quickstart: running /bin/echo "Hello from a container" in a container'
id=$(tsdock run -d base /bin/echo 'Hello from a container') || fail "Cannot run a container: ${id:-see $log}"
[ -n "$id" ] || fail "Cannot run a container: the daemon printed no id, see $log"
status=$(tsdock wait "$id") || fail "Cannot wait for the container $id: ${status:-see $log}"
echo
tsdock logs "$id" || fail "Cannot show what the container $id printed: see $log"
echo
[ "$status" = 0 ] || fail "Cannot call it a success: the container $id ended with status $status, see \"$typed logs $id\""
tsdock rm "$id" >/dev/null || fail "Cannot remove the container $id: see $log"

# 6. What to do next.
cat <<END
It works. Now try:

    $sudo$typed run base /bin/bash       a shell in a container
    $sudo$typed ps -a                    all containers, ended ones too
    $sudo$typed help                     all commands

END
if [ -s "$pid_file" ] && grep -qs tsdock.cjs "/proc/$(<"$pid_file")/cmdline"; then
  cat <<END
The daemon's log:  $log
To stop the daemon (containers keep running):  ${sudo}kill \$(cat $pid_file)
To take off the machine what it made there (containers end, images stay):  $sudo$typed -d --clean
END
else
  echo 'The daemon was there before: stop it the way it was started (containers keep running).'
fi
