#!/bin/sh
# Prints a tar of the `base` image on stdout, made from this machine's own programs: bash, coreutils, the everyday
# tools that are installed, and the libraries that they load. Needs no network and no root; the same machine gives the
# same bytes each time. Called by quickstart.sh, the test runner and by hand:
#
#     examples/base.sh | tsdock put base
#
# SOURCE_DATE_EPOCH sets the time that every file carries (default 0), TMPDIR where the tree is put together.
# shellcheck disable=SC2086 # the lists below are lists of words, and no name of a program or library holds a space
set -eu
unset LD_PRELOAD LD_LIBRARY_PATH LD_AUDIT TAR_OPTIONS
export LC_ALL=C
umask 022
set -f # "[" is among the names below

# Without these there is no image. One that is missing is an error, where the others are passed over.
required='sh bash cat chmod chown cp echo env false id ln ls mkdir mv pwd rm rmdir sleep sort test touch true uname'

# coreutils
usual='[ arch b2sum base32 base64 basename chgrp chroot cksum comm coreutils csplit cut date dd df dir dircolors dirname
du expand expr factor fmt fold groups head hostid install join link logname md5sum mkfifo mknod mktemp nice nl nohup
nproc numfmt od paste pathchk pr printenv printf readlink realpath sha1sum sha224sum sha256sum sha384sum sha512sum shred
shuf split stat stty sum sync tac tail tee timeout tr truncate tsort tty unexpand uniq unlink users vdir wc who whoami
yes'
# Text and files, archives, processes, the terminal, the network, the kernel.
usual="$usual dash sed grep egrep fgrep find xargs awk mawk gawk diff cmp less more nano hexdump rev column which getopt
tar gzip gunzip zcat bzip2 bunzip2 xz unxz zstd
ps top kill free uptime pgrep pkill pidof vmstat w watch pmap sysctl setsid flock renice taskset
clear tput reset tset getent hostname ldd locale nologin
ip ss ping nc
mount umount mountpoint findmnt dmesg nsenter unshare setpriv"

terminals='ansi dumb linux screen screen-256color tmux tmux-256color vt100 xterm xterm-256color'

fail() {
  echo "base.sh: $1" >&2
  exit 1
}

case ${1-} in
  '') ;;
  -h | --help)
    echo 'Usage: base.sh > base.tar   or   base.sh | tsdock put base'
    exit 0
    ;;
  *) fail "Cannot use \"$1\": no arguments are taken" ;;
esac
[ ! -t 1 ] || fail 'Cannot print a tar to a terminal: send it to a file, or to "tsdock put base"'

# The only two things to undo, whatever ends the script: the tree and the tar that reads it.
root=
tar_pid=
clean_up() {
  [ -z "$tar_pid" ] || kill "$tar_pid" 2>/dev/null || true
  [ -z "$root" ] || rm -rf "$root"
}
trap clean_up EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 141' PIPE
trap 'exit 143' TERM
root=$(mktemp -d "${TMPDIR:-/tmp}/tsdock-base.XXXXXX") ||
  fail "Cannot make a folder in \"${TMPDIR:-/tmp}\" for the tree"

