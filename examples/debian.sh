#!/bin/sh
# Builds a small Debian (or Ubuntu) root with debootstrap and prints it as a tar, or hands it to `tsdock put`. For those
# who can reach a mirror and want an image with apt in it; called by hand, as root:
#
#     examples/debian.sh bookworm | tsdock put debian
set -eu
umask 022

usage() {
  cat <<'END'
Usage: debian.sh [--put NAME] [SUITE [MIRROR]]

Build a Debian root (debootstrap, variant minbase) and print it as a tar.

  SUITE        the release (default bookworm)
  MIRROR       where to get it (default: debootstrap's own)
  --put NAME   give the tar to `tsdock put NAME` instead of printing it
  --help       print this
END
}

fail() {
  echo "debian.sh: $1" >&2
  exit 1
}

name=
suite=
mirror=
while [ $# -gt 0 ]; do
  case $1 in
    -h | --help)
      usage
      exit 0
      ;;
    --put)
      [ -n "${2-}" ] || fail 'Cannot use "--put": it wants the name of an image'
      name=$2
      shift
      ;;
    -*) fail "Cannot use \"$1\": no such flag, see --help" ;;
    *)
      if [ -z "$suite" ]; then
        suite=$1
      elif [ -z "$mirror" ]; then
        mirror=$1
      else
        fail "Cannot use \"$1\": a suite and a mirror are all, see --help"
      fi
      ;;
  esac
  shift
done
suite=${suite:-bookworm}

PATH=$PATH:/usr/sbin:/sbin # where debootstrap is, and not in everybody's PATH
[ -n "$name" ] || [ ! -t 1 ] || fail 'Cannot print a tar to a terminal: send it to a file, or use --put NAME'
[ "$(id -u)" -eq 0 ] || fail 'Cannot run debootstrap: it needs root, try sudo'
command -v debootstrap >/dev/null || fail 'Cannot find debootstrap: install the package debootstrap'
[ -z "$name" ] || command -v tsdock >/dev/null || fail 'Cannot find tsdock: run examples/quickstart.sh first'

# debootstrap mounts /proc, and at times /sys and devices, in the tree. Nothing may be removed while one of them is
# there: what is removed would be this machine's.
umount_all() {
  awk -v root="$root/" 'index($2, root) == 1 { print $2 }' /proc/mounts | sort -r | while IFS= read -r mount; do
    umount "$mount" || umount -l "$mount"
  done
}

root=
child=
clean_up() {
  [ -z "$child" ] || kill "$child" 2>/dev/null || true
  [ -n "$root" ] || return 0
  [ -z "$child" ] || wait "$child" 2>/dev/null || true
  umount_all
  rm -rf --one-file-system "$root"
}
trap clean_up EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 141' PIPE
trap 'exit 143' TERM
root=$(mktemp -d "${TMPDIR:-/tmp}/tsdock-debian.XXXXXX") ||
  fail "Cannot make a folder in \"${TMPDIR:-/tmp}\" for the tree"

# Runs a command in the background and waits, because a shell that waits for a program in the foreground sees a signal
# only once that has ended.
run() {
  "$@" &
  child=$!
  wait "$child" || return
  child=
}

# 1. Build. What debootstrap tells goes to stderr: stdout is the tar's.
run debootstrap --variant=minbase "$suite" "$root" ${mirror:+"$mirror"} >&2 ||
  fail "Cannot build \"$suite\"${mirror:+ from \"$mirror\"}: debootstrap says why above"

# 2. Leave out what belongs to this machine (its name, its resolver, its devices) and what apt can get again.
umount_all
cd "$root"
rm -rf --one-file-system etc/resolv.conf debootstrap var/log/bootstrap.log
find dev proc sys run var/cache/apt var/lib/apt/lists -xdev -mindepth 1 ! -type d -delete
find dev proc sys run var/lib/apt/lists -xdev -mindepth 1 -depth -type d -delete
: >etc/hosts
: >etc/hostname
: >etc/resolv.conf
chmod 0644 etc/hosts etc/hostname etc/resolv.conf
chmod 0755 . # mktemp made it for root alone

# 3. Print, or hand over.
if [ -n "$name" ]; then
  tar --format=gnu --sort=name --numeric-owner -cf - . | tsdock put "$name"
else
  run tar --format=gnu --sort=name --numeric-owner -cf - . || fail "Cannot print the tar of \"$root\""
fi
