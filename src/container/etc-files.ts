// The files below /etc that tell a container its name, its address and its name servers: written anew into its folder at
// each start, and mounted over those of the image. They are no change of the container: `diff`, `commit` and `tar` do not
// see them.
//
// The rule that must hold: only over a regular file of the image, found as a program inside would find it. What the image
// has not got is not made, and no link in it, wherever it points to, makes LXC mount anything outside of the root, or
// reads as another entry in its configuration.
//
// DIFFERS D29: a program finds its own host name and address, and name servers that it can reach; the original showed the
// host's resolv.conf as it was, and the image's hosts and hostname.
//
// 2013: lxc_template.go (resolv.conf alone; there was no hosts and no hostname)

import { chmodSync, constants, fstatSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { MOUNT_POINTS } from '../filesystem/own-mount-points.js';
import { AT_FDCWD, close, nativeName, O_PATH, openat, openInRoot } from '../linux/at.js';
import { hasCode } from '../linux/libc.js';
import type { OwnFile } from '../lxc/lxc-config.js';
import { errorMessage } from '../util/errors.js';

/** What the files of a container depend on. */
export interface EtcFilesSettings {
  /** the folder of the container, which the files are written into */
  root: string;
  /** the tree that it will see: mounted, and not changed by anybody meanwhile */
  rootfs: string;
  hostname: string;
  /** its own IPv4 address, without a prefix length, where it has one */
  address: string | undefined;
  /** it is in the network of the host */
  isHostNetwork: boolean;
  /** the text of resolv.conf */
  resolvConf: string;
}

const { O_DIRECTORY, O_NOFOLLOW } = constants;
/** Whoever the program runs as reads them. */
const MODE = 0o644;
const HOST_HOSTS_PATH = '/etc/hosts';
/** The address that a machine without one of its own has its name under, as on Debian. */
const NAME_ADDRESS = '127.0.1.1';
/** No white space, backslash or control character: these end or change a field of an LXC mount entry. */
const SAFE_TARGET = /^[\w.,:@+~/-]+$/;

const LOCALHOST = `\
127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::0\tip6-localnet
ff00::0\tip6-mcastprefix
ff02::1\tip6-allnodes
ff02::2\tip6-allrouters
`;

/** Writes those of the files that the image has, and returns how they are to be seen inside. */
export function writeEtcFiles(settings: EtcFilesSettings): OwnFile[] {
  const { root, rootfs, hostname, resolvConf } = settings;
  const files = [
    { name: 'hosts', text: hostsText(settings), isReadOnly: false },
    { name: 'hostname', text: `${hostname}\n`, isReadOnly: false },
    { name: 'resolv.conf', text: resolvConf, isReadOnly: true }, // as in 2013
  ];
  const targets = findTargets(
    rootfs,
    files.map(({ name }) => `etc/${name}`),
  );
  return files.flatMap(({ name, text, isReadOnly }, i) => {
    const target = targets[i];
    if (target === undefined) return [];
    const source = join(root, name);
    writeAnew(source, text);
    return [{ source, target, isReadOnly }];
  });
}

/** The text of /etc/hosts. In the network of the host what the host calls others is true inside, too. */
function hostsText({ isHostNetwork, hostname, address }: EtcFilesSettings): string {
  if (!isHostNetwork) return `${LOCALHOST}${address ?? NAME_ADDRESS}\t${hostname}\n`;
  const text = readHostHosts().replace(/[^\n]$/, '$&\n');
  return hasName(text, hostname) ? text : `${text}${NAME_ADDRESS}\t${hostname}\n`;
}

function readHostHosts(): string {
  try {
    return readFileSync(HOST_HOSTS_PATH, 'utf8');
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return LOCALHOST;
    throw error;
  }
}

/** Whether a line of a hosts file gives an address to `name`. */
function hasName(hosts: string, name: string): boolean {
  return hosts.split('\n').some((line) => {
    const [, ...names] = line.replace(/#.*$/, '').trim().split(/\s+/);
    return names.includes(name);
  });
}

/**
 * A new file in place of the one of an earlier run, whose mode and owner the program may have changed. At once: it is a few
 * lines, not synced to the disk, and a start waits for it.
 */
function writeAnew(path: string, text: string): void {
  try {
    rmSync(path, { force: true });
    writeFileSync(path, text, { flag: 'wx' });
    chmodSync(path, MODE); // whatever the umask
  } catch (error) {
    throw new Error(`Cannot write "${path}": ${errorMessage(error)}`, { cause: error });
  }
}

/** Where each of `paths` is below `rootfs` when links are followed; undefined where nothing is to be mounted on it. */
function findTargets(rootfs: string, paths: readonly string[]): (string | undefined)[] {
  const root = openat(AT_FDCWD, nativeName(rootfs), O_PATH | O_DIRECTORY | O_NOFOLLOW);
  try {
    return paths.map((path) => findTarget(root, path));
  } finally {
    close(root);
  }
}

function findTarget(root: number, path: string): string | undefined {
  const found = openUnlessMissing(root, path);
  if (found === undefined) return undefined;
  try {
    if (!fstatSync(found).isFile()) return undefined;
    const target = openPath(found).slice(openPath(root).length + 1);
    const [first = ''] = target.split('/');
    // LXC hides what the image has below the folders that it mounts on itself.
    return SAFE_TARGET.test(target) && !MOUNT_POINTS.includes(first) ? target : undefined;
  } finally {
    close(found);
  }
}

/** Undefined where a program inside could not open it either. A file is only named (O_PATH): nothing happens to it. */
function openUnlessMissing(root: number, path: string): number | undefined {
  try {
    return openInRoot(root, nativeName(path), O_PATH);
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR', 'ELOOP', 'EXDEV', 'ENAMETOOLONG', 'EACCES')) return undefined;
    throw error;
  }
}

/** The path of what a descriptor names; bytes that are no UTF-8 come as U+FFFD. */
function openPath(fd: number): string {
  return readlinkSync(`/proc/self/fd/${fd}`);
}