# 1. The layout: where this machine has /bin, /lib64 and the like as links, the image has the same links. `merged` is
#    the sed program that turns a path through such a link into the path of the folder behind it.
mkdir "$root/usr"
merged=
for link in bin sbin lib lib64 usr/bin usr/sbin usr/lib usr/lib64; do
  [ -e "/$link" ] || continue
  real=$(readlink -f "/$link")
  mkdir -p "$root$real"
  [ "$real" != "/$link" ] || continue
  case $link in
    usr/*) ln -s "${real#/usr/}" "$root/$link" ;;
    *) ln -s "${real#/}" "$root/$link" ;;
  esac
  merged="$merged;s|^/$link/|$real/|"
done

# 2. Find the programs. PATH is not asked: what lies in /usr/local or in a home is this machine's, not the system's.
find_program() {
  for folder in /usr/bin /usr/sbin /bin /sbin; do
    if [ -f "$folder/$1" ] && [ -x "$folder/$1" ]; then
      echo "$folder/$1"
      return
    fi
  done
}

# The vi of a desktop loads half of it, so the small ones come first.
find_vi() {
  for name in vim.tiny vim.basic vim-nox11 vi nvi vim; do
    path=$(find_program "$name")
    if [ -n "$path" ] && ! ldd "$path" 2>/dev/null | grep -Eq 'libX11|libgtk|libpython|libperl'; then
      echo "$path"
      return
    fi
  done
}

names=
for name in $required; do
  path=$(find_program "$name")
  [ -n "$path" ] || fail "Cannot find \"$name\" in /usr/bin, /usr/sbin, /bin or /sbin: install bash and coreutils"
  names="$names $path"
done
for name in $usual; do
  names="$names $(find_program "$name")"
done
vi=$(find_vi)
names=$(printf '%s\n' $names $vi | sed "$merged" | sort -u)

# 3. A name may be a link (awk -> /etc/alternatives/awk -> mawk): the file goes in once, under its own name, and the
#    other names become links to it. A script goes in where the image has its interpreter.
link() {
  mkdir -p "$root${2%/*}"
  if [ "${1%/*}" = "${2%/*}" ]; then
    ln -s "${1##*/}" "$root$2"
  else
    ln -s "$1" "$root$2"
  fi
}

files=
targets=$(realpath $names)
for name in $names; do
  target=${targets%%
*}
  targets=${targets#*
}
  first=
  IFS= read -r first <"$target" || true
  case $first in
    '#!'*/sh | '#!'*/sh\ * | '#!'*/bash | '#!'*/bash\ * | '#!'*/dash | '#!'*/coreutils\ *) ;;
    '#!'*) continue ;;
  esac
  files="$files $target"
  [ "$name" != "$target" ] || continue
  link "$target" "$name"
done
if [ -n "$vi" ] && [ "${vi##*/}" != vi ]; then
  link "$(realpath "$vi")" /usr/bin/vi
fi
[ ! -x /usr/libexec/vi ] || files="$files /usr/libexec/vi" # Fedora's vi is a script that calls it

# 4. The libraries: ldd says `NAME => PATH (ADDRESS)`, and for the loader `PATH (ADDRESS)`. ldd fails on scripts and
#    static programs, which is no fault.
libraries=$(ldd $files 2>/dev/null |
  sed -n 's|^\t.* => \(/[^ ]*\) .*|\1|p; s|^\t\(/[^ ]*\) .*|\1|p' | sed "$merged" | sort -u)
libc=$(printf '%s\n' $libraries | grep '/libc\.so\.6$') || fail 'Cannot find libc.so.6: ldd names none for bash'
libc_dir=${libc%/*}

# The C library loads these by itself, so that ldd cannot know them.
extras=
for path in "$libc_dir/libnss_files.so.2" "$libc_dir/libnss_dns.so.2" "$libc_dir/libresolv.so.2"; do
  [ ! -f "$path" ] || extras="$extras $path"
done
for path in /usr/lib/locale/C.utf8 /usr/lib/locale/C.UTF-8; do
  [ ! -d "$path" ] || extras="$extras $path"
done
# A full vim complains when it has no defaults.vim; etc/vim/vimrc, below, tells that file to do nothing.
if [ -n "$vi" ] && [ -d /usr/share/vim ]; then
  extras="$extras $(find -L /usr/share/vim -mindepth 2 -maxdepth 2 -name defaults.vim)"
fi

# 5. What the terminal can do. The first place is the one that the machine's own programs take it from.
for name in $terminals; do
  for folder in /etc/terminfo /lib/terminfo /usr/share/terminfo /usr/lib/terminfo; do
    path=$folder/${name%"${name#?}"}/$name
    if [ -f "$path" ]; then
      extras="$extras $(echo "$path" | sed "$merged")"
      break
    fi
  done
done

# 6. Copy. Links are followed, so that a library lies under the name that is asked for.
printf '%s\n' $files $libraries $extras | sort -u | tr '\n' '\0' | xargs -0 cp -rL --parents -t "$root" ||
  fail "Cannot copy the machine's programs to \"$root\""

# The image has no ld.so.cache: a library outside the loader's own folders gets a link in one of them.
for path in $libraries; do
  case ${path%/*} in
    "$libc_dir" | "/usr$libc_dir" | /lib | /lib64 | /usr/lib | /usr/lib64) continue ;;
  esac
  [ -e "$root$libc_dir/${path##*/}" ] || ln -s "$path" "$root$libc_dir/${path##*/}"
done

# 7. /etc. The three empty files are there to be mounted upon.
mkdir -p "$root/etc/vim"
cd "$root/etc"
: >hosts
: >hostname
: >resolv.conf
cat >passwd <<'END'
root:x:0:0:root:/root:/bin/bash
daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin
bin:x:2:2:bin:/bin:/usr/sbin/nologin
mail:x:8:8:mail:/var/mail:/usr/sbin/nologin
www-data:x:33:33:www-data:/var/www:/usr/sbin/nologin
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
END
cat >group <<'END'
root:x:0:
daemon:x:1:
bin:x:2:
adm:x:4:
tty:x:5:
disk:x:6:
mail:x:8:
www-data:x:33:
utmp:x:43:
users:x:100:
nogroup:x:65534:
END
cat >shells <<'END'
/bin/sh
/bin/bash
END
cat >nsswitch.conf <<'END'
passwd: files
group: files
shadow: files
hosts: files dns
networks: files
protocols: files
services: files
END
cat >os-release <<'END'
NAME="tsdock base"
PRETTY_NAME="tsdock base (programs of the machine that made it)"
ID=tsdock-base
END
cat >profile <<'END'
# Read by login shells.
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH
export LANG="${LANG:-C.UTF-8}"
if [ -n "${BASH_VERSION-}" ] && [ -n "${PS1-}" ]; then . /etc/bash.bashrc; fi
END
cat >bash.bashrc <<'END'
# Read by interactive shells.
[ -n "${PS1-}" ] || return
export LANG="${LANG:-C.UTF-8}"
PS1='\u@\h:\w\$ '
shopt -s checkwinsize
END
# Syntax files and the like are not here. A vim that is too small for `let` passes over all that is within the `if`.
cat >vim/vimrc <<'END'
if 1
  let skip_defaults_vim = 1
endif
set nocompatible backspace=2 ruler
END
ln -s vim/vimrc vimrc
ln -s vim/vimrc virc

# A bash that was not built to read /etc/bash.bashrc reads .bashrc in HOME, which is / in a container.
mkdir "$root/root"
echo '. /etc/bash.bashrc' >"$root/root/.bashrc"
grep -q /etc/bash.bashrc "$root/bin/bash" || cp "$root/root/.bashrc" "$root/.bashrc"

# 8. Empty folders and modes: nobody but the owner writes, no setuid.
cd "$root"
mkdir -p dev home media mnt opt proc run srv sys tmp usr/local/bin usr/local/sbin var/cache var/lib var/log var/tmp
ln -s ../run var/run
chmod -R u=rwX,go=rX,a-s .
chmod 1777 tmp var/tmp
chmod 0700 root

# 9. Print. In the background, because a shell that waits for a program sees a signal only once that has ended.
tar --format=gnu --sort=name --mtime="@${SOURCE_DATE_EPOCH:-0}" --owner=0 --group=0 --numeric-owner -cf - -C "$root" . &
tar_pid=$!
wait "$tar_pid" || fail "Cannot print the tar of \"$root\": tar ended with status $?"
tar_pid=
